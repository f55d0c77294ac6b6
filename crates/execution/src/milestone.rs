//! Where a milestone stands: whether the execution is between the ends of two nodes.

use nebula_action::PORT_MAIN;

/// Where the milestone of a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MilestoneStatus {
    /// It may still be reached.
    Ahead,
    /// It is reached, and not over.
    Holds,
    /// It is over, or will never be reached.
    Expired,
}

impl MilestoneStatus {
    /// The port by which the node leaves; `None` while it waits.
    #[must_use]
    pub fn port(self) -> Option<&'static str> {
        match self {
            Self::Ahead => None,
            Self::Holds => Some(PORT_MAIN),
            Self::Expired => Some("expired"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_leaves_once_its_milestone_is_decided() {
        use MilestoneStatus::{Ahead, Expired, Holds};
        let ports = [Ahead, Holds, Expired].map(MilestoneStatus::port);
        assert_eq!(ports, [None, Some("main"), Some("expired")]);
    }
}
