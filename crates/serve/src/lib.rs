//! What every server of ours does alike: answers over HTTP, drives executions where it has a worker, does what
//! is its duty beside that, takes new settings and certificates while it runs, and ends in order.
//!
//! Start reading at [`Door::serve`].
//!
//! Does not know: any driver, which program it is part of, how its settings are read.
//!
//! # Invariants
//! - What is not encrypted can be reached from this machine alone.
//! - Settings that cannot be used are told, and those before them stay.
//! - The first signal loses nothing that is under way within its grace; the second ends at once.
//!
//! ```
//! use nebula_serve::{Door, settings::ServeSettings};
//!
//! let open = ServeSettings { listen: ([0, 0, 0, 0], 7400).into(), ..ServeSettings::default() };
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # let _within = runtime.enter();
//! assert_eq!(Door::open(&open).unwrap_err().code, "LISTEN_OPEN");
//! # Ok::<(), std::io::Error>(())
//! ```

mod duties;
mod reload;
mod serving;
pub mod settings;
mod tls_files;

pub use duties::{Duties, Share};
pub use reload::{Live, Reload};
pub use serving::{Door, Parts};
