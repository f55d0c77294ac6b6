//! What the metrics say of what is not counted on the way, but stands somewhere.

use nebula_execution::Status;
use nebula_ports::Backlog;
use nebula_resilience::BreakerState;
use nebula_runtime::{LaneState, Worker};
use nebula_telemetry::{Reading, Value, metric};

pub(crate) fn worker(worker: &Worker, reading: &mut Reading) {
    reading.level(metric::EXECUTIONS_IN_HAND, worker.in_hand() as u64);
    reading.level(metric::EXECUTIONS_MEMORY, worker.memory() as u64);
}

/// How the gates stand before the way out over HTTP.
#[expect(clippy::cast_precision_loss, reason = "there are only so many gates")]
pub(crate) fn gates(lanes: &[LaneState], reading: &mut Reading) {
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

#[expect(clippy::cast_precision_loss, reason = "a backlog counts only so far")]
pub(crate) fn backlog(backlog: &Backlog, reading: &mut Reading) {
    for status in Status::all().filter(|status| !status.is_terminal()) {
        let open = backlog.open.get(&status).copied().unwrap_or_default();
        let level = Value::Level(open as f64);
        reading.add(metric::EXECUTIONS_OPEN, &[status.as_str()], level);
    }
    reading.level(metric::QUEUE_DEPTH, backlog.due);
    let longest = backlog.longest.unwrap_or_default().as_secs_f64();
    reading.add(metric::QUEUE_OLDEST, &[], Value::Level(longest));
}
