//! What the macros write, used as an engine would.

use std::{path::Path, sync::Arc, time::Duration};

use indexmap::IndexMap;
use nebula_action::{
    Action, ActionContext, ActionError, CapabilityRule, Effect, EffectClass, ErrorClass, Example,
    FileAccess, Grants, Literal, Protected, Reconciled,
};
use nebula_core::{ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct In {
    /// The number to double.
    n: i64,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Out {
    twice: i64,
}

mod functions {
    use super::*;
    use nebula_derive::action;

    fn examples() -> Vec<Example> {
        vec![Example {
            title: "two is four".to_owned(),
            parameters: json!({ "n": 2 }),
            json: Value::Null,
            output: json!({ "twice": 4 }),
            port: "main".to_owned(),
        }]
    }

    /// Doubles a number.
    ///
    /// Overflow is an error.
    #[action(
        id = "test.double_it",
        version = "2.3",
        title = "Double",
        effect = "pure",
        timeout = "30s",
        attempts = 4,
        examples = examples,
    )]
    pub(super) async fn double_it(_ctx: &ActionContext, input: In) -> Result<Out, ActionError> {
        let twice = input.n.checked_mul(2);
        let twice =
            twice.ok_or_else(|| ActionError::fatal("TOO_LARGE", "the number is too large"))?;
        Ok(Out { twice })
    }

    async fn found(_ctx: &ActionContext, input: In) -> Result<Reconciled, ActionError> {
        Ok(Reconciled::Happened(json!(input.n)))
    }

    /// Gives a list back to front.
    #[action(
        id = "test.reverse",
        version = "1.0",
        title = "Reverse",
        effect(parameter = "mode", cases(soft = "idempotent", hard = "keyed"), absent = "read"),
        expressions = ["by"],
        deferred = ["cases/*"],
        defaults = { "items": "{{ $json }}" },
        files(read = "path", write = "path"),
        urls = ["url"],
        lineage,
        reconcile = found,
        examples = [{ "title": "one", "parameters": { "n": 1 }, "output": [1] }],
    )]
    pub(super) async fn reverse(
        ctx: &ActionContext,
        input: In,
    ) -> Result<(Vec<i64>, Vec<u32>), ActionError> {
        Ok((vec![input.n, i64::from(ctx.attempt)], vec![1, 0]))
    }
}

mod states {
    use super::*;
    use nebula_derive::Action;

    /// Adds what it was made with.
    #[derive(Debug, Action)]
    #[action(
        id = "test.add",
        version = "1.0",
        title = "Add",
        effect = "keyed",
        reconcile
    )]
    pub(super) struct Add {
        pub(super) by: i64,
    }

    impl Add {
        async fn run(&self, _ctx: &ActionContext, input: In) -> Result<Out, ActionError> {
            Ok(Out {
                twice: input.n + self.by,
            })
        }

        async fn reconcile(
            &self,
            _ctx: &ActionContext,
            input: In,
        ) -> Result<Reconciled, ActionError> {
            Ok(Reconciled::Happened(json!(input.n + self.by)))
        }
    }
}

fn context() -> ActionContext {
    ActionContext {
        tenant: TenantId::local(),
        execution: ExecutionId::from_bytes([0; 16]),
        workflow: WorkflowId::new("w").unwrap(),
        node: NodeId::new("n").unwrap(),
        attempt: 7,
        idempotency_key: String::new(),
        now: Timestamp::default(),
        seed: 0,
        timeout: Duration::from_secs(1),
        deadline: None,
        cancellation: CancellationToken::new(),
        heartbeat: nebula_action::Heartbeat::default(),
        grants: Grants::default(),
        protected: Protected::default(),
        http: None,
        blobs: None,
        credentials: nebula_action::Credentials::default(),
        folder: Arc::from(Path::new("/")),
        deferred: IndexMap::new(),
    }
}

