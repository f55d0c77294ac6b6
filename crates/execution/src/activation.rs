//! What is known of one activation of a node.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use compact_str::CompactString;
use nebula_action::ActionError;
use nebula_core::{ExecutionId, Timestamp};
use nebula_workflow::OnItemError;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use smallvec::SmallVec;

use crate::{
    Approval, Claim, Failure, Given, InstanceStatus, ItemOutcome, List, Made, Outcomes, Stored,
    Unread,
};

/// One activation of a node: where it stands and what it gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    /// Where it stands.
    pub status: InstanceStatus,
    /// When its inputs were complete: the instance's time, `$now`.
    pub ready_at: Timestamp,
    /// When its first attempt began, as far as the journal knows.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The highest attempt number that was used.
    pub attempts: u32,
    /// How many attempts count against the retry policy.
    pub failures: u32,
    /// How many attempts ended since their worker stopped in order: no failures, and not lost either.
    #[serde(default, skip_serializing_if = "crate::state::is_zero")]
    pub drained: u32,
    /// When a retry or a timer is due.
    pub due: Option<Timestamp>,
    /// Whether `due` is the point in time that it waits for, rather than that of a retry.
    pub timer: bool,
    /// The name of the signal that it waits for; `due` is then when it gives up.
    #[serde(default)]
    pub signal: Option<CompactString>,
    /// What it asks people; `due` is then when their time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Box<Approval>>,
    /// The child that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<ExecutionId>,
    /// Until when an attempt that was started may still act outside.
    pub deadline: Option<Timestamp>,
    /// What it gave; null is a result, too.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "there"
    )]
    pub output: Option<Arc<Value>>,
    /// The same, if it is a list of more than [`LIST_SEGMENT`](crate::LIST_SEGMENT) elements;
    /// `output` is absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Arc<List>>,
    /// The same, if it lies in a blob; `output` is absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Arc<Stored>>,
    /// The same, if it was made of parts, not all of which are values; `output` is absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Arc<Made>>,
    /// The port it left by.
    pub port: Option<CompactString>,
    /// For a list: which element of the input each element came from.
    pub lineage: Option<Vec<u32>>,
    /// Its latest error.
    pub error: Option<ActionError>,
    /// The tokens that activated it: connection, and activation of the source.
    pub tokens: SmallVec<[(u32, u32); 1]>,
    /// The items of its `for_each`, from when their number is known until all have ended.
    pub items: Option<Box<Items>>,
    /// The runs of its body, if it has one that does not run once per item.
    #[serde(default)]
    pub runs: Option<Box<Runs>>,
    /// Whether it was given up before it ended, by `flow.cancel` or by a join that cancels the rest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
    /// Its claim for the slot that it holds while its body runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Box<Claim>>,
    /// Whether it waits until its milestone is reached, or will never be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heeds: bool,
}

/// The runs of a body, one after the other: a single one, or the rounds of a loop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// How many have ended.
    pub done: u32,
    /// What the last of them gave.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "there"
    )]
    pub last: Option<Arc<Value>>,
    /// The same, if it is no value; `last` is absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_given: Option<Given>,
    /// When the next may begin, if it has to wait.
    pub due: Option<Timestamp>,
    /// The failure that ended the last of them.
    pub failed: Option<Failure>,
}

impl Runs {
    /// What the last of them gave.
    #[must_use]
    pub fn given(&self) -> Option<Given> {
        let value = || self.last.clone().map(Given::Value);
        self.last_given.clone().or_else(value)
    }

    pub(crate) fn gave(&mut self, given: Given) {
        (self.last, self.last_given) = split(given);
    }
}

/// A value and what is none apart, as they are stored.
pub(crate) fn split(given: Given) -> (Option<Arc<Value>>, Option<Given>) {
    match given {
        Given::Value(value) => (Some(value), None),
        given => (None, Some(given)),
    }
}

