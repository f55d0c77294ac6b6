//! `data.set`.

use async_trait::async_trait;
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass, Example,
    PORT_MAIN,
};
use serde_json::{Value, json};

/// `data.set`: the parameters are the result.
///
/// Written by hand rather than by the macro: it passes its input on without reading it.
#[derive(Debug)]
pub(crate) struct Set {
    metadata: ActionMetadata,
}

impl Default for Set {
    fn default() -> Self {
        let mut metadata =
            ActionMetadata::new("data.set", (1, 0), Effect::Fixed(EffectClass::Pure));
        metadata.title = "Set values".to_owned();
        metadata.description = "Gives an object with the parameters as its fields. \
            To keep the fields of another object, write one expression: \
            `result: \"{{ { ...$json, total: 3 } }}\"`."
            .to_owned();
        metadata.parameters = json!({ "type": "object" });
        metadata.output = json!({ "type": "object" });
        metadata.examples = vec![Example {
            title: "a greeting from the input".to_owned(),
            parameters: json!({ "text": "Hi {{ $json.name }}", "list": [1, "{{ $json.n }}"] }),
            json: json!({ "name": "Ada", "n": 2 }),
            output: json!({ "text": "Hi Ada", "list": [1, 2] }),
            port: PORT_MAIN.to_owned(),
        }];
        Self { metadata }
    }
}

#[async_trait]
impl Action for Set {
    fn metadata(&self) -> &ActionMetadata {
        &self.metadata
    }

    async fn execute(&self, _: &ActionContext, input: Value) -> Result<ActionResult, ActionError> {
        Ok(ActionResult::output(input))
    }
}
