//! Calls: executions that a node of another execution has started.

use std::sync::Arc;

use nebula_action::{ActionError, ErrorClass};
use nebula_core::{Digest, ExecutionId, TenantId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Fact, Failure, InstanceId, Status, activation::there};

/// How many calls may lead to an execution, one behind the other.
pub const MAX_CALL_DEPTH: u32 = 32;

/// Who called an execution. JSON: a part of its first entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The execution whose node called it.
    pub execution: ExecutionId,
    /// Which instance of it.
    #[serde(rename = "on")]
    pub instance: InstanceId,
    /// How many calls lead here, from 1 to [`MAX_CALL_DEPTH`].
    pub depth: u32,
    /// Whether that instance waits for the end, which is delivered to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// When it is given up; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// How: a terminal status.
    pub status: Status,
    /// What it gave, if it completed.
    pub output: Option<Arc<Value>>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl End {
    /// What the last fact of a journal says; `None` if it is no end.
    #[must_use]
    pub fn of(fact: &Fact) -> Option<Self> {
        let (status, output, failure) = match fact {
            Fact::ExecutionCompleted { output } => (Status::Completed, Some(output.clone()), None),
            Fact::ExecutionFailed { error } => (Status::Failed, None, Some(error.clone())),
            Fact::ExecutionCancelled { .. } => (Status::Cancelled, None, None),
            Fact::ExecutionTimedOut => (Status::TimedOut, None, None),
            _ => return None,
        };
        Some(Self {
            status,
            output,
            failure,
        })
    }
}

/// How a child ended, as its parent learns it. JSON: the payload of an inbox item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildEnd {
    /// Which execution ended.
    pub child: ExecutionId,
    /// Which instance of the parent called it.
    #[serde(rename = "on")]
    pub instance: InstanceId,
    /// How: a terminal status.
    pub status: Status,
    /// What it gave, if it completed.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "there"
    )]
    pub output: Option<Arc<Value>>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl ChildEnd {
    /// What the end of `child` tells `parent`; `None` if the fact is no end, or nobody waits for it.
    #[must_use]
    pub fn of(child: ExecutionId, parent: &Parent, fact: &Fact) -> Option<Self> {
        let End {
            status,
            output,
            failure,
        } = End::of(fact)?;
        parent.waits.then(|| Self {
            child,
            instance: parent.instance.clone(),
            status,
            output,
            failure,
        })
    }

    /// Recognises a repetition in the inbox of the parent.
    #[must_use]
    pub fn dedupe(&self) -> String {
        format!("child:{}", self.child)
    }

    /// The failure of the node that called it; `None` if it completed. Code and class are those of
    /// the failure inside, so that `retry` and handlers treat it as one of their own.
    #[must_use]
    pub fn error(&self, workflow: &WorkflowId) -> Option<ActionError> {
        let child = self.child;
        match (self.status, &self.failure) {
            (Status::Completed, _) => None,
            (Status::Failed, Some(Failure { error, node })) => {
                let at = node.as_ref().map(|node| format!(" at `{node}`"));
                let at = at.unwrap_or_default();
                let message = format!(
                    "execution {child} of `{workflow}` failed{at}: {}",
                    error.message
                );
                let class = match &error.class {
                    // Nobody told this node to stop.
                    ErrorClass::Cancelled => ErrorClass::Fatal,
                    // What it was put off for was the child's; that it ended is a failure like others.
                    ErrorClass::Deferred { after } => ErrorClass::Retryable {
                        after: Some(*after),
                    },
                    class => class.clone(),
                };
                Some(ActionError::new(&error.code, message, class))
            }
            (Status::TimedOut, _) => {
                let message = format!("execution {child} of `{workflow}` took too long");
                Some(ActionError::new(
                    "CALL_TIMED_OUT",
                    message,
                    ErrorClass::Timeout,
                ))
            }
            (Status::Cancelled, _) => {
                let message = format!("execution {child} of `{workflow}` was cancelled");
                Some(ActionError::fatal("CALL_CANCELLED", message))
            }
            (status, _) => {
                let message = format!("execution {child} of `{workflow}` ended as {status}");
                Some(ActionError::fatal("CALL_FAILED", message))
            }
        }
    }
}

/// The id of the child that an attempt calls: of the same attempt always the same, but for the time
/// that ids begin with.
pub(crate) fn child_id(
    tenant: &TenantId,
    parent: ExecutionId,
    (instance, generation, attempt): (&InstanceId, u32, u32),
    time: Timestamp,
) -> ExecutionId {
    let digest = Digest::of_parts(&[
        b"child",
        tenant.as_str().as_bytes(),
        parent.as_bytes(),
        instance.to_string().as_bytes(),
        &generation.to_le_bytes(),
        &attempt.to_le_bytes(),
    ]);
    let mut random = [0_u8; 10];
    random.copy_from_slice(&digest.as_bytes()[..10]);
    ExecutionId::at(time, &random)
}
