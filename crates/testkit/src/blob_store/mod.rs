//! The rules of [`BlobStore`]: what every store of large content must prove.
//!
//! A driver's test is `nebula_testkit::blob_store!(|clock| async move { … })`, where the expression makes
//! a [`Subject`]: an empty store that takes ages from the [`ManualClock`](crate::ManualClock) it is
//! given, and a way to damage what is in it. Its blocking work is done in place
//! ([`InlineOffload`](crate::InlineOffload)): some rules say how far one look at a future comes.
//!
//! # What the trait leaves open, settled here
//! - A put looks at what is there: the same name over other bytes is damage, and is written anew (`Stored`).
//! - A renewal looks at the length alone; what was cut is `Missing`, so that the caller puts it again.
//! - A range must lie in the blob and may be empty; one of all bytes is verified as a read of the whole.
//! - A deletion compares the age for being the same, not for order.
//! - A limit of 0 lists nothing, and does not say what comes next.
//! - A tenant whose blobs are all gone may still be listed.

use std::{future::Future, sync::Arc};

use nebula_core::{Digest, TenantId};
use nebula_ports::BlobStore;

use crate::suite::rule_table;

mod age;
mod delete;
mod fixture;
mod list;
mod put;
mod read;

pub use age::*;
pub use delete::*;
pub use list::*;
pub use put::*;
pub use read::*;

/// Damages a blob of a tenant, behind the store's back.
pub type Damager = Box<dyn Fn(&TenantId, Digest, Damage) + Send + Sync>;

/// A store under test.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn BlobStore>,
    /// Damages what is in it, and leaves its age as it is.
    pub damage: Damager,
}

/// What a disk does to content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit of the byte at this place is another.
    Flip(usize),
    /// Only so many bytes are left.
    Cut(usize),
}

impl Damage {
    /// Does it to `bytes`.
    ///
    /// # Panics
    /// If there is no such byte.
    pub fn inflict(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Flip(at) => bytes[at] ^= 1,
            Self::Cut(length) => {
                assert!(length < bytes.len(), "a cut leaves less");
                bytes.truncate(length);
            }
        }
    }
}

/// Makes one test for each rule of [`BlobStore`] on what the expression makes.
#[macro_export]
macro_rules! blob_store {
    ($make:expr) => {
        $crate::blob_store_rules! { $crate::rule_tests, (blob_store, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! blob_store_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            what_is_put_is_read_back,
            an_empty_blob_is_a_blob,
            pieces_do_not_matter,
            a_blob_is_named_by_its_content,
            a_put_over_the_limit_stores_nothing,
            a_put_of_exactly_the_limit_is_stored,
            a_put_without_end_is_given_up,
            a_source_that_fails_stores_nothing,
            a_put_that_is_dropped_stores_nothing,
            a_repeated_put_is_known,
            a_put_mends_a_changed_blob,
            a_put_mends_a_cut_blob,
            a_repeated_put_renews_the_age,
            the_age_begins_with_the_end_of_the_put,
            each_renewal_is_later,
            a_renewal_begins_the_age_anew,
            what_is_not_there_is_not_renewed,
            what_was_cut_is_not_renewed,
            reading_renews_nothing,
            what_is_not_there_is_none,
            a_look_says_length_and_age,
            a_look_at_a_cut_blob_says_its_length,
            a_range_gives_its_bytes,
            a_range_outside_is_refused,
            a_range_that_ends_before_it_begins_is_refused,
            a_large_blob_comes_in_pieces,
            a_wrong_length_is_found,
            a_cut_blob_is_found,
            a_part_of_a_cut_blob_is_found,
            a_changed_byte_is_found,
            a_range_of_all_is_verified,
            what_is_deleted_is_gone,
            a_deletion_spares_what_was_renewed,
            what_is_gone_is_missing,
            what_was_deleted_can_be_put_again,
            tenants_share_nothing,
            a_deletion_leaves_other_tenants_alone,
            tenants_that_differ_in_case_are_two,
            blobs_are_listed_by_digest,
            pages_of_blobs_join,
            a_page_is_bounded,
            a_listing_by_age_leaves_out_the_young,
            a_listing_by_prefix_has_no_others,
            a_wrong_prefix_is_refused,
            a_listing_has_one_tenant,
            tenants_are_listed_by_id,
            pages_of_tenants_join,
        }
    };
}

blob_store_rules! { rule_table, (Subject) }
