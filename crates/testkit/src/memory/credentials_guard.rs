//! What the model of a store of credentials checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemoryCredentialRepo`](super::MemoryCredentialRepo) takes care of.
    CredentialGuard {
        /// Every part is kept.
        Keeps => [a_credential_is_read_as_it_was_put],
        /// What is not there is none.
        UnknownIsNone => [an_unknown_credential_is_none],
        /// Versions begin at 1.
        FirstVersion => [the_first_version_is_one],
        /// The newest version counts.
        Replaces => [the_next_version_takes_the_place_of_the_last],
        /// Only the next version is stored.
        NextVersion => [a_version_that_is_not_the_next_changes_nothing],
        /// A repeated put is known.
        Repeated => [a_put_that_is_repeated_is_the_same],
        /// A put sees what the put before left.
        PutAtOnce => [of_puts_at_once_one_wins],
        /// The largest size is allowed.
        Largest => [an_envelope_of_the_largest_size_is_kept],
        /// Other sizes are refused.
        Size => [an_envelope_without_a_possible_size_changes_nothing],
        /// Versions have the store's time.
        StoreTime => [a_listing_has_the_time_of_the_store],
        /// A rewrap keeps the version.
        Rewraps => [a_rewrap_changes_key_and_envelope_alone],
        /// It compares the key.
        RewrapKey => [a_rewrap_from_another_key_changes_nothing],
        /// It compares the version.
        RewrapVersion => [a_rewrap_of_another_version_changes_nothing],
        /// It needs a credential.
        RewrapUnknown => [a_rewrap_needs_its_credential],
        /// What is deleted is gone.
        Deletes => [a_deleted_credential_is_gone],
        /// Deleting says whether there was one.
        DeleteTells => [deleting_says_whether_there_was_a_credential],
        /// A deletion keeps the number.
        VersionsGoOn => [versions_go_on_after_a_deletion],
        /// A deletion has a number, too.
        DeletionCounts => [a_deletion_takes_a_number],
        /// Listings are in order.
        ListOrder => [credentials_are_listed_by_id],
        /// Pages join.
        ListPages => [pages_of_credentials_join],
        /// What is deleted is not listed.
        ListDeleted => [a_deleted_credential_leaves_the_listing],
        /// One refresher at a time.
        OneRefresher => [of_refreshers_one_is_granted],
        /// A lease ends.
        LeaseEnds => [a_lease_ends_by_its_time],
        /// The holder is granted again.
        SameRefresher => [the_same_refresher_is_granted_for_longer],
        /// A lease is for one version.
        Stale => [a_refresh_of_another_version_is_stale],
        /// A lease needs a credential.
        LeaseUnknown => [a_refresh_needs_its_credential],
        /// A put ends the lease.
        PutEndsLease => [a_put_ends_the_lease],
        /// So does a deletion.
        DeleteEndsLease => [a_deletion_ends_the_lease],
        /// A lease can be given back.
        Releases => [a_lease_that_was_given_back_is_free],
        /// By its holder.
        ReleaseHolder => [another_refresher_gives_nothing_back],
        /// Credentials are bounded.
        Most => [more_credentials_than_the_limit_are_refused],
        /// Those that are there get new versions.
        MostVersions => [a_full_tenant_gets_new_versions],
        /// What is deleted leaves room.
        MostDeleted => [where_a_credential_was_deleted_there_is_room],
        /// Each tenant is bounded for itself.
        MostOfTenant => [a_full_tenant_takes_no_room_from_others],
        /// Only what is under the primary key is put.
        PutKey => [a_put_under_another_key_changes_nothing],
        /// A rewrap goes to the primary key.
        RewrapPrimary => [a_rewrap_to_another_key_changes_nothing],
        /// Keys are newest first.
        KeyOrder => [keys_are_listed_newest_first],
        /// A promotion compares the key.
        PromoteFrom => [a_promotion_from_another_key_changes_nothing],
        /// It sees what the promotion before left.
        PromoteAtOnce => [of_promotions_at_once_one_wins],
        /// A repeated one is known.
        PromoteRepeated => [a_promotion_that_is_repeated_is_the_same],
        /// No key comes back.
        PromoteOlder => [an_older_key_is_never_primary_again],
        /// Keys are bounded.
        KeyLimit => [more_keys_than_the_limit_are_refused],
        /// The primary key stays.
        DropPrimary => [the_primary_key_is_not_dropped],
        /// A key in use stays.
        DropUsed => [a_key_in_use_is_not_dropped],
        /// A deleted credential uses none.
        DropDeleted => [a_deleted_credential_uses_no_key],
        /// A dropped key is gone.
        Drops => [a_dropped_key_is_gone],
        /// Dropping says whether it was there.
        DropTells => [dropping_says_whether_there_was_a_key],
        /// A use is kept.
        UseKeeps => [a_use_is_listed_as_it_was_recorded],
        /// Uses have the store's time.
        UseTime => [a_use_has_the_time_of_the_store],
        /// A use needs a credential.
        UseUnknown => [a_use_needs_its_credential],
        /// Its node has a possible size.
        UseNode => [a_use_without_a_possible_node_is_refused],
        /// Uses are newest first.
        UseOrder => [uses_are_listed_newest_first],
        /// Pages of uses join.
        UsePages => [pages_of_uses_join],
        /// Uses are bounded.
        UseLimit => [only_the_newest_uses_are_kept],
        /// Uses outlive their credential.
        UseStays => [the_uses_of_a_deleted_credential_stay],
        /// But not of all that ever was.
        DeletedUses => [uses_of_so_many_deleted_credentials_are_kept],
        /// A listing has the last use.
        UsedAt => [a_listing_says_when_a_credential_was_used_last],
        /// Another tenant reads nothing.
        TenantReads => [another_tenant_reads_no_credential],
        /// Another tenant lists nothing.
        TenantLists => [another_tenant_lists_no_credential],
        /// Another tenant deletes nothing.
        TenantDeletes => [another_tenant_deletes_no_credential],
        /// Another tenant rewraps nothing.
        TenantRewraps => [another_tenant_rewraps_no_credential],
        /// Another tenant leases nothing.
        TenantLeases => [another_tenant_leases_no_credential],
        /// Another tenant puts its own.
        TenantPuts => [one_id_in_two_tenants_is_two_credentials],
        /// Another tenant has its own keys.
        TenantKeys => [another_tenant_has_keys_of_its_own],
        /// Another tenant sees and records no use.
        TenantUses => [another_tenant_sees_and_records_no_use],
    }
}
