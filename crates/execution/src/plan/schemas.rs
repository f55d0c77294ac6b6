//! The schemas of a plan, compiled when they are first asked: by then most plans run more than once.

use std::{fmt, sync::OnceLock};

use nebula_validator::{Problem, Schema, SchemaError};
use serde_json::Value;

use super::ExecutionPlan;

type Compiled = OnceLock<Result<Schema, SchemaError>>;

/// The compiled schemas of one plan.
#[derive(Clone, Default)]
pub(super) struct Schemas {
    input: Compiled,
    output: Compiled,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas").finish_non_exhaustive()
    }
}

impl ExecutionPlan {
    /// What is wrong with `input`, with its defaults, by the schema of the workflow's input; nothing
    /// where there is none. The schema is compiled once for each plan in memory.
    ///
    /// # Errors
    /// The schema does not compile; the planner refuses such a definition.
    pub fn check_input(&self, input: &Value) -> Result<Vec<Problem>, &SchemaError> {
        check(&self.schemas.input, &self.input_schema, input)
    }

    /// The same for what the workflow gives.
    ///
    /// # Errors
    /// As [`ExecutionPlan::check_input`].
    pub fn check_output(&self, output: &Value) -> Result<Vec<Problem>, &SchemaError> {
        check(&self.schemas.output, &self.output_schema, output)
    }
}

fn check<'p>(
    compiled: &'p Compiled,
    schema: &Value,
    value: &Value,
) -> Result<Vec<Problem>, &'p SchemaError> {
    if schema.is_null() {
        return Ok(Vec::new());
    }
    let compiled = compiled.get_or_init(|| Schema::compile(schema));
    Ok(compiled.as_ref()?.check(value))
}
