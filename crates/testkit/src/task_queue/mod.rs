//! The rules of [`TaskQueue`]: what every doorbell must prove.
//!
//! A driver's test is `nebula_testkit::task_queue!(|clock| async move { … })`, where the expression makes
//! an empty queue, as `Arc<dyn TaskQueue>`, with room for [`CAPACITY`] executions, each delivered at
//! most [`MAX_DELIVERIES`] times, that takes its time from the [`ManualClock`](crate::ManualClock) it is given.
//!
//! # What the trait leaves open, settled here
//! - The queue has room for so many executions, waiting or in somebody's hands; a ring for one that is
//!   there needs no room. Dead tasks have as much room of their own; then the oldest is forgotten,
//!   and counted as dropped.
//! - Tenants take turns in the order of their ids, each as many one after the other as it weighs; what it
//!   has left when nothing of it waits is gone; within a tenant priorities, by
//!   [`Turns`](nebula_ports::Turns); within a priority workflows, in the order of their ids; within a
//!   workflow what is due first, then what was rung first. The turns of a tenant without a task are forgotten.
//! - A merged ring keeps the earlier time and the higher priority.
//! - A ring for what is in somebody's hands is `Queued`, a second one `Merged`. After an ack it is a new
//!   task, counted from 1; after a nack or the end of the visibility it is merged with what comes again.
//! - A receipt is good until it is answered, its task was delivered again, or its task is dead: an answer
//!   after the visibility counts as long as nobody else has the task.
//! - After the last delivery a nack or the end of the visibility makes the task dead, with the last reason
//!   given. A ring for a dead task is a new task; one that came during the last delivery, too.
//! - `redrive` sends as many as there is room for; the others stay dead.
//! - A ring wakes one of those who wait; one more may look to learn what is due next.
//! - An unanswered delivery counts by the monotonic clock where there is one in the process.

use std::future::Future;

use nebula_ports::TaskQueue;

use crate::suite::rule_table;

mod dead;
mod deliver;
mod fixture;
mod ring;
mod wait;
mod weigh;

pub use dead::*;
pub use deliver::*;
pub use ring::*;
pub use wait::*;
pub use weigh::*;

/// For how many executions the queue under test has room.
pub const CAPACITY: u8 = 8;

/// How often the queue under test delivers a task.
pub const MAX_DELIVERIES: u32 = 3;

/// Makes one test for each rule of [`TaskQueue`] on what the expression makes; behind `if` stands whether
/// there is a server for it.
#[macro_export]
macro_rules! task_queue {
    (if $there:expr, $make:expr) => {
        $crate::task_queue_rules! { $crate::rule_tests, (task_queue, $there, $make) }
    };
    ($make:expr) => {
        $crate::task_queue_rules! { $crate::rule_tests, (task_queue, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! task_queue_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_task_in_somebodys_hands_is_invisible,
            what_is_not_answered_comes_again,
            deliveries_are_counted,
            what_is_acked_is_gone,
            a_superseded_receipt_acks_nothing,
            a_superseded_receipt_gives_nothing_back,
            a_superseded_receipt_extends_nothing,
            a_receipt_answers_once,
            a_late_answer_counts_while_nobody_else_has_the_task,
            acks_are_answered_in_order,
            a_made_up_receipt_is_superseded,
            a_task_given_back_comes_after_its_delay,
            an_extension_keeps_tasks_invisible,
            a_call_takes_at_most_its_max,
            a_delayed_ring_comes_when_it_is_due,
            rings_for_one_execution_are_merged,
            a_merged_ring_brings_the_task_forward,
            a_merged_ring_raises_the_priority,
            tenants_are_not_merged,
            a_ring_during_the_work_comes_after_the_answer,
            a_ring_after_the_work_counts_from_one,
            a_ring_after_the_visibility_survives_a_late_ack,
            a_higher_priority_goes_first,
            what_was_rung_first_goes_first,
            tenants_take_turns,
            priority_counts_within_a_tenant,
            workflows_take_turns,
            a_low_priority_is_passed_over_only_so_often,
            a_tenant_has_as_many_turns_as_it_weighs,
            who_is_not_named_again_weighs_least,
            a_full_queue_drops_and_counts,
            a_full_queue_still_merges,
            a_task_in_somebodys_hands_keeps_its_place,
            what_was_given_back_too_often_is_dead,
            what_was_never_answered_is_dead,
            a_dead_task_has_its_last_reason,
            dead_tasks_are_shown_oldest_first,
            dead_tasks_can_be_sent_again,
            a_task_sent_again_counts_from_one,
            a_ring_for_a_dead_task_is_queued,
            a_waiting_receiver_is_woken_by_a_ring,
            a_ring_wakes_one_of_those_who_wait,
            each_ring_wakes_another_that_waits,
            a_waiting_receiver_is_woken_by_time,
            those_who_wait_know_when_something_is_due,
            a_waiting_receiver_is_woken_by_a_task_given_back,
            a_receiver_that_went_away_takes_no_wake_up_with_it,
            a_receiver_waits_only_so_long,
        }
    };
}

task_queue_rules! { rule_table, (dyn TaskQueue) }
