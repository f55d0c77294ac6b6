//! Large facts in blobs: as a store, and under a collector.

mod collecting;
mod rig;
mod spilled;
mod values;
