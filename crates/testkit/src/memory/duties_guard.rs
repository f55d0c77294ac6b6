//! The guards of [`MemoryElector`](super::MemoryElector).

use crate::guard::guards;

guards! {
    /// What keeps a duty with one leader.
    DutyGuard {
        /// Terms begin with 1.
        FromOne => [a_free_duty_is_given],
        /// What is held is not given.
        Held => [a_duty_that_is_held_is_given_to_nobody],
        /// Also not to its leader.
        Itself => [a_leader_is_not_elected_again],
        /// Who is refused learns until when.
        TellsUntil => [who_is_refused_learns_when_the_duty_may_be_free],
        /// It lasts to the last.
        Lasts => [a_duty_lasts_until_its_time_is_over],
        /// It ends.
        Ends => [a_duty_is_free_once_its_time_is_over],
        /// A renewal counts from its moment.
        RenewLasts => [a_renewed_duty_lasts_from_its_renewal],
        /// It is no election.
        RenewKeeps => [a_renewal_stays_in_its_term],
        /// Terms grow.
        Grows => [each_election_has_a_higher_term],
        /// Also over a time without a leader.
        Remembers => [a_term_grows_also_after_the_duty_was_given_back],
        /// What is given back is free.
        Resigns => [a_duty_that_was_given_back_is_free],
        /// A later term fences out.
        Fence => [a_term_after_which_another_was_elected_is_over],
        /// What was given back is no leadership.
        GivenBackIsOver => [a_term_that_was_given_back_is_over],
        /// Nobody renews for another.
        OnlyLeader => [only_its_leader_renews_a_term],
        /// A later term is nobody's to give back but its leader's.
        ResignFence => [giving_back_a_term_that_is_over_changes_nothing],
        /// Also not in the same term.
        ResignOnlyLeader => [only_its_leader_gives_a_term_back],
        /// A late renewal is one.
        Late => [a_late_leader_that_nobody_replaced_renews],
        /// An election reads what the one before left.
        AtOnce => [of_candidates_at_once_one_is_elected],
        /// Duties are told apart.
        OneDuty => [duties_say_nothing_of_each_other],
        /// Times have limits.
        CheckTtl => [an_impossible_time_is_refused],
        /// Duties are bounded.
        Most => [there_are_so_many_duties_and_no_more],
        /// A listing names the leader.
        Lists => [a_listing_says_who_leads],
        /// A listing knows what is over.
        ListsOver => [a_listing_says_that_nobody_leads],
    }
}
