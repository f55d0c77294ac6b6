//! Who goes first where not all can go at once.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How urgent an execution is beside others of its tenant. A later one in this order goes first, but
/// not for ever: who is passed over [`Priority::patience`] times goes next.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// What may take as long as it takes.
    Lowest,
    /// What can wait.
    Low,
    /// What nothing is said of.
    #[default]
    Normal,
    /// What somebody waits for.
    High,
    /// What everything else has to wait for.
    Highest,
}

impl Priority {
    /// All of them, the least urgent first.
    pub const ALL: [Self; 5] = [
        Self::Lowest,
        Self::Low,
        Self::Normal,
        Self::High,
        Self::Highest,
    ];

    /// How often more urgent ones may go first while one of this priority waits; nobody goes before
    /// the highest. Half as often for each level: 32, 16, 8, 4.
    #[must_use]
    pub fn patience(self) -> Option<u32> {
        match self {
            Self::Lowest => Some(32),
            Self::Low => Some(16),
            Self::Normal => Some(8),
            Self::High => Some(4),
            Self::Highest => None,
        }
    }

    /// Its place in [`Priority::ALL`], as stores keep it.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// That with this place, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its name: `lowest`, `low`, `normal`, `high` or `highest`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lowest => "lowest",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Highest => "highest",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no priority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a priority is lowest, low, normal, high or highest")]
pub struct PriorityError;

impl FromStr for Priority {
    type Err = PriorityError;

    fn from_str(text: &str) -> Result<Self, PriorityError> {
        let mut all = Self::ALL.into_iter();
        all.find(|it| it.name() == text).ok_or(PriorityError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back() {
        for (number, priority) in (0..).zip(Priority::ALL) {
            assert_eq!(Priority::from_number(number), Some(priority));
            assert_eq!(priority.number(), number);
            assert_eq!(priority.to_string().parse(), Ok(priority));
            let json = serde_json::to_value(priority).unwrap();
            assert_eq!(json, priority.name());
        }
        assert_eq!(Priority::from_number(5), None);
        assert_eq!("urgent".parse::<Priority>(), Err(PriorityError));
    }
}
