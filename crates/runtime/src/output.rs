//! What an execution gives.

use std::sync::Arc;

use nebula_action::{ActionError, ErrorClass};
use nebula_execution::{Activation, EvaluationScope, Event, PlanOutput};
use nebula_expression::Context;
use serde_json::{Map, Value};

use crate::{
    drive::Drive,
    evaluate::{self, unread},
};

impl Drive {
    /// Evaluates what the execution gives.
    pub(crate) fn evaluate_output(&mut self) {
        if self.machine.part().is_some() {
            let end = serde_json::to_value(self.machine.part_end());
            let fine = end.map_err(|error| ActionError::fatal("PART_END", error.to_string()));
            return self.tell(Event::Output(fine));
        }
        let plan = self.machine.plan().clone();
        let state = self.machine.state();
        let result = |node: u32| {
            let activations = state.activations(node).iter().rev();
            let given = activations.filter_map(Activation::given).next();
            let value = given.map(|given| given.value()).transpose();
            let value = value.map(|value| value.map(Arc::unwrap_or_clone));
            value.map_err(|why| unread(&why))
        };
        let output = match &plan.output {
            PlanOutput::Node(node) => result(*node).map(Option::unwrap_or_default),
            PlanOutput::Nodes(nodes) => {
                let results = nodes.iter().filter_map(|node| {
                    let value = result(*node).transpose()?;
                    Some(value.map(|value| (plan.node(*node).id.to_string(), value)))
                });
                results.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
            PlanOutput::Program(program) => {
                let scope = EvaluationScope::of_output(&self.machine);
                let context: Context =
                    evaluate::execution_context(&self.machine, &self.shared.ports.clock);
                program
                    .resolve(&scope, &context)
                    .map(Option::unwrap_or_default)
                    .map_err(|error| {
                        ActionError::new(
                            error.error.code,
                            format!("`output`: {error}"),
                            ErrorClass::Fatal,
                        )
                    })
            }
        };
        let output = output.and_then(|output| self.fits_output_schema(output));
        self.tell(Event::Output(output));
    }

    /// Holds what the execution gives against the workflow's `output_schema`: callers rely on it.
    fn fits_output_schema(&self, output: Value) -> Result<Value, ActionError> {
        let wrong =
            |message: String| ActionError::fatal("OUTPUT_INVALID", format!("`output`: {message}"));
        let problems = self.machine.plan().check_output(&output);
        let problems = problems.map_err(|error| wrong(error.to_string()))?;
        match problems.first() {
            None => Ok(output),
            Some(problem) => Err(wrong(problem.to_string())),
        }
    }
}
