//! The 43 published control-flow patterns (workflowpatterns.com), each as a test of the whole
//! engine: from the definition to the store.
//!
//! A pattern has a file section by its meaning and a number in its name. It checks how every node
//! ended and in which partial order. `docs/patterns.md` says what a definition writes for each.

mod branching;
mod cancelling;
mod enough;
mod excluding;
mod iterating;
mod joining;
mod many;
mod stating;
mod threads;

pub use branching::*;
pub use cancelling::*;
pub use enough::*;
pub use excluding::*;
pub use iterating::*;
pub use joining::*;
pub use many::*;
pub use stating::*;
pub use threads::*;

/// Calls `$then!` with `$head` and the names of all patterns.
#[doc(hidden)]
#[macro_export]
macro_rules! each_pattern {
    ($then:path, $head:tt) => {
        $then! {
            $head
            pattern_01_sequence,
            pattern_02_parallel_split,
            pattern_03_synchronization,
            pattern_04_exclusive_choice,
            pattern_05_simple_merge,
            pattern_06_multi_choice,
            pattern_07_structured_synchronizing_merge,
            pattern_08_multi_merge,
            pattern_09_structured_discriminator,
            pattern_10_arbitrary_cycles,
            pattern_11_implicit_termination,
            pattern_12_multiple_instances_without_synchronization,
            pattern_13_multiple_instances_known_at_design_time,
            pattern_14_multiple_instances_known_at_run_time,
            pattern_15_multiple_instances_not_known_at_run_time,
            pattern_16_deferred_choice,
            pattern_17_interleaved_parallel_routing,
            pattern_18_milestone,
            pattern_19_cancel_task,
            pattern_20_cancel_case,
            pattern_21_structured_loop,
            pattern_22_recursion,
            pattern_23_transient_trigger,
            pattern_24_persistent_trigger,
            pattern_25_cancel_region,
            pattern_26_cancel_multiple_instance_task,
            pattern_27_complete_multiple_instance_task,
            pattern_28_blocking_discriminator,
            pattern_29_cancelling_discriminator,
            pattern_30_structured_partial_join,
            pattern_31_blocking_partial_join,
            pattern_32_cancelling_partial_join,
            pattern_33_generalised_and_join,
            pattern_34_static_partial_join_for_multiple_instances,
            pattern_35_cancelling_partial_join_for_multiple_instances,
            pattern_36_dynamic_partial_join_for_multiple_instances,
            pattern_37_local_synchronizing_merge,
            pattern_38_general_synchronizing_merge,
            pattern_39_critical_section,
            pattern_40_interleaved_routing,
            pattern_41_thread_merge,
            pattern_42_thread_split,
            pattern_43_explicit_termination,
        }
    };
}

macro_rules! names {
    (() $($pattern:ident,)+) => {
        /// The names of all patterns that have a test, which begin with their numbers.
        pub const NAMES: &[&str] = &[$(stringify!($pattern),)+];
    };
}

each_pattern!(names, ());

/// Tests the control-flow patterns on the whole engine over the stores that `$make` makes of a clock:
/// `control_flow_patterns!(|clock| async move { (executions, workflows) })`; with
/// `values: |clock| async move { ((executions, workflows), values) }`, large results lie in blobs.
#[macro_export]
macro_rules! control_flow_patterns {
    ($make:expr) => {
        $crate::each_pattern!($crate::pattern_tests, (set, $make));
    };
    (values: $make:expr) => {
        $crate::each_pattern!($crate::pattern_tests, (set_with_values, $make));
    };
}

/// Makes one named test for each pattern; `control_flow_patterns!` calls it.
#[doc(hidden)]
#[macro_export]
macro_rules! pattern_tests {
    (($set:ident, $make:expr) $($pattern:ident,)+) => {
        $(
            #[test]
            fn $pattern() {
                $crate::stage::Stage::$set($make, async |stage| {
                    $crate::patterns::$pattern(&stage).await;
                });
            }
        )+
    };
}
