//! Lists that a node runs for, element by element.

use std::sync::Arc;

use nebula_action::{ActionError, ActionKind, ControlKind, PORT_MAIN};
use nebula_execution::{
    Elements, Event, Given, InstanceId, LIST_SEGMENT, PlanNode, Stored, control::kind,
};
use nebula_expression::Evaluated;
use serde_json::Value;

use crate::{
    drive::Drive,
    evaluate::{self, failed, node_of, unread},
};

/// The segment of a long list that was read last.
pub(crate) struct Segment {
    whole: InstanceId,
    number: u32,
    elements: Vec<Value>,
}

/// What lies in blobs of something.
pub(crate) fn stored_of(given: &Given) -> Vec<Arc<Stored>> {
    let mut stored = Vec::new();
    given.each_stored(&mut |found| stored.push(found.clone()));
    stored
}

impl Drive {
    /// Evaluates `when` and the list of a `for_each`.
    pub(crate) fn open(&mut self, instance: &InstanceId) {
        let plan = self.machine.plan().clone();
        let node = plan.node(node_of(&plan, instance));
        // Of a part, that was asked where its list is.
        let part = self
            .machine
            .part()
            .is_some_and(|it| it.instance == *instance);
        if !part && !self.gate_open(instance, node) {
            return;
        }
        match self.opened(instance, node) {
            Ok(count) => self.tell(Event::Opened {
                instance: instance.clone(),
                count,
                more: None,
            }),
            Err(error) => self.failed_with(instance.clone(), error, 0),
        }
    }

    /// How many elements the list of a `for_each` has.
    pub(crate) fn opened(
        &mut self,
        instance: &InstanceId,
        node: &PlanNode,
    ) -> Result<u32, ActionError> {
        let list = self.elements(instance, node)?;
        self.keep_list(instance.clone(), list)
    }

    /// The list of a `for_each`: an expression gives the same one again after a crash.
    fn elements(&self, whole: &InstanceId, node: &PlanNode) -> Result<Elements, ActionError> {
        let started = self.machine.state().started();
        if let Some(part) = started.and_then(|started| started.part.as_ref())
            && part.instance == *whole
        {
            return Ok(Elements::Part(part.clone()));
        }
        match &node.for_each {
            None if node.kind == ActionKind::Control(ControlKind::ForEach) => {
                self.elements_of_body(whole).map(|(list, _)| list)
            }
            None => {
                let json = self.json(whole).at_hand();
                Ok(Elements::Given(json.map_err(|why| unread(&why))?))
            }
            Some(program) => {
                let scope = evaluate::list_scope(&self.machine, whole);
                let context = evaluate::context(&self.machine, whole, &self.shared.ports.clock);
                let found = program.evaluate_ref(&scope, &context);
                Ok(Elements::Given(
                    match found.map_err(|error| failed("`for_each`", &error))? {
                        Evaluated::List(list) => list.into(),
                        found => Arc::new(found.into_owned().unwrap_or_default()).into(),
                    },
                ))
            }
        }
    }

    /// Keeps the list of an instance whose items run, if it is one, and not too long; gives how
    /// many elements it has.
    pub(crate) fn keep_list(
        &mut self,
        whole: InstanceId,
        list: Elements,
    ) -> Result<u32, ActionError> {
        let node = &whole.node;
        let Some(count) = list.count() else {
            let kind = match &list {
                Elements::Given(Given::Value(value)) => kind(value),
                Elements::Given(Given::Made(_)) => "an object",
                Elements::Given(Given::List(_) | Given::Blob(_))
                | Elements::Range { .. }
                | Elements::Part(_) => "a list",
            };
            let message = format!("`for_each` of node `{node}` gave {kind}, not a list");
            return Err(ActionError::fatal("FOR_EACH_NOT_A_LIST", message));
        };
        let limit = self.shared.config.max_items;
        let Some(count) = u32::try_from(count).ok().filter(|count| *count <= limit) else {
            let message =
                format!("`for_each` of node `{node}` has {count} elements; the limit is {limit}");
            return Err(ActionError::limit("FOR_EACH_TOO_LONG", message));
        };
        self.has_room_for_list(&whole, &list)?;
        self.segment = None;
        self.lists.insert(whole, list);
        Ok(count)
    }

