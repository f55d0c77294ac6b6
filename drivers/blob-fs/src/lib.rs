//! Blobs as files in one folder.
//!
//! [`BlobFs`] is the `BlobStore` of the desktop preset. Each blob is one file, named by its digest,
//! in a folder of its tenant; its age is the time at which the file was modified. Several processes
//! may share the folder. Start reading at [`BlobFs::open`].
//!
//! Does not know: what is in a blob, who refers to it, when it may go.
//!
//! # Invariants
//! - A file has a digest as its name only when all of its bytes are on the disk under that name.
//! - Everything below the folder is opened from a directory handle, part by part, without following
//!   a link; what is no regular file of our own alone is never read, renewed or listed.
//! - Renewing and deleting hold the lock of the shard, so that of two processes one comes first.
//!
//! ```
//! use std::sync::Arc;
//! use nebula_blob_fs::{BlobFs, BlobFsConfig};
//! use nebula_core::TenantId;
//! use nebula_ports::BlobStoreExt;
//! use nebula_testkit::{InlineOffload, ManualClock, run};
//!
//! let folder = tempfile::tempdir().unwrap();
//! let config = BlobFsConfig { path: folder.path().join("blobs"), create_folder: true };
//! run(async {
//!     let clock = Arc::new(ManualClock::default());
//!     let blobs = BlobFs::open(config, clock, Arc::new(InlineOffload)).await.unwrap();
//!     let tenant = TenantId::local();
//!     let blob = blobs.put_bytes(&tenant, b"content".as_slice().into()).await.unwrap();
//!     let read = blobs.get_bytes(&tenant, blob.id).await.unwrap();
//!     assert_eq!(read.as_deref(), Some(b"content".as_slice()));
//! });
//! ```

mod blob_store;
mod blocking;
mod config;
mod error;
mod folder;
mod incoming;
mod leftovers;
mod listing;
mod name;
mod outgoing;
mod shard;

pub use blob_store::BlobFs;
pub use config::BlobFsConfig;
