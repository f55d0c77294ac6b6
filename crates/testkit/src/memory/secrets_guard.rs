//! What the model of a keeper of secrets checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemorySecretsStore`](super::MemorySecretsStore) takes care of.
    SecretsGuard {
        /// What is set is kept.
        Keeps => [a_secret_is_read_as_it_was_set],
        /// What is not there is none.
        UnknownIsNone => [an_unknown_secret_is_none],
        /// Values are kept byte for byte.
        Exact => [text_of_any_kind_comes_back_byte_for_byte],
        /// The last value counts.
        Replaces => [a_second_value_replaces_the_first],
        /// A set says whether the secret is new.
        SetTells => [a_set_says_whether_the_secret_is_new],
        /// An id is compared whole.
        WholeId => [one_secret_says_nothing_of_another],
        /// What is deleted is gone.
        Deletes => [a_deleted_secret_is_gone],
        /// Deleting says whether there was one.
        DeleteTells => [deleting_says_whether_there_was_one],
        /// A deleted id is as good as never used.
        Forgets => [a_secret_that_was_deleted_is_new_again],
        /// The largest size is allowed.
        Largest => [a_secret_of_the_largest_size_is_kept],
        /// More is refused.
        MaxSize => [a_secret_that_is_too_large_changes_nothing],
        /// Nothing at all is refused.
        Empty => [an_empty_secret_changes_nothing],
        /// Debug texts have no values.
        Debug => [no_value_shows_in_a_debug_text],
        /// Errors have no values.
        ErrorText => [no_value_shows_in_an_error],
        /// Secrets are bounded.
        Most => [a_tenant_has_so_many_secrets_and_no_more],
        /// Those that are there get new values.
        MostReplaces => [a_tenant_has_so_many_secrets_and_no_more],
        /// Each tenant is bounded for itself.
        MostOfTenant => [a_tenant_has_so_many_secrets_and_no_more],
        /// A write reads what the write before left.
        AtOnce => [of_secrets_set_at_once_each_is_kept],
        /// Listings are in order.
        ListOrder => [ids_are_listed_in_order],
        /// Pages join.
        ListPages => [pages_of_ids_join],
        /// Pages end.
        ListLimit => [a_page_has_no_more_ids_than_its_limit],
        /// What is deleted is not listed.
        ListDeleted => [a_deleted_secret_leaves_the_listing],
        /// Another tenant reads nothing.
        TenantReads => [another_tenant_reads_no_secret],
        /// Another tenant lists nothing.
        TenantLists => [another_tenant_lists_no_secret],
        /// Another tenant deletes nothing.
        TenantDeletes => [another_tenant_deletes_no_secret],
        /// Another tenant writes nothing.
        TenantWrites => [one_id_in_two_tenants_is_two_secrets],
        /// A rotation changes the key.
        RotateKey => [a_rotation_changes_the_key],
        /// It keeps every value.
        RotateKeeps => [a_rotation_keeps_the_values_of_all_tenants],
        /// It counts.
        RotateCounts => [a_rotation_counts_the_secrets],
        /// It tells the key before.
        RotateChain => [each_rotation_begins_where_the_last_one_ended],
        /// It needs no secret.
        RotateEmpty => [an_empty_store_can_be_rotated],
        /// Writers learn of the new key.
        RotateWrites => [what_is_set_after_a_rotation_is_read],
        /// It reads what the write before left.
        RotateAtOnce => [of_secrets_set_during_a_rotation_each_is_kept],
    }
}
