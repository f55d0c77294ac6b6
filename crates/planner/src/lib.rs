//! Compiles a definition and a catalog into an execution plan.
//!
//! Everything that can be known before a run is settled here, once per version, and every problem
//! is reported at once. Start reading at [`plan`].
//!
//! Does not know: inputs, the folder of the workflow, what is granted, how anything runs.
//!
//! # Invariants
//! - The same definition, catalog and settings give the same plan.
//! - A plan that could wait for ever is refused: cycles, and joins of unequal rates.
//! - No answer depends on a race: `$nodes.x` is certainly settled before it is read, or is written `?.`.

mod build;
mod capabilities;
mod codes;
mod expressions;
mod graph;
mod literals;
mod lookup;
mod nodes;
mod partial;
mod settings;
mod unsupported;

pub use build::{Planned, plan};
pub use codes::codes;
pub use partial::more_problems;
pub use settings::PlanSettings;
