//! The capabilities that one node of one execution holds.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Access, Capability};

/// A set of capabilities; empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(Vec<Capability>);

impl Grants {
    /// Grants exactly these; equal ones count once.
    #[must_use]
    pub fn new(capabilities: impl IntoIterator<Item = Capability>) -> Self {
        let mut list: Vec<_> = capabilities.into_iter().collect();
        list.sort_unstable();
        list.dedup();
        Self(list)
    }

    /// Whether some capability of the set covers `wanted`.
    #[must_use]
    pub fn allow(&self, wanted: &Capability) -> bool {
        self.0.iter().any(|held| held.covers(wanted))
    }

    /// The granted path that covers `path`; the widest one if there are several, because a grant must
    /// never be worth less beside a narrower one.
    #[must_use]
    pub fn root_for(&self, access: Access, path: &Path) -> Option<&Path> {
        let roots = self.0.iter().filter_map(|held| match held {
            Capability::File(mine, root) if *mine == access && path.starts_with(root) => {
                Some(root.as_path())
            }
            _ => None,
        });
        roots.min_by_key(|root| root.components().count())
    }

    /// What is held here and asked for there: each capability of `wanted` that `self` covers.
    #[must_use]
    pub fn narrowed_to(&self, wanted: &[Capability]) -> Self {
        Self::new(
            wanted
                .iter()
                .filter(|capability| self.allow(capability))
                .cloned(),
        )
    }

    /// The capabilities, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(texts: &[&str]) -> Grants {
        Grants::new(
            texts
                .iter()
                .map(|text| Capability::parse(text, Path::new("/")).unwrap()),
        )
    }

    #[test]
    fn nothing_is_granted_by_default() {
        assert!(!Grants::default().allow(&Capability::Blob));
    }

    #[test]
    fn a_node_gets_what_it_asks_for_within_what_is_granted() {
        let wanted: Vec<_> = grants(&["fs:read:/var/log/a", "fs:write:/etc"])
            .iter()
            .cloned()
            .collect();
        let narrowed = grants(&["fs:read:/var"]).narrowed_to(&wanted);
        assert_eq!(narrowed, grants(&["fs:read:/var/log/a"]));
        assert_eq!(
            narrowed.root_for(Access::Read, Path::new("/var/log/b")),
            None
        );
    }
}
