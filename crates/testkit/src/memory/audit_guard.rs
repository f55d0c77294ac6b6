//! What the model of an audit log checks, and which rules see it when a check is gone.

use crate::guard::guards;

guards! {
    /// One thing that [`MemoryAuditLog`](super::MemoryAuditLog) takes care of.
    AuditGuard {
        /// Every part is kept.
        Keeps => [an_entry_is_read_as_it_was_appended],
        /// Numbers have no gaps.
        Numbers => [entries_are_numbered_without_gaps],
        /// Each hash is over the one before.
        Chains => [each_hash_follows_the_one_before],
        /// An append sees the append before.
        AppendAtOnce => [of_appends_at_once_the_chain_does_not_fork],
        /// A repeated append is known.
        AppendRepeated => [an_append_that_is_repeated_adds_nothing],
        /// An id is one entry's.
        AppendOther => [an_id_of_another_entry_is_refused],
        /// Entries have the store's time.
        StoreTime => [an_entry_has_the_time_of_the_store],
        /// Texts have possible lengths.
        Sizes => [an_entry_without_possible_texts_is_refused],
        /// Pages join.
        Pages => [pages_of_entries_join],
        /// Pages are bounded.
        PageLimit => [a_page_of_entries_is_bounded],
        /// The head is the last entry.
        Head => [the_head_is_the_last_entry],
        /// Nothing has no head.
        EmptyHead => [an_empty_log_has_no_head],
        /// Another tenant has its own chain.
        TenantChain => [another_tenant_has_a_chain_of_its_own],
    }
}
