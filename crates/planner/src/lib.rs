//! Compiles a definition and a catalog into an execution plan.
//!
//! Everything that can be known before a run is settled here, once per version, and every problem
//! is reported at once. Start reading at [`plan`].
//!
//! From there: `lookup` finds what is named, `graph` settles order and rates, `loops` finds what
//! comes round, `nodes` compiles,
//! `expressions` knows what may be read where, and `codes` lists every problem. Because it knows which
//! texts are expressions, [`rename_node`] is here too.
//!
//! Does not know: inputs, the folder of the workflow, what is granted, how anything runs.
//!
//! # Invariants
//! - The same definition, catalog and settings give the same plan.
//! - A plan that could wait for ever is refused: cycles, and joins of unequal rates.
//! - No answer depends on a race: `$nodes.x` is certainly settled before it is read, or is written `?.`.
//! - One mistake is one diagnostic, and there is a plan exactly if none is an error.
//!
//! ```
//! use nebula_action::{ActionMetadata, Catalog, CatalogMiss, Effect, EffectClass, VersionWanted};
//! use nebula_core::ActionId;
//! use nebula_planner::{PlanSettings, plan};
//! use nebula_workflow::{Source, parse};
//!
//! struct One(ActionMetadata);
//!
//! impl Catalog for One {
//!     fn find(&self, id: &ActionId, _: VersionWanted) -> Result<&ActionMetadata, CatalogMiss> {
//!         if *id == self.0.id { Ok(&self.0) } else { Err(CatalogMiss::Id) }
//!     }
//!     fn ids(&self) -> Vec<&ActionId> {
//!         vec![&self.0.id]
//!     }
//! }
//!
//! let set = One(ActionMetadata::new("data.set", (1, 0), Effect::Fixed(EffectClass::Pure)));
//! let planned = |text: &str| {
//!     let definition = parse(&Source::new("greet.yaml", text)).definition.unwrap();
//!     plan(&definition, 1, &set, &PlanSettings::default())
//! };
//! let good = planned("nodes: [{ id: a, action: data.set }, { id: b, action: data.set }]");
//! assert_eq!(good.plan.unwrap().nodes[0].priority, 2);
//! let bad = planned("nodes: [{ id: a, action: data.sett }]");
//! assert_eq!(bad.diagnostics[0].code, "PLAN_UNKNOWN_ACTION");
//! assert_eq!(bad.diagnostics[0].hint.as_deref(), Some("did you mean `data.set`?"));
//! ```

mod bodies;
mod build;
mod calls;
mod cancels;
mod capabilities;
mod codes;
mod compensation;
mod credentials;
mod distribution;
mod expressions;
mod flat;
mod graph;
mod groups;
mod lists;
mod literals;
mod locks;
mod lookup;
mod loops;
mod milestones;
mod nodes;
mod partial;
mod rename;
mod settings;
mod splits;
mod trial;
mod triggers;
mod unsupported;

pub use build::{Planned, plan, plan_calling};
pub use calls::{CallMiss, CallTarget, Callee, Callees, calls, pin_calls, pin_calls_to};
pub use codes::codes;
pub use partial::more_problems;
pub use rename::{RenameError, Renamed, rename_mentions, rename_node};
pub use settings::PlanSettings;
pub use trial::{Answer, Extent, Trial, TrialError, Tried, trial};
