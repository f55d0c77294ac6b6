//! What the queue model checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemoryTaskQueue`](super::MemoryTaskQueue) takes care of.
    QueueGuard {
        /// A task in somebody's hands is invisible.
        Invisible => [a_task_in_somebodys_hands_is_invisible],
        /// It comes again after its visibility.
        ComesAgain => [what_is_not_answered_comes_again],
        /// Not before.
        VisibilityLasts => [what_is_not_answered_comes_again],
        /// Deliveries are counted.
        Count => [deliveries_are_counted],
        /// An answered task is gone.
        AckRemoves => [what_is_acked_is_gone],
        /// A superseded receipt answers nothing.
        StaleAck => [a_superseded_receipt_acks_nothing],
        /// Nor gives anything back.
        StaleNack => [a_superseded_receipt_gives_nothing_back],
        /// Nor keeps anything.
        StaleExtend => [a_superseded_receipt_extends_nothing],
        /// A receipt answers once.
        AnswerOnce => [a_receipt_answers_once],
        /// A late answer counts as long as nobody else has the task.
        LateAnswer => [a_late_answer_counts_while_nobody_else_has_the_task],
        /// Acks are answered in order.
        AckOrder => [acks_are_answered_in_order],
        /// Receipts are made by the queue.
        ForeignReceipt => [a_made_up_receipt_is_superseded],
        /// A nack gives back.
        NackGivesBack => [a_task_given_back_comes_after_its_delay],
        /// A nack has a delay.
        NackDelay => [a_task_given_back_comes_after_its_delay],
        /// An extension keeps invisible.
        Extend => [an_extension_keeps_tasks_invisible],
        /// A ring has a delay.
        Delay => [a_delayed_ring_comes_when_it_is_due],
        /// Rings are merged.
        Merge => [rings_for_one_execution_are_merged],
        /// The earlier ring counts.
        MergeEarlier => [a_merged_ring_brings_the_task_forward],
        /// The higher priority counts.
        MergePriority => [a_merged_ring_raises_the_priority],
        /// Executions of two tenants are two.
        MergeTenant => [tenants_are_not_merged],
        /// A ring during the work is kept.
        RingAgain => [a_ring_during_the_work_comes_after_the_answer],
        /// And not delivered during it.
        RingWaits => [a_ring_during_the_work_comes_after_the_answer],
        /// And begins anew.
        RingAnew => [a_ring_after_the_work_counts_from_one],
        /// And survives a late answer.
        RingLate => [a_ring_after_the_visibility_survives_a_late_ack],
        /// A higher priority goes first.
        Priority => [a_higher_priority_goes_first],
        /// What was rung first goes first.
        Fifo => [what_was_rung_first_goes_first],
        /// Tenants take turns.
        Turns => [tenants_take_turns],
        /// Priority is within a tenant.
        TurnsBeforePriority => [priority_counts_within_a_tenant],
        /// Within a priority, workflows take turns.
        WorkflowTurns => [workflows_take_turns],
        /// Who is passed over often enough goes next.
        Patience => [a_low_priority_is_passed_over_only_so_often],
        /// Who weighs more has more turns.
        Weights => [a_tenant_has_as_many_turns_as_it_weighs],
        /// And no more than that.
        WeightEnds => [a_tenant_has_as_many_turns_as_it_weighs, tenants_take_turns],
        /// What is settled anew takes the place of all that was.
        WeightsWhole => [who_is_not_named_again_weighs_least],
        /// A call takes at most `max`.
        Max => [a_call_takes_at_most_its_max],
        /// The queue is bounded.
        Capacity => [a_full_queue_drops_and_counts],
        /// What is dropped is counted.
        DropCount => [a_full_queue_drops_and_counts],
        /// A full queue still merges.
        MergeWhenFull => [a_full_queue_still_merges],
        /// What is in hands keeps its place.
        PlaceKept => [a_task_in_somebodys_hands_keeps_its_place],
        /// What was delivered too often is dead.
        DeadByNack => [what_was_given_back_too_often_is_dead],
        /// Also without an answer.
        DeadBySilence => [what_was_never_answered_is_dead],
        /// With the last reason.
        DeadReason => [a_dead_task_has_its_last_reason],
        /// Oldest first.
        DeadOrder => [dead_tasks_are_shown_oldest_first],
        /// Dead tasks can be sent again.
        Redrive => [dead_tasks_can_be_sent_again],
        /// And are counted anew.
        RedriveAnew => [a_task_sent_again_counts_from_one],
        /// A dead task does not stand in the way of a ring.
        DeadRing => [a_ring_for_a_dead_task_is_queued],
        /// A receiver that waits is woken by a ring.
        WakeByRing => [a_waiting_receiver_is_woken_by_a_ring],
        /// By a delay that is over.
        WakeByTime => [a_waiting_receiver_is_woken_by_time, those_who_wait_know_when_something_is_due],
        /// By a task given back.
        WakeByNack => [a_waiting_receiver_is_woken_by_a_task_given_back],
        /// A ring wakes one.
        WakeOne => [a_ring_wakes_one_of_those_who_wait],
        /// Also where there is something already, for which another was woken.
        WakeEach => [each_ring_wakes_another_that_waits],
        /// Who leaves has another look for what is due later.
        WakeNext => [a_receiver_that_went_away_takes_no_wake_up_with_it],
        /// Waiting ends.
        WaitEnds => [a_receiver_waits_only_so_long],
    }
}
