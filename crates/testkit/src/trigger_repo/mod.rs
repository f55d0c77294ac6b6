//! The rules of [`TriggerRepo`]: what every store of triggers must prove, together with the stores of
//! workflows and executions that move them.
//!
//! A driver's test is `nebula_testkit::trigger_repo!(|clock| async move { … })`, where the expression
//! makes an empty store, as `Arc<TriggerStores>`, that reads its time from the
//! [`ManualClock`] it is given.
//!
//! # What the trait leaves open, settled here
//! - A listing goes on after a workflow and a trigger, also where that trigger has gone since.
//! - An archived workflow keeps its triggers, and publishing does not bring it back.

use std::{future::Future, sync::Arc};

use nebula_ports::{ExecutionRepo, TriggerRepo, WorkflowRepo};

use crate::{
    ManualClock, MemoryExecutionRepo, MemoryTriggerRepo, MemoryWorkflowRepo, TriggerGuard,
    suite::rule_table,
};

mod arrivals;
mod due;
mod fixture;
mod listing;
mod publish;
mod sources;
mod start;

pub use arrivals::*;
pub use due::*;
pub use listing::*;
pub use publish::*;
pub use sources::*;
pub use start::*;

/// Three ports over one store.
#[derive(Debug)]
pub struct TriggerStores {
    /// The triggers.
    pub triggers: Arc<dyn TriggerRepo>,
    /// What publishes them.
    pub workflows: Arc<dyn WorkflowRepo>,
    /// What starts by them.
    pub executions: Arc<dyn ExecutionRepo>,
}

impl TriggerStores {
    /// One store that is all three.
    #[must_use]
    pub fn of<S: TriggerRepo + WorkflowRepo + ExecutionRepo>(store: &Arc<S>) -> Self {
        Self {
            triggers: store.clone(),
            workflows: store.clone(),
            executions: store.clone(),
        }
    }

    /// The models, of which one may lack a guard.
    #[must_use]
    pub fn models(clock: &Arc<ManualClock>, without: Option<TriggerGuard>) -> Self {
        let triggers = match without {
            Some(guard) => MemoryTriggerRepo::without(clock.clone(), guard),
            None => MemoryTriggerRepo::new(clock.clone()),
        };
        Self {
            workflows: Arc::new(MemoryWorkflowRepo::new(clock.clone()).sharing(&triggers)),
            executions: Arc::new(MemoryExecutionRepo::new(clock.clone()).sharing(&triggers)),
            triggers: Arc::new(triggers),
        }
    }
}

/// Makes one test for each rule of [`TriggerRepo`] on what the expression makes.
#[macro_export]
macro_rules! trigger_repo {
    ($make:expr) => {
        $crate::trigger_repo_rules! { $crate::rule_tests, (trigger_repo, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! trigger_repo_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_publication_registers_its_triggers,
            a_publication_removes_what_it_has_not,
            a_refused_publication_changes_no_trigger,
            too_many_triggers_are_refused,
            one_id_twice_is_refused,
            a_trigger_of_the_same_pace_goes_on,
            a_trigger_of_another_pace_begins_anew,
            a_trigger_of_another_pace_stays_paused,
            a_trigger_has_the_definition_of_its_version,
            a_publication_outdates_what_was_read,
            a_trigger_that_comes_back_is_another_one,
            a_change_stays,
            a_change_from_an_outdated_revision_changes_nothing,
            of_changes_from_one_revision_one_wins,
            changing_says_whether_there_is_a_trigger,
            a_creation_moves_its_trigger,
            a_creation_is_the_last_of_its_trigger,
            a_creation_takes_back_what_was_left_out,
            of_two_creations_from_one_revision_one_exists,
            a_creation_by_a_trigger_that_is_gone_is_outdated,
            an_outdated_creation_leaves_nothing_behind,
            a_repeated_creation_moves_nothing,
            a_refused_creation_moves_nothing,
            a_creation_that_waits_moves_its_trigger,
            a_trigger_is_due_by_the_clock_of_the_store,
            the_longest_due_comes_first,
            a_page_of_what_is_due_has_its_limit,
            the_next_one_is_announced,
            the_time_of_what_is_due_is_the_store_s,
            a_paused_trigger_is_not_due,
            a_trigger_of_an_archived_workflow_is_not_due,
            what_is_due_is_of_all_tenants,
            triggers_are_listed_by_workflow_and_id,
            pages_of_triggers_join,
            a_listing_of_a_workflow_has_its_triggers_alone,
            a_foreign_trigger_token_is_refused,
            another_tenant_sees_no_trigger,
            another_tenant_moves_no_trigger,
            an_address_leads_to_its_trigger,
            a_rotated_address_leads_nowhere,
            an_address_before_leads_there_for_its_grace,
            an_address_before_leads_nowhere_after_its_grace,
            an_address_stays_through_publications,
            what_a_step_announces_arrives,
            a_beginning_announces,
            another_topic_does_not_arrive,
            another_source_does_not_arrive,
            what_another_tenant_announces_does_not_arrive,
            a_repeated_step_announces_nothing,
            a_refused_step_announces_nothing,
            what_arrives_is_due,
            arrivals_come_in_their_order,
            a_page_of_arrivals_has_its_limit,
            another_tenant_sees_no_arrival,
            what_arrives_at_a_full_trigger_is_left_out,
            arrivals_stay_through_publications,
            a_trigger_that_listens_no_more_has_no_arrivals,
            arrivals_stay_due_through_publications,
            arrivals_go_with_their_trigger,
            a_creation_takes_its_arrivals,
            a_creation_leaves_the_next_arrival_due,
            a_change_hides_no_arrival,
            what_is_passed_over_is_gone,
            passing_over_leaves_the_next_arrival_due,
            passing_over_says_why,
            passing_over_from_an_outdated_revision_changes_nothing,
            what_is_brought_arrives_in_its_order,
            what_is_brought_is_due,
            bringing_says_whether_there_is_a_trigger,
            what_is_too_large_is_not_brought,
            of_two_looks_from_one_revision_one_counts,
            a_look_says_where_the_source_stands,
            a_look_without_a_cursor_leaves_it,
            what_has_no_room_is_not_brought,
            another_tenant_sees_no_cursor,
            a_cursor_stays_with_its_pace,
            what_was_brought_stays_through_publications,
        }
    };
}

trigger_repo_rules! { rule_table, (TriggerStores) }
