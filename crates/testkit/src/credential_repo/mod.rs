//! The rules of [`CredentialRepo`]: what every store of credentials must prove.
//!
//! A driver's test is `nebula_testkit::credential_repo!(|clock| async move { … })`, where the expression
//! makes an empty store, as `Arc<dyn CredentialRepo>`, that reads its time from the
//! [`ManualClock`](crate::ManualClock) it is given.
//!
//! # What the trait leaves open, settled here
//! - A put that is repeated is `Same` only while its version is the one that is there.
//! - A lease ends at its time: at that moment it is granted to others.
//! - A deletion ends a lease; a rewrap does not.
//! - Whether there is room is asked last, of a version that would be stored otherwise.
//! - A put is held against the primary key before its version; a rewrap the other way round.

use std::future::Future;

use nebula_ports::CredentialRepo;

use crate::suite::rule_table;

mod fixture;
mod keep;
mod keys;
mod most;
mod refresh;
mod tenant;
mod uses;

pub use keep::*;
pub use keys::*;
pub use most::*;
pub use refresh::*;
pub use tenant::*;
pub use uses::*;

/// Makes one test for each rule of [`CredentialRepo`] on what the expression makes.
#[macro_export]
macro_rules! credential_repo {
    ($make:expr) => {
        $crate::credential_repo_rules! { $crate::rule_tests, (credential_repo, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! credential_repo_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_credential_is_read_as_it_was_put,
            an_unknown_credential_is_none,
            the_first_version_is_one,
            the_next_version_takes_the_place_of_the_last,
            a_version_that_is_not_the_next_changes_nothing,
            a_put_that_is_repeated_is_the_same,
            of_puts_at_once_one_wins,
            an_envelope_of_the_largest_size_is_kept,
            an_envelope_without_a_possible_size_changes_nothing,
            a_listing_has_the_time_of_the_store,
            a_rewrap_changes_key_and_envelope_alone,
            a_rewrap_from_another_key_changes_nothing,
            a_rewrap_of_another_version_changes_nothing,
            a_rewrap_needs_its_credential,
            a_deleted_credential_is_gone,
            deleting_says_whether_there_was_a_credential,
            versions_go_on_after_a_deletion,
            a_deletion_takes_a_number,
            credentials_are_listed_by_id,
            pages_of_credentials_join,
            a_deleted_credential_leaves_the_listing,
            more_credentials_than_the_limit_are_refused,
            a_full_tenant_gets_new_versions,
            where_a_credential_was_deleted_there_is_room,
            a_full_tenant_takes_no_room_from_others,
            of_refreshers_one_is_granted,
            a_lease_ends_by_its_time,
            the_same_refresher_is_granted_for_longer,
            a_refresh_of_another_version_is_stale,
            a_refresh_needs_its_credential,
            a_put_ends_the_lease,
            a_deletion_ends_the_lease,
            a_lease_that_was_given_back_is_free,
            another_refresher_gives_nothing_back,
            a_put_under_another_key_changes_nothing,
            a_rewrap_to_another_key_changes_nothing,
            keys_are_listed_newest_first,
            a_promotion_from_another_key_changes_nothing,
            of_promotions_at_once_one_wins,
            a_promotion_that_is_repeated_is_the_same,
            an_older_key_is_never_primary_again,
            more_keys_than_the_limit_are_refused,
            the_primary_key_is_not_dropped,
            a_key_in_use_is_not_dropped,
            a_deleted_credential_uses_no_key,
            a_dropped_key_is_gone,
            dropping_says_whether_there_was_a_key,
            a_use_is_listed_as_it_was_recorded,
            a_use_has_the_time_of_the_store,
            a_use_needs_its_credential,
            a_use_without_a_possible_node_is_refused,
            uses_are_listed_newest_first,
            pages_of_uses_join,
            only_the_newest_uses_are_kept,
            the_uses_of_a_deleted_credential_stay,
            uses_of_so_many_deleted_credentials_are_kept,
            a_listing_says_when_a_credential_was_used_last,
            another_tenant_reads_no_credential,
            another_tenant_lists_no_credential,
            another_tenant_deletes_no_credential,
            another_tenant_rewraps_no_credential,
            another_tenant_leases_no_credential,
            one_id_in_two_tenants_is_two_credentials,
            another_tenant_has_keys_of_its_own,
            another_tenant_sees_and_records_no_use,
        }
    };
}

credential_repo_rules! { rule_table, (dyn CredentialRepo) }
