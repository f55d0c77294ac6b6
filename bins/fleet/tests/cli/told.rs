//! What a worker tells of itself.

use serde_json::json;

use crate::support::Machine;

#[test]
fn a_worker_tells_its_pool_its_health_and_its_metrics() {
    let machine = Machine::new();
    machine.setting(
        "nebula-worker.toml",
        "[pool]\ngroup = \"gpu\"\ntags = [\"a100\", \"eu\"]\n",
    );
    let worker = machine.worker(&["--concurrency", "3"]);
    assert_eq!(worker.told["group"], "gpu");
    assert_eq!(worker.told["tags"], json!(["a100", "eu"]));
    assert_eq!(worker.told["executions"], 3);
    let (status, live) = worker.asks("/health/live");
    assert_eq!(status, 200);
    assert!(live.contains(env!("CARGO_PKG_VERSION")), "{live}");
    assert_eq!(worker.asks("/health/ready").0, 200);
    let (status, metrics) = worker.asks("/metrics");
    assert_eq!(status, 200);
    for name in [
        "nebula_build_info{",
        "nebula_executions_in_hand 0",
        "nebula_executions_open{",
        "nebula_queue_depth 0",
        "nebula_database_bytes ",
        "nebula_leases_granted_total 0",
        "nebula_breakers{",
        "nebula_blob_written_bytes_total 0",
    ] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    assert_eq!(worker.asks("/api/v1/executions").0, 404);
    worker.process.terminate();
    assert_eq!(worker.process.ends(), Some(0));
}
