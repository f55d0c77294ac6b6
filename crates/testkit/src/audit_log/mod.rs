//! The rules of [`AuditLog`]: what every audit log must prove.
//!
//! A driver's test is `nebula_testkit::audit_log!(|clock| async move { … })`, where the expression makes
//! an empty log, as `Arc<dyn AuditLog>`, that reads its time from the
//! [`ManualClock`](crate::ManualClock) it is given.

use std::future::Future;

use nebula_ports::AuditLog;

use crate::suite::rule_table;

mod chain;

pub use chain::*;

/// Makes one test for each rule of [`AuditLog`] on what the expression makes.
#[macro_export]
macro_rules! audit_log {
    ($make:expr) => {
        $crate::audit_log_rules! { $crate::rule_tests, (audit_log, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! audit_log_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            an_entry_is_read_as_it_was_appended,
            entries_are_numbered_without_gaps,
            each_hash_follows_the_one_before,
            of_appends_at_once_the_chain_does_not_fork,
            an_append_that_is_repeated_adds_nothing,
            an_id_of_another_entry_is_refused,
            an_entry_has_the_time_of_the_store,
            an_entry_without_possible_texts_is_refused,
            pages_of_entries_join,
            a_page_of_entries_is_bounded,
            the_head_is_the_last_entry,
            an_empty_log_has_no_head,
            another_tenant_has_a_chain_of_its_own,
        }
    };
}

audit_log_rules! { rule_table, (dyn AuditLog) }
