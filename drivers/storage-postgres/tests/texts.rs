//! PostgreSQL has no text with U+0000: what has one is refused before anything is written, and nobody finds it.
#![cfg(unix)]

mod support;

use nebula_ports::{DedupeKey, ErrorKind, ExecutionFilter, ExecutionRepo, NewSignal, Signalled};
use nebula_testkit::run;
use serde_json::{Value, json};
use support::{database, execution, leased, new_execution, open, tenant};

#[test]
fn what_cannot_be_stored_is_refused_and_the_connection_goes_on() {
    let Some(address) = database() else { return };
    run(async {
        let tenant = tenant();
        let repo = open(&address, None).await;
        let key = Some(DedupeKey("a\0b".to_owned()));
        let made = repo.create(&tenant, new_execution(1), key, None).await;
        assert_eq!(made.unwrap_err().kind, ErrorKind::Invalid);

        leased(&repo, 2, 1).await;
        let signal = |kind: &str, payload: Value| NewSignal {
            kind: kind.to_owned(),
            payload,
            dedupe: DedupeKey("one".to_owned()),
        };
        let refused = repo.signal(&tenant, execution(2), signal("a\0b", json!(1)));
        assert_eq!(refused.await.unwrap_err().kind, ErrorKind::Invalid);
        // A payload is JSON, which has it as an escape.
        let sent = repo.signal(&tenant, execution(2), signal("a", json!("a\0b")));
        assert_eq!(sent.await.unwrap(), Signalled::Delivered { seq: 1 });
        let inbox = repo.inbox(&tenant, execution(2), 0, 10).await.unwrap();
        assert_eq!(inbox[0].payload, json!("a\0b"));

        let filter = ExecutionFilter {
            text: Some("\0".to_owned()),
            ..ExecutionFilter::default()
        };
        let found = repo.list(&tenant, &filter, None, 10).await.unwrap();
        assert_eq!(found.items, []);
    });
}
