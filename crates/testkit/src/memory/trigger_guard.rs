//! The guards of [`MemoryTriggerRepo`](super::MemoryTriggerRepo).

use crate::guard::guards;

guards! {
    /// What keeps the triggers of published versions right, together with what moves them.
    TriggerGuard {
        /// A publication registers.
        Registers => [a_publication_registers_its_triggers],
        /// What the new version has not goes.
        Unregisters => [a_publication_removes_what_it_has_not],
        /// A refused publication changes none.
        RefusedRegisters => [a_refused_publication_changes_no_trigger],
        /// Too many are refused.
        Checked => [too_many_triggers_are_refused, one_id_twice_is_refused],
        /// The same pace goes on.
        StateStays => [a_trigger_of_the_same_pace_goes_on],
        /// Another one begins anew.
        PaceBegins => [a_trigger_of_another_pace_begins_anew],
        /// But stays paused, with its address.
        PauseStays => [a_trigger_of_another_pace_stays_paused],
        /// The definition is that of the version.
        DefinitionMoves => [a_trigger_has_the_definition_of_its_version],
        /// A publication raises revisions.
        PublishRaises => [a_publication_outdates_what_was_read],
        /// What comes back is another one.
        ComesBack => [a_trigger_that_comes_back_is_another_one],
        /// A change compares revisions.
        UpdateCompares => [a_change_from_an_outdated_revision_changes_nothing],
        /// And raises it.
        UpdateRaises => [of_changes_from_one_revision_one_wins],
        /// And stays.
        UpdateStays => [a_change_stays],
        /// It needs a trigger.
        UpdateUnknown => [changing_says_whether_there_is_a_trigger],
        /// A creation moves its trigger.
        CreateMoves => [a_creation_moves_its_trigger],
        /// And names itself.
        CreateNames => [a_creation_is_the_last_of_its_trigger],
        /// And takes back why the one before was left out.
        CreateTakesBack => [a_creation_takes_back_what_was_left_out],
        /// It compares revisions.
        CreateCompares => [of_two_creations_from_one_revision_one_exists],
        /// It needs a trigger.
        CreateUnknown => [a_creation_by_a_trigger_that_is_gone_is_outdated],
        /// What is outdated leaves no key behind.
        OutdatedForgets => [an_outdated_creation_leaves_nothing_behind],
        /// What is there already moves nothing.
        ExistsMovesNothing => [a_repeated_creation_moves_nothing],
        /// What is refused moves nothing.
        RefusedMovesNothing => [a_refused_creation_moves_nothing],
        /// What waits moves its trigger.
        WaitingMoves => [a_creation_that_waits_moves_its_trigger],
        /// Due is what the store's clock says.
        DueByClock => [a_trigger_is_due_by_the_clock_of_the_store],
        /// The longest due first.
        DueOrder => [the_longest_due_comes_first],
        /// A page has its limit.
        DueLimit => [a_page_of_what_is_due_has_its_limit],
        /// It says when to look again.
        NextDue => [the_next_one_is_announced],
        /// It says by what time.
        DueSaysWhen => [the_time_of_what_is_due_is_the_store_s],
        /// Not what is paused.
        DuePaused => [a_paused_trigger_is_not_due],
        /// Not what is archived.
        DueArchived => [a_trigger_of_an_archived_workflow_is_not_due],
        /// Of all tenants.
        DueTenants => [what_is_due_is_of_all_tenants],
        /// Listings are in order.
        ListOrder => [triggers_are_listed_by_workflow_and_id],
        /// Pages join.
        ListPages => [pages_of_triggers_join],
        /// A listing of a workflow has its own alone.
        ListWorkflow => [a_listing_of_a_workflow_has_its_triggers_alone],
        /// Tokens come from a page before.
        TokenCheck => [a_foreign_trigger_token_is_refused],
        /// Another tenant reads nothing.
        TenantReads => [another_tenant_sees_no_trigger],
        /// Another tenant writes nothing.
        TenantWrites => [another_tenant_moves_no_trigger],
        /// An address leads to its trigger.
        Hooks => [an_address_leads_to_its_trigger],
        /// Only the one that it has now.
        HookRotates => [a_rotated_address_leads_nowhere],
        /// The one before leads there for its grace.
        HookGrace => [an_address_before_leads_there_for_its_grace],
        /// And no longer.
        GraceEnds => [an_address_before_leads_nowhere_after_its_grace],
        /// It stays through publications.
        HookStays => [an_address_stays_through_publications],
        /// What a step announces arrives.
        Announces => [what_a_step_announces_arrives, a_beginning_announces],
        /// Where its topic is listened to.
        AnnounceTopic => [another_topic_does_not_arrive],
        /// From its workflow.
        AnnounceSource => [another_source_does_not_arrive],
        /// Of its tenant.
        AnnounceTenant => [what_another_tenant_announces_does_not_arrive],
        /// Only what is written is announced.
        AnnounceWritten => [a_repeated_step_announces_nothing, a_refused_step_announces_nothing],
        /// What arrives is due.
        AnnounceWakes => [what_arrives_is_due],
        /// In its order.
        ArrivalsOrder => [arrivals_come_in_their_order],
        /// A page has its limit.
        ArrivalsLimit => [a_page_of_arrivals_has_its_limit],
        /// Of its tenant.
        ArrivalsTenant => [another_tenant_sees_no_arrival],
        /// So many and no more.
        ArrivalsFull => [what_arrives_at_a_full_trigger_is_left_out],
        /// They stay through publications.
        ArrivalsStay => [arrivals_stay_through_publications],
        /// As long as it listens.
        DeafForgets => [a_trigger_that_listens_no_more_has_no_arrivals],
        /// And stay due.
        PublishKeepsDue => [arrivals_stay_due_through_publications],
        /// They go with their trigger.
        ArrivalsGo => [arrivals_go_with_their_trigger],
        /// A creation takes what starts it.
        CreateTakes => [a_creation_takes_its_arrivals],
        /// And leaves the next one due.
        CreateLeavesDue => [a_creation_leaves_the_next_arrival_due],
        /// A change hides no arrival.
        UpdateKeepsDue => [a_change_hides_no_arrival],
        /// What is passed over is gone.
        PassTakes => [what_is_passed_over_is_gone],
        /// And leaves the next one due.
        PassLeavesDue => [passing_over_leaves_the_next_arrival_due],
        /// It says why.
        PassSays => [passing_over_says_why],
        /// With a source it hears, too.
        SourcedHears => [what_was_brought_stays_through_publications],
        /// What a source brings arrives.
        BringArrives => [what_is_brought_arrives_in_its_order],
        /// It is due.
        BringWakes => [what_is_brought_is_due],
        /// It needs a trigger.
        BringUnknown => [bringing_says_whether_there_is_a_trigger],
        /// Of a size.
        BringChecked => [what_is_too_large_is_not_brought],
        /// A look compares revisions.
        BringCompares => [of_two_looks_from_one_revision_one_counts],
        /// It says where the source stands.
        BringMoves => [a_look_says_where_the_source_stands],
        /// Or leaves that.
        BringKeepsCursor => [a_look_without_a_cursor_leaves_it],
        /// All of it, or nothing.
        BringFull => [what_has_no_room_is_not_brought],
        /// Where a source stands is its tenant's.
        CursorTenant => [another_tenant_sees_no_cursor],
        /// And its pace's.
        CursorOfPace => [a_cursor_stays_with_its_pace],
        /// It compares revisions.
        PassCompares => [passing_over_from_an_outdated_revision_changes_nothing],
    }
}
