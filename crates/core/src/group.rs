//! Which workers an execution is for.

use std::{collections::BTreeSet, fmt, str::FromStr};

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// Workers that are alike to whoever starts executions: each belongs to one or more groups, and an
/// execution is for those of one. Nothing said of it is the group `default`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Group(CompactString);

/// Why a text names no group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no group of workers: 1 to {max} small letters, digits, `-`, `_` and `.`, a letter or a digit first",
    max = Group::MAX
)]
pub struct GroupError(pub String);

impl Group {
    /// The longest name, in bytes.
    pub const MAX: usize = 48;

    const DEFAULT: &'static str = "default";

    /// The group of this name.
    ///
    /// # Errors
    /// [`GroupError`]: it is no name of a group.
    pub fn new(text: &str) -> Result<Self, GroupError> {
        let first = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = |c: u8| first(c) || matches!(c, b'-' | b'_' | b'.');
        let begins = text.bytes().next().is_some_and(first);
        match begins && text.len() <= Self::MAX && text.bytes().all(fits) {
            true => Ok(Self(text.into())),
            // What is no name may be long.
            false => Err(GroupError(text.chars().take(Self::MAX).collect())),
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the one of which nothing need be said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }
}

impl Default for Group {
    fn default() -> Self {
        Self(CompactString::const_new(Self::DEFAULT))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Group {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Self, GroupError> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = CompactString::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

/// The groups for which a worker takes executions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Groups {
    /// Whatever there is.
    #[default]
    All,
    /// These.
    Of(BTreeSet<Group>),
}

impl Groups {
    /// Whether executions for this one are among them.
    #[must_use]
    pub fn take(&self, group: &Group) -> bool {
        match self {
            Self::All => true,
            Self::Of(groups) => groups.contains(group),
        }
    }

    /// Their names, unless they are all.
    #[must_use]
    pub fn names(&self) -> Option<Vec<&str>> {
        match self {
            Self::All => None,
            Self::Of(groups) => Some(groups.iter().map(Group::as_str).collect()),
        }
    }
}

impl FromIterator<Group> for Groups {
    fn from_iter<I: IntoIterator<Item = Group>>(groups: I) -> Self {
        Self::Of(groups.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_group_is_told() {
        for name in ["default", "gpu", "eu-1.b_2", &"g".repeat(Group::MAX)] {
            assert_eq!(name.parse::<Group>().unwrap().as_str(), name);
        }
        for name in [
            "",
            "GPU",
            "-gpu",
            ".",
            "a b",
            "ü",
            &"g".repeat(Group::MAX + 1),
        ] {
            let refused = Group::new(name).unwrap_err();
            assert!(refused.0.len() <= Group::MAX, "{refused}");
        }
        assert!(serde_json::from_str::<Group>("\"G\"").is_err());
        assert!(Group::default().is_default() && Group::new("default").unwrap().is_default());
    }

    #[test]
    fn a_worker_takes_what_is_for_its_groups() {
        let (gpu, usual) = (Group::new("gpu").unwrap(), Group::default());
        assert!(Groups::default().take(&gpu) && Groups::default().take(&usual));
        let only: Groups = [gpu.clone()].into_iter().collect();
        assert!(only.take(&gpu) && !only.take(&usual));
        assert_eq!(only.names(), Some(vec!["gpu"]));
    }
}
