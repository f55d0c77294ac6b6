//! The API over HTTP, as its callers see it: a server on the loopback, over models of every port.

mod access;
mod approvals;
mod bad_input;
mod blobs;
mod consent;
mod credentials;
mod dead_letters;
mod executions;
mod forms;
mod hooks;
mod incidents;
mod invitations;
mod known_holes;
mod limits;
mod live;
mod matrix;
mod metrics;
mod oidc;
mod support;
mod table;
mod tenants;
mod traces;
mod triggers;
mod uploads;
mod workflows;
