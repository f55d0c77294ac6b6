//! What an action is, takes, gives and touches.

use std::{fmt, str::FromStr, time::Duration};

use nebula_core::ActionId;
use nebula_resilience::RetryPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use crate::{Access, CredentialSlot, Effect};

/// The output port of a result.
pub const PORT_MAIN: &str = "main";
/// The output port of an error, where the node routes its errors.
pub const PORT_ERROR: &str = "error";

/// A version of an action's interface: same major, compatible. Text form: `1.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceVersion {
    /// Changes when a workflow written against it could break.
    pub major: u32,
    /// Changes when something is added.
    pub minor: u32,
}

impl fmt::Display for InterfaceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is not `major.minor`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an interface version; write major.minor, such as 1.0")]
pub struct InterfaceVersionError(String);

impl FromStr for InterfaceVersion {
    type Err = InterfaceVersionError;

    fn from_str(text: &str) -> Result<Self, InterfaceVersionError> {
        let parts = text.split_once('.').and_then(|(major, minor)| {
            Some(Self {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        });
        parts.ok_or_else(|| InterfaceVersionError(text.chars().take(40).collect()))
    }
}

impl Serialize for InterfaceVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InterfaceVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Who does the work of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Code behind the sandbox.
    Code,
    /// The machine itself.
    Control(ControlKind),
}

/// What a control action tells the machine to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlKind {
    /// One of two ports, by a condition.
    If,
    /// One of many ports, by the first condition that holds.
    Switch,
    /// Nothing, until a point in time or a signal.
    Wait,
    /// A signal to another execution.
    Signal,
    /// An event for whoever watches.
    Emit,
    /// An answer for whoever called.
    Respond,
    /// Nothing, until people have decided.
    Approval,
    /// Another workflow runs, as an execution of its own.
    Call,
    /// The node fails.
    Fail,
    /// The execution completes here.
    Stop,
    /// Other nodes are given up, or the execution is.
    Cancel,
    /// One token becomes several.
    SplitTokens,
    /// Several tokens become one.
    MergeTokens,
    /// One of two ports: whether the execution is between the ends of two nodes, once that is known.
    Milestone,
    /// The body once per element of a list.
    ForEach,
    /// The parts of a list, one after the other.
    Batches,
    /// The body again and again, while or until something holds.
    Loop,
    /// The body once, its branches side by side.
    Parallel,
    /// The body once, until its first branch has ended.
    Race,
    /// The body once, and what handles its failure.
    Try,
    /// The body once, while nobody else runs one of the same name.
    Mutex,
    /// The body once, while no more than so many run one of the same name.
    Semaphore,
}

impl ControlKind {
    /// Whether it has a body.
    #[must_use]
    pub fn has_body(self) -> bool {
        matches!(
            self,
            Self::ForEach
                | Self::Loop
                | Self::Parallel
                | Self::Race
                | Self::Try
                | Self::Mutex
                | Self::Semaphore
        )
    }
}

/// A parameter whose text is an expression without braces around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpressionMark {
    /// The parameter's name, with `/*` at the end for every value of an object: `condition`, `cases/*`.
    pub path: String,
    /// Handed to the action as a program over `$item` and `$index` rather than as a value.
    pub deferred: bool,
}

/// Which output ports a node of this action has, beside `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ports {
    /// Always the same.
    Fixed(Vec<String>),
    /// The keys of an object parameter, and one more for when none matches.
    KeysOf {
        /// The parameter.
        parameter: String,
        /// The port for when none matches.
        otherwise: String,
    },
}

/// A capability that follows from a literal parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapabilityRule {
    /// The parameter is a path that is accessed so.
    File {
        /// How.
        access: FileAccess,
        /// The parameter's name.
        parameter: String,
    },
    /// The parameter is a URL to which a request is sent.
    Url {
        /// The parameter's name.
        parameter: String,
    },
    /// The parameter is `host:port`, to which a connection is made.
    Address {
        /// The parameter's name.
        parameter: String,
    },
    /// The parameter is the path of a program that is run.
    Program {
        /// The parameter's name.
        parameter: String,
    },
}

