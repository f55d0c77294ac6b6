//! Bodies that lie in blobs.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use nebula_action::{AttemptBlobs, BlobBody};
use nebula_core::{BlobId, ByteSize};

use super::*;

/// Blobs as the engine hands them to an attempt, in memory.
#[derive(Debug, Default)]
struct Kept(Mutex<BTreeMap<BlobId, Vec<u8>>>);

#[derive(Debug)]
struct Whole(Option<Bytes>);

#[async_trait]
impl BlobBody for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ActionError> {
        Ok(self.0.take())
    }
}

#[async_trait]
impl AttemptBlobs for Kept {
    async fn put(
        &self,
        content: &mut dyn BlobBody,
        max: ByteSize,
    ) -> Result<Option<BlobId>, ActionError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = content.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() as u64 > max.as_u64() {
            return Ok(None);
        }
        let id = BlobId::of(&bytes);
        self.0.lock().unwrap().insert(id, bytes);
        Ok(Some(id))
    }

    async fn open(&self, blob: BlobId) -> Result<Option<Box<dyn BlobBody>>, ActionError> {
        let bytes = self.0.lock().unwrap().get(&blob).cloned();
        Ok(bytes.map(|bytes| Box::new(Whole(Some(bytes.into()))) as Box<dyn BlobBody>))
    }
}

const BLOBS: &str = "net:api.example:443 blob";

