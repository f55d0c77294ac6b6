//! What the metrics say of what is not counted on the way, but stands in a worker and before its way out.

use nebula_resilience::BreakerState;
use nebula_telemetry::{Reading, Value, metric};

use crate::{LaneState, PacedHttp, Worker};

impl Worker {
    /// Adds what this worker has in its hands.
    pub fn observe(&self, reading: &mut Reading) {
        reading.level(metric::EXECUTIONS_IN_HAND, self.in_hand() as u64);
        reading.level(metric::EXECUTIONS_MEMORY, self.memory() as u64);
    }
}

impl PacedHttp {
    /// Adds how the gates stand before this way out.
    pub fn observe(&self, reading: &mut Reading) {
        gates(&self.lanes(), reading);
    }

    /// Adds that there is no gate, where there is no way out.
    pub fn observe_none(reading: &mut Reading) {
        gates(&[], reading);
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are only so many gates")]
fn gates(lanes: &[LaneState], reading: &mut Reading) {
    let states = [
        (BreakerState::Closed, "closed"),
        (BreakerState::Open, "open"),
        (BreakerState::HalfOpen, "half_open"),
    ];
    for (state, name) in states {
        let found = lanes.iter().filter(|it| it.gate.breaker == Some(state));
        let level = Value::Level(found.count() as f64);
        reading.add(metric::BREAKERS, &[name], level);
    }
    let gates = || lanes.iter().map(|it| &it.gate);
    let waiting = gates().map(|it| u64::from(it.waiting)).sum();
    reading.level(metric::OUTGOING_WAITING, waiting);
    reading.count(metric::OUTGOING_PASSED, gates().map(|it| it.passed).sum());
    reading.count(metric::OUTGOING_REFUSED, gates().map(|it| it.refused).sum());
}
