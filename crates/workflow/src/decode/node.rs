//! One node with all its fields.

use std::time::Duration;

use nebula_core::NodeId;

use super::{
    Seen,
    connections::graph,
    id_range,
    place::{Fields, Place},
};
use crate::{
    ActionRef, ActionRefError, ArtifactDefinition, Backoff, BareExpression, Body, CachePolicy,
    Compensation, ItemsRest, Jitter, JoinRest, JoinRule, NodeDefinition, OnError, OnIndeterminate,
    OnItemError, RetryPolicy, codes, fields,
    problems::{Problems, shown},
    tree::Kind,
};

/// A node, as far as it can be read.
#[derive(Debug)]
pub(super) struct Decoded<'t> {
    /// What its `id` says, also if that is not an id; `None` if there is no text.
    pub(super) raw_id: Option<&'t str>,
    pub(super) id: Option<NodeId>,
    pub(super) node: Option<NodeDefinition>,
}

pub(super) fn node<'t>(place: &Place<'t>, seen: &mut Seen, problems: &mut Problems) -> Decoded<'t> {
    let Some(fields) = place.fields(&fields::NODE, problems) else {
        return Decoded {
            raw_id: None,
            id: None,
            node: None,
        };
    };
    let (raw_id, id) = match fields.get("id") {
        Some(place) => {
            let raw = place.text("a string", problems);
            (
                raw,
                raw.and_then(|raw| node_id(&place, raw, seen, problems)),
            )
        }
        None => (None, None),
    };
    let action = fields
        .get("action")
        .and_then(|place| action(&place, problems));
    // Without an id or an action the other fields are still read, for their problems.
    let known = id.is_some() && action.is_some();
    let mut node = NodeDefinition::new(
        id.clone().unwrap_or_else(unknown_id),
        action.unwrap_or_else(unknown_action),
    );
    what(&mut node, &fields, problems);
    how(&mut node, &fields, problems);
    later(&mut node, &fields, seen, problems);
    let node = known.then_some(node);
    Decoded { raw_id, id, node }
}

fn unknown_id() -> NodeId {
    NodeId::new("unknown").expect("letters are a node id")
}

fn unknown_action() -> ActionRef {
    "unknown".parse().expect("letters are an action id")
}

/// What the node does.
fn what(node: &mut NodeDefinition, fields: &Fields<'_>, problems: &mut Problems) {
    node.name = fields.text("name", problems).map(str::to_owned);
    if let Some(place) = fields.get("parameters") {
        node.parameters = place.params(problems).unwrap_or_default();
    }
    if let Some(place) = fields.get("requires") {
        node.requires = place.templates(problems).unwrap_or_default();
    }
    if let Some(place) = fields.get("credentials") {
        node.credentials = place.text_map(problems).unwrap_or_default();
    }
    node.disabled = fields.flag("disabled", problems);
    node.pin = fields.get("pin").map(|place| place.tree.to_value());
    node.notes = fields.text("notes", problems).map(str::to_owned);
}

/// When and how often it runs.
fn how(node: &mut NodeDefinition, fields: &Fields<'_>, problems: &mut Problems) {
    node.for_each = fields.expression("for_each", problems);
    node.each_item = fields.flag("each_item", problems);
    node.concurrency = fields.count("concurrency", problems);
    node.when = fields.expression("when", problems);
    if let Some(place) = fields.get("join") {
        node.join = join(&place, problems).unwrap_or_default();
    }
    node.retry = fields
        .get("retry")
        .and_then(|place| retry(&place, problems));
    node.timeout = timeout(fields, "timeout", problems);
    node.heartbeat_timeout = timeout(fields, "heartbeat_timeout", problems);
    if let Some(place) = fields.get("on_error") {
        let [fail, next, route] = three(fields::ON_ERROR);
        let words = [
            (fail, OnError::Fail),
            (next, OnError::Continue),
            (route, OnError::Route),
        ];
        node.on_error = place.choice(&words, problems).unwrap_or_default();
    }
    if let Some(place) = fields.get("on_indeterminate") {
        let [park, fail, retry] = three(fields::ON_INDETERMINATE);
        let words = [
            (park, OnIndeterminate::Park),
            (fail, OnIndeterminate::Fail),
            (retry, OnIndeterminate::Retry),
        ];
        node.on_indeterminate = place.choice(&words, problems).unwrap_or_default();
    }
    node.idempotency_key = fields
        .get("idempotency_key")
        .filter(|place| place.text("a string", problems).is_some())
        .and_then(|place| place.param(problems));
    if let Some(place) = fields.get("complete_when") {
        node.complete_when = match place.is_number() {
            true => fields
                .count("complete_when", problems)
                .map(|count| BareExpression::new(count.to_string())),
            false => place.expression(problems),
        };
    }
    if let Some(place) = fields.get("rest") {
        let [cancel, absorb] = fields::ITEMS_RESTS else {
            unreachable!("the table has two words");
        };
        let words = [(*cancel, ItemsRest::Cancel), (*absorb, ItemsRest::Absorb)];
        node.rest = place.choice(&words, problems);
    }
    if let Some(place) = fields.get("on_item_error") {
        let [stop, next, collect] = three(fields::ON_ITEM_ERROR);
        let words = [
            (stop, OnItemError::Stop),
            (next, OnItemError::Continue),
            (collect, OnItemError::Collect),
        ];
        node.on_item_error = place.choice(&words, problems);
    }
}

