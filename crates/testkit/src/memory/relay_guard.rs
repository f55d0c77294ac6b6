//! The guards of [`MemoryRelay`](super::MemoryRelay).

use crate::guard::guards;

guards! {
    /// What keeps a relay right.
    RelayGuard {
        /// All who listen hear.
        Everybody => [a_message_reaches_everybody_who_listens],
        /// Messages stay in order.
        Order => [messages_come_in_the_order_of_their_sending],
        /// Messages stay as they are.
        Whole => [a_message_comes_as_it_was_sent],
        /// Topics keep apart.
        Topics => [nobody_hears_what_they_do_not_listen_to],
        /// Whoever listens begins at the newest.
        FromNow => [what_was_sent_before_is_not_heard],
        /// There is a longest message.
        Longest => [a_message_that_is_too_long_is_refused],
        /// Nobody needs to listen.
        Alone => [it_is_no_error_that_nobody_listens],
        /// What is taken is given out.
        GivenUp => [a_message_is_not_lost_to_a_call_that_is_given_up],
        /// Those who left are forgotten.
        Leaves => [whoever_left_holds_up_nobody],
    }
}
