//! Lists that a node runs for, element by element.

use std::sync::Arc;

use nebula_action::{ActionError, ActionKind, ControlKind, PORT_MAIN};
use nebula_execution::{Activation, Event, InstanceId, PlanNode};
use serde_json::Value;

use crate::{
    drive::Drive,
    evaluate::{self, failed, node_of},
};

impl Drive {
    /// Evaluates `when` and the list of a `for_each`.
    pub(crate) fn open(&mut self, instance: &InstanceId) {
        let plan = self.machine.plan().clone();
        let node = plan.node(node_of(&plan, instance));
        if !self.gate_open(instance, node) {
            return;
        }
        match self.list(instance, node) {
            Ok(list) => {
                let count = list.as_array().map_or(0, Vec::len) as u32;
                self.tell(Event::Opened {
                    instance: instance.clone(),
                    count,
                });
            }
            Err(error) => self.failed_with(instance.clone(), error, 0),
        }
    }

    /// The list of a `for_each`: evaluated once while it is open.
    fn list(&mut self, instance: &InstanceId, node: &PlanNode) -> Result<Arc<Value>, ActionError> {
        let whole = instance.whole();
        if let Some(list) = self.lists.get(&whole) {
            return Ok(list.clone());
        }
        let list = match &node.for_each {
            None if node.kind == ActionKind::Control(ControlKind::ForEach) => {
                self.elements(&whole)?
            }
            None => self.json(&whole),
            Some(program) => {
                let scope = evaluate::scope(&self.machine, &whole, None);
                let context = evaluate::context(&self.machine, &whole, &self.shared.ports.clock);
                let value = program
                    .evaluate(&scope, &context)
                    .map_err(|error| failed("`for_each`", &error))?;
                Arc::new(value.unwrap_or(Value::Null))
            }
        };
        self.keep_list(whole, list)
    }

    /// Keeps the list of an instance whose items run, if it is one, and not too long.
    pub(crate) fn keep_list(
        &mut self,
        whole: InstanceId,
        list: Arc<Value>,
    ) -> Result<Arc<Value>, ActionError> {
        let node = &whole.node;
        let Some(items) = list.as_array() else {
            let kind = kind(&list);
            let message = format!("`for_each` of node `{node}` gave {kind}, not a list");
            return Err(ActionError::fatal("FOR_EACH_NOT_A_LIST", message));
        };
        let (count, limit) = (items.len(), self.shared.config.max_items as usize);
        if count > limit {
            let message =
                format!("`for_each` of node `{node}` has {count} elements; the limit is {limit}");
            return Err(ActionError::limit("FOR_EACH_TOO_LONG", message));
        }
        self.lists.insert(whole, list.clone());
        Ok(list)
    }

    pub(crate) fn item(
        &mut self,
        instance: &InstanceId,
    ) -> Result<Option<Arc<Value>>, ActionError> {
        let Some(item) = instance.item else {
            return Ok(None);
        };
        let plan = self.machine.plan().clone();
        let list = self.list(instance, plan.node(node_of(&plan, instance)))?;
        Ok(list.get(item as usize).map(|value| Arc::new(value.clone())))
    }

    /// Evaluates the connections of a `for_each` whose items have ended.
    pub(crate) fn collect(&mut self, instance: InstanceId, error: Option<ActionError>) {
        self.lists.remove(&instance);
        if let Some(error) = error {
            return self.failed_with(instance, error, 0);
        }
        let plan = self.machine.plan();
        let index = node_of(plan, &instance);
        let conditions = plan
            .outgoing(index)
            .any(|(_, connection)| connection.condition.is_some());
        let ended = evaluate::activation(&self.machine, &instance).filter(|_| conditions);
        let list = ended.and_then(Activation::gathered).unwrap_or_default();
        let clock = &self.shared.ports.clock;
        let taken = evaluate::taken(&self.machine, &instance, PORT_MAIN, clock, |scope| {
            scope.after_success(&instance, list, PORT_MAIN)
        });
        match taken {
            Ok(taken) => self.tell(Event::Collected { instance, taken }),
            Err(error) => self.failed_with(instance, error, 0),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
