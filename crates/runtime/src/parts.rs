//! Parts of lists that are distributed: what the children begin with that run them, and what their
//! ends mean.

use std::{collections::BTreeMap, sync::Arc};

use nebula_action::ActionError;
use nebula_core::ByteSize;
use nebula_execution::{
    ChildEnd, Event, Given, InstanceId, MAX_CALL_DEPTH, NewExecution, Parent, Part, PartEnd,
    StartOptions, footprint,
};
use serde_json::Value;

use crate::{
    drive::{Drive, Stop},
    evaluate::node_of,
    flush::value_weight,
};

/// How many bytes the elements of a part have, as JSON, before no further one is added to it.
const PART_BYTES: ByteSize = ByteSize::kib(512);

/// About how much memory what the items of a part see of another node takes before it lies in a blob, so
/// that it is not written again with each part.
const SEEN_BYTES: usize = 16 * 1024;

impl Drive {
    /// Makes a child ready that runs at most so many items from this one on, and tells the machine.
    pub(crate) async fn cut(&mut self, instance: InstanceId, most: u32) -> Result<(), Stop> {
        let child = match self.elements_from(&instance, most).await? {
            Ok((elements, apart)) => self.part_child(&instance, elements, apart).await?,
            Err(error) => Err(error),
        };
        let child = match child {
            Ok(child) => self.or_again(&instance, 1, child).await?,
            Err(error) => Err(error),
        };
        let items = |child: &NewExecution| Some(child.started()?.part.as_ref()?.items());
        match child.map(|child| (items(&child).unwrap_or_default(), child)) {
            Ok((items, child)) if Some(items.start) == instance.item && !items.is_empty() => {
                let event = Event::Cut {
                    instance,
                    count: items.end - items.start,
                    child: child.id,
                };
                self.is_ready(child);
                self.tell(event);
            }
            Ok(_) => {
                let message = "the part of the list that is to go on here begins elsewhere";
                let error = ActionError::fatal("PART_ELSEWHERE", message);
                self.failed_with(instance, error, 0);
            }
            Err(error) => self.failed_with(instance, error, 0),
        }
        Ok(())
    }

    /// The elements of a part: values in a list, and beside it, by index, what is none.
    async fn elements_from(
        &mut self,
        first: &InstanceId,
        most: u32,
    ) -> Result<Result<(Vec<Value>, BTreeMap<u32, Given>), ActionError>, Stop> {
        let (whole, from) = (first.whole(), first.item.unwrap_or_default());
        if !self.lists.contains_key(&whole) {
            let plan = self.machine.plan().clone();
            if let Err(error) = self.opened(&whole, plan.node(node_of(&plan, &whole))) {
                return Ok(Err(error));
            }
        }
        let (mut elements, mut apart, mut bytes) = (Vec::new(), BTreeMap::new(), 0);
        for item in from..from.saturating_add(most) {
            if bytes >= PART_BYTES.as_usize() {
                break;
            }
            let list = self.lists.get(&whole);
            let given = list.and_then(|list| list.apart(item)).cloned();
            let given = match given {
                Some(given) => given,
                None => Given::Value(Arc::new(self.element(&whole, item).unwrap_or_default())),
            };
            match self.put_apart(given).await? {
                Given::Value(value) => {
                    bytes += value_weight(&value);
                    elements.push(Arc::unwrap_or_clone(value));
                }
                given => {
                    apart.insert(item, given);
                    elements.push(Value::Null);
                }
            }
        }
        Ok(Ok((elements, apart)))
    }

    /// The child that runs a part.
    async fn part_child(
        &mut self,
        first: &InstanceId,
        elements: Vec<Value>,
        apart: BTreeMap<u32, Given>,
    ) -> Result<Result<NewExecution, ActionError>, Stop> {
        let whole = first.whole();
        let started = self.started();
        let depth = started.parent.as_ref().map_or(0, |parent| parent.depth) + 1;
        if depth > MAX_CALL_DEPTH {
            let message = format!(
                "{MAX_CALL_DEPTH} calls lead to this execution, which is the limit, and each part of a distributed list is one more; leave `distribute` out"
            );
            return Ok(Err(ActionError::limit("CALL_TOO_DEEP", message)));
        }
        let mut part = self.part_of(&whole).await?;
        part.from = first.item.unwrap_or_default();
        part.elements = Arc::new(Value::Array(elements));
        part.apart = apart;
        let (input, trigger) = self.machine.part_sees(&whole);
        let (plan, started) = (self.machine.plan(), self.started());
        let parent = Parent {
            execution: self.lease.execution,
            instance: first.clone(),
            depth,
            waits: true,
            deadline: self.machine.deadline_of(&whole),
        };
        let options = StartOptions {
            grants: started.grants.clone(),
            folder: started.folder.clone(),
            vars: started.vars.clone(),
            trigger: match trigger {
                true => started.trigger.clone(),
                false => Value::Null,
            },
            parent: Some(parent),
            trial: started.trial.clone(),
            priority: Some(started.priority),
            trace: Some(self.trace(first, ("", 1))),
            ..StartOptions::default()
        };
        let given = match input {
            true => started.given(),
            false => Given::default(),
        };
        let value = match &given {
            Given::Blob(_) => started.input.clone(),
            given => given.value().unwrap_or_default(),
        };
        let now = self.shared.ports.clock.now();
        let (id, tenant) = (self.machine.part_id(first, now), self.lease.tenant.clone());
        let of = (&**plan, started.plan);
        let mut child =
            NewExecution::new(id, tenant, now, of, Arc::unwrap_or_clone(value), options);
        child.runs_part(part, (&given, trigger.then_some(started)));
        Ok(Ok(child))
    }

    /// What every part of a list begins with. What is large of it lies in a blob, put once.
    async fn part_of(&mut self, whole: &InstanceId) -> Result<Part, Stop> {
        if let Some(part) = self.part.take().filter(|part| part.instance == *whole) {
            self.part = Some(part.clone());
            return Ok(part);
        }
        let mut part = self.machine.part_of(whole);
        if let Some(values) = self.shared.ports.values.clone() {
            for node in &mut part.nodes {
                let Some(given @ (Given::Value(_) | Given::List(_))) = node.given() else {
                    continue;
                };
                let large = match &given {
                    Given::Value(value) => footprint(value) > SEEN_BYTES,
                    Given::List(list) => list.apart().is_empty(),
                    Given::Blob(_) | Given::Made(_) => false,
                };
                if large && let Ok(value) = given.value() {
                    let put = self
                        .put_into_blob(Given::Value(value), values.clone())
                        .await?;
                    node.gives(put);
                }
            }
        }
        self.part = Some(part.clone());
        Ok(part)
    }

    /// What the end of a child means for the list of which it ran a part.
    pub(crate) fn part_ended(&mut self, end: ChildEnd) {
        let workflow = self.machine.plan().workflow.clone();
        let error = end.error(&workflow);
        let (instance, child, status) = (end.instance, end.child, end.status);
        let outcome = match (error, end.output) {
            (Some(error), _) => Err(error),
            (None, output) => {
                let output = output.unwrap_or_default();
                let room = self.has_room_for(&instance, &output);
                room.and_then(|()| {
                    let end = serde_json::from_value::<PartEnd>(Arc::unwrap_or_clone(output));
                    end.map_err(|error| {
                        let message = format!("execution {child} gave no outcomes: {error}");
                        ActionError::fatal("PART_END", message)
                    })
                })
            }
        };
        self.tell(Event::PartEnded {
            instance,
            child,
            status,
            outcome,
        });
    }
}
