//! What processes tell each other, over a real server.

mod server;

use std::sync::Arc;

use nebula_core::SecretString;
use nebula_ports::{ErrorKind, Relay, RelayTopic};
use nebula_queue_redis::{RedisQueueConfig, RedisRelay, RedisServer};
use nebula_system::SystemClock;
use nebula_testkit::{run, servers::Redis};
use server::{SERVER, config};

fn relay(server: &Redis, config: &RedisQueueConfig) -> Arc<dyn Relay> {
    let at = RedisServer::at(&SecretString::from(server.address())).unwrap();
    let clock = Arc::new(SystemClock::default());
    Arc::new(RedisRelay::new(at, config, clock).unwrap())
}

nebula_testkit::relay!(SERVER.get().is_some(), |_| async {
    relay(SERVER.get().expect("it was there before"), &config(1, 1))
});

#[test]
fn those_of_another_queue_hear_nothing() {
    let Some(server) = SERVER.get() else { return };
    run(async {
        let (ours, theirs) = (relay(server, &config(1, 1)), relay(server, &config(1, 1)));
        let mut listening = ours.listen(&[RelayTopic::Halts]).await.unwrap();
        theirs.send(RelayTopic::Halts, "theirs").await.unwrap();
        ours.send(RelayTopic::Halts, "ours").await.unwrap();
        assert_eq!(listening.next().await.unwrap().1, "ours");
    });
}

#[test]
fn whoever_listens_learns_that_the_server_was_away_and_it_goes_on_after_that() {
    let Some(server) = Redis::start(&[]) else {
        return;
    };
    run(async {
        let relay = relay(&server, &config(1, 1));
        let mut listening = relay.listen(&[RelayTopic::Halts]).await.unwrap();
        relay.send(RelayTopic::Halts, "before").await.unwrap();
        assert_eq!(listening.next().await.unwrap().1, "before");
        server.end("KILL");
        assert_eq!(listening.next().await, None);
        let error = relay.send(RelayTopic::Halts, "lost").await.unwrap_err();
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
    let Some(server) = SERVER.get() else { return };
    run(async {
        let relay = relay(server, &config(1, 1));
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
