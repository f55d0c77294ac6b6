//! Looking actions up by name and version.

use nebula_core::ActionId;

use crate::{ActionMetadata, InterfaceVersion};

/// Which version of an action a node asks for: `@2.1`, `@2`, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VersionWanted {
    /// The major version; `None` is the newest.
    pub major: Option<u32>,
    /// The least minor version.
    pub minor: Option<u32>,
}

/// Why an action is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogMiss {
    /// No action has this id.
    Id,
    /// The action exists, but not so; these versions do.
    Version(Vec<InterfaceVersion>),
}

/// The actions that exist.
pub trait Catalog {
    /// The newest version that satisfies `wanted`: the same major, at least its minor.
    ///
    /// # Errors
    /// [`CatalogMiss`]: no such action or version.
    fn find(&self, id: &ActionId, wanted: VersionWanted) -> Result<&ActionMetadata, CatalogMiss>;

    /// Every action's id, sorted.
    fn ids(&self) -> Vec<&ActionId>;
}