impl Activation {
    /// An activation whose inputs are complete.
    #[must_use]
    pub(crate) fn new(
        status: InstanceStatus,
        at: Timestamp,
        tokens: SmallVec<[(u32, u32); 1]>,
    ) -> Self {
        Self {
            status,
            ready_at: at,
            started_at: None,
            ended_at: (status != InstanceStatus::Ready).then_some(at),
            attempts: 0,
            failures: 0,
            drained: 0,
            due: None,
            timer: false,
            signal: None,
            approval: None,
            child: None,
            deadline: None,
            output: None,
            list: None,
            blob: None,
            made: None,
            port: None,
            lineage: None,
            error: None,
            tokens,
            items: None,
            runs: None,
            given_up: status == InstanceStatus::Cancelled,
            claim: None,
            heeds: false,
        }
    }

    /// Whether something of it may still run: it has not ended, or items run on after it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.has_ended() || self.absorbs()
    }

    /// Whether its result has left, and items of it run on without effect.
    pub(crate) fn absorbs(&self) -> bool {
        self.items.as_ref().is_some_and(|items| items.absorbs)
    }

    /// Whether nothing more happens to it by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(
            self.status,
            InstanceStatus::Succeeded
                | InstanceStatus::Failed
                | InstanceStatus::Skipped
                | InstanceStatus::Cancelled
                | InstanceStatus::Compensated
        )
    }

    /// Gives it up: it ends at once, and this says so, unless something is under way of which the
    /// outcome must be known first.
    pub(crate) fn give_up(&mut self, at: Timestamp) -> bool {
        self.given_up = true;
        let acting = matches!(
            self.status,
            InstanceStatus::Running | InstanceStatus::Indeterminate
        );
        // A child does not outlive the one that waits for it.
        let acting = acting || self.child.is_some();
        if !acting {
            self.end(InstanceStatus::Cancelled, at);
        }
        !acting
    }

    /// It ends so: nothing wakes it any more.
    pub(crate) fn end(&mut self, status: InstanceStatus, at: Timestamp) {
        self.status = status;
        self.ended_at = Some(at);
        self.due = None;
        self.signal = None;
        self.approval = None;
        self.claim = None;
        self.heeds = false;
        self.child = None;
        self.deadline = None;
    }

    /// As whoever runs a part of a list sees it: how it ended and what it gave.
    pub(crate) fn for_a_part(&self) -> Self {
        let mut seen = self.clone();
        (seen.items, seen.runs, seen.claim) = (None, None, None);
        (seen.approval, seen.child) = (None, None);
        seen.tokens.clear();
        seen
    }

    /// What it gave is of no use.
    pub(crate) fn gives_nothing(&mut self) {
        (self.output, self.list, self.blob, self.made) = (None, None, None, None);
    }

    pub(crate) fn give(&mut self, given: Given) {
        match given {
            Given::Value(value) => self.output = Some(value),
            Given::List(list) => self.list = Some(list),
            Given::Blob(stored) => self.blob = Some(stored),
            Given::Made(made) => self.made = Some(made),
        }
    }

    /// What it gave, if it gave something.
    #[must_use]
    pub fn given(&self) -> Option<Given> {
        match (&self.list, &self.blob, &self.made) {
            (Some(list), ..) => Some(Given::List(list.clone())),
            (None, Some(stored), _) => Some(Given::Blob(stored.clone())),
            (None, None, Some(made)) => Some(Given::Made(made.clone())),
            (None, None, None) => self.output.clone().map(Given::Value),
        }
    }

    /// What its items or runs have given so far, once all of them have ended.
    #[must_use]
    pub fn gathered(&self, mode: Option<OnItemError>) -> Option<Given> {
        match (&self.items, &self.runs) {
            (Some(items), _) => Some(items.result(mode)),
            (None, Some(runs)) => Some(runs.given().unwrap_or_default()),
            (None, None) => None,
        }
    }

    /// Its error as expressions see it: `{ code, message, class }`.
    #[must_use]
    pub fn error_value(&self) -> Option<Value> {
        self.error.as_ref().map(error_value)
    }
}

