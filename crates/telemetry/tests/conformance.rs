//! The rules of the port, on the broadcast of a process.

use std::sync::Arc;

use nebula_telemetry::Broadcast;
use nebula_testkit::event_sink::CAPACITY;

nebula_testkit::event_sink!(|_| async { Arc::new(Broadcast::new(CAPACITY)) as Arc<_> });