/// A call of `http.request` with blobs at hand, and what they hold after.
fn ask(
    grants: &str,
    input: Value,
    kept: &Arc<Kept>,
    answer: impl Fn() -> ScriptedAnswer + Send + Sync + 'static,
) -> Called {
    let client = Arc::new(ScriptedHttp::new(move |_| answer()));
    let blob = grants
        .contains("blob")
        .then(|| kept.clone() as Arc<dyn AttemptBlobs>);
    let context = ActionContext {
        blobs: blob,
        ..context(&client, grants, &[])
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let result = runtime.block_on(action("http.request").execute(&context, input));
    Called {
        result: result.map(|result| result.value),
        sent: client.asked(),
    }
}

fn in_blob(content: &[u8]) -> Value {
    json!({ "blob": BlobId::of(content) })
}

/// Guards: what lies in a blob is sent as it is, with a type of its own; without the capability, or where
/// there is no such blob, nothing is sent.
#[test]
fn what_is_sent_may_lie_in_a_blob() {
    let kept = Arc::new(Kept::default());
    let empty = || Ok((200, "", String::new()));
    let id = BlobId::of(b"some bytes");
    kept.0.lock().unwrap().insert(id, b"some bytes".to_vec());
    let input = |id: BlobId| json!({ "method": "PUT", "url": "https://api.example/", "body": { "blob": id } });
    let called = ask(BLOBS, input(id), &kept, empty);
    assert_eq!(called.sent[0].body, "some bytes");
    assert_eq!(
        called.sent[0].headers["content-type"],
        "application/octet-stream"
    );
    let mut typed = input(id);
    typed["headers"] = json!({ "Content-Type": "image/png" });
    let called = ask(BLOBS, typed, &kept, empty);
    assert_eq!(called.sent[0].headers["content-type"], "image/png");

    let missing = ask(BLOBS, input(BlobId::of(b"other")), &kept, empty);
    assert_eq!(
        (code(&missing), missing.sent.len()),
        ("BLOB_MISSING fatal".to_owned(), 0)
    );
    let denied = ask(GRANT, input(id), &kept, empty);
    assert_eq!(
        (code(&denied), denied.sent.len()),
        ("CAPABILITY_DENIED denied".to_owned(), 0)
    );
    let mut wrong = input(id);
    wrong["body"]["blob"]["digest"] = json!("no digest");
    assert_eq!(
        code(&ask(BLOBS, wrong, &kept, empty)),
        "HTTP_BODY invalid_input"
    );
}

/// Guards: what is sent from memory is no larger than 16 MiB, and what is sent at all no larger than 4 GiB,
/// whatever the blob is said to be.
#[test]
fn a_large_blob_is_sent_as_a_stream_and_one_beyond_all_limits_not_at_all() {
    const MOST: usize = 16 << 20;
    let kept = Arc::new(Kept::default());
    let empty = || Ok((200, "", String::new()));
    let send = |blob: Value| {
        let input =
            json!({ "method": "PUT", "url": "https://api.example/", "body": { "blob": blob } });
        ask(BLOBS, input, &kept, empty)
    };
    for (length, in_memory) in [(MOST, MOST), (MOST + 1, 0)] {
        let content = vec![b'x'; length];
        let id = BlobId::of(&content);
        kept.0.lock().unwrap().insert(id, content);
        let called = send(json!(id));
        assert!(called.result.is_ok(), "{length}");
        assert_eq!(called.sent[0].body.len(), in_memory, "{length}");
    }
    let digest = BlobId::of(b"").digest;
    for (length, expected) in [
        (4_u64 << 30, "BLOB_MISSING fatal"),
        ((4 << 30) + 1, "HTTP_BODY invalid_input"),
    ] {
        let called = send(json!({ "digest": digest, "length": length }));
        assert_eq!((&*code(&called), called.sent.len()), (expected, 0));
    }
}

/// Guards: what is asked to be in a blob is put there, whatever its type; its limit holds; without the
/// capability nothing is sent, and what has another status is not kept.
#[test]
fn an_answer_goes_into_a_blob_where_that_is_asked() {
    let kept = Arc::new(Kept::default());
    let json = || Ok((200, "Content-Type: application/json", "[1, 2]".to_owned()));
    let input = json!({ "url": "https://api.example/", "response": "blob" });
    let called = ask(BLOBS, input.clone(), &kept, json);
    assert_eq!(called.sent[0].max_body, nebula_action_http::MAX_BLOB);
    assert_eq!(called.result.unwrap()["body"], in_blob(b"[1, 2]"));
    assert_eq!(kept.0.lock().unwrap().len(), 1);
    // An empty answer is one, too.
    let nothing = ask(BLOBS, input.clone(), &kept, || Ok((200, "", String::new())));
    assert_eq!(nothing.result.unwrap()["body"], in_blob(b""));

    kept.0.lock().unwrap().clear();
    let denied = ask(GRANT, input.clone(), &kept, json);
    assert_eq!(
        (code(&denied), denied.sent.len()),
        ("CAPABILITY_DENIED denied".to_owned(), 0)
    );
    let other = ask(BLOBS, input.clone(), &kept, || {
        Ok((404, "", "not here".to_owned()))
    });
    assert_eq!(code(&other), "HTTP_404 fatal");
    let mut small = input.clone();
    small["max_size"] = json!("5 B");
    assert_eq!(
        code(&ask(BLOBS, small, &kept, json)),
        "HTTP_TOO_LARGE limit_exceeded"
    );
    let mut large = input.clone();
    large["max_size"] = json!("5 GiB");
    assert_eq!(
        code(&ask(BLOBS, large, &kept, json)),
        "HTTP_MAX_SIZE invalid_input"
    );
    let mut pages = input;
    pages["page"] = json!({ "parameter": "p" });
    assert_eq!(
        code(&ask(BLOBS, pages, &kept, json)),
        "HTTP_PAGES invalid_input"
    );
    assert!(kept.0.lock().unwrap().is_empty());
}

/// Guards: an answer over the limit goes into a blob only with the capability, where the author does not
/// say how it is read, and where its status was expected; one within the limit stays a value.
#[test]
fn an_answer_that_is_too_large_goes_into_a_blob() {
    let kept = Arc::new(Kept::default());
    let text = |status: u16, length: usize| {
        move || Ok((status, "Content-Type: text/plain", "x".repeat(length)))
    };
    let input = json!({ "url": "https://api.example/", "max_size": "1 KiB" });
    let called = ask(BLOBS, input.clone(), &kept, text(200, 1025));
    assert_eq!(called.result.unwrap()["body"], in_blob(&[b'x'; 1025]));
    let within = ask(BLOBS, input.clone(), &kept, text(200, 1024));
    assert_eq!(within.result.unwrap()["body"], "x".repeat(1024));
    kept.0.lock().unwrap().clear();

    let limit = "HTTP_TOO_LARGE limit_exceeded";
    assert_eq!(
        code(&ask(GRANT, input.clone(), &kept, text(200, 1025))),
        limit
    );
    assert_eq!(
        code(&ask(BLOBS, input.clone(), &kept, text(500, 1025))),
        limit
    );
    let mut as_text = input;
    as_text["response"] = json!("text");
    assert_eq!(code(&ask(BLOBS, as_text, &kept, text(200, 1025))), limit);
    assert!(kept.0.lock().unwrap().is_empty());
}
