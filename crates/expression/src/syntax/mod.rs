//! From text to tree: lexer, literals, Pratt parser, syntax tree.
//!
//! Nothing here knows what a name means; that is `resolve`.

mod arrow;
pub(crate) mod ast;
mod chain;
mod construct;
mod lexer;
mod literal;
mod name;
mod operators;
mod parser;
mod primary;
mod statement;
mod token;

pub(crate) use lexer::is_js_space;
pub(crate) use literal::{digits_value, radix_digits};
pub(crate) use name::is_reserved;
pub(crate) use parser::{is_unfinished, parse};
