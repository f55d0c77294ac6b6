//! The action that asks how a service is.
//!
//! [`all`] gives `health.check`: over HTTP, by a connection, or by a program. Start reading at
//! [`HealthCheck`].
//!
//! Does not know: which grants a node has, how often it is asked, what follows from an answer.
//!
//! # Invariants
//! - A service that is not well is a result; an error says that nobody could ask.
//! - What was not asked is never said to be unwell.
//! - A reason names the origin, never a path, a query, a header or a body.
//!
//! ```
//! # use std::sync::Arc;
//! # use nebula_ports::{ProgramCall, ProgramEnded, ProgramError, ProgramRunner};
//! # #[derive(Debug)]
//! # struct None;
//! # #[async_trait::async_trait]
//! # impl ProgramRunner for None {
//! #     async fn run(&self, _: ProgramCall) -> Result<ProgramEnded, ProgramError> {
//! #         Err(ProgramError::Unsupported)
//! #     }
//! # }
//! # let (clock, programs) = (Arc::new(nebula_testkit::ManualClock::default()), Arc::new(None));
//! let actions = nebula_action_health::all(clock, programs, Vec::new());
//! assert_eq!(actions[0].metadata().id.as_str(), "health.check");
//! ```

mod check;
mod database;
mod http_check;
mod parameters;
mod program_check;
mod sql_check;
mod verdict;

use std::{path::PathBuf, sync::Arc};

use nebula_action::Action;
use nebula_core::Clock;
use nebula_ports::ProgramRunner;

pub use check::{DEFAULT_TIMEOUT, HealthCheck, MAX_BODY, MAX_TIMEOUT};
pub use sql_check::MAX_ROWS;

/// Every action of this crate; times come from `clock`, and databases are trusted by the certificates in these
/// files, beside those of the system.
#[must_use]
pub fn all(
    clock: Arc<dyn Clock>,
    programs: Arc<dyn ProgramRunner>,
    certificates: Vec<PathBuf>,
) -> Vec<Arc<dyn Action>> {
    let check = HealthCheck::new(clock, programs).trusting(certificates);
    vec![Arc::new(check)]
}
