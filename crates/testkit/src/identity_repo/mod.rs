//! The rules of [`IdentityRepo`]: what every store of identities must prove.
//!
//! A driver's test is `nebula_testkit::identity_repo!(|clock| async move { … })`, where the expression
//! makes an empty store, as `Arc<dyn IdentityRepo>`, that reads its time from the
//! [`ManualClock`](crate::ManualClock) it is given.
//!
//! # What the trait leaves open, settled here
//! - A put that is repeated is `Same` only while its version is the one that is there.
//! - After a deletion the next version is 1: ids of principals are never used again, and nothing hangs
//!   on that of a project any more.
//! - An owner is a person who is not disabled and has the role `owner` in all projects.

use std::future::Future;

use nebula_ports::IdentityRepo;

use crate::suite::rule_table;

mod fixture;
mod keys;
mod members;
mod people;
mod projects;
mod tenant;

pub use keys::*;
pub use members::*;
pub use people::*;
pub use projects::*;
pub use tenant::*;

/// Makes one test for each rule of [`IdentityRepo`] on what the expression makes.
#[macro_export]
macro_rules! identity_repo {
    ($make:expr) => {
        $crate::identity_repo_rules! { $crate::rule_tests, (identity_repo, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! identity_repo_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_principal_is_read_as_it_was_put,
            an_unknown_principal_is_none,
            the_next_version_takes_the_place_of_the_last,
            a_version_that_is_not_the_next_changes_nothing,
            a_put_that_is_repeated_is_the_same,
            of_puts_at_once_one_wins,
            a_login_belongs_to_one_principal,
            a_subject_belongs_to_one_principal,
            a_login_that_was_given_up_is_free,
            a_kind_never_changes,
            a_principal_without_possible_texts_is_refused,
            a_standing_has_the_time_of_the_store,
            a_principal_is_found_by_login_and_subject,
            principals_are_listed_by_login,
            pages_of_principals_join,
            more_principals_than_the_limit_are_refused,
            a_deleted_principal_is_gone,
            deleting_says_whether_there_was_a_principal,
            a_deleted_principal_leaves_no_memberships,
            a_deleted_principal_leaves_no_keys,
            a_project_is_listed_as_it_was_put,
            a_version_of_a_project_that_is_not_the_next_changes_nothing,
            a_put_of_a_project_that_is_repeated_is_the_same,
            a_project_without_a_possible_name_is_refused,
            pages_of_projects_join,
            more_projects_than_the_limit_are_refused,
            a_deleted_project_leaves_no_memberships,
            a_deleted_project_leaves_no_keys,
            deleting_says_whether_there_was_a_project,
            a_membership_is_read_as_it_was_changed,
            a_membership_changes_only_from_the_role_that_was_seen,
            a_change_of_a_membership_that_is_repeated_is_the_same,
            a_membership_needs_its_principal_and_its_project,
            a_role_in_all_projects_is_apart_from_one_in_a_project,
            of_changes_of_a_membership_at_once_one_wins,
            pages_of_members_join,
            more_memberships_than_the_limit_are_refused,
            the_last_owner_keeps_its_role,
            the_last_owner_is_not_disabled,
            the_last_owner_is_not_deleted,
            who_is_disabled_or_no_person_is_no_other_owner,
            a_key_is_read_as_it_was_added,
            a_key_needs_its_principal_and_its_project,
            a_prefix_belongs_to_one_key,
            an_addition_that_is_repeated_is_the_same,
            a_key_without_possible_texts_is_refused,
            a_key_is_over_by_the_time_of_the_store,
            a_key_comes_with_its_principal,
            a_use_of_a_key_is_noted,
            uses_of_a_key_are_written_seldom,
            a_removed_key_is_gone,
            keys_are_those_of_one_principal_by_prefix,
            more_keys_than_the_limit_are_refused,
            another_tenant_reads_no_principal,
            one_login_in_two_tenants_is_two_principals,
            another_tenant_deletes_nothing,
            another_tenant_has_projects_of_its_own,
            another_tenant_changes_no_membership,
            another_tenant_has_no_key,
        }
    };
}

identity_repo_rules! { rule_table, (dyn IdentityRepo) }
