//! The configuration: defaults, and what is refused.

use nebula_queue_memory::MemoryQueueConfig;
use serde_json::json;

#[test]
fn nothing_given_is_the_default() {
    let config: MemoryQueueConfig = serde_json::from_value(json!({})).unwrap();
    assert_eq!(config, MemoryQueueConfig::default());
    assert_eq!(
        (config.capacity.get(), config.max_deliveries.get()),
        (65_536, 16)
    );
}

#[test]
fn unknown_keys_and_zeros_are_refused() {
    for bad in [
        json!({ "capcity": 5 }),
        json!({ "capacity": 0 }),
        json!({ "max_deliveries": 0 }),
    ] {
        assert!(
            serde_json::from_value::<MemoryQueueConfig>(bad.clone()).is_err(),
            "{bad}"
        );
    }
}
