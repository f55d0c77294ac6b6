//! Compiles a node's parameters once and resolves them to JSON for each attempt.
//!
//! Start reading at [`Parameters::compile`]: every expression is compiled, every problem has a JSON
//! pointer and a byte range; [`Parameters::resolve`] then builds the input in one pass.
//!
//! Does not know: which action gets the input, where the scope's values come from.
//!
//! # Invariants
//! - A value that arrives at run time is never parsed as an expression.
//! - A program's portable form is its source: what is stored can be read by people.
//!
//! ```
//! use nebula_core::ParamValue;
//! use nebula_expression::{Context, JsonScope};
//! use nebula_parameter::{CompileScope, ParamProgram};
//! use serde_json::json;
//!
//! let written = ParamValue::parse(&json!({ "to": "{{ $json.name }}", "n": 1 })).unwrap();
//! let program = ParamProgram::compile(&written, &CompileScope::default()).unwrap();
//! let data = json!({ "json": { "name": "{{ 1 + 1 }}" } });
//! let value = program.resolve(&JsonScope(&data), &Context::default()).unwrap();
//! assert_eq!(value, Some(json!({ "to": "{{ 1 + 1 }}", "n": 1 })));
//! ```

mod compile;
mod parameters;
mod pointer;
mod program;
mod written;

pub use compile::{CompileScope, ExpressionProblem, compile_expression};
pub use parameters::{Parameters, deferred_pointer};
pub use program::{ParamProgram, ResolveError, TextProgram, Use};
pub use written::{Rewrite, Written, rewrite_parameters, rewrite_value};
