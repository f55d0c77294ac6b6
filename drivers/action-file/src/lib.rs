//! Actions that read, write and list files.
//!
//! [`all`] gives `file.read`, `file.write` and `file.list`. Each asks its context for the path, opens
//! the granted root once as a directory handle and never leaves it. Start reading at [`all`].
//!
//! Does not know: which grants a node has, how they came about, what is in the files.
//!
//! # Invariants
//! - Nothing is opened outside of the granted root: no `..`, no symbolic link out, no path glued by hand.
//! - Only regular files are read and written; a FIFO or a device cannot hold an attempt up.
//! - What the engine keeps closed stays closed, also behind a symbolic link.
//! - `overwrite` is seen whole or not at all; `create` never touches a file that is there.
//!
//! ```
//! # #[derive(Debug)]
//! # struct Here;
//! # impl nebula_core::Offload for Here {
//! #     fn run(&self, job: nebula_core::Job) -> nebula_core::BoxFuture<'static, ()> {
//! #         Box::pin(async { job() })
//! #     }
//! # }
//! use std::sync::Arc;
//!
//! let actions = nebula_action_file::all(Arc::new(Here));
//! let ids: Vec<_> = actions.iter().map(|action| action.metadata().id.to_string()).collect();
//! assert_eq!(ids, ["file.list", "file.read", "file.write"]);
//! ```

mod blocking;
mod error;
mod folders;
mod glob;
mod list;
mod parameters;
mod place;
mod read;
mod write;

use std::sync::Arc;

use nebula_action::Action;
use nebula_core::Offload;

pub use folders::Folders;
pub use list::{DEFAULT_ENTRIES, FileList, MAX_ENTRIES, MAX_SCANNED};
pub use read::{DEFAULT_READ, FileRead, MAX_READ};
pub use write::{FileWrite, MAX_WRITE};

/// Every action of this crate; files are touched on the threads of `offload`.
#[must_use]
pub fn all(offload: Arc<dyn Offload>) -> Vec<Arc<dyn Action>> {
    vec![
        Arc::new(FileList::new(Arc::clone(&offload))),
        Arc::new(FileRead::new(Arc::clone(&offload))),
        Arc::new(FileWrite::new(offload)),
    ]
}