    /// The element that an item stands for.
    pub(crate) fn item(&mut self, instance: &InstanceId) -> Result<Option<Given>, ActionError> {
        let Some(item) = instance.item else {
            return Ok(None);
        };
        let whole = instance.whole();
        if !self.lists.contains_key(&whole) {
            let plan = self.machine.plan().clone();
            self.opened(&whole, plan.node(node_of(&plan, instance)))?;
        }
        if let Some(apart) = self.lists.get(&whole).and_then(|list| list.apart(item)) {
            return Ok(Some(apart.clone()));
        }
        let element = self.element(&whole, item).or_else(|| {
            let activation = evaluate::activation(&self.machine, &whole)?;
            activation.items.as_ref()?.element(item).cloned()
        });
        Ok(element.map(|element| Given::Value(Arc::new(element))))
    }

    /// What lies in blobs of the element that an item stands for.
    pub(crate) fn stored_of_item(&mut self, instance: &InstanceId) -> Vec<Arc<Stored>> {
        let lists = evaluate::activation(&self.machine, &instance.whole());
        if instance.item.is_some() && lists.is_some_and(|it| it.items.is_some()) {
            let element = match self.lists.get(&instance.whole()) {
                Some(list) => instance.item.and_then(|item| list.apart(item)).cloned(),
                // An error of the list is that of the item, which is prepared next.
                None => self.item(instance).ok().flatten(),
            };
            return element.as_ref().map(stored_of).unwrap_or_default();
        }
        Vec::new()
    }

    /// An element of a list that is kept. A segment of a long one is read once for its neighbours,
    /// which are asked for next.
    pub(crate) fn element(&mut self, whole: &InstanceId, item: u32) -> Option<Value> {
        let list = self.lists.get(whole)?;
        let Elements::Given(Given::List(long)) = list else {
            return list.get(item);
        };
        let (number, place) = (item / LIST_SEGMENT, (item % LIST_SEGMENT) as usize);
        let read = self.segment.take();
        let read = read.filter(|read| read.number == number && read.whole == *whole);
        let read = self.segment.insert(read.unwrap_or_else(|| Segment {
            whole: whole.clone(),
            number,
            elements: long.segment(number as usize),
        }));
        read.elements.get(place).cloned()
    }

    /// Evaluates whether a list is complete before all of its items have ended.
    pub(crate) fn weigh(&mut self, instance: InstanceId) {
        let complete = self.is_complete(&instance);
        self.tell(Event::Weighed { instance, complete });
    }

    fn is_complete(&self, instance: &InstanceId) -> Result<bool, ActionError> {
        let plan = self.machine.plan();
        let node = plan.node(node_of(plan, instance));
        let activation = evaluate::activation(&self.machine, instance);
        let items = activation.and_then(|activation| activation.items.as_deref());
        let (Some(program), Some(items)) = (&node.complete_when, items) else {
            return Ok(false);
        };
        let scope = evaluate::scope(&self.machine, instance, None);
        let progress = items.progress().map_err(|why| unread(&why))?;
        let scope = scope.with_progress(progress);
        let context = evaluate::context(&self.machine, instance, &self.shared.ports.clock);
        let value = program.evaluate(&scope, &context);
        match value.map_err(|error| failed("`complete_when`", &error))? {
            Some(Value::Bool(complete)) => Ok(complete),
            Some(Value::Number(wanted)) => {
                let succeeded = f64::from(items.settled - items.errors);
                Ok(wanted.as_f64().is_some_and(|wanted| succeeded >= wanted))
            }
            other => {
                let kind = other.as_ref().map_or("undefined", kind);
                let message = format!(
                    "`complete_when` of node `{}` gave {kind}; it must give a number of successes, or true or false",
                    node.id
                );
                Err(ActionError::fatal("COMPLETE_WHEN", message))
            }
        }
    }

    /// Evaluates the connections of a `for_each` whose items have ended.
    pub(crate) fn collect(&mut self, instance: InstanceId, error: Option<Box<ActionError>>) {
        self.lists.remove(&instance);
        (self.segment, self.part) = (None, None);
        if let Some(error) = error {
            return self.failed_with(instance, *error, 0);
        }
        let plan = self.machine.plan();
        let index = node_of(plan, &instance);
        let conditions = plan
            .outgoing(index)
            .any(|(_, connection)| connection.condition.is_some());
        let ended = evaluate::activation(&self.machine, &instance).filter(|_| conditions);
        let mode = plan.node(index).on_item_error;
        let list = ended
            .and_then(|ended| ended.gathered(mode))
            .unwrap_or_default();
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
