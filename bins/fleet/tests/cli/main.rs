//! The programs of a fleet, as they are: over one database of one machine.
//!
//! Their binaries lie beside this test's; where one is missing it is built, so after a change of them:
//! `cargo test -p nebula-fleet -p nebula-worker -p nebula-control-plane -p nebula-server`.

#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests of whole programs wait by the clock of the host"
)]

mod deploy;
mod distributed;
mod drain;
mod effects;
mod groups;
mod http;
mod leaders;
mod lost;
mod server;
mod settings;
mod shared_queue;
mod support;
mod tenants;
mod told;
mod watching;