/// Reads a value that is there: serde alone would take null for none.
pub(crate) fn there<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Arc<Value>>, D::Error> {
    Arc::deserialize(deserializer).map(Some)
}

/// An error as expressions and the port `error` see it: `{ code, message, class }`.
pub(crate) fn error_value(error: &ActionError) -> Value {
    json!({ "code": error.code, "message": error.message, "class": error.class.as_str() })
}

/// The items of a `for_each` activation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Items {
    /// How many there are.
    pub count: u32,
    /// How many have ended.
    pub settled: u32,
    /// What each gave that has ended, by index.
    pub outcomes: Outcomes,
    /// How many of them failed.
    #[serde(default)]
    pub errors: u32,
    /// The one that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<u32>,
    /// Whether signals may still bring more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grows: bool,
    /// What signals have brought, as long as an item of it has not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Added>,
    /// Whether it is complete before all of its items have ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enough: bool,
    /// Whether its result has left, and the rest runs on without effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absorbs: bool,
    /// Those of which the journal knows more than nothing and less than the end.
    pub open: BTreeMap<u32, OpenItem>,
    /// The first item whose failure ends the whole activation.
    pub failed: Option<(u32, ActionError)>,
    /// The parts that children run, by the index of their first items.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<u32, OpenPart>,
}

/// Neighbouring items that a child runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPart {
    /// How many items.
    pub count: u32,
    /// The child.
    pub child: ExecutionId,
}

/// What a signal brought to a list that grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Added {
    /// The index of its first element.
    pub first: u32,
    /// How many items of it have not ended.
    pub left: u32,
    /// What the signal brought.
    pub payload: Arc<Value>,
}

/// An item between its first entry and its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OpenItem {
    /// The highest attempt number that was used.
    pub attempts: u32,
    /// How many attempts count against the retry policy.
    pub failures: u32,
    /// How many attempts ended since their worker stopped in order: no failures, and not lost either.
    #[serde(default, skip_serializing_if = "crate::state::is_zero")]
    pub drained: u32,
    /// Whether an attempt was started that has not ended.
    pub running: bool,
    /// Whether nobody knows what an attempt did.
    pub indeterminate: bool,
    /// When a retry is due.
    pub due: Option<Timestamp>,
    /// Until when an attempt that was started may still act outside.
    pub deadline: Option<Timestamp>,
}

impl Items {
    pub(crate) fn new(count: u32) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    pub(crate) fn settle(&mut self, item: u32, outcome: ItemOutcome) {
        assert!(item < self.count, "there is no item {item}");
        assert!(!self.outcomes.has(item), "item {item} ends twice");
        self.errors += u32::from(matches!(outcome, ItemOutcome::Error(_)));
        self.latest = Some(item);
        self.outcomes.insert(item, outcome);
        self.settled += 1;
        self.open.remove(&item);
        if let Some(at) = self.added.iter().position(|it| it.items().contains(&item)) {
            self.added[at].left -= 1;
            if self.added[at].left == 0 {
                self.added.remove(at);
            }
        }
    }

    /// The item was stopped because the list needs it no more: it stands there as one that never ran.
    pub(crate) fn give_up(&mut self, item: u32) {
        self.open.remove(&item);
    }

    /// Whether it is known what becomes of an item: it has ended, is under way, or belongs to a part.
    fn is_known(&self, item: u32) -> bool {
        let part = self.parts.range(..=item).next_back();
        self.outcomes.has(item)
            || self.open.contains_key(&item)
            || part.is_some_and(|(from, part)| item - from < part.count)
    }

