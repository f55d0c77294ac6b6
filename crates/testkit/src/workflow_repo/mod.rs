//! The rules of [`WorkflowRepo`]: what every store of workflows must prove.
//!
//! A driver's test is `nebula_testkit::workflow_repo!(|clock| async move { … })`, where the expression
//! makes an empty store, as `Arc<dyn WorkflowRepo>`, that reads its time from the
//! [`ManualClock`](crate::ManualClock) it is given.
//!
//! # What the trait leaves open, settled here
//! - A save compares digests first, with every version, then the revision: so a save that is
//!   repeated after a lost reply is `Unchanged`. A workflow that is not there has revision 0.
//! - A publication of what does not exist is `Unknown`, whatever the revision.
//! - A save does not publish, and does not bring an archived workflow back; archiving raises no revision.
//! - A search takes its text literally, without wildcards.

use std::future::Future;

use nebula_ports::WorkflowRepo;

use crate::suite::rule_table;

mod fixture;
mod listing;
mod project;
mod publish;
mod version;
mod versions;

pub use listing::*;
pub use project::*;
pub use publish::*;
pub use version::*;
pub use versions::*;

/// Makes one test for each rule of [`WorkflowRepo`] on what the expression makes.
#[macro_export]
macro_rules! workflow_repo {
    ($make:expr) => {
        $crate::workflow_repo_rules! { $crate::rule_tests, (workflow_repo, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! workflow_repo_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            the_first_save_is_version_one,
            versions_are_numbered_without_gaps,
            the_same_digest_is_the_same_version,
            an_older_digest_is_found_again,
            a_save_from_an_outdated_revision_changes_nothing,
            a_conflict_tells_the_revision,
            of_saves_at_once_one_wins,
            a_repeated_save_is_unchanged,
            a_save_without_a_revision_overrides,
            a_workflow_that_is_not_there_has_revision_zero,
            a_version_never_changes,
            the_latest_version_is_the_default,
            an_unknown_workflow_or_version_is_none,
            a_version_has_the_time_of_the_store,
            a_publication_moves_the_pointer,
            a_save_leaves_the_pointer_alone,
            a_publication_from_an_outdated_revision_changes_nothing,
            a_publication_needs_its_version,
            a_publication_is_seen_by_the_next_author,
            an_archived_workflow_leaves_the_listing,
            an_archived_workflow_can_still_be_read,
            an_archived_workflow_comes_back,
            archiving_says_whether_there_is_one,
            plans_are_kept_by_their_digest,
            the_same_plan_again_changes_nothing,
            plans_belong_to_their_tenant,
            workflows_are_listed_by_id,
            pages_of_workflows_join,
            a_listing_has_the_latest_name,
            versions_are_listed_newest_first,
            parts_of_the_versions_join,
            versions_come_with_their_workflow,
            an_archived_workflow_has_its_versions,
            an_unknown_workflow_has_no_versions,
            a_search_ignores_case,
            a_search_looks_at_id_and_name,
            a_foreign_workflow_token_is_refused,
            another_tenant_sees_no_workflow,
            one_id_in_two_tenants_is_two_workflows,
            a_new_workflow_belongs_to_its_project,
            a_save_moves_no_workflow,
            a_workflow_is_moved,
            moving_says_whether_there_is_a_workflow,
            another_tenant_moves_no_workflow,
            a_listing_of_projects_has_theirs_alone,
        }
    };
}

workflow_repo_rules! { rule_table, (dyn WorkflowRepo) }
