//! Measures the expression language against hand-written Rust and, if asked, other engines.
//!
//! Nanoseconds differ from machine to machine and from minute to minute, so everything is measured
//! in short turns, one after the other, and what is compared over time are ratios to the [`floor`]:
//! what a Rust programmer would write over the same `serde_json::Value` for the same result. With
//! the feature `engines`, QuickJS, boa, rhai and jaq do the same. Start reading at
//! `benches/expression.rs`.
//!
//! Does not know: what a good figure is, how the evaluator works.
//!
//! # Invariants
//! - What is compared gives equal results; that is checked before anything is measured.
//! - Every side starts from the same `serde_json::Value` and ends with one that it owns.
//!
//! ```
//! use nebula_expression_bench::cases;
//!
//! let first = &cases::all()[0];
//! assert_eq!(first.source, "$json.customer.address.city");
//! assert_eq!((first.floor)(&cases::document()), "London");
//! ```

pub mod cases;
#[cfg(feature = "engines")]
pub mod engines;
pub mod floor;
pub mod turns;
