//! Makes an action out of an async function or a struct.
//!
//! [`action`] turns an async function into a unit struct that is an action; [`Action`] makes one of
//! a struct that holds state. Both write `nebula_action::Action`: the metadata (built once, with
//! the schemas of the input and output types, and the doc comment as description), the typed
//! reading of the parameters, the writing of the result. Start reading at [`action`].
//!
//! Does not know: what actions do, who runs them. It names only `nebula_action`.
//!
//! # Invariants
//! - What the compiler could find out is a compile error with the place: a bad id, version, effect
//!   class or time, an argument that is not known or missing.
//! - Nothing is written twice: schemas come from the types, the description from the comment.
//!
//! ```
//! use nebula_action::{Action, ActionContext, ActionError};
//! use nebula_derive::action;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, JsonSchema)]
//! pub struct Words {
//!     /// What to count in.
//!     text: String,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! pub struct Count {
//!     words: usize,
//! }
//!
//! /// Counts the words of a text.
//! #[action(id = "demo.count_words", version = "1.0", effect = "pure", title = "Count words")]
//! pub async fn count_words(_ctx: &ActionContext, input: Words) -> Result<Count, ActionError> {
//!     Ok(Count { words: input.text.split_whitespace().count() })
//! }
//!
//! let metadata = CountWords.metadata();
//! assert_eq!(metadata.id.as_str(), "demo.count_words");
//! assert_eq!(metadata.parameters["properties"]["text"]["description"], "What to count in.");
//! ```

mod arguments;
mod emit;
mod function;
mod state;

use proc_macro::TokenStream;

/// Turns `async fn name(ctx: &ActionContext, input: In) -> Result<Out, ActionError>` into an action.
///
/// The function stays; beside it stands a unit struct with the function's name in camel case.
/// `In` is `Deserialize + JsonSchema`, `Out` is `Serialize + JsonSchema`.
///
/// | argument | meaning |
/// |---|---|
/// | `id = "text.parse"` | the action's name |
/// | `version = "1.0"` | its interface, `major.minor` |
/// | `title = "Parse text"` | a few words for lists |
/// | `effect = "pure"` | `pure`, `read`, `idempotent`, `keyed` or `at_most_once` |
/// | `effect(parameter = "mode", cases(overwrite = "idempotent"), absent = "at_most_once")` | the class follows from a parameter; any other value is `at_most_once` |
/// | `expressions = ["by"]` | parameters that are expressions without braces |
/// | `deferred = ["condition"]` | the same, handed over as programs: `ctx.program("condition")` |
/// | `defaults = { "items": "{{ $json }}" }` | parameters as an author who wrote none would have written them |
/// | `files(read = "path")` | a literal path implies the capability; `read` and `write` |
/// | `urls = ["url"]` | a literal URL implies the capability to send there |
/// | `addresses = ["tcp"]` | a literal `host:port` implies the capability to connect there |
/// | `programs = ["program"]` | a literal path implies the capability to run that program |
/// | `credentials(optional(auth = ["bearer"]))` | slots for credentials, with the types that can be used there; `required` and `optional` |
/// | `timeout = "30s"` | longest time of an attempt where the node says nothing |
/// | `attempts = 3` | how often a `read` or `idempotent` node is tried that says nothing |
/// | `lineage` | the function gives `(Out, Vec<u32>)`: the result and where its elements came from |
/// | `reconcile = function` | `async fn(ctx: &ActionContext, input: In) -> Result<Reconciled, ActionError>` |
/// | `examples = function` | `fn() -> Vec<Example>`; or the examples themselves as a JSON list |
///
/// `id`, `version`, `title`, `effect`, `examples` … are written once, in any order; the first four
/// are required, and so is a doc comment.
#[proc_macro_attribute]
pub fn action(arguments: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(arguments.into(), &item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Makes an action of a struct that holds state, such as a port that it works through.
///
/// The struct has an inherent `async fn run(&self, ctx: &ActionContext, input: In) -> Result<Out,
/// ActionError>` and the attribute `#[action(…)]` with the arguments of [`macro@action`]. There,
/// `reconcile` stands alone and calls the inherent method of that name; its schemas are those of the
/// types of `run`. `Debug` is needed, generics are not supported.
///
/// Import only one of the two macros in a module: the attribute has the same name for both.
#[proc_macro_derive(Action, attributes(action))]
pub fn derive_action(item: TokenStream) -> TokenStream {
    state::expand(item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
