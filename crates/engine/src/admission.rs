//! What may start at all.

use nebula_execution::{ExecutionPlan, MAX_VALUE_DEPTH, nests_within};
use nebula_validator::with_defaults;
use serde_json::Value;

use crate::{Engine, StartError};

impl Engine {
    /// The input with the defaults of the workflow's schema, checked against it.
    ///
    /// A default applies to a property at the top that is not given. An input that is not given at
    /// all (null) counts as an empty object where the schema describes an object.
    ///
    /// # Errors
    /// [`StartError::Input`], [`StartError::TooLarge`], [`StartError::TooDeep`].
    pub fn input(&self, plan: &ExecutionPlan, input: Value) -> Result<Value, StartError> {
        let limit = self.config.max_input_depth.min(MAX_VALUE_DEPTH);
        if !nests_within(&input, limit) {
            return Err(StartError::TooDeep { limit });
        }
        let bytes = serialized_len(&input);
        if bytes > self.config.max_input.as_u64() {
            return Err(StartError::TooLarge {
                bytes,
                limit: self.config.max_input,
            });
        }
        if plan.input_schema.is_null() {
            return Ok(input);
        }
        let input = with_defaults(&plan.input_schema, input);
        let problems = plan
            .check_input(&input)
            .map_err(|error| StartError::Schema(error.to_string()))?;
        if problems.is_empty() {
            Ok(input)
        } else {
            Err(StartError::Input(problems))
        }
    }
}

/// The length of the value as compact JSON, counted without building it.
fn serialized_len(value: &Value) -> u64 {
    struct Count(u64);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_or(u64::MAX, |()| count.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_size_is_that_of_compact_json() {
        assert_eq!(serialized_len(&json!({ "a": [1, "é"] })), 14);
    }
}
