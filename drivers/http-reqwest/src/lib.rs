//! The guarded way out to HTTP servers.
//!
//! [`Reqwest`] is an [`HttpClient`](nebula_ports::HttpClient) over reqwest, hyper and rustls (with ring).
//! For each hop it asks the egress guard about the URL, resolves the host once, asks about every
//! address, and connects to nothing else. Start reading at [`Reqwest`].
//!
//! Does not know: which grants there are and how they came about, what is sent and why, retries.
//!
//! # Invariants
//! - No connection is made to an address that was not checked for the hop that uses it.
//! - Every wait and every size has a limit: that of the request, or one of [`HttpConfig`].
//! - No error repeats a path, a query, a header or a body.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[derive(Debug)]
//! # struct Stopped;
//! # impl nebula_core::Clock for Stopped {
//! #     fn now(&self) -> nebula_core::Timestamp { nebula_core::Timestamp::default() }
//! #     fn monotonic(&self) -> std::time::Duration { std::time::Duration::ZERO }
//! #     fn sleep(&self, _: std::time::Duration) -> nebula_core::BoxFuture<'static, ()> {
//! #         Box::pin(std::future::pending())
//! #     }
//! # }
//! # let clock = std::sync::Arc::new(Stopped);
//! use nebula_http_reqwest::{HttpConfig, Reqwest};
//!
//! let client = Reqwest::new(HttpConfig::default(), clock)?;
//! # let _ = client;
//! # Ok(())
//! # }
//! ```

mod body;
mod client;
mod config;
mod error;
mod pool;
mod redirect;
mod resolve;
mod tls;

pub use client::Reqwest;
pub use config::{HttpConfig, MAX_ADDRESSES, MAX_HEADER_LINES};
pub use resolve::{Resolver, SystemResolver};
pub use tls::trusting;