    /// Of the items from `from` on, the first of which nothing is known, and how many of these stand
    /// beside each other, up to `most`.
    pub(crate) fn uncut(&self, mut from: u32, most: u32) -> Option<Range<u32>> {
        while from < self.count && self.is_known(from) {
            let part = self.parts.range(..=from).next_back();
            let behind = part.map(|(first, part)| first.saturating_add(part.count));
            from = behind
                .filter(|behind| *behind > from)
                .unwrap_or_else(|| self.outcomes.behind(from));
        }
        let end = self.count.min(from.saturating_add(most));
        let known = (from..end).find(|item| self.is_known(*item));
        (from < self.count).then(|| from..known.unwrap_or(end))
    }

    /// Whether nothing of it starts any more.
    pub(crate) fn is_over(&self) -> bool {
        self.failed.is_some() || self.enough && !self.absorbs
    }

    /// The element that a signal has brought for an item that has not ended.
    #[must_use]
    pub fn element(&self, item: u32) -> Option<&Value> {
        let added = self
            .added
            .iter()
            .find(|added| added.items().contains(&item))?;
        elements_of(&added.payload)
            .0
            .get((item - added.first) as usize)
    }

    /// How far it is, as `complete_when` sees it: `{ total, done, succeeded, failed, last }`, where
    /// `last` is `{ index, result }` or `{ index, error }` of the item that ended last.
    ///
    /// # Errors
    /// [`Unread`]: the result of that one lies in a blob, and is not at hand.
    pub fn progress(&self) -> Result<Value, Unread> {
        let last = match self.latest.and_then(|item| self.outcomes.get(item)) {
            Some(ItemOutcome::Ok(value)) => json!({ "index": self.latest, "result": *value }),
            Some(ItemOutcome::Apart(given)) => {
                json!({ "index": self.latest, "result": *given.value()? })
            }
            Some(ItemOutcome::Error(error)) => {
                json!({ "index": self.latest, "error": error_value(&error) })
            }
            None => Value::Null,
        };
        Ok(json!({
            "total": self.count,
            "done": self.settled,
            "succeeded": self.settled - self.errors,
            "failed": self.errors,
            "last": last,
        }))
    }

    /// What the item gave that ended last.
    pub(crate) fn latest_given(&self) -> Option<Given> {
        match self.outcomes.get(self.latest?)? {
            ItemOutcome::Apart(given) => Some(given),
            ItemOutcome::Ok(_) | ItemOutcome::Error(_) => None,
        }
    }

    /// Whether every item has ended, and no more come.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.settled == self.count && !self.grows
    }

    /// The list of all results; a failed item stands as `{ "error": { code, message, class } }`.
    #[must_use]
    pub fn list(&self) -> Given {
        self.outcomes.list(self.count)
    }

    /// What the node gives, as its `on_item_error` says.
    #[must_use]
    pub fn result(&self, mode: Option<OnItemError>) -> Given {
        match mode {
            Some(OnItemError::Collect) => self.outcomes.collected(self.count),
            _ => self.list(),
        }
    }
}

impl Added {
    /// The items whose elements it brought.
    fn items(&self) -> Range<u32> {
        self.first..self.first + elements_of(&self.payload).0.len() as u32
    }
}

/// The elements that a signal brings to a list, and whether they are the last: a list is elements,
/// `{ items, last }` says both, and anything else is one element.
pub(crate) fn elements_of(payload: &Value) -> (&[Value], bool) {
    let one = (std::slice::from_ref(payload), false);
    match payload {
        Value::Array(elements) => (elements, false),
        Value::Object(fields) => {
            let known = fields.keys().all(|key| key == "items" || key == "last");
            match (fields.get("items"), fields.get("last")) {
                (Some(Value::Array(elements)), None) if known => (elements, false),
                (Some(Value::Array(elements)), Some(Value::Bool(last))) if known => {
                    (elements, *last)
                }
                (None, Some(Value::Bool(last))) if known => (&[], *last),
                _ => one,
            }
        }
        _ => one,
    }
}
