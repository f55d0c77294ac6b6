//! Actions that open, note, acknowledge and resolve incidents, and count failures.
//!
//! [`all`] gives `incident.open`, `incident.note`, `incident.acknowledge`, `incident.resolve` and
//! `incident.count`. Each does what it does once for its idempotency key. Start reading at
//! [`IncidentOpen`].
//!
//! Does not know: where incidents are kept, who looks at them, what a service is.
//!
//! # Invariants
//! - Every attempt of an instance is the same operation, so that a retry adds nothing.
//! - An incident says which workflow and execution opened it, by what the engine says of them.
//!
//! ```
//! use std::sync::Arc;
//! use nebula_testkit::{ManualClock, MemoryIncidentRepo};
//!
//! let repo = MemoryIncidentRepo::new(Arc::new(ManualClock::default()));
//! let actions = nebula_action_incident::all(Arc::new(repo));
//! let ids: Vec<_> = actions.iter().map(|action| action.metadata().id.to_string()).collect();
//! assert_eq!(
//!     ids,
//!     ["incident.acknowledge", "incident.count", "incident.note", "incident.open", "incident.resolve"]
//! );
//! ```

mod change;
mod count;
mod open;
mod operation;

use std::sync::Arc;

use nebula_action::Action;
use nebula_ports::IncidentRepo;

pub use change::{IncidentAcknowledge, IncidentNote, IncidentResolve};
pub use count::IncidentCount;
pub use open::IncidentOpen;

/// Every action of this crate, over `incidents`.
#[must_use]
pub fn all(incidents: Arc<dyn IncidentRepo>) -> Vec<Arc<dyn Action>> {
    vec![
        Arc::new(IncidentAcknowledge::new(Arc::clone(&incidents))),
        Arc::new(IncidentCount::new(Arc::clone(&incidents))),
        Arc::new(IncidentNote::new(Arc::clone(&incidents))),
        Arc::new(IncidentOpen::new(Arc::clone(&incidents))),
        Arc::new(IncidentResolve::new(incidents)),
    ]
}
