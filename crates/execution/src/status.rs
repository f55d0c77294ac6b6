//! Where an execution and its instances stand.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where an execution stands. JSON: snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Created; nobody has driven it yet.
    Queued,
    /// Some holder drives it, or may at once.
    Running,
    /// Nothing to do until a timer, signal, child or retry is due.
    Waiting,
    /// A person stopped it for a while.
    Paused,
    /// Completed nodes are being undone.
    Compensating,
    /// A person must decide: poison, or an effect whose outcome is unknown.
    Parked,
    /// Ended with an output.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
    /// Ended because its time was up.
    TimedOut,
}

/// Every status with its name, in order.
const NAMES: &[(Status, &str)] = &[
    (Status::Queued, "queued"),
    (Status::Running, "running"),
    (Status::Waiting, "waiting"),
    (Status::Paused, "paused"),
    (Status::Compensating, "compensating"),
    (Status::Parked, "parked"),
    (Status::Completed, "completed"),
    (Status::Failed, "failed"),
    (Status::Cancelled, "cancelled"),
    (Status::TimedOut, "timed_out"),
];

impl Status {
    /// Whether the execution has ended; there is no way out of that.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self >= Self::Completed
    }

    /// The name in JSON, in stores and on screen.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// Every status.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(status, _)| *status)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no status")]
pub struct StatusError(String);

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let found = NAMES.iter().find(|(_, name)| *name == text);
        found
            .map(|(status, _)| *status)
            .ok_or_else(|| StatusError(text.chars().take(40).collect()))
    }
}

/// Where one activation of a node stands. JSON: snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceStatus {
    /// Some input has no token yet.
    Pending,
    /// It may run.
    Ready,
    /// An attempt has begun.
    Running,
    /// A timer or a retry is due later.
    Waiting,
    /// It gave a result.
    Succeeded,
    /// It gave an error, and no retry is left.
    Failed,
    /// No live token reached it, or its `when` is false.
    Skipped,
    /// The execution ended before it did.
    Cancelled,
    /// Its effect was undone.
    Compensated,
    /// Nobody knows whether its effect happened.
    Indeterminate,
}

impl InstanceStatus {
    /// The name in JSON and on screen.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Compensated => "compensated",
            Self::Indeterminate => "indeterminate",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json_and_read_back() {
        for (index, status) in Status::all().enumerate() {
            assert_eq!(status as usize, index);
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert!("done".parse::<Status>().is_err());
    }

    #[test]
    fn four_statuses_are_final() {
        assert_eq!(
            Status::all().filter(|status| status.is_terminal()).count(),
            4
        );
    }
}
