//! The guards of [`MemoryEventSink`](super::MemoryEventSink).

use crate::guard::guards;

guards! {
    /// What keeps watchers right.
    EventGuard {
        /// Each watcher has its own place.
        Everyone => [every_watcher_gets_every_event],
        /// Events stay in order.
        Order => [events_come_in_the_order_of_their_publication],
        /// Events stay as they are.
        Whole => [an_event_is_seen_as_it_was_published],
        /// A watcher begins at the newest.
        FromNow => [what_came_before_is_not_for_a_watcher],
        /// Losses are counted.
        Tells => [a_slow_watcher_is_told_how_many_events_it_lost],
        /// The oldest goes.
        Newest => [a_slow_watcher_gets_the_newest_events],
        /// A watcher that lost some gets the others.
        GoesOn => [a_slow_watcher_goes_on_after_its_loss],
        /// A slow watcher concerns nobody else.
        HoldsNobody => [a_slow_watcher_costs_no_other_an_event],
        /// What is taken is given out.
        GivenUp => [a_call_that_is_given_up_loses_nothing],
        /// A publication wakes.
        Wakes => [whoever_waits_is_woken],
        /// Watchers are counted.
        Watched => [a_sink_knows_whether_anybody_watches],
        /// Those who left are not.
        Leaves => [a_watcher_that_left_does_not_count],
    }
}