/// What belongs to constructs beyond a single attempt.
fn later(node: &mut NodeDefinition, fields: &Fields<'_>, seen: &mut Seen, problems: &mut Problems) {
    node.compensate = fields
        .get("compensate")
        .and_then(|place| compensation(&place, problems));
    node.cache = fields
        .get("cache")
        .and_then(|place| cache(&place, problems));
    node.limits = fields
        .get("limits")
        .and_then(|place| place.object(problems));
    node.artifact = fields
        .get("artifact")
        .and_then(|place| artifact(&place, problems));
    node.distribute = fields.flag("distribute", problems);
    if let Some(place) = fields.get("runs_on") {
        node.runs_on = place.texts(problems).unwrap_or_default();
    }
    node.body = fields.get("body").and_then(|place| {
        let fields = place.fields(&fields::BODY, problems)?;
        let (nodes, connections) = graph(&fields, seen, problems);
        Some(Body { nodes, connections })
    });
}

fn node_id(
    place: &Place<'_>,
    text: &str,
    seen: &mut Seen,
    problems: &mut Problems,
) -> Option<NodeId> {
    let id = match NodeId::new(text) {
        Ok(id) => id,
        Err(error) => {
            let problem = place.error(codes::ID, error.to_string());
            let problem = match id_range(&error) {
                Some(range) => problem.range(range),
                None => problem,
            };
            let fixed: String = text
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect();
            problems.push(match NodeId::new(fixed.as_str()) {
                Ok(_) if fixed != text => problem.hint(format!("write `{}`", shown(&fixed))),
                _ => problem,
            });
            return None;
        }
    };
    if let Some(first) = seen.ids.get(text) {
        let message = format!("two nodes have the id `{id}`");
        let problem = place.error(codes::DUPLICATE_ID, message);
        problems.push(problem.related(first.as_str(), "first here"));
    } else {
        seen.ids.insert(text.to_owned(), place.pointer.clone());
    }
    Some(id)
}

fn action(place: &Place<'_>, problems: &mut Problems) -> Option<ActionRef> {
    let text = place.text("the name of an action", problems)?;
    match text.parse() {
        Ok(action) => Some(action),
        Err(error) => {
            let range = match &error {
                ActionRefError::Id(error) => id_range(error),
                ActionRefError::Version { at } => Some(*at..text.len()),
            };
            let problem = place.error(codes::ID, error.to_string());
            problems.push(match range.filter(|range| !range.is_empty()) {
                Some(range) => problem.range(range),
                None => problem,
            });
            None
        }
    }
}

