//! What the model of blobs checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemoryBlobStore`](super::MemoryBlobStore) takes care of.
    BlobGuard {
        /// What was put is kept.
        Keeps => [what_is_put_is_read_back, an_empty_blob_is_a_blob],
        /// All pieces count, in their order.
        Pieces => [pieces_do_not_matter],
        /// The name is the digest of the content.
        NameDigest => [a_blob_is_named_by_its_content],
        /// And its length.
        NameLength => [a_blob_is_named_by_its_content],
        /// A put has a limit.
        Limit => [a_put_over_the_limit_stores_nothing],
        /// The limit itself is allowed.
        LimitIncluded => [a_put_of_exactly_the_limit_is_stored],
        /// A source that is longer than the limit is not read to its end.
        LimitStops => [a_put_without_end_is_given_up],
        /// An error of the source is the error of the put.
        SourceError => [a_source_that_fails_stores_nothing],
        /// What came before it is not stored.
        SourceWhole => [a_source_that_fails_stores_nothing, a_put_that_is_dropped_stores_nothing],
        /// The same content is known.
        PutKnown => [a_repeated_put_is_known],
        /// Its age begins anew.
        PutRenews => [a_repeated_put_renews_the_age],
        /// The age begins when the put is done, not when it began.
        PutAge => [the_age_begins_with_the_end_of_the_put],
        /// Each renewal is later than the one before.
        Later => [each_renewal_is_later],
        /// Also one by put.
        LaterByPut => [each_renewal_is_later],
        /// A renewal begins the age anew.
        Renew => [a_renewal_begins_the_age_anew],
        /// What is not there is not renewed.
        RenewMissing => [what_is_not_there_is_not_renewed],
        /// Nor what has another length.
        RenewLength => [what_was_cut_is_not_renewed],
        /// What is not there is not read.
        GetMissing => [what_is_not_there_is_none],
        /// Nor looked at.
        HeadMissing => [what_is_not_there_is_none],
        /// A look says length and age.
        Head => [a_look_says_length_and_age],
        /// It says what is there, not what should be.
        HeadStored => [a_look_at_a_cut_blob_says_its_length],
        /// Reading renews nothing.
        ReadKeepsAge => [reading_renews_nothing],
        /// Looking renews nothing.
        HeadKeepsAge => [reading_renews_nothing],
        /// A range gives its bytes.
        Range => [a_range_gives_its_bytes],
        /// It must lie in the blob.
        RangeEnd => [a_range_outside_is_refused],
        /// And begin before it ends.
        RangeStart => [a_range_that_ends_before_it_begins_is_refused],
        /// Content comes in pieces of bounded size.
        Chunks => [a_large_blob_comes_in_pieces],
        /// A reader with a wrong idea of the length is told.
        LengthAsked => [a_wrong_length_is_found],
        /// A blob that was cut is found.
        LengthStored => [a_cut_blob_is_found],
        /// Also by who reads a part.
        LengthOfRange => [a_part_of_a_cut_blob_is_found],
        /// A changed byte is found.
        Digest => [a_changed_byte_is_found],
        /// Also by who names all bytes as a range.
        DigestOfRange => [a_range_of_all_is_verified],
        /// A put mends.
        Mend => [a_put_mends_a_changed_blob, a_put_mends_a_cut_blob],
        /// What was mended was stored.
        MendSays => [a_put_mends_a_changed_blob],
        /// What is deleted is gone.
        Delete => [what_is_deleted_is_gone],
        /// What was renewed since stays.
        DeleteSeen => [a_deletion_spares_what_was_renewed],
        /// The answer says the age that it has.
        DeleteTells => [a_deletion_spares_what_was_renewed],
        /// What is not there cannot be deleted.
        DeleteMissing => [what_is_gone_is_missing],
        /// What was deleted can come again.
        Again => [what_was_deleted_can_be_put_again],
        /// Content of two tenants is two blobs.
        Tenant => [tenants_share_nothing],
        /// Deleting one leaves the other.
        TenantDelete => [a_deletion_leaves_other_tenants_alone],
        /// Tenants that differ in case alone are two.
        TenantCase => [tenants_that_differ_in_case_are_two],
        /// Blobs are listed by digest.
        ListOrder => [blobs_are_listed_by_digest],
        /// At most so many.
        ListLimit => [pages_of_blobs_join],
        /// From the last one on.
        ListAfter => [pages_of_blobs_join],
        /// A listing has a bound of its own.
        ListBound => [a_page_is_bounded],
        /// By age.
        ListAge => [a_listing_by_age_leaves_out_the_young],
        /// Strictly.
        ListAgeStrict => [a_listing_by_age_leaves_out_the_young],
        /// By prefix.
        ListPrefix => [a_listing_by_prefix_has_no_others],
        /// A prefix is hex digits in lower case.
        ListPrefixCheck => [a_wrong_prefix_is_refused],
        /// Of one tenant.
        ListTenant => [a_listing_has_one_tenant],
        /// Tenants are listed in order.
        TenantsOrder => [tenants_are_listed_by_id],
        /// Page by page.
        TenantsPages => [pages_of_tenants_join],
    }
}
