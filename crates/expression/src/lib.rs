//! Computes values from JSON by a side-effect-free subset of JavaScript, within limits.
//!
//! [`Program::compile`] turns a field's text into a flat, resolved program once; evaluating it
//! borrows the data of a [`Scope`] and allocates temporaries in an arena. A plain path is followed
//! without interpretation (`path`). Start reading at [`Program`]; then `syntax` → `resolve` → `code` →
//! `machine`, with `library` for what can be called and `value` for what values are.
//!
//! Does not know: the clock and the source of chance (both come with the [`Context`]), where the
//! data is stored, what a workflow is, the `{{ }}` around an expression.
//!
//! # Invariants
//! - The same program, scope and context give the same result, on every machine.
//! - Every evaluation ends: nothing can recur, and every step and every byte is paid for first.
//! - Values have no prototype and nothing changes one, so there is nothing to escape through.
//! - An error names types and sizes, never a value.
//!
//! # Differences from JavaScript, and why
//! - `constructor` and `__proto__` are ordinary keys: there are no prototypes.
//! - Methods never change their receiver (`sort` gives a sorted copy): data is shared.
//! - `keys()`, `values()` and `entries()` give lists, not iterators, and holes of a list are
//!   undefined: nothing is computed later, and a list holds only values.
//! - Integers of the data beyond 2^53 stay exact until something calculates with them, and two of
//!   them compare exactly: ids must survive.
//! - `**`, `Math.sin` and their like may differ in the last digit: they are computed alike on every machine,
//!   and ECMA-262 leaves that digit open.
//! - `catch (e)` sees `{ code, message, name }`, where `name` is JavaScript's class and `message` is
//!   ours, which names no value; a limit is not caught.
//! - A name is given once: there is no assignment, so a statement that is only a value is refused.
//! - `append`, `set`, `delete` and `sort` of new `URLSearchParams` give the changed parameters rather
//!   than nothing: with values that never change, nothing would be of no use.
//! - A `file:` URL loses empty segments, and `C|` stays: what else the standard says of it, servers
//!   have no use for.
//! - Regular expressions have no look-around, no back-references and no flag `v`: they take linear
//!   time. They keep no state: every search begins at the start, and `lastIndex` is always 0.
//! - `localeCompare` takes half a character for U+FFFD, so two different halves are equal.
//! - `hour12: true` writes midnight as 12 (in Japanese 0), `hour12: false` as 0, and numbers have
//!   up to 100 digits after the mark: newer engines do.
//! - A locale whose words are not known, and an option that is not known, is an error: to write
//!   something else silently would be wrong. `Intl.DateTimeFormat`'s `format` needs its date.
//! - An invalid `DateTime`, `Duration` or `Interval` is inert inside, as in luxon, but an error as
//!   a result: a missing date is found late in other nodes. An invalid `Date` is null.
//! - In strict mode a member of null or undefined is an error that says which key was missing.
//!
//! ```
//! use nebula_expression::{CompileOptions, Context, JsonScope, Program};
//! use serde_json::json;
//!
//! let program = Program::compile(
//!     "$json.items.filter(i => i.price > 10).map(i => i.name).join(', ')",
//!     &CompileOptions::default(),
//! )
//! .unwrap();
//! let data = json!({ "json": { "items": [
//!     { "name": "desk", "price": 120 },
//!     { "name": "pen", "price": 2 },
//!     { "name": "lamp", "price": 35.5 },
//! ] } });
//! let result = program.evaluate(&JsonScope(&data), &Context::default()).unwrap();
//! assert_eq!(result, Some(json!("desk, lamp")));
//! ```

#[cfg(test)]
mod attacks;
mod code;
mod cursor;
mod error;
mod evaluator;
mod guard;
mod library;
mod limits;
mod locale;
mod long;
mod machine;
#[cfg(test)]
mod natives;
mod numeral;
mod outline;
mod path;
mod portable;
mod program;
mod regex;
mod rename;
mod report;
mod resolve;
mod scope;
mod suggest;
mod syntax;
mod time;
mod value;
mod words;

pub use cursor::{Cursor, Member, Owner, Place, cursor, is_unfinished};
pub use error::{ExpressionError, Phase};
pub use evaluator::Evaluator;
pub use limits::Limits;
pub use long::{LongList, Segmented};
pub use outline::Outline;
pub use program::{CompileOptions, Evaluated, Mode, Program, Spent};
pub use rename::{Edit, RenameError, rename_node};
pub use report::{NodeReference, NodeSpan, Purity, Report, Root};
pub use scope::{Away, Context, Deadline, JsonScope, ListOf, NodeView, Scope};
pub use words::{Word, WordKind, members_of, members_of_node, words};