#[test]
fn metadata_comes_from_the_arguments_the_types_and_the_comment() {
    let action: &dyn Action = &functions::DoubleIt;
    let metadata = action.metadata();
    assert_eq!(metadata.id.as_str(), "test.double_it");
    assert_eq!(metadata.version.to_string(), "2.3");
    assert_eq!(
        metadata.description,
        "Doubles a number.\n\nOverflow is an error."
    );
    assert_eq!(metadata.effect, Effect::Fixed(EffectClass::Pure));
    assert_eq!(metadata.timeout, Some(Duration::from_secs(30)));
    assert_eq!(metadata.retry.as_ref().unwrap().max_attempts, 4);
    assert_eq!(metadata.parameters["required"], json!(["n"]));
    assert_eq!(metadata.output["properties"]["twice"]["type"], "integer");
    assert_eq!(metadata.examples[0].output, json!({ "twice": 4 }));
    assert!(std::ptr::eq(metadata, action.metadata()), "built once");
}

#[test]
fn marks_defaults_rules_and_effects_are_carried_over() {
    let metadata = functions::Reverse.metadata();
    let marks: Vec<_> = metadata
        .expressions
        .iter()
        .map(|mark| (mark.path.as_str(), mark.deferred))
        .collect();
    assert_eq!(marks, [("by", false), ("cases/*", true)]);
    assert_eq!(metadata.defaults, json!({ "items": "{{ $json }}" }));
    let rules: Vec<_> = metadata
        .capabilities
        .iter()
        .map(|rule| match rule {
            CapabilityRule::File { access, parameter } => (Some(*access), parameter.as_str()),
            CapabilityRule::Url { parameter }
            | CapabilityRule::Address { parameter }
            | CapabilityRule::Program { parameter } => (None, parameter.as_str()),
        })
        .collect();
    assert_eq!(
        rules,
        [
            (Some(FileAccess::Read), "path"),
            (Some(FileAccess::Write), "path"),
            (None, "url"),
        ]
    );
    let class = |literal: Literal| metadata.effect.class(|_| literal.clone());
    assert_eq!(
        class(Literal::Known(json!("soft"))),
        EffectClass::Idempotent
    );
    assert_eq!(class(Literal::Absent), EffectClass::Read);
    assert_eq!(metadata.output["type"], "array");
    assert_eq!(metadata.examples[0].port, "main");
}

#[tokio::test]
async fn json_goes_in_and_comes_out() {
    let result = functions::DoubleIt
        .execute(&context(), json!({ "n": 21 }))
        .await
        .unwrap();
    assert_eq!(result.value, json!({ "twice": 42 }));
    assert_eq!(result.lineage, None);
    let result = functions::Reverse
        .execute(&context(), json!({ "n": 1 }))
        .await
        .unwrap();
    assert_eq!(
        (result.value, result.lineage),
        (json!([1, 7]), Some(vec![1, 0]))
    );
    let error = functions::DoubleIt
        .execute(&context(), json!({ "n": "secret" }))
        .await
        .unwrap_err();
    assert_eq!(
        error.class,
        ErrorClass::InvalidInput {
            pointer: "/n".to_owned()
        }
    );
    assert!(!error.message.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_struct_runs_with_its_state_and_reconciles() {
    let action: Arc<dyn Action> = Arc::new(states::Add { by: 5 });
    assert_eq!(action.metadata().parameters["required"], json!(["n"]));
    let result = action.execute(&context(), json!({ "n": 1 })).await.unwrap();
    assert_eq!(result.value, json!({ "twice": 6 }));
    let found = action.reconcile(&context(), &json!({ "n": 1 })).await;
    assert_eq!(found, Ok(Reconciled::Happened(json!(6))));
    let found = functions::Reverse
        .reconcile(&context(), &json!({ "n": 4 }))
        .await;
    assert_eq!(found, Ok(Reconciled::Happened(json!(4))));
    let unknown = functions::DoubleIt.reconcile(&context(), &json!({})).await;
    assert_eq!(unknown, Ok(Reconciled::Unknown));
}
