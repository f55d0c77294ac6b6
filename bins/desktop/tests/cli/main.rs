//! The binary as its users meet it: arguments, files and signals in; documents, text and exit codes out.

mod again;
mod approvals;
mod bad_input;
#[cfg(unix)]
mod blobs;
#[path = "../../../../drivers/trigger-mqtt/tests/broker/mod.rs"]
mod broker;
mod calls;
#[cfg(all(unix, feature = "otlp"))]
mod canaries;
mod compensations;
#[cfg(unix)]
mod consent;
mod credentials;
#[cfg(unix)]
mod every_command;
mod examples;
mod executions;
mod expr;
#[cfg(unix)]
mod flood;
mod grants;
mod habits;
mod http;
#[cfg(unix)]
mod incidents;
#[cfg(all(target_os = "linux", feature = "keyring"))]
mod keyring;
mod killed;
#[cfg(all(unix, feature = "otlp"))]
mod lifecycle;
mod locks;
#[cfg(unix)]
mod login_by_provider;
mod milestones;
mod new;
mod operating;
#[cfg(all(unix, feature = "otlp"))]
mod otlp;
mod paced;
#[cfg(unix)]
mod people;
mod plan;
mod rates;
mod reload;
mod rename;
#[cfg(unix)]
mod repl;
mod replay;
mod run;
#[cfg(unix)]
mod runbooks;
mod schedule;
mod secrets;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod server_files;
mod settings;
mod shop_orders;
mod support;
#[cfg(unix)]
mod terminal;
mod trial;
#[cfg(unix)]
mod triggers;
mod turns;
mod workflows;
