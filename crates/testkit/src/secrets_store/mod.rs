//! The rules of [`SecretsStore`]: what every keeper of secrets must prove.
//!
//! A driver's test is `nebula_testkit::secrets_store!(|clock| async move { … })`, where the expression
//! makes an empty store, as `Arc<dyn SecretsStore>`, whose key can be rotated.
//!
//! # What the trait leaves open, settled here
//! - The first rotation works on an empty store, too: a key that leaked can be replaced before
//!   anything is encrypted with it.
//! - A secret that was deleted and set again is new.
//! - A page of no ids is empty, whatever there is.

use std::future::Future;

use nebula_ports::SecretsStore;

use crate::suite::rule_table;

mod fixture;
mod listing;
mod most;
mod rotation;
mod tenant;
mod value;

pub use listing::*;
pub use most::*;
pub use rotation::*;
pub use tenant::*;
pub use value::*;

/// Makes one test for each rule of [`SecretsStore`] on what the expression makes.
#[macro_export]
macro_rules! secrets_store {
    ($make:expr) => {
        $crate::secrets_store_rules! { $crate::rule_tests, (secrets_store, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! secrets_store_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_secret_is_read_as_it_was_set,
            an_unknown_secret_is_none,
            text_of_any_kind_comes_back_byte_for_byte,
            a_second_value_replaces_the_first,
            a_set_says_whether_the_secret_is_new,
            one_secret_says_nothing_of_another,
            a_deleted_secret_is_gone,
            deleting_says_whether_there_was_one,
            a_secret_that_was_deleted_is_new_again,
            a_secret_of_the_largest_size_is_kept,
            a_secret_that_is_too_large_changes_nothing,
            an_empty_secret_changes_nothing,
            no_value_shows_in_a_debug_text,
            no_value_shows_in_an_error,
            a_tenant_has_so_many_secrets_and_no_more,
            of_secrets_set_at_once_each_is_kept,
            ids_are_listed_in_order,
            pages_of_ids_join,
            a_page_has_no_more_ids_than_its_limit,
            a_deleted_secret_leaves_the_listing,
            another_tenant_reads_no_secret,
            another_tenant_lists_no_secret,
            another_tenant_deletes_no_secret,
            one_id_in_two_tenants_is_two_secrets,
            a_rotation_changes_the_key,
            a_rotation_keeps_the_values_of_all_tenants,
            a_rotation_counts_the_secrets,
            each_rotation_begins_where_the_last_one_ended,
            an_empty_store_can_be_rotated,
            what_is_set_after_a_rotation_is_read,
            of_secrets_set_during_a_rotation_each_is_kept,
        }
    };
}

secrets_store_rules! { rule_table, (dyn SecretsStore) }
