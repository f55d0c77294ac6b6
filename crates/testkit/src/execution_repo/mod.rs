//! The rules of [`ExecutionRepo`]: what every store of executions must prove.
//!
//! A driver's test is `nebula_testkit::execution_repo!(|clock| async move { … })`, where the
//! expression makes an empty store, as `Arc<dyn ExecutionRepo>`, that reads its time from the
//! [`ManualClock`](crate::ManualClock) it is given. Each rule gets a store and a clock of its own.
//!
//! # What the trait leaves open, settled here
//! - A lease is valid as long as now is before its end; wall time of the store's clock counts.
//! - **Due** is what is unheld and whose `wake_at` is now or before, or whose lease expired without
//!   being given back, in every status that is not terminal. A creation and a child are due at once.
//! - A **grant** leaves `wake_at` alone, answers the ring of the sweep, and sets `Queued` and `Waiting`
//!   to `Running`; `Parked`, `Paused` and `Compensating` stay until a step changes them. A creator's
//!   lease is a grant.
//! - A **beginning** is all of `create` with a lease and of its first step, in that order; but its start
//!   is the first entry of the step, with epoch 1. It is judged so: `Invalid` in itself; the same step
//!   id at place 1 → `Replayed`; the key, then the id → `Exists`; the inbox mark, which is 0.
//! - `max_grants` grants in a row without progress are allowed; the next `acquire` journals
//!   `Parked { Poison }` with an epoch of its own, takes lease and wake-up, begins the count anew
//!   and answers `Poisoned`. Progress is an applied step that has entries or changes the status.
//! - Every applied step **renews** its lease. A lease that was given back writes nothing: `Fenced`.
//! - A step is **recognised** by its id at its place: one with entries for ever, one without entries
//!   as long as no other step was applied since. A replay answers with the places of now.
//! - A step **contradicts itself** (`Invalid`) when `expected_seq` is 0, when a terminal status and a
//!   terminal last entry do not come together, when a terminal entry is not the last, when a
//!   child does not begin with its start; and, once it is not replayed, terminal, fenced or in
//!   conflict, when `inbox_through` is above the inbox's head or below the mark before. A lease of
//!   an unknown execution, or of another tenant's, is `Invalid` too.
//! - Every applied step sets `wake_at`: to its own value, to now at most while inbox items are
//!   unread, to none at the end. The end takes the lease and closes every wait token.
//! - A repeated **signal** is a `Duplicate` also after the end. Deliveries share the inbox's keys.
//! - A step changes **slots** after its deliveries: it removes everything that it frees, grants what
//!   that lets pass, then claims one after the other. Where several keys move at once they go in their
//!   order, and so do the `slot.lost` items of one loss. Items have kind `slot.…` and
//!   `SlotId::payload`. What a terminal step says about slots does not count.
//! - Children belong to their parent's tenant and begin before deliveries are made.
//! - A **dedupe key** holds while its execution runs and `DEDUPE_TTL` after its end, deleted or not.
//! - `runnable` takes tenants in turn; `next_due` is the earliest wake-up or end of a lease that is
//!   still to come, of all that has not ended. `delete_ended` takes what ended before `before`.

use std::future::Future;

use nebula_ports::ExecutionRepo;

use crate::suite::rule_table;

mod begin;
mod changes;
mod create;
mod family;
pub(crate) mod fixture;
mod inbox;
mod lease;
mod migrate;
mod poison;
mod quota;
mod rate;
mod read;
mod refuse;
mod replay;
mod slot_fixture;
mod slot_lease;
mod slot_refuse;
mod slot_start;
mod slots;
mod step;
mod sweep;
mod tenant;

pub use begin::*;
pub use changes::*;
pub use create::*;
pub use family::*;
pub use inbox::*;
pub use lease::*;
pub use migrate::*;
pub use poison::*;
pub use quota::*;
pub use rate::*;
pub use read::*;
pub use refuse::*;
pub use replay::*;
pub use slot_lease::*;
pub use slot_refuse::*;
pub use slot_start::*;
pub use slots::*;
pub use step::*;
pub use sweep::*;
pub use tenant::*;