fn timeout(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Option<Duration> {
    let timeout = fields.duration(name, problems)?;
    if timeout.is_zero()
        && let Some(place) = fields.get(name)
    {
        problems.push(place.error(codes::VALUE, "a timeout of zero leaves no time to run"));
        return None;
    }
    Some(timeout)
}

fn join(place: &Place<'_>, problems: &mut Problems) -> Option<JoinRule> {
    if let Kind::Object(_) = place.tree.kind {
        let fields = place.fields(&fields::JOIN, problems)?;
        let [absorb, block, cancel] = three(fields::RESTS);
        let words = [
            (absorb, JoinRest::Absorb),
            (block, JoinRest::Block),
            (cancel, JoinRest::Cancel),
        ];
        let rest = fields
            .get("rest")
            .and_then(|place| place.choice(&words, problems));
        return Some(JoinRule::Count {
            count: fields.count("count", problems)?,
            rest: rest.unwrap_or_default(),
        });
    }
    if let Kind::Text(_) = place.tree.kind {
        let [all, any, each] = three(fields::JOINS);
        let words = [
            (all, JoinRule::All),
            (any, JoinRule::Any),
            (each, JoinRule::Each),
        ];
        return place.choice(&words, problems);
    }
    if let Kind::Broken = place.tree.kind {
        return None;
    }
    let message = format!(
        "expected all, any, each or an object with `count`, found {}",
        place.tree.describe()
    );
    let problem = place.error(codes::TYPE, message);
    problems.push(problem.hint("write `join: all` or `join: { count: 2, rest: absorb }`"));
    None
}

fn retry(place: &Place<'_>, problems: &mut Problems) -> Option<RetryPolicy> {
    let fields = place.fields(&fields::RETRY, problems)?;
    let default = RetryPolicy::default();
    let [fixed, linear, exponential] = three(fields::BACKOFFS);
    let backoffs = [
        (fixed, Backoff::Fixed),
        (linear, Backoff::Linear),
        (exponential, Backoff::Exponential),
    ];
    let jitters = [
        (fields::JITTERS[0], Jitter::None),
        (fields::JITTERS[1], Jitter::Full),
    ];
    let attempts = fields.count("max_attempts", problems);
    let backoff = fields
        .get("backoff")
        .and_then(|place| place.choice(&backoffs, problems));
    let initial = fields
        .duration("initial", problems)
        .unwrap_or(default.initial);
    let max = fields.duration("max", problems);
    if let (Some(max), Some(place)) = (max, fields.get("max"))
        && max < initial
    {
        problems.push(
            place
                .error(
                    codes::VALUE,
                    "the longest delay is shorter than the first one",
                )
                .hint("make `max` at least as long as `initial`"),
        );
    }
    let jitter = fields
        .get("jitter")
        .and_then(|place| place.choice(&jitters, problems));
    Some(RetryPolicy {
        max_attempts: attempts.unwrap_or(default.max_attempts),
        backoff: backoff.unwrap_or_default(),
        initial,
        max: max.unwrap_or(default.max.max(initial)),
        jitter: jitter.unwrap_or_default(),
    })
}

fn compensation(place: &Place<'_>, problems: &mut Problems) -> Option<Compensation> {
    let fields = place.fields(&fields::COMPENSATION, problems)?;
    let action = fields
        .get("action")
        .and_then(|place| action(&place, problems));
    let parameters = fields
        .get("parameters")
        .and_then(|place| place.params(problems));
    let requires = fields
        .get("requires")
        .and_then(|place| place.templates(problems));
    let credentials = fields
        .get("credentials")
        .and_then(|place| place.text_map(problems));
    let retry = fields
        .get("retry")
        .and_then(|place| retry(&place, problems));
    let timeout = timeout(&fields, "timeout", problems);
    Some(Compensation {
        action: action?,
        parameters: parameters.unwrap_or_default(),
        requires: requires.unwrap_or_default(),
        credentials: credentials.unwrap_or_default(),
        retry,
        timeout,
    })
}

fn cache(place: &Place<'_>, problems: &mut Problems) -> Option<CachePolicy> {
    if let Kind::Bool(on) = place.tree.kind {
        return on.then(CachePolicy::default);
    }
    let fields = place.fields(&fields::CACHE, problems)?;
    Some(CachePolicy {
        key: fields.expression("key", problems),
        ttl: fields.duration("ttl", problems),
    })
}

fn artifact(place: &Place<'_>, problems: &mut Problems) -> Option<ArtifactDefinition> {
    let fields = place.fields(&fields::ARTIFACT, problems)?;
    let mut text = |name: &str| {
        let place = fields.get(name)?;
        place.text("a string", problems)?;
        place.param(problems)
    };
    let (name, version) = (text("name"), text("version"));
    Some(ArtifactDefinition {
        name: name?,
        version,
    })
}

/// The words of a choice, from the table that the schema is made from.
fn three(words: &'static [&'static str]) -> [&'static str; 3] {
    [words[0], words[1], words[2]]
}
