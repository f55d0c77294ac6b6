//! The actions through the path that an engine takes: parameters, programs, schemas, execution.

mod behaviour;
mod examples;
mod scene;
