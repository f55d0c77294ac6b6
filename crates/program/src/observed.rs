//! What is read of what lies apart and of the process when somebody asks for the metrics.

use std::sync::Arc;

use async_trait::async_trait;
use nebula_memory::{CountedBlobs, Values};
use nebula_system::ProcessUse;
use nebula_telemetry::{LinesLeftOut, Reading, Source, Value, metric};

use crate::process_use;

/// All of it that a program has.
#[derive(Debug)]
pub struct Observed {
    /// Where large values lie.
    pub blobs: Option<Arc<CountedBlobs>>,
    /// Those that were used lately.
    pub values: Option<Values>,
    /// The log lines that were left out.
    pub left_out: Option<LinesLeftOut>,
    /// The version of the program.
    pub version: &'static str,
}

#[async_trait]
impl Source for Observed {
    async fn read(&self, reading: &mut Reading) {
        if let Some(blobs) = &self.blobs {
            let (written, read) = blobs.bytes();
            reading.count(metric::BLOB_BYTES_WRITTEN, written);
            reading.count(metric::BLOB_BYTES_READ, read);
        }
        if let Some(values) = &self.values {
            let (hits, misses) = values.asked();
            reading.count(metric::CACHE_HITS, hits);
            reading.count(metric::CACHE_MISSES, misses);
            reading.level(metric::CACHE_BYTES, values.bytes() as u64);
        }
        if let Some(left_out) = &self.left_out {
            left_out.read(reading).await;
        }
        let build = Value::Level(1.0);
        reading.add(metric::BUILD, &[self.version], build);
        process_use::observe(&ProcessUse::read(), reading);
    }
}
