//! The engine over HTTP: one router for every server.
//!
//! [`Api`] is the router over an engine, with its OpenAPI document; [`Server`] listens, within the
//! limits of [`ApiConfig`]. What each route asks of its caller stands in one table, [`Api::routes`].
//! Start reading at `routes.rs`.
//!
//! Does not know: any driver, where the engine keeps anything, how workflows are read or driven.
//!
//! # Invariants
//! - A route cannot be made without saying what it asks of its caller, and nothing of the request but
//!   its head is read before that is settled.
//! - Whoever may not see what is in a project is answered as if it were not there. What they wanted is in
//!   the audit log, and so is whatever changes something, before it happens; what webhooks start is in the
//!   journals of what they start.
//! - Every answer that is no success is problem details with a stable code.
//! - A start that was answered with an id is in the store.
//! - What waits, streams or starts is bounded by a named limit; who is refused is told when to try again.
//!
//! ```
//! use nebula_api::ApiConfig;
//!
//! let config: ApiConfig = serde_json::from_str(r#"{ "max_wait": "10s" }"#)?;
//! assert_eq!(config.max_page, ApiConfig::default().max_page);
//! # Ok::<_, serde_json::Error>(())
//! ```

#![allow(
    unused_qualifications,
    reason = "the macro of utoipa names the types of queries by a path"
)]

mod access;
mod actions;
mod api;
mod approvals;
mod audit;
mod blobs;
mod changes;
mod config;
mod connections;
mod consent;
mod credentials;
mod dead_letters;
mod definitions;
mod events;
mod executions;
mod expressions;
mod extract;
mod forms;
mod health;
mod hooks;
mod hosts;
mod incidents;
mod invitations;
mod log;
mod metrics;
mod multipart;
mod oidc;
mod openapi;
mod page;
mod problem;
mod projects;
mod replay;
mod responses;
mod revision;
mod room;
mod routes;
mod server;
mod sessions;
mod settings;
mod signals;
mod start;
mod state;
mod tenants;
mod tls;
mod trace;
mod triggers;
mod users;
mod workflows;

pub use access::Needs;
pub use api::{Api, ApiError, ApiParts};
pub use config::ApiConfig;
pub use routes::Route;
pub use server::{Server, ServerError};
pub use state::{DutyLine, ServerState};
pub use tls::{Tls, TlsError};
