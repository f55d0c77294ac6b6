//! The configuration: defaults, and what is refused.

use nebula_queue_postgres::PostgresQueueConfig;
use serde_json::json;

#[test]
fn nothing_given_is_the_default() {
    let config: PostgresQueueConfig = serde_json::from_value(json!({})).unwrap();
    assert_eq!(config, PostgresQueueConfig::default());
    let numbers = (config.capacity.get(), config.max_deliveries.get());
    assert_eq!(
        (&*config.name, numbers, config.listen),
        ("tasks", (65_536, 16), true)
    );
}

#[test]
fn unknown_keys_and_zeros_are_refused() {
    for bad in [
        json!({ "capcity": 5 }),
        json!({ "capacity": 0 }),
        json!({ "max_deliveries": 0 }),
    ] {
        let read = serde_json::from_value::<PostgresQueueConfig>(bad.clone());
        assert!(read.is_err(), "{bad}");
    }
}
