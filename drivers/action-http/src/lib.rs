//! Actions that send requests over HTTP.
//!
//! [`all`] gives `http.request` and `http.graphql`. Each asks its context for the way out, which is there
//! only with a `net:…` capability, and sends through nothing else. Start reading at [`all`].
//!
//! Does not know: which grants a node has, how a request reaches its server, how often it is tried.
//!
//! # Invariants
//! - What may write carries the idempotency key of its instance, the same at every attempt.
//! - A credential goes with requests to its own hosts, and shows in no error.
//! - An error says the status and the origin; never a path, a query, a header or a body.
//! - The pages of one call have limits: how many, how large together.
//! - Blobs are put and read through the context alone, which looks for secrets in what is put.
//!
//! ```
//! let actions = nebula_action_http::all();
//! let ids: Vec<_> = actions.iter().map(|action| action.metadata().id.to_string()).collect();
//! assert_eq!(ids, ["http.graphql", "http.request"]);
//! ```

mod answer;
mod blobs;
mod body;
mod error;
mod graphql;
mod pages;
mod parameters;
mod request;
mod send;

use std::sync::Arc;

use nebula_action::Action;

pub use blobs::MAX_BLOB;
pub use graphql::HttpGraphql;
pub use pages::{DEFAULT_PAGES, MAX_PAGES};
pub use request::HttpRequestAction;
pub use send::{DEFAULT_SIZE, MAX_REDIRECTS, MAX_SIZE};

/// Every action of this crate.
#[must_use]
pub fn all() -> Vec<Arc<dyn Action>> {
    vec![Arc::new(HttpGraphql), Arc::new(HttpRequestAction)]
}
