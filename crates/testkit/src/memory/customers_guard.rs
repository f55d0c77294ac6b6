//! What the model of tenants checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemoryTenantRepo`](super::MemoryTenantRepo) takes care of.
    TenantGuard {
        /// Everything is kept.
        Keeps => [a_tenant_is_read_as_it_was_put],
        /// An id is one whole text.
        Exact => [an_unknown_tenant_is_none],
        /// The next version is the one that counts.
        Replaces => [the_next_version_of_a_tenant_takes_the_place_of_the_last],
        /// Only the next version is stored.
        Version => [a_version_of_a_tenant_that_is_not_the_next_changes_nothing],
        /// A repetition is known.
        Repeated => [a_put_of_a_tenant_that_is_repeated_is_the_same],
        /// Nothing comes between a look and a put.
        AtOnce => [of_puts_of_a_tenant_at_once_one_wins],
        /// What may not be is refused.
        Possible => [a_tenant_that_may_not_be_is_refused],
        /// A page goes on where the last one ended.
        Pages => [pages_of_tenants_join],
    }
}
