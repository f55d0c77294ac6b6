//! One module for each command.

pub(crate) mod actions;
pub(crate) mod again;
pub(crate) mod blobs;
pub(crate) mod completions;
pub(crate) mod credentials;
pub(crate) mod doctor;
pub(crate) mod executions;
pub(crate) mod expr;
mod list;
mod mermaid;
mod migrate;
mod pause;
pub(crate) mod plan;
mod plan_text;
pub(crate) mod rename;
pub(crate) mod replay;
pub(crate) mod resume;
pub(crate) mod run;
mod saying;
pub(crate) mod secrets;
mod signal;
pub(crate) mod trial;
mod unpark;
pub(crate) mod validate;
pub(crate) mod vote;
pub(crate) mod waits;
pub(crate) mod workflows;
