//! What the execution model checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemoryExecutionRepo`](super::MemoryExecutionRepo) takes care of.
    ///
    /// A model made [`without`](super::MemoryExecutionRepo::without) one of them is wrong on
    /// purpose: the suite must say so.
    ExecutionGuard {
        /// A created execution is due at once.
        CreatedIsDue => [a_new_execution_is_queued_and_due],
        /// Entries of a creation have epoch 0.
        CreationEpoch => [the_first_entries_are_written_at_creation],
        /// A creator that asks for a lease gets one.
        CreatorsLease => [a_creator_may_hold_the_first_lease, a_grant_to_the_creator_counts, a_beginning_is_a_creation_and_its_first_step],
        /// The creator's lease counts as a grant.
        CreatorsGrantCounts => [a_grant_to_the_creator_counts],
        /// A dedupe key begins one execution.
        Dedupe => [a_seen_dedupe_key_begins_nothing, creations_at_once_with_one_key_begin_one],
        /// `same_input` compares input and workflow.
        SameInput => [a_dedupe_key_tells_whether_the_input_is_the_same],
        /// An id begins one execution.
        CreateOnce => [a_seen_id_begins_nothing, a_beginning_of_a_seen_id_begins_nothing],
        /// A refused creation writes nothing.
        ExistsWritesNothing => [a_repeated_creation_takes_no_lease],
        /// Dedupe keys stay when their execution is deleted.
        DedupeOutlives => [a_dedupe_key_outlives_its_execution],
        /// Dedupe keys are forgotten some time after the end.
        DedupeExpires => [a_dedupe_key_is_forgotten_in_time],
        /// The time of a dedupe key begins with the end of its execution.
        DedupeLivesOn => [a_dedupe_key_holds_as_long_as_its_execution_runs],
        /// Dedupe keys belong to a tenant.
        DedupeTenant => [dedupe_keys_belong_to_a_tenant],
        /// A journal begins with its start.
        StartsFirst => [an_execution_without_its_start_is_refused, a_beginning_without_its_start_is_refused],

        /// The start is the first entry of the first step, under its epoch.
        BeginStart => [a_beginning_is_a_creation_and_its_first_step],
        /// The step is applied.
        BeginSteps => [a_beginning_may_be_the_end, a_beginning_may_go_to_sleep, all_of_the_first_step_goes_with_a_beginning],
        /// A beginning is recognised by its step, before anything else is looked at.
        BeginReplay => [a_repeated_beginning_is_replayed, a_repeated_beginning_with_a_key_is_replayed, of_one_beginning_twice_at_once_one_is_applied],
        /// A beginning looks at its dedupe key and leaves it behind.
        BeginKey => [a_beginning_with_a_seen_key_begins_nothing, a_beginning_leaves_its_key_behind],
        /// Where something was there before, nothing of the step is done.
        BeginExistsWritesNothing => [a_beginning_with_a_seen_key_begins_nothing, a_beginning_of_a_seen_id_begins_nothing],
        /// A beginning is under the first lease.
        BeginEpoch => [a_beginning_under_a_later_lease_is_refused],
        /// A beginning is at the first place.
        BeginPlace => [a_beginning_at_another_place_is_refused],

        /// Nobody else gets a lease that is valid.
        HeldCheck => [a_held_execution_is_not_granted, of_many_at_once_one_is_granted],
        /// The epoch grows also for the same holder.
        EpochGrows => [the_epoch_grows_with_every_grant],
        /// A lease ends when its time is over.
        LeaseExpires => [an_expired_lease_goes_to_another, a_lost_lease_makes_the_execution_due],
        /// A lease does not end before.
        LeaseLasts => [an_expired_lease_goes_to_another],
        /// What is not due is not granted.
        DueCheck => [a_waiting_execution_is_not_due_before_its_time, a_parked_execution_waits_to_be_woken],
        /// A grant sets a queued or waiting execution to running.
        GrantRuns => [a_grant_sets_the_status_to_running],
        /// A grant leaves other statuses alone.
        GrantKeepsParked => [a_grant_of_a_parked_execution_leaves_it_parked],
        /// A grant leaves the wake-up alone.
        GrantKeepsWake => [a_grant_leaves_the_wake_up_alone],
        /// A grant brings snapshot, plan and counters.
        GrantSnapshot => [a_grant_brings_the_latest_snapshot],
        /// A grant brings the place in journal and inbox.
        GrantMarks => [a_grant_brings_the_place_in_journal_and_inbox],
        /// What has ended is not granted.
        AcquireTerminal => [an_ended_execution_is_not_granted],
        /// What does not exist is not granted.
        AcquireUnknown => [an_unknown_execution_is_not_granted],
        /// A renewal moves the end of the lease.
        RenewExtends => [a_renewal_lasts_its_whole_time_again],
        /// A renewal compares the epoch.
        RenewEpoch => [a_lost_lease_is_not_renewed],
        /// A released lease is no lease.
        RenewReleased => [a_released_lease_is_not_renewed],
        /// An expired lease that nobody took is still the holder's.
        RenewExpired => [an_expired_lease_that_nobody_took_is_renewed],
        /// Answers come in the order of the leases.
        RenewOrder => [renewals_are_answered_in_order],
        /// A renewal tells of the inbox.
        RenewHead => [a_renewal_tells_of_signals],
        /// A release makes due.
        ReleaseIsDue => [a_released_execution_is_due_at_once],
        /// A release compares the epoch.
        ReleaseEpoch => [a_late_release_leaves_the_next_holder_alone],
        /// A lease that its holder did not give back makes due when it expires.
        ExpiredIsDue => [a_lost_lease_makes_the_execution_due],

        /// Grants are counted.
        GrantCounter => [grants_without_progress_are_counted, too_many_grants_park_the_execution],
        /// A step with entries is progress.
        EntriesAreProgress => [a_step_with_entries_is_progress, a_beginning_is_progress],
        /// A change of status is progress.
        StatusIsProgress => [a_change_of_status_is_progress],
        /// An empty step is none.
        EmptyIsNoProgress => [an_empty_step_is_no_progress],
        /// A renewal is none.
        RenewalIsNoProgress => [a_renewal_is_no_progress],
        /// A lease that is given back is no grant without progress.
        ReleaseIsNoGrant => [a_lease_that_is_given_back_does_not_count],
        /// Poison is parked.
        PoisonParks => [too_many_grants_park_the_execution],
        /// Poison is journalled.
        PoisonEntry => [poison_is_in_the_journal_with_its_own_epoch],
        /// Poison has an epoch of its own.
        PoisonEpoch => [poison_is_in_the_journal_with_its_own_epoch, a_holder_whose_execution_was_poisoned_is_fenced],
        /// Poison is not due.
        PoisonSleeps => [too_many_grants_park_the_execution],
        /// The counter begins anew after poison.
        PoisonResets => [a_signal_gives_a_poisoned_execution_new_grants],

        /// The status moves with the entries.
        StepStatus => [status_and_journal_move_together],
        /// No status keeps the old one.
        StepKeepsStatus => [a_step_without_a_status_keeps_it],
        /// Entries are numbered from 1 without gaps.
        Numbering => [entries_are_numbered_without_gaps],
        /// Entries carry the epoch of their lease.
        EntryEpoch => [entries_carry_the_epoch_of_their_lease],
        /// A step has its place.
        ExpectedSeq => [a_step_at_another_place_conflicts],
        /// A step has its epoch.
        Epoch => [a_stale_epoch_writes_nothing],
        /// A released lease writes nothing.
        ReleasedWritesNothing => [a_released_lease_writes_nothing],
        /// An expired lease writes as long as nobody took it.
        ExpiredWrites => [an_expired_lease_that_nobody_took_still_writes],
        /// A step renews its lease.
        StepRenews => [a_step_renews_its_lease],
        /// A step is recognised by its id.
        StepId => [a_repeated_step_is_replayed, of_one_step_twice_at_once_one_is_applied],
        /// A step without entries is recognised too.
        EmptyStepId => [a_repeated_step_without_entries_is_replayed],
        /// Not only the last step is recognised.
        OldStepIds => [an_older_step_is_recognised_too],
        /// An id is recognised only at its place.
        StepPlace => [a_step_id_counts_only_at_its_place],
        /// The id is compared before the epoch.
        ReplayBeforeFence => [a_repeated_step_is_replayed_after_a_takeover],
        /// The id is compared before the end.
        ReplayBeforeTerminal => [a_repeated_final_step_is_replayed],
        /// The end is checked before the epoch.
        TerminalBeforeFence => [a_stale_lease_of_an_ended_execution_learns_of_the_end],
        /// The epoch is compared before the place.
        FenceBeforeConflict => [a_stale_lease_at_another_place_is_fenced],
        /// A replay does nothing.
        ReplayWritesNothing => [a_replayed_step_does_nothing_twice],
        /// Nothing follows the end.
        NothingFollows => [nothing_follows_the_end],
        /// The end takes the lease.
        EndTakesLease => [the_end_takes_the_lease],
        /// The end takes the wake-up.
        EndTakesWake => [the_end_takes_the_wake_up],
        /// A terminal status needs a terminal fact.
        TerminalNeedsFact => [a_terminal_status_needs_a_terminal_fact],
        /// A terminal fact needs a terminal status.
        TerminalNeedsStatus => [a_terminal_fact_needs_a_terminal_status],
        /// A terminal fact is the last.
        TerminalIsLast => [a_terminal_fact_is_the_last],
        /// Places begin at 1.
        PlaceFromOne => [a_place_before_the_first_is_refused],
        /// The inbox mark is at most the head.
        MarkWithinInbox => [an_inbox_mark_beyond_the_inbox_is_refused],
        /// The inbox mark never falls.
        MarkNeverFalls => [an_inbox_mark_never_falls],
        /// A refused step leaves nothing.
        Rollback => [a_refused_step_leaves_nothing_behind, a_refused_beginning_leaves_nothing_behind],
        /// A conflict is its own.
        Neighbours => [a_conflict_never_fails_its_neighbours],
        /// Steps and signals have the store's time.
        StoreTime => [the_store_tells_when_it_was_updated],
        /// A step answers with the inbox's head.
        StepHead => [a_holder_learns_of_signals_from_its_steps],
        /// A step replaces the wake-up.
        WakeReplaced => [a_step_replaces_the_wake_up],

        /// A signal wakes.
        SignalWakes => [a_signal_wakes_a_waiting_execution],
        /// Unread items keep the execution awake.
        UnreadWakes => [a_signal_while_the_holder_goes_to_sleep_is_not_lost],
        /// Read items do not.
        ReadSleeps => [an_inbox_read_to_its_end_lets_the_execution_sleep],
        /// An earlier wake-up stays.
        EarlierWakeStays => [a_signal_never_makes_the_wake_up_later],
        /// Inbox items are numbered without gaps.
        InboxNumbers => [signals_are_numbered_without_gaps, signals_at_once_are_all_kept],
        /// Signals are deduplicated.
        SignalDedupe => [a_repeated_signal_is_recognised],
        /// Per inbox.
        SignalDedupePerInbox => [signals_are_deduplicated_per_inbox],
        /// Signals are refused after the end.
        SignalTerminal => [a_signal_after_the_end_is_refused],
        /// A repeated signal is recognised after the end.
        SignalReplay => [a_repeated_signal_is_recognised_after_the_end],
        /// A signal needs somebody.
        SignalUnknown => [a_signal_to_nobody_is_unknown],
        /// A signal does not touch the journal.
        SignalOwnOrder => [a_signal_never_disturbs_the_holder],
        /// The inbox is read in pages.
        InboxPages => [the_inbox_is_read_in_pages],

        /// Children begin with the step.
        Children => [children_begin_with_their_parents_step],
        /// Children belong to the parent's tenant.
        ChildTenant => [children_belong_to_their_parents_tenant],
        /// A child that exists stays.
        ChildOnce => [a_child_that_exists_stays_as_it_is],
        /// Deliveries go with the step.
        Deliveries => [deliveries_go_with_the_step],
        /// The final step delivers.
        FinalDelivery => [the_end_delivers_to_the_parent],
        /// Deliveries are deduplicated.
        DeliveryDedupe => [deliveries_are_deduplicated],
        /// Deliveries wake.
        DeliveryWakes => [deliveries_go_with_the_step],
        /// A delivery to nobody is no error.
        DeliveryToNobody => [a_delivery_to_nobody_is_no_error],
        /// Deliveries stay in their tenant.
        DeliveryTenant => [a_delivery_stays_in_its_tenant],
        /// Tokens name their execution.
        WaitsOpened => [a_wait_token_names_its_execution],
        /// Tokens can be closed.
        WaitsClosed => [a_closed_token_wakes_nobody],
        /// The end closes tokens.
        EndClosesWaits => [the_end_closes_every_wait],

        /// A journal is read in pages.
        JournalPages => [a_journal_is_read_in_pages],
        /// A batch is never cut.
        WholeBatch => [a_batch_larger_than_the_page_comes_whole],
        /// Reading begins where it is asked to.
        JournalFrom => [reading_may_begin_within_a_batch],
        /// Entries come back as they were.
        EntriesUnchanged => [every_fact_comes_back_as_it_was],
        /// Listings are newest first.
        NewestFirst => [executions_are_listed_newest_first],
        /// Pages join.
        ListPages => [pages_of_a_listing_join],
        /// New executions do not shift pages.
        ListCursor => [a_new_execution_shifts_no_page],
        /// Listings filter by workflow.
        FilterWorkflow => [a_listing_filters_by_workflow],
        /// Listings filter by status.
        FilterStatus => [a_listing_filters_by_status],
        /// Listings filter by a range of ids.
        FilterIds => [a_listing_filters_by_a_range_of_ids],
        /// Listings filter by the time of creation.
        FilterSince => [a_listing_filters_by_time],
        /// Up to another time.
        FilterUntil => [a_listing_filters_by_time],
        /// Listings filter by labels.
        FilterLabels => [a_listing_filters_by_labels],
        /// Listings filter by a text.
        FilterText => [a_listing_filters_by_text],
        /// Tokens come from a page before.
        TokenCheck => [a_foreign_token_is_refused],
        /// A summary tells who is leased.
        LeasedFlag => [a_summary_tells_what_there_is],

        /// What is leased is not runnable.
        RunnableUnheld => [a_held_execution_is_not_runnable],
        /// What is not due is not runnable.
        RunnableDue => [only_what_is_due_is_runnable],
        /// What was rung is not rung again at once.
        RungMark => [what_was_rung_is_not_rung_again_at_once],
        /// What was rung long ago is rung again.
        RungAgain => [what_was_rung_long_ago_is_rung_again],
        /// A grant answers the ring.
        GrantAnswersRing => [a_grant_answers_the_ring],
        /// Tenants take turns.
        Interleaved => [tenants_take_turns_in_the_sweep],
        /// A page has a limit.
        RunnableLimit => [a_sweep_goes_page_by_page],
        /// More than a page is told.
        RunnableMore => [a_sweep_goes_page_by_page],
        /// The next wake-up is told.
        NextDueWake => [the_sweep_knows_when_to_look_again],
        /// The next end of a lease is told.
        NextDueLease => [the_sweep_knows_when_the_next_lease_ends],
        /// What is due now is no reason to wait.
        NextDueFuture => [the_sweep_knows_when_to_look_again],

        /// Another tenant reads nothing.
        TenantReads => [another_tenant_sees_nothing],
        /// Another tenant lists nothing.
        TenantLists => [another_tenant_sees_nothing],
        /// Another tenant writes nothing.
        TenantWrites => [another_tenant_changes_nothing],
        /// Another tenant deletes nothing.
        TenantDeletes => [another_tenant_deletes_nothing],
        /// Only what has ended is deleted.
        DeleteEnded => [what_has_not_ended_is_not_deleted],
        /// Only what ended before is deleted.
        DeleteBefore => [only_what_ended_before_is_deleted],
        /// The oldest go first.
        DeleteOldest => [the_oldest_go_first],
        /// At most the limit.
        DeleteLimit => [the_oldest_go_first],
        /// Nothing stays but the dedupe key.
        DeleteWhole => [a_deleted_execution_leaves_nothing],

        /// In the sweep the higher priority goes first.
        SweepPriority => [a_higher_priority_is_rung_first],
        /// As long as the patience of the others lasts.
        SweepPatience => [a_low_priority_is_rung_among_many_that_are_higher],
        /// What is for others is neither given nor marked.
        SweepGroups => [a_sweep_finds_what_is_for_its_groups],
        /// Workflows take turns in the sweep.
        SweepWorkflows => [workflows_take_turns_in_the_sweep],

        /// A bucket has only so many tokens.
        Rate => [a_rate_lets_its_burst_begin_at_once, a_start_beyond_its_rate_begins_later, an_impossible_rate_is_refused],
        /// Tokens come back.
        RateComesBack => [a_rate_comes_back_with_time],
        /// Each key has a bucket of its own.
        RateKey => [each_key_of_a_rate_counts_for_itself],
        /// Each tenant, too.
        RateTenant => [rates_belong_to_a_tenant],
        /// Who begins later sleeps until then.
        RateSleeps => [a_start_beyond_its_rate_begins_later],
        /// What is refused takes no token and is not remembered.
        RateRefusalForgets => [a_start_that_its_rate_refuses_leaves_nothing],
        /// A repetition takes no token.
        RateOnce => [a_repeated_creation_takes_nothing_of_its_rate],
        /// What is refused for its slot takes no token.
        RateAfterSlot => [a_start_that_is_refused_for_its_slot_takes_nothing_of_its_rate],
        /// Who begins later claims its slot later.
        RateBeforeSlot => [a_start_beyond_its_rate_claims_no_slot_yet],
        /// A grant tells who was woken early that it is.
        RateGrantTells => [a_grant_before_its_time_says_so],
        /// A child takes a token, too.
        RateOfChild => [a_child_beyond_its_rate_begins_later],

        /// No more executions are open than the quota says.
        QuotaExecutions => [a_quota_of_executions_refuses_one_more, creations_at_once_keep_to_the_quota],
        /// What has ended does not count.
        QuotaOpen => [what_has_ended_leaves_room_in_the_quota],
        /// Each tenant has quotas of its own.
        QuotaTenant => [quotas_belong_to_a_tenant, usage_is_that_of_a_tenant],
        /// What is refused is not remembered.
        QuotaRefusalForgets => [a_start_that_a_quota_refuses_leaves_nothing],
        /// No more begin in a second than the quota says.
        QuotaStarts => [a_quota_of_starts_refuses_one_more_in_a_second],
        /// What is refused for its slot takes no token of the tenant.
        QuotaAfterSlot => [what_is_refused_otherwise_takes_no_start_of_the_quota],
        /// What is refused for its rate takes none, either.
        QuotaAfterRate => [what_its_rate_refuses_takes_no_start_of_the_quota],
        /// Journals have bytes.
        UsageBytes => [usage_counts_what_is_open_and_held],
        /// What is held is counted apart.
        UsageHeld => [usage_counts_what_is_open_and_held],

        /// A creation claims its start slot.
        StartSlotClaims => [a_creation_takes_its_start_slot, an_impossible_start_slot_is_refused],
        /// Who waits for it gets no lease.
        StartSlotLease => [a_creation_that_waits_for_its_slot_gets_no_lease],
        /// And sleeps.
        StartSlotSleeps => [a_creation_that_waits_for_its_slot_is_not_due],
        /// It is told how many wait before it.
        StartSlotAhead => [a_creation_is_told_who_waits_before_it],
        /// Only so many wait.
        StartSlotRefuses => [a_creation_is_refused_where_as_many_wait_as_may],
        /// What was refused can be tried again.
        StartSlotRefusalForgets => [a_refused_creation_leaves_nothing],
        /// An expired lease holds no start slot against a creation.
        StartSlotTakes => [a_creation_takes_its_slot_from_an_expired_lease],
        /// A child has a start slot, too.
        StartSlotOfChild => [a_child_waits_for_its_start_slot],
        /// A key has only so many slots.
        SlotFull => [a_full_key_makes_a_claim_wait, a_mutex_has_one_holder_whoever_comes_at_once],
        /// Each claim has a capacity of its own.
        SlotOwnCapacity => [each_claim_counts_against_its_own_capacity],
        /// The first of those that wait is the next.
        SlotOrder => [slots_are_granted_in_the_order_of_the_claims],
        /// Nobody passes a claim that waits.
        SlotHeadBlocks => [no_claim_passes_one_that_waits],
        /// Room for several is for several.
        SlotGrantsAll => [as_many_are_granted_as_fit],
        /// A grant is told in the inbox.
        SlotGrantTold => [a_free_slot_is_granted_in_the_claimants_own_step, a_freed_slot_goes_to_the_next],
        /// A step's mark does not cover its own grants.
        SlotGrantUnread => [a_grant_of_the_own_step_is_unread],
        /// A grant wakes.
        SlotWakes => [a_grant_wakes_who_waits_for_it],
        /// Each grant is told, also of the same slot.
        SlotToldAgain => [a_slot_that_is_claimed_again_is_told_again],
        /// A grant has its own time.
        SlotSince => [a_queue_tells_since_when],
        /// One claim for each execution, key and owner.
        SlotClaimOnce => [a_repeated_claim_changes_nothing],
        /// An execution frees only its own.
        SlotFreeOwn => [nobody_frees_what_belongs_to_others],
        /// An owner frees only its own.
        SlotFreeOwner => [an_owner_frees_nothing_of_its_siblings],
        /// What is freed goes to the next.
        SlotFreeGrants => [a_freed_slot_goes_to_the_next, a_withdrawn_claim_lets_the_next_pass],
        /// A step frees before it claims.
        SlotFreeFirst => [a_step_frees_before_it_claims],
        /// A step that sleeps keeps slots.
        SlotSleepKeeps => [a_sleeping_execution_keeps_its_slots],
        /// A release keeps slots.
        SlotReleaseKeeps => [a_released_lease_keeps_its_slots],
        /// The end gives slots back.
        SlotEndFrees => [the_end_gives_every_slot_back],
        /// The end withdraws claims.
        SlotEndWithdraws => [the_end_withdraws_what_waits],
        /// A final step claims nothing.
        SlotFinalClaims => [a_final_step_claims_nothing],
        /// A takeover loses slots.
        SlotTakeoverLoses => [a_takeover_loses_what_the_expired_lease_held],
        /// A loss is told.
        SlotLostTold => [a_takeover_loses_what_the_expired_lease_held, a_claim_takes_slots_from_an_expired_lease],
        /// Claims that wait outlive a lease.
        SlotWaitingStays => [a_takeover_leaves_its_place_in_the_queue],
        /// A migration moves the version.
        MigrateVersion => [a_migration_moves_version_plan_and_journal_together],
        /// A migration moves the plan.
        MigratePlan => [a_migration_moves_version_plan_and_journal_together],
        /// A migration is journalled.
        MigrateEntry => [a_migration_moves_version_plan_and_journal_together],
        /// A migration has an epoch of its own.
        MigrateEpoch => [a_migration_moves_version_plan_and_journal_together],
        /// A snapshot is of the plan that made it.
        MigrateSnapshot => [a_migration_forgets_the_snapshot],
        /// What was moved is due.
        MigrateWakes => [a_migrated_execution_is_due],
        /// What was checked is what is moved.
        MigratePlace => [a_migration_at_another_place_conflicts],
        /// What somebody drives is not moved.
        MigrateHeld => [a_driven_execution_is_not_migrated],
        /// Nor what somebody drove who never gave it back.
        MigrateExpired => [a_driven_execution_is_not_migrated],
        /// What has ended is not moved.
        MigrateTerminal => [an_ended_execution_is_not_migrated],
        /// What is moved belongs to who moves it.
        MigrateTenant => [a_migration_stays_in_its_tenant],
        /// The journal says that it was moved.
        MigrateFact => [an_entry_that_migrates_nothing_is_refused],

        /// Poison loses slots.
        SlotPoisonLoses => [poison_loses_its_slots],
        /// A claim takes slots from expired leases.
        SlotClaimTakes => [a_claim_takes_slots_from_an_expired_lease],
        /// Whoever lost slots is fenced.
        SlotTakingFences => [a_holder_whose_slots_were_taken_is_fenced],
        /// A sweep takes slots from expired leases.
        SlotSweepTakes => [a_sweep_takes_slots_from_expired_leases],
        /// A grant ends an expired lease.
        SlotGrantTakes => [a_grant_over_an_expired_lease_is_for_the_next_holder],
        /// A step over an expired lease keeps slots.
        SlotExpiredKeeps => [an_expired_lease_that_writes_keeps_its_slots],
        /// A renewal of an expired lease keeps slots.
        SlotRenewKeeps => [an_expired_lease_that_is_renewed_keeps_its_slots],
        /// A replay moves no slot.
        SlotReplay => [a_replayed_step_moves_no_slot],
        /// A refused step moves no slot.
        SlotRefusal => [a_refused_step_moves_no_slot],
        /// Queues belong to a tenant.
        SlotTenant => [queues_belong_to_a_tenant],
        /// A signal cannot have the kind of a grant.
        SlotKinds => [nobody_forges_a_grant_by_a_signal],
        /// A signal cannot take the key of a grant.
        SlotKeys => [nobody_hides_a_grant_behind_its_key],
        /// A delivery cannot either.
        SlotDeliveries => [nobody_forges_a_grant_by_a_delivery],
        /// A step has only so many changes of slots.
        SlotLimit => [too_many_changes_of_slots_are_refused],
        /// A capacity has its range.
        SlotCapacity => [an_impossible_capacity_is_refused],
        /// What has ended is not in the backlog.
        BacklogOpen => [the_backlog_has_what_is_open_by_status],
        /// What somebody holds does not count as due.
        BacklogHeld => [the_backlog_says_what_is_due_and_for_how_long],
        /// What is due counts for the workers that it is for.
        BacklogGroups => [the_backlog_says_for_whom_something_is_due],

        /// A creation is a change.
        ChangeCreated => [a_creation_is_a_change, a_beginning_is_a_change],
        /// So is an entry.
        ChangeWritten => [a_step_is_a_change, a_parked_and_a_migrated_execution_changed],
        /// So is a status.
        ChangeMoved => [a_status_that_moves_alone_is_a_change],
        /// What nothing happened to did not change.
        ChangeNothing => [what_changes_nothing_is_not_told],
        /// What was told is not told again.
        ChangeOnce => [what_was_told_is_not_told_again],
        /// As much as is asked for.
        ChangePages => [changes_are_read_in_pages],
        /// Only what belongs to who asks.
        ChangeTenant => [changes_belong_to_a_tenant],
        /// What goes leaves no number to be hidden behind.
        ChangeNumbers => [a_deletion_hides_no_change, a_deletion_of_the_last_execution_hides_no_change],
        /// A cursor is one of the store's.
        ChangeCursor => [a_foreign_cursor_of_changes_is_lost],
        /// Whoever is far behind begins anew.
        ChangeBehind => [who_is_too_far_behind_is_told],

        /// A queue is read from its head on.
        SlotReadOrder => [a_queue_is_read_from_its_head_on],
        /// As much of it as is asked for.
        SlotReadLimit => [a_queue_is_read_from_its_head_on],
    }
}
