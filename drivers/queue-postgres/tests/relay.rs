//! What processes tell each other, over a real server.

mod server;

use std::sync::Arc;

use nebula_ports::{ErrorKind, Relay, RelayTopic};
use nebula_postgres::Address;
use nebula_queue_postgres::{PostgresQueueConfig, PostgresRelay};
use nebula_system::SystemClock;
use nebula_testkit::{run, servers::Postgres};
use server::{address, config};

fn relay(address: &str, config: &PostgresQueueConfig) -> Arc<dyn Relay> {
    let address = Address::parse(address, &[]).unwrap();
    let clock = Arc::new(SystemClock::default());
    Arc::new(PostgresRelay::new(address, config, clock).unwrap())
}

nebula_testkit::relay!(address().is_some(), |_| async {
    let address = address().expect("it was there before");
    relay(&address, &config(1, 1))
});

#[test]
fn those_of_another_queue_hear_nothing() {
    let Some(address) = address() else { return };
    run(async {
        let (ours, theirs) = (
            relay(&address, &config(1, 1)),
            relay(&address, &config(1, 1)),
        );
        let mut listening = ours.listen(&[RelayTopic::Halts]).await.unwrap();
        theirs.send(RelayTopic::Halts, "theirs").await.unwrap();
        ours.send(RelayTopic::Halts, "ours").await.unwrap();
        assert_eq!(listening.next().await.unwrap().1, "ours");
    });
}

#[test]
fn a_name_that_is_too_long_for_a_channel_is_refused() {
    let address = Address::parse("postgres://nobody@localhost/none", &[]).unwrap();
    let named = |length| PostgresQueueConfig {
        name: "n".repeat(length),
        ..PostgresQueueConfig::default()
    };
    let clock = Arc::new(SystemClock::default());
    let relay = |length| PostgresRelay::new(address.clone(), &named(length), clock.clone());
    assert!(relay(47).is_ok());
    let error = relay(48).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("shorten"), "{error}");
}

#[test]
fn whoever_listens_learns_that_the_server_was_away_and_it_goes_on_after_that() {
    let Some(server) = Postgres::start(&[]) else {
        return;
    };
    let database = server.database();
    run(async {
        let relay = relay(&database.address(), &config(1, 1));
        let mut listening = relay.listen(&[RelayTopic::Halts]).await.unwrap();
        relay.send(RelayTopic::Halts, "before").await.unwrap();
        assert_eq!(listening.next().await.unwrap().1, "before");
        server.end("KILL");
        assert_eq!(listening.next().await, None);
        // A process of the server may outlive its first one for a moment.
        let error = loop {
            if let Err(error) = relay.send(RelayTopic::Halts, "lost").await {
                break error;
            }
        };
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(relay.listen(&[RelayTopic::Halts]).await.is_err());
        server.go_on();
        let mut listening = relay.listen(&[RelayTopic::Halts]).await.unwrap();
        relay.send(RelayTopic::Halts, "after").await.unwrap();
        assert_eq!(listening.next().await.unwrap().1, "after");
    });
}

#[test]
fn whoever_does_not_keep_up_learns_that_something_was_missed() {
    let Some(address) = address() else { return };
    run(async {
        let relay = relay(&address, &config(1, 1));
        let mut slow = relay.listen(&[RelayTopic::Events]).await.unwrap();
        let mut quick = relay.listen(&[RelayTopic::Events]).await.unwrap();
        for n in 0..3_000 {
            relay
                .send(RelayTopic::Events, &n.to_string())
                .await
                .unwrap();
            assert_eq!(quick.next().await.unwrap().1, n.to_string());
        }
        let mut heard = 0;
        while let Some((_, message)) = slow.next().await {
            assert_eq!(message, heard.to_string());
            heard += 1;
        }
        assert!((1..3_000).contains(&heard), "{heard}");
    });
}
