//! A node with parameters and `$json`: what an attempt of it would get.

use std::{path::Path, sync::Arc, time::Duration};

use indexmap::IndexMap;
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, Deferred, Grants, Protected,
};
use nebula_core::{ExecutionId, NodeId, ParamValue, TenantId, Timestamp, WorkflowId};
use nebula_expression::{Context, ListOf, LongList, NodeView, Root, Scope};
use nebula_parameter::{CompileScope, Parameters};
use nebula_validator::Schema;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Knows `$json` only.
struct Json(Value);

impl Scope for Json {
    fn root(&self, root: Root) -> Option<&Value> {
        (root == Root::Json).then_some(&self.0)
    }

    fn node(&self, _: usize, _: &str) -> Option<NodeView<'_>> {
        None
    }

    fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
        None
    }
}

/// A node with its parameters compiled as the action's marks say.
pub(crate) struct Scene {
    parameters: Parameters,
    json: Arc<Json>,
}

impl Scene {
    /// Compiles what an author wrote, with the action's defaults beneath it.
    pub(crate) fn new(metadata: &ActionMetadata, written: &Value, json: &Value) -> Self {
        let defaults = metadata.defaults.as_object().into_iter().flatten();
        let all: IndexMap<_, _> = defaults
            .chain(written.as_object().unwrap())
            .map(|(name, value)| (name.clone(), ParamValue::parse(value).unwrap()))
            .collect();
        let parameters = Parameters::compile(&all, &metadata.expressions, &CompileScope::default());
        Self {
            parameters: parameters.unwrap_or_else(|problems| panic!("{written}: {problems:?}")),
            json: Arc::new(Json(json.clone())),
        }
    }

    /// The resolved parameters.
    pub(crate) fn input(&self) -> Value {
        self.parameters
            .resolve(&*self.json, &Context::default())
            .unwrap()
    }

    /// The schema that the runtime checks resolved parameters with.
    pub(crate) fn resolved_schema(&self, metadata: &ActionMetadata) -> Schema {
        let mut schema = metadata.parameters.clone();
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| {
                let path = name.as_str().unwrap();
                !metadata.expressions.iter().any(|mark| mark.path == path)
            });
        }
        Schema::compile(&schema).unwrap()
    }

    /// The context with the programs of deferred parameters.
    pub(crate) fn context(&self) -> ActionContext {
        let deferred = self.parameters.deferred.iter().map(|(path, program)| {
            let outer = Arc::clone(&self.json);
            (
                path.clone(),
                Deferred::new(program.clone(), outer, Context::default()),
            )
        });
        ActionContext {
            tenant: TenantId::local(),
            execution: ExecutionId::from_bytes([0; 16]),
            workflow: WorkflowId::new("w").unwrap(),
            node: NodeId::new("n").unwrap(),
            attempt: 1,
            idempotency_key: String::new(),
            now: Timestamp::default(),
            seed: 0,
            timeout: Duration::from_secs(60),
            deadline: None,
            cancellation: CancellationToken::new(),
            heartbeat: nebula_action::Heartbeat::default(),
            grants: Grants::default(),
            protected: Protected::default(),
            http: None,
            blobs: None,
            credentials: nebula_action::Credentials::default(),
            folder: Arc::from(Path::new("/")),
            deferred: deferred.collect(),
        }
    }

    /// Runs an action by its id.
    pub(crate) async fn run(
        id: &str,
        written: Value,
        json: Value,
    ) -> Result<ActionResult, ActionError> {
        let mut all = nebula_actions::all().into_iter();
        let action: Arc<dyn Action> = all
            .find(|action| action.metadata().id.as_str() == id)
            .unwrap();
        let scene = Self::new(action.metadata(), &written, &json);
        action.execute(&scene.context(), scene.input()).await
    }
}
