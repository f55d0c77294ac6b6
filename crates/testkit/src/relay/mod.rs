//! The rules of [`Relay`]: what everything that carries messages between processes must prove.
//!
//! A driver's test is `nebula_testkit::relay!(HERE, |clock| async move { … })`, where the expression makes a
//! relay, as `Arc<dyn Relay>`, that nobody else uses.

use std::{future::Future, sync::Arc, time::Duration};

use nebula_ports::{ErrorKind, Listening, Relay, RelayTopic};

use crate::{ManualClock, suite::rule_table};

/// Makes one test for each rule of [`Relay`] on what the expression makes, where the first one holds.
#[macro_export]
macro_rules! relay {
    ($make:expr) => {
        $crate::relay_rules! { $crate::rule_tests, (relay, $make) }
    };
    ($there:expr, $make:expr) => {
        $crate::relay_rules! { $crate::rule_tests, (relay, $there, $make) }
    };
}

/// Hands the list of rules to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! relay_rules {
    ($then:path, $args:tt) => {
        $then! {
            $args
            a_message_reaches_everybody_who_listens,
            messages_come_in_the_order_of_their_sending,
            a_message_comes_as_it_was_sent,
            nobody_hears_what_they_do_not_listen_to,
            what_was_sent_before_is_not_heard,
            a_message_that_is_too_long_is_refused,
            it_is_no_error_that_nobody_listens,
            a_message_is_not_lost_to_a_call_that_is_given_up,
            whoever_left_holds_up_nobody,
        }
    };
}

relay_rules! { rule_table, (dyn Relay) }

type Carrier = Arc<dyn Relay>;
type NoClock = Arc<ManualClock>;

use RelayTopic::{Events, Halts, Interest};

async fn listening(relay: &Carrier, topics: &[RelayTopic]) -> Box<dyn Listening> {
    relay.listen(topics).await.expect("it can be listened to")
}

async fn send(relay: &Carrier, topic: RelayTopic, message: &str) {
    relay.send(topic, message).await.expect("it is sent");
}

/// How long a message may take that is never too late.
const PATIENCE: Duration = Duration::from_secs(5);

#[expect(
    clippy::disallowed_methods,
    reason = "a server of another process takes the time that it takes"
)]
async fn heard(listening: &mut Box<dyn Listening>) -> (RelayTopic, String) {
    let heard = tokio::time::timeout(PATIENCE, listening.next()).await;
    let heard = heard.expect("what was sent comes");
    heard.expect("nothing is missed")
}

fn said(topic: RelayTopic, message: &str) -> (RelayTopic, String) {
    (topic, message.to_owned())
}

/// Also the sender. Guard: `RelayGuard::Everybody`.
pub async fn a_message_reaches_everybody_who_listens(relay: &Carrier, _: &NoClock) {
    let mut first = listening(relay, &[Halts]).await;
    let mut second = listening(relay, &[Halts]).await;
    send(relay, Halts, "one").await;
    send(relay, Halts, "two").await;
    for it in [&mut first, &mut second] {
        assert_eq!(heard(it).await, said(Halts, "one"));
        assert_eq!(heard(it).await, said(Halts, "two"));
    }
}

/// Also over several topics. Guard: `RelayGuard::Order`.
pub async fn messages_come_in_the_order_of_their_sending(relay: &Carrier, _: &NoClock) {
    let mut all = listening(relay, &RelayTopic::ALL).await;
    let sent = [
        (Events, "1"),
        (Halts, "2"),
        (Events, "3"),
        (Interest, "4"),
        (Halts, "5"),
    ];
    for (topic, message) in sent {
        send(relay, topic, message).await;
    }
    for (topic, message) in sent {
        assert_eq!(heard(&mut all).await, said(topic, message));
    }
}

/// Whatever characters it has, up to the longest. Guard: `RelayGuard::Whole`.
pub async fn a_message_comes_as_it_was_sent(relay: &Carrier, _: &NoClock) {
    let mut all = listening(relay, &[Events]).await;
    let longest = relay.longest();
    assert!(longest >= 1_000);
    let messages = [
        "two\nlines\r\n".to_owned(),
        "it's \"quoted\" \\ and $1 %s {}".to_owned(),
        "žluťoučký kůň 🦄".to_owned(),
        "x".repeat(longest),
    ];
    for message in &messages {
        send(relay, Events, message).await;
        assert_eq!(heard(&mut all).await, said(Events, message));
    }
}

/// Topics keep apart. Guard: `RelayGuard::Topics`.
pub async fn nobody_hears_what_they_do_not_listen_to(relay: &Carrier, _: &NoClock) {
    let mut halts = listening(relay, &[Halts]).await;
    send(relay, Events, "not for it").await;
    send(relay, Interest, "nor this").await;
    send(relay, Halts, "this is").await;
    assert_eq!(heard(&mut halts).await, said(Halts, "this is"));
}

/// It begins with the call. Guard: `RelayGuard::FromNow`.
pub async fn what_was_sent_before_is_not_heard(relay: &Carrier, _: &NoClock) {
    let mut early = listening(relay, &[Halts]).await;
    send(relay, Halts, "before").await;
    assert_eq!(heard(&mut early).await, said(Halts, "before"));
    let mut late = listening(relay, &[Halts]).await;
    send(relay, Halts, "then").await;
    assert_eq!(heard(&mut late).await, said(Halts, "then"));
}

/// And nobody hears it. Guard: `RelayGuard::Longest`.
pub async fn a_message_that_is_too_long_is_refused(relay: &Carrier, _: &NoClock) {
    let mut halts = listening(relay, &[Halts]).await;
    let longer = "x".repeat(relay.longest() + 1);
    let refused = relay.send(Halts, &longer).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
    send(relay, Halts, "short").await;
    assert_eq!(heard(&mut halts).await, said(Halts, "short"));
}

/// It is lost. Guard: `RelayGuard::Alone`.
pub async fn it_is_no_error_that_nobody_listens(relay: &Carrier, _: &NoClock) {
    send(relay, Halts, "hello").await;
}

/// A `next` that is dropped before it answers takes nothing along. Guard: `RelayGuard::GivenUp`.
pub async fn a_message_is_not_lost_to_a_call_that_is_given_up(relay: &Carrier, _: &NoClock) {
    let mut halts = listening(relay, &[Halts]).await;
    let mut other = listening(relay, &[Halts]).await;
    for message in ["one", "two", "three"] {
        send(relay, Halts, message).await;
    }
    // They have come here, and so, in all likelihood, there as well.
    for message in ["one", "two", "three"] {
        assert_eq!(heard(&mut other).await, said(Halts, message));
    }
    let mut all = Vec::new();
    for _ in 0..100 {
        // One look, and away.
        let looked = tokio::select! {
            biased;
            heard = halts.next() => Some(heard.expect("nothing is missed")),
            () = std::future::ready(()) => None,
        };
        all.extend(looked.map(|(_, message)| message));
    }
    while all.len() < 3 {
        all.push(heard(&mut halts).await.1);
    }
    assert_eq!(all, ["one", "two", "three"]);
}

/// Its messages go nowhere. Guard: `RelayGuard::Leaves`.
pub async fn whoever_left_holds_up_nobody(relay: &Carrier, _: &NoClock) {
    let gone = listening(relay, &[Halts]).await;
    let mut here = listening(relay, &[Halts]).await;
    drop(gone);
    for n in 0..200 {
        let message = n.to_string();
        send(relay, Halts, &message).await;
        assert_eq!(heard(&mut here).await, said(Halts, &message));
    }
}
