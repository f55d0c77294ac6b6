//! Puts settings together from layers, and knows where each value comes from.
//!
//! [`Layers`] begin with the preset's defaults; a TOML file, the environment and flags are laid on
//! top, and [`Layers::build`] gives the settings with their [`Sources`]. Start reading there.
//!
//! Does not know: which settings exist (the preset's own struct says so), the process environment
//! (it is passed in), what the settings are for.
//!
//! # Invariants
//! - A later layer wins, value by value; what it does not name stays.
//! - A key that the settings do not have is a problem, never ignored.
//! - Every value of the result has exactly one source; every problem names its own.
//! - Problems tell the kind of a wrong value, never its text.
//!
//! ```
//! use nebula_config::{Flag, Layers};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings { worker: Worker }
//!
//! #[derive(Serialize, Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Worker { concurrency: u16 }
//!
//! let defaults = Settings { worker: Worker { concurrency: 4 } };
//! let variables = [("NEBULA_WORKER__CONCURRENCY".to_owned(), "8".to_owned())];
//! let (settings, sources) = Layers::new(&defaults)
//!     .environment("NEBULA_", &["NEBULA_HOME"], variables)
//!     .build::<Settings>()?;
//! assert_eq!(settings.worker.concurrency, 8);
//! let source = sources.of("worker.concurrency").unwrap();
//! assert_eq!(source.to_string(), "environment variable NEBULA_WORKER__CONCURRENCY");
//!
//! let flag = Flag { name: "--concurency", key: "worker.concurency", value: "8".to_owned() };
//! let error = Layers::new(&defaults).flag(flag).build::<Settings>().err().unwrap();
//! assert_eq!(
//!     error.to_string(),
//!     "flag --concurency: there is no setting `worker.concurency`; did you mean `worker.concurrency`?"
//! );
//! # Ok::<(), nebula_config::ConfigError>(())
//! ```

mod file;
mod layers;
mod problem;
mod read;
mod scalar;
mod source;
mod tree;

pub use file::MAX_FILE_BYTES;
pub use layers::{Flag, Layers};
pub use problem::{ConfigError, MAX_PROBLEMS, Problem};
pub use source::{FilePlace, Source, Sources};
