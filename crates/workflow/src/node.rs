//! One step of a workflow.

use std::{fmt, str::FromStr, time::Duration};

use indexmap::IndexMap;
use nebula_core::{ActionId, IdError, NodeId, ParamValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{
    BareExpression, Connection, ItemsRest, JoinRule, OnError, OnIndeterminate, OnItemError,
    RetryPolicy,
};

/// One step of a workflow: an action with its parameters and how it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeDefinition {
    /// How expressions and connections refer to it; unique in the workflow, bodies included.
    pub id: NodeId,
    /// What people read instead of the id.
    pub name: Option<String>,
    /// The action it runs.
    pub action: ActionRef,
    /// What the action gets, by parameter name, in the author's order.
    pub parameters: IndexMap<String, ParamValue>,
    /// Capabilities it asks for beyond those that its literal parameters imply.
    pub requires: Vec<ParamValue>,
    /// Credential slot of the action → id of the credential.
    pub credentials: IndexMap<String, String>,
    /// A list: the action runs once per element, with `$item` and `$index`.
    pub for_each: Option<BareExpression>,
    /// Run once per element of what arrives, with `$json` = the element.
    pub each_item: bool,
    /// The most elements at a time, at least 1; default: the workflow's limit.
    pub concurrency: Option<u32>,
    /// False: the node is skipped.
    pub when: Option<BareExpression>,
    /// When it runs, if several connections end at it.
    pub join: JoinRule,
    /// Default: what the action says.
    pub retry: Option<RetryPolicy>,
    /// The longest time one attempt may take; default: what the action says.
    pub timeout: Option<Duration>,
    /// The longest silence of one attempt: one that gives no sign of life for so long has failed.
    /// Default: it may be silent.
    pub heartbeat_timeout: Option<Duration>,
    /// What its final failure means.
    pub on_error: OnError,
    /// What an unknown outcome means.
    pub on_indeterminate: OnIndeterminate,
    /// What undoes it, when the execution fails later.
    pub compensate: Option<Compensation>,
    /// Replaces the key that is derived from the instance.
    pub idempotency_key: Option<ParamValue>,
    /// It does nothing and passes `$json` on.
    pub disabled: bool,
    /// A value that stands for its output, instead of running it.
    pub pin: Option<Value>,
    /// Whether an earlier output with the same inputs may be used.
    pub cache: Option<CachePolicy>,
    /// Limits for its attempts, as written.
    pub limits: Option<Map<String, Value>>,
    /// The name under which its output is kept.
    pub artifact: Option<ArtifactDefinition>,
    /// Whether other workers may take parts of its `for_each`.
    pub distribute: bool,
    /// Labels that a worker must have to run it.
    pub runs_on: Vec<String>,
    /// True: its `for_each` or body is complete before all of it has run.
    pub complete_when: Option<BareExpression>,
    /// What then becomes of the rest.
    pub rest: Option<ItemsRest>,
    /// What the failure of one item means; default: as `on_error` says.
    pub on_item_error: Option<OnItemError>,
    /// The nodes inside a control action.
    pub body: Option<Body>,
    /// What the author wants readers to know.
    pub notes: Option<String>,
}

impl NodeDefinition {
    /// A node with every default.
    #[must_use]
    pub fn new(id: NodeId, action: ActionRef) -> Self {
        Self {
            id,
            name: None,
            action,
            parameters: IndexMap::new(),
            requires: Vec::new(),
            credentials: IndexMap::new(),
            for_each: None,
            each_item: false,
            concurrency: None,
            when: None,
            join: JoinRule::default(),
            retry: None,
            timeout: None,
            heartbeat_timeout: None,
            on_error: OnError::default(),
            on_indeterminate: OnIndeterminate::default(),
            compensate: None,
            idempotency_key: None,
            disabled: false,
            pin: None,
            cache: None,
            limits: None,
            artifact: None,
            distribute: false,
            runs_on: Vec::new(),
            complete_when: None,
            rest: None,
            on_item_error: None,
            body: None,
            notes: None,
        }
    }
}

/// Nodes and connections inside a control action.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Body {
    /// In the author's order.
    pub nodes: Vec<NodeDefinition>,
    /// Between these nodes only.
    pub connections: Vec<Connection>,
}