/// [`Access`] as metadata writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAccess {
    /// See [`Access::Read`].
    Read,
    /// See [`Access::Write`].
    Write,
}

impl From<FileAccess> for Access {
    fn from(access: FileAccess) -> Self {
        match access {
            FileAccess::Read => Self::Read,
            FileAccess::Write => Self::Write,
        }
    }
}

/// A use of an action that is shown to people and run as a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// What it shows, as a sentence.
    pub title: String,
    /// The node's parameters as an author writes them.
    pub parameters: Value,
    /// `$json` at the node.
    #[serde(default)]
    pub json: Value,
    /// The result.
    pub output: Value,
    /// The port that the result leaves by.
    #[serde(default = "main_port")]
    pub port: String,
}

fn main_port() -> String {
    PORT_MAIN.to_owned()
}

/// What an action is, takes, gives and touches. Schemas drive validation, help, forms and catalog pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionMetadata {
    /// `namespace.name`.
    pub id: ActionId,
    /// The newest interface that the code offers.
    pub version: InterfaceVersion,
    /// A few words.
    pub title: String,
    /// What it does, in sentences.
    pub description: String,
    /// Who does the work.
    pub kind: ActionKind,
    /// JSON Schema of the resolved parameters.
    pub parameters: Value,
    /// Parameters that are expressions without braces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<ExpressionMark>,
    /// Parameters that have a value although the author gave none, as the author would write them:
    /// `items` is `{{ $json }}` for list actions.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub defaults: Value,
    /// JSON Schema of the result.
    pub output: Value,
    /// Names of the inputs that connections may end at.
    pub inputs: Vec<String>,
    /// Output ports, beside `error`.
    pub ports: Ports,
    /// What repeating it does outside.
    pub effect: Effect,
    /// Capabilities that its literal parameters imply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<CapabilityRule>,
    /// The credentials that it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialSlot>,
    /// Longest time for an attempt where the node says nothing.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "nebula_core::serde_duration::option"
    )]
    pub timeout: Option<Duration>,
    /// How often it is tried where the node says nothing and its effect is `read` or `idempotent`: what
    /// changes nothing by being done again, whoever the receiver is. Others are tried once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// Whether [`crate::Action::reconcile`] can find out what became of a lost attempt.
    #[serde(default)]
    pub reconciles: bool,
    /// Uses of it; each one is a test.
    pub examples: Vec<Example>,
}

impl ActionMetadata {
    /// Metadata of a pure code action with one input, the port `main` and nothing else said.
    ///
    /// # Panics
    /// If `id` is not an action id: ids of actions are constants of their authors.
    #[must_use]
    pub fn new(id: &str, version: (u32, u32), effect: Effect) -> Self {
        Self {
            id: ActionId::new(id).unwrap_or_else(|error| panic!("{id}: {error}")),
            version: InterfaceVersion {
                major: version.0,
                minor: version.1,
            },
            title: String::new(),
            description: String::new(),
            kind: ActionKind::Code,
            parameters: Value::Bool(true),
            expressions: Vec::new(),
            defaults: Value::Null,
            output: Value::Bool(true),
            inputs: vec![PORT_MAIN.to_owned()],
            ports: Ports::Fixed(vec![PORT_MAIN.to_owned()]),
            effect,
            capabilities: Vec::new(),
            credentials: Vec::new(),
            timeout: None,
            retry: None,
            reconciles: false,
            examples: Vec::new(),
        }
    }

    /// Whether its schema takes every object: then nothing has to be compiled to check parameters.
    #[must_use]
    pub fn takes_any_parameters(&self) -> bool {
        match &self.parameters {
            Value::Bool(takes) => *takes,
            Value::Object(rules) if rules.len() == 1 => {
                rules.get("type").and_then(Value::as_str) == Some("object")
            }
            Value::Object(rules) => rules.is_empty(),
            _ => false,
        }
    }
}

/// The JSON Schema (draft 2020-12) of a type, as metadata carries it.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}