/// Makes one test for each rule of [`ExecutionRepo`] on what the expression makes.
#[macro_export]
macro_rules! execution_repo {
    ($make:expr) => {
        $crate::execution_repo_rules! { $crate::rule_tests, (execution_repo, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! execution_repo_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_new_execution_is_queued_and_due,
            the_first_entries_are_written_at_creation,
            a_creator_may_hold_the_first_lease,
            a_grant_to_the_creator_counts,
            a_seen_dedupe_key_begins_nothing,
            creations_at_once_with_one_key_begin_one,
            a_dedupe_key_tells_whether_the_input_is_the_same,
            a_seen_id_begins_nothing,
            a_repeated_creation_takes_no_lease,
            a_dedupe_key_outlives_its_execution,
            a_dedupe_key_is_forgotten_in_time,
            a_dedupe_key_holds_as_long_as_its_execution_runs,
            dedupe_keys_belong_to_a_tenant,
            an_execution_without_its_start_is_refused,
            a_beginning_is_a_creation_and_its_first_step,
            a_beginning_is_progress,
            a_beginning_may_be_the_end,
            a_beginning_may_go_to_sleep,
            all_of_the_first_step_goes_with_a_beginning,
            a_repeated_beginning_is_replayed,
            a_repeated_beginning_with_a_key_is_replayed,
            of_one_beginning_twice_at_once_one_is_applied,
            a_beginning_with_a_seen_key_begins_nothing,
            a_beginning_leaves_its_key_behind,
            a_beginning_of_a_seen_id_begins_nothing,
            a_beginning_without_its_start_is_refused,
            a_beginning_under_a_later_lease_is_refused,
            a_beginning_at_another_place_is_refused,
            a_refused_beginning_leaves_nothing_behind,
            an_unknown_execution_is_not_granted,
            a_held_execution_is_not_granted,
            of_many_at_once_one_is_granted,
            the_epoch_grows_with_every_grant,
            an_expired_lease_goes_to_another,
            a_waiting_execution_is_not_due_before_its_time,
            a_parked_execution_waits_to_be_woken,
            a_grant_sets_the_status_to_running,
            a_grant_of_a_parked_execution_leaves_it_parked,
            a_grant_leaves_the_wake_up_alone,
            a_grant_brings_the_latest_snapshot,
            a_grant_brings_the_place_in_journal_and_inbox,
            an_ended_execution_is_not_granted,
            a_renewal_lasts_its_whole_time_again,
            a_lost_lease_is_not_renewed,
            a_released_lease_is_not_renewed,
            an_expired_lease_that_nobody_took_is_renewed,
            renewals_are_answered_in_order,
            a_renewal_tells_of_signals,
            a_released_execution_is_due_at_once,
            a_late_release_leaves_the_next_holder_alone,
            a_lost_lease_makes_the_execution_due,
            grants_without_progress_are_counted,
            a_step_with_entries_is_progress,
            a_change_of_status_is_progress,
            an_empty_step_is_no_progress,
            a_renewal_is_no_progress,
            a_lease_that_is_given_back_does_not_count,
            too_many_grants_park_the_execution,
            poison_is_in_the_journal_with_its_own_epoch,
            a_holder_whose_execution_was_poisoned_is_fenced,
            a_signal_gives_a_poisoned_execution_new_grants,
            a_migration_moves_version_plan_and_journal_together,
            a_migration_forgets_the_snapshot,
            a_migrated_execution_is_due,
            a_migration_at_another_place_conflicts,
            a_driven_execution_is_not_migrated,
            an_ended_execution_is_not_migrated,
            a_migration_stays_in_its_tenant,
            an_entry_that_migrates_nothing_is_refused,

            status_and_journal_move_together,
            a_step_without_a_status_keeps_it,
            entries_are_numbered_without_gaps,
            entries_carry_the_epoch_of_their_lease,
            a_step_at_another_place_conflicts,
            a_stale_epoch_writes_nothing,
            a_released_lease_writes_nothing,
            an_expired_lease_that_nobody_took_still_writes,
            a_step_renews_its_lease,
            nothing_follows_the_end,
            the_end_takes_the_lease,
            the_end_takes_the_wake_up,
            a_step_replaces_the_wake_up,
            the_store_tells_when_it_was_updated,
            a_holder_learns_of_signals_from_its_steps,
            a_conflict_never_fails_its_neighbours,
            a_repeated_step_is_replayed,
            of_one_step_twice_at_once_one_is_applied,
            a_repeated_step_without_entries_is_replayed,
            an_older_step_is_recognised_too,
            a_step_id_counts_only_at_its_place,
            a_repeated_step_is_replayed_after_a_takeover,
            a_repeated_final_step_is_replayed,
            a_stale_lease_of_an_ended_execution_learns_of_the_end,
            a_stale_lease_at_another_place_is_fenced,
            a_replayed_step_does_nothing_twice,
            a_terminal_status_needs_a_terminal_fact,
            a_terminal_fact_needs_a_terminal_status,
            a_terminal_fact_is_the_last,
            a_place_before_the_first_is_refused,
            an_inbox_mark_beyond_the_inbox_is_refused,
            an_inbox_mark_never_falls,
            a_refused_step_leaves_nothing_behind,
            a_signal_wakes_a_waiting_execution,
            a_signal_while_the_holder_goes_to_sleep_is_not_lost,
            an_inbox_read_to_its_end_lets_the_execution_sleep,
            a_signal_never_makes_the_wake_up_later,
            signals_are_numbered_without_gaps,
            signals_at_once_are_all_kept,
            a_repeated_signal_is_recognised,
            signals_are_deduplicated_per_inbox,
            a_signal_after_the_end_is_refused,
            a_repeated_signal_is_recognised_after_the_end,
            a_signal_to_nobody_is_unknown,
            a_signal_never_disturbs_the_holder,
            the_inbox_is_read_in_pages,
            children_begin_with_their_parents_step,
            children_belong_to_their_parents_tenant,
            a_child_that_exists_stays_as_it_is,
            deliveries_go_with_the_step,
            the_end_delivers_to_the_parent,
            deliveries_are_deduplicated,
            a_delivery_to_nobody_is_no_error,
            a_delivery_stays_in_its_tenant,
            a_wait_token_names_its_execution,
            a_closed_token_wakes_nobody,
            the_end_closes_every_wait,
            a_journal_is_read_in_pages,
            a_batch_larger_than_the_page_comes_whole,
            reading_may_begin_within_a_batch,
            every_fact_comes_back_as_it_was,
            a_summary_tells_what_there_is,
            executions_are_listed_newest_first,
            pages_of_a_listing_join,
            a_new_execution_shifts_no_page,
            a_listing_filters_by_workflow,
            a_listing_filters_by_status,
            a_listing_filters_by_a_range_of_ids,
            a_listing_filters_by_time,
            a_listing_filters_by_labels,
            a_listing_filters_by_text,
            a_foreign_token_is_refused,
            a_creation_is_a_change,
            a_beginning_is_a_change,
            a_step_is_a_change,
            a_status_that_moves_alone_is_a_change,
            a_parked_and_a_migrated_execution_changed,
            what_changes_nothing_is_not_told,
            what_was_told_is_not_told_again,
            changes_are_read_in_pages,
            changes_belong_to_a_tenant,
            a_deletion_hides_no_change,
            a_deletion_of_the_last_execution_hides_no_change,
            a_foreign_cursor_of_changes_is_lost,
            who_is_too_far_behind_is_told,
            a_held_execution_is_not_runnable,
            only_what_is_due_is_runnable,
            what_was_rung_is_not_rung_again_at_once,
            what_was_rung_long_ago_is_rung_again,
            a_grant_answers_the_ring,
            tenants_take_turns_in_the_sweep,
            workflows_take_turns_in_the_sweep,
            a_higher_priority_is_rung_first,
            a_low_priority_is_rung_among_many_that_are_higher,
            a_sweep_goes_page_by_page,
            a_sweep_finds_what_is_for_its_groups,
            the_sweep_knows_when_to_look_again,
            the_sweep_knows_when_the_next_lease_ends,
            the_backlog_has_what_is_open_by_status,
            the_backlog_says_what_is_due_and_for_how_long,
            the_backlog_says_for_whom_something_is_due,
            another_tenant_sees_nothing,
            another_tenant_changes_nothing,
            another_tenant_deletes_nothing,
            what_has_not_ended_is_not_deleted,
            only_what_ended_before_is_deleted,
            the_oldest_go_first,
            a_deleted_execution_leaves_nothing,
            a_free_slot_is_granted_in_the_claimants_own_step,
            a_grant_of_the_own_step_is_unread,
            a_full_key_makes_a_claim_wait,
            a_mutex_has_one_holder_whoever_comes_at_once,
            each_claim_counts_against_its_own_capacity,
            slots_are_granted_in_the_order_of_the_claims,
            no_claim_passes_one_that_waits,
            as_many_are_granted_as_fit,
            a_grant_wakes_who_waits_for_it,
            a_freed_slot_goes_to_the_next,
            a_withdrawn_claim_lets_the_next_pass,
            a_slot_that_is_claimed_again_is_told_again,
            a_queue_tells_since_when,
            a_repeated_claim_changes_nothing,
            nobody_frees_what_belongs_to_others,
            an_owner_frees_nothing_of_its_siblings,
            a_step_frees_before_it_claims,
            queues_belong_to_a_tenant,
            a_queue_is_read_from_its_head_on,
            a_sleeping_execution_keeps_its_slots,
            a_released_lease_keeps_its_slots,
            the_end_gives_every_slot_back,
            the_end_withdraws_what_waits,
            a_final_step_claims_nothing,
            a_takeover_loses_what_the_expired_lease_held,
            a_takeover_leaves_its_place_in_the_queue,
            poison_loses_its_slots,
            a_claim_takes_slots_from_an_expired_lease,
            a_holder_whose_slots_were_taken_is_fenced,
            a_sweep_takes_slots_from_expired_leases,
            a_grant_over_an_expired_lease_is_for_the_next_holder,
            an_expired_lease_that_writes_keeps_its_slots,
            an_expired_lease_that_is_renewed_keeps_its_slots,
            a_replayed_step_moves_no_slot,
            a_refused_step_moves_no_slot,
            nobody_forges_a_grant_by_a_signal,
            nobody_hides_a_grant_behind_its_key,
            nobody_forges_a_grant_by_a_delivery,
            too_many_changes_of_slots_are_refused,
            an_impossible_capacity_is_refused,
            a_creation_takes_its_start_slot,
            a_creation_that_waits_for_its_slot_gets_no_lease,
            a_creation_that_waits_for_its_slot_is_not_due,
            a_creation_is_told_who_waits_before_it,
            a_creation_is_refused_where_as_many_wait_as_may,
            a_refused_creation_leaves_nothing,
            a_creation_takes_its_slot_from_an_expired_lease,
            a_child_waits_for_its_start_slot,
            an_impossible_start_slot_is_refused,

            a_rate_lets_its_burst_begin_at_once,
            a_start_beyond_its_rate_begins_later,
            a_rate_comes_back_with_time,
            each_key_of_a_rate_counts_for_itself,
            rates_belong_to_a_tenant,
            a_start_that_its_rate_refuses_leaves_nothing,
            a_repeated_creation_takes_nothing_of_its_rate,
            a_start_that_is_refused_for_its_slot_takes_nothing_of_its_rate,
            a_start_beyond_its_rate_claims_no_slot_yet,
            a_grant_before_its_time_says_so,
            a_child_beyond_its_rate_begins_later,
            an_impossible_rate_is_refused,

            a_quota_of_executions_refuses_one_more,
            creations_at_once_keep_to_the_quota,
            what_has_ended_leaves_room_in_the_quota,
            quotas_belong_to_a_tenant,
            a_start_that_a_quota_refuses_leaves_nothing,
            a_quota_of_starts_refuses_one_more_in_a_second,
            what_is_refused_otherwise_takes_no_start_of_the_quota,
            what_its_rate_refuses_takes_no_start_of_the_quota,
            usage_counts_what_is_open_and_held,
            usage_is_that_of_a_tenant,
        }
    };
}

execution_repo_rules! { rule_table, (dyn ExecutionRepo) }
