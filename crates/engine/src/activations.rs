//! What nodes did, activation by activation, as reports show it.

use std::sync::Arc;

use indexmap::IndexMap;
use nebula_core::Timestamp;
use nebula_execution::{
    Activation, Entry, Fact, Given, InstanceId, InstanceStatus, Machine, OpenCompensation,
    UnparkDecision,
};
use serde_json::{Value, json};

/// How many activations of a node are shown.
const MAX_ACTIVATIONS: usize = 1_000;

/// What activations did, by the path of their node: its id behind those in whose bodies it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activations(IndexMap<String, (Vec<Value>, usize)>);

impl Activations {
    /// Keeps what the state is about to forget with this entry: the run of a body that is closed.
    pub(crate) fn keep(&mut self, machine: &Machine, entry: &Entry) {
        let instance = match &entry.fact {
            Fact::BodyClosed { instance } => instance,
            Fact::CompensationSucceeded { instance, .. } => {
                return self.compensated(machine, instance);
            }
            Fact::Unparked {
                instance: Some(instance),
                decision: UnparkDecision::Succeeded(_),
                ..
            } if machine.state().compensations().get(instance).is_some() => {
                return self.compensated(machine, instance);
            }
            _ => return,
        };
        let (plan, state) = (machine.plan(), machine.state());
        for (at, activation) in state.run(plan, instance) {
            let mut activation = activation.clone();
            if !activation.has_ended() {
                activation.status = InstanceStatus::Cancelled;
                activation.ended_at = Some(entry.at);
            }
            self.add(&state.instance(plan, at.whole()), &activation);
        }
    }

    /// The effect of an instance in a body that is closed was undone.
    fn compensated(&mut self, machine: &Machine, instance: &InstanceId) {
        let whole = instance.whole();
        let of_the_same =
            |it: &OpenCompensation| it.instance != *instance && it.instance.whole() == whole;
        let mut open = machine.state().compensations().open().iter();
        if instance.item.is_some() && open.any(of_the_same) {
            // An activation with items is undone with the last of them.
            return;
        }
        let Some((shown, _)) = self.0.get_mut(&path(instance)) else {
            return;
        };
        let whole = whole.to_string();
        let kept = shown.iter_mut().find(|it| it["instance"] == *whole);
        if let Some(kept) = kept.filter(|it| it["status"] == "succeeded") {
            kept["status"] = json!(InstanceStatus::Compensated);
        }
    }

    /// These, and what the state knows: the top level, then bodies, in the order of the plan.
    pub(crate) fn with_state(mut self, machine: &Machine) -> IndexMap<String, Vec<Value>> {
        let (plan, state) = (machine.plan(), machine.state());
        let mut top = Self::default();
        for (at, activation) in state.all() {
            let id = state.instance(plan, at.whole());
            let shown = if id.within.is_none() {
                &mut top
            } else {
                &mut self
            };
            shown.add(&id, activation);
        }
        // Runs are closed in any order; the plan has one.
        let place = |path: &String| plan.index_of(path.rsplit('/').next().unwrap_or(path));
        self.0.sort_by_cached_key(|path, _| place(path));
        let all = top.0.into_iter().chain(self.0);
        let lists = all.map(|(id, (mut shown, more))| {
            if more > 0 {
                shown.push(json!({ "truncated": more }));
            }
            (id, shown)
        });
        lists.collect()
    }

    /// Shows one, if its node has not too many.
    fn add(&mut self, instance: &InstanceId, activation: &Activation) {
        let (shown, more) = self.0.entry(path(instance)).or_default();
        if shown.len() == MAX_ACTIVATIONS {
            *more += 1;
            return;
        }
        // In a body, the numbers of one run say little: what counts is which run it was.
        let inside = instance.within.is_some();
        let number = if inside {
            shown.len() as u32 + 1
        } else {
            instance.activation
        };
        let mut json = activation_json(number, activation);
        if inside {
            json["instance"] = Value::String(instance.to_string());
        }
        shown.push(json);
    }
}

/// The path of an instance's node: its id behind those in whose bodies it stands.
fn path(instance: &InstanceId) -> String {
    let outer = instance.enclosing().map(|outer| outer.node.as_str());
    let mut ids: Vec<_> = outer.collect();
    ids.reverse();
    ids.push(instance.node.as_str());
    ids.join("/")
}

fn activation_json(number: u32, activation: &Activation) -> Value {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let mut unreadable = None;
    let (output, more) = match activation.given() {
        None => (None, 0),
        Some(Given::Value(value)) => (Some(value), 0),
        Some(given @ (Given::Blob(_) | Given::Made(_))) => match given.value() {
            Ok(value) => (Some(value), 0),
            Err(why) => {
                unreadable = Some(why.to_string());
                (None, 0)
            }
        },
        Some(Given::List(list)) => {
            let first = list.segment(0);
            let more = list.len() - first.len();
            (Some(Arc::new(Value::Array(first))), more)
        }
    };
    let mut shown = json!({
        "activation": number,
        "status": activation.status,
        "port": activation.port,
        "output": output,
        "attempts": activation.attempts,
        "started_at": time(activation.started_at),
        "ended_at": time(activation.ended_at),
    });
    if more > 0 {
        shown["output_truncated"] = json!(more);
    }
    if let Some(why) = unreadable {
        shown["output_unreadable"] = Value::String(why);
    }
    if let Some(error) = activation.error_value() {
        shown["error"] = error;
    }
    if let Some(items) = &activation.items {
        shown["items"] = json!({ "count": items.count, "settled": items.settled });
    }
    shown
}
