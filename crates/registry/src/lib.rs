//! Knows which actions and versions exist.
//!
//! A [`Registry`] takes actions at composition and answers by id and version: the planner asks for
//! metadata through [`Catalog`](nebula_action::Catalog), the runtime for code and compiled schemas.
//! Start reading at [`Registry::register`].
//!
//! Does not know: what actions do, which of them a preset has, workflows.
//!
//! # Invariants
//! - An id has one action per `major.minor`; what is registered never changes.
//! - What is registered has schemas that compile and examples that fit them: seen here, or by a test
//!   of the action's own crate ([`Registry::take_tested`]).
//!
//! ```
//! use std::sync::Arc;
//! use async_trait::async_trait;
//! use nebula_action::{Action, ActionContext, ActionError, ActionMetadata, ActionResult, Catalog};
//! use nebula_action::{Effect, EffectClass, VersionWanted};
//! use nebula_registry::Registry;
//! use serde_json::Value;
//!
//! #[derive(Debug)]
//! struct Echo(ActionMetadata);
//!
//! #[async_trait]
//! impl Action for Echo {
//!     fn metadata(&self) -> &ActionMetadata {
//!         &self.0
//!     }
//!     async fn execute(&self, _: &ActionContext, input: Value) -> Result<ActionResult, ActionError> {
//!         Ok(ActionResult::output(input))
//!     }
//! }
//!
//! let mut registry = Registry::default();
//! let effect = Effect::Fixed(EffectClass::Pure);
//! registry.register(Arc::new(Echo(ActionMetadata::new("test.echo", (1, 2), effect)))).unwrap();
//! let newest = registry.find(&"test.echo".parse().unwrap(), VersionWanted::default()).unwrap();
//! assert_eq!(newest.version.to_string(), "1.2");
//! ```

mod error;
mod examples;
mod registry;

pub use error::RegistryError;
pub use registry::{Registered, Registry};
