//! The guards of [`MemoryIncidentRepo`](super::MemoryIncidentRepo).

use crate::guard::guards;

guards! {
    /// What keeps incidents apart, and each of them one.
    IncidentGuard {
        /// What is opened is kept.
        Keeps => [an_incident_is_opened_and_found],
        /// A key that is open opens no second one.
        OneOpen => [a_key_that_is_open_is_said_again, of_several_at_once_one_opens],
        /// Looking and writing are one.
        AtOnce => [of_several_at_once_one_opens],
        /// What is resolved is not said again.
        ResolvedIsPast => [a_key_that_was_resolved_opens_a_new_one],
        /// A severity does not fall.
        Rises => [severity_rises_and_falls_only_where_it_may],
        /// But where it may.
        MayLower => [severity_rises_and_falls_only_where_it_may],
        /// An opening is one, however often it is asked for.
        OpenOnce => [an_opening_is_done_once],
        /// So is a change.
        ChangeOnce => [a_change_is_done_once],
        /// Also in a counter.
        CountOnce => [a_counter_counts_each_operation_once],
        /// Operations are told apart by tenants.
        OpsOfTenant => [a_tenant_sees_nothing_of_anothers],
        /// Who did it is kept.
        Who => [who_acknowledged_and_resolved_is_kept],
        /// It is taken once.
        TakenOnce => [what_was_acknowledged_is_not_acknowledged_again],
        /// What is over is over.
        Over => [what_is_resolved_does_not_change],
        /// A key leads to what is open.
        ByKey => [an_incident_is_found_by_its_key_until_it_is_resolved],
        /// Entries come in order, from a place on.
        Order => [a_timeline_is_in_order_and_in_pages],
        /// A timeline is bounded.
        Newest => [a_timeline_keeps_the_newest_entries],
        /// The newest first.
        NewestFirst => [a_listing_is_newest_first_and_in_pages],
        /// A listing filters.
        Filters => [a_listing_filters],
        /// A counter goes back.
        Reset => [a_counter_counts_and_goes_back],
        /// Counters are bounded.
        MostCounters => [there_are_so_many_counters_and_no_more],
        /// Tenants are apart.
        Tenant => [a_tenant_sees_nothing_of_anothers],
        /// Texts have limits.
        Limits => [texts_have_limits],
        /// Incidents are bounded.
        Most => [the_one_that_was_resolved_first_goes_for_a_new_one],
        /// What is open does not go.
        OpenStays => [none_that_is_open_goes],
    }
}