/// An action that undoes what a node did.
#[derive(Debug, Clone, PartialEq)]
pub struct Compensation {
    /// The action that undoes.
    pub action: ActionRef,
    /// What it gets; it sees the result of the node it undoes.
    pub parameters: IndexMap<String, ParamValue>,
    /// Capabilities it asks for beyond those that its literal parameters imply.
    pub requires: Vec<ParamValue>,
    /// Credential slot of the action → id of the credential.
    pub credentials: IndexMap<String, String>,
    /// Default: what the action says.
    pub retry: Option<RetryPolicy>,
    /// The longest time one attempt may take; default: what the action says.
    pub timeout: Option<Duration>,
}

/// When an earlier output may stand for a new one. In a definition: `true` or an object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CachePolicy {
    /// What outputs are told apart by; default: all resolved parameters.
    pub key: Option<BareExpression>,
    /// How long an output may be used; default: no limit in time.
    pub ttl: Option<Duration>,
}

/// The name under which an output is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactDefinition {
    /// What approvals and lists refer to.
    pub name: ParamValue,
    /// Tells several artifacts of one name apart.
    pub version: Option<ParamValue>,
}

/// An action and its interface version: `http.request@1.2`, `http.request@1` or `http.request`.
///
/// Text form in JSON. Without a version it means the newest when the workflow is saved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionRef {
    /// Which action.
    pub id: ActionId,
    /// Which interface of it.
    pub version: Option<ActionVersion>,
}

/// The interface version that a node names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionVersion {
    /// Interfaces of different majors do not fit each other.
    pub major: u32,
    /// At least this minor; none: the highest there is.
    pub minor: Option<u32>,
}

/// Why a text names no action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionRefError {
    /// The part before `@`.
    Id(IdError),
    /// The part after `@`, with the byte at which it begins.
    Version {
        /// Where the version begins.
        at: usize,
    },
}

impl fmt::Display for ActionRefError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(error) => error.fmt(f),
            Self::Version { .. } => {
                f.write_str("the version after `@` is not `major` or `major.minor`, such as `@1`")
            }
        }
    }
}

impl std::error::Error for ActionRefError {}

impl FromStr for ActionRef {
    type Err = ActionRefError;

    fn from_str(text: &str) -> Result<Self, ActionRefError> {
        let (id, version) = match text.split_once('@') {
            None => (text, None),
            Some((id, version)) => {
                let error = ActionRefError::Version { at: id.len() + 1 };
                (id, Some(parse_version(version).ok_or(error)?))
            }
        };
        let id = ActionId::new(id).map_err(ActionRefError::Id)?;
        Ok(Self { id, version })
    }
}

fn parse_version(text: &str) -> Option<ActionVersion> {
    // `u32::from_str` would also take a sign, and `01` would be a second spelling of 1.
    let number = |text: &str| {
        let plain =
            text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if plain { text.parse().ok() } else { None }
    };
    match text.split_once('.') {
        None => Some(ActionVersion {
            major: number(text)?,
            minor: None,
        }),
        Some((major, minor)) => Some(ActionVersion {
            major: number(major)?,
            minor: Some(number(minor)?),
        }),
    }
}

impl fmt::Display for ActionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)?;
        match self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ActionVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.major)?;
        match self.minor {
            Some(minor) => write!(f, ".{minor}"),
            None => Ok(()),
        }
    }
}

impl Serialize for ActionRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ActionRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match text.parse::<ActionRef>() {
            Ok(action) => format!(
                "{} {:?}",
                action.id,
                action.version.map(|v| (v.major, v.minor))
            ),
            Err(error) => format!("{error:?}"),
        };
        assert!(shown.starts_with(expected), "{text}: {shown}");
    }

    #[test]
    fn an_action_is_named_with_or_without_a_version() {
        check("data.set", "data.set None");
        check("data.set@1", "data.set Some((1, None))");
        check("data.set@1.20", "data.set Some((1, Some(20)))");
        for bad in ["@", "@x", "@1.", "@+1", "@01", "@1.2.3", "@99999999999"] {
            check(&format!("data.set{bad}"), "Version { at: 9 }");
        }
        check("@1", "Id(Empty");
        check("Data@1", "Id(Character");
    }
}
