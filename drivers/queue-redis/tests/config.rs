//! The configuration: defaults, and what is refused.

use nebula_queue_redis::RedisQueueConfig;
use serde_json::json;

#[test]
fn nothing_given_is_the_default() {
    let config: RedisQueueConfig = serde_json::from_value(json!({})).unwrap();
    assert_eq!(config, RedisQueueConfig::default());
    assert_eq!(
        (
            &*config.name,
            config.capacity.get(),
            config.max_deliveries.get()
        ),
        ("tasks", 65_536, 16)
    );
}

#[test]
fn unknown_keys_and_zeros_are_refused() {
    for bad in [
        json!({ "capcity": 5 }),
        json!({ "capacity": 0 }),
        json!({ "max_deliveries": 0 }),
    ] {
        let read = serde_json::from_value::<RedisQueueConfig>(bad.clone());
        assert!(read.is_err(), "{bad}");
    }
}
