//! The built-in pure actions, and the metadata of control actions.
//!
//! [`all`] gives `data.*` (set, filter, map, sort, aggregate, validate), `text.*` (parse, format) and the
//! control actions `flow.*` (if, switch, wait, fail, stop), which the machine itself interprets.
//! Start reading at [`all`].
//!
//! Does not know: the outside world, workflows, who runs an action.
//!
//! # Invariants
//! - Every action here is pure: the same parameters give the same result.
//! - Every list action that keeps, drops or reorders elements says where each came from.
//! - Inputs are bounded by named limits, and no error carries a value.
//!
//! ```
//! use nebula_action::EffectClass;
//!
//! for action in nebula_actions::all() {
//!     let metadata = action.metadata();
//!     assert_eq!(metadata.effect.class(|_| nebula_action::Literal::Absent), EffectClass::Pure);
//!     assert!(!metadata.description.is_empty(), "{}", metadata.id);
//! }
//! ```

mod data;
mod flow;
mod item;
mod order;
mod text;

use std::sync::Arc;

use nebula_action::Action;

use data::{
    aggregate::Aggregate, filter::Filter, map::Map, set::Set, sort::Sort, validate::Validate,
};
use text::{format::Format, parse::Parse};

pub use data::aggregate::MAX_GROUPS;
pub use flow::CODE_FLOW_FAIL;
pub use item::MAX_ITEMS;
pub use text::{MAX_TEXT, parse::MAX_PATTERN_SIZE};

/// Every action of this crate, sorted by id.
#[must_use]
pub fn all() -> Vec<Arc<dyn Action>> {
    let mut actions: Vec<Arc<dyn Action>> = vec![
        Arc::new(Aggregate),
        Arc::new(Filter),
        Arc::new(Map),
        Arc::new(Set::default()),
        Arc::new(Sort),
        Arc::new(Validate),
    ];
    actions.extend(flow::all());
    actions.push(Arc::new(Format));
    actions.push(Arc::new(Parse));
    actions
}
