//! Files in deliveries to webhooks: they go into blobs, and what is no such delivery is told why.

use std::time::Duration;

use http::Method;
use nebula_api::ApiConfig;
use nebula_core::{BlobId, ByteSize, TenantId};
use nebula_ports::{BlobListing, BlobStore as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{Answer, World};

/// It passes on what it was told, and the content of the photo to somebody else.
fn takes(fields: &str) -> String {
    format!(
        "id: takes\ntriggers:\n  - {{ id: hook, type: webhook, auth: none, body: multipart, {fields} }}\n\
         nodes:\n  - {{ id: a, action: data.set, parameters: {{ got: '{{{{ $trigger.body }}}}' }} }}\n\
         output: '{{{{ $nodes.a.result.got }}}}'\n"
    )
}

async fn hooked(world: &World, definition: &str) -> String {
    world.publish("takes", definition).await;
    let listed = world.get("/api/v1/workflows/takes/triggers").await.ok(200);
    listed["triggers"][0]["hook"].as_str().unwrap().to_owned()
}

/// A part: the rest of its disposition, more of its head, and its content.
fn part(disposition: &str, head: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--B\r\nContent-Disposition: form-data; {disposition}\r\n{head}\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn body(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat()[..], b"--B--\r\n"].concat()
}

const KIND: &str = "multipart/form-data; boundary=B";

async fn send(world: &World, hook: &str, kind: &str, body: Vec<u8>) -> Answer {
    let host = world.address.to_string();
    let headers = [("host", host.as_str()), ("content-type", kind)];
    world.raw(Method::POST, hook, &headers, body).await
}

/// The blobs that are there.
async fn blobs(world: &World) -> Vec<BlobId> {
    let listing = BlobListing::default();
    let page = world
        .blobs
        .list(&TenantId::local(), &listing)
        .await
        .unwrap();
    page.blobs.into_iter().map(|it| it.id).collect()
}

async fn executions(world: &World) -> Vec<Value> {
    let listed = world.get("/api/v1/executions?limit=500").await.ok(200);
    listed["executions"].as_array().unwrap().clone()
}

/// Guards: names of files are data, what is there twice is a list, an empty field for a file is null, and
/// the API gives what came, also in a retry's copy.
#[tokio::test]
async fn files_go_into_blobs_and_texts_into_what_is_told() {
    let world = World::new().await;
    let hook = hooked(&world, &takes("respond: last_node")).await;
    let large: Vec<u8> = (0..300_000_u32).map(|it| it as u8).collect();
    let evil = "name=\"photo\"; filename=\"../../etc/passwd\"";
    let sent = body(&[
        part("name=\"note\"", "", "grüße".as_bytes()),
        part(evil, "Content-Type: image/png\r\n", &large),
        part("name=\"photo\"; filename=\"b.txt\"", "", b"second\r\n--C"),
        part(
            "name=\"none\"; filename=\"\"",
            "Content-Type: application/octet-stream\r\n",
            b"",
        ),
        part("name=\"empty\"; filename=\"e\"", "", b""),
    ]);
    let got = send(&world, &hook, KIND, sent).await.ok(200);
    let named = |content: &[u8]| {
        let blob = BlobId::of(content);
        json!({ "digest": blob.digest.to_string(), "length": blob.length })
    };
    let expected = json!({
        "note": "grüße",
        "photo": [
            { "filename": "../../etc/passwd", "media": "image/png", "blob": named(&large) },
            { "filename": "b.txt", "media": null, "blob": named(b"second\r\n--C") },
        ],
        "none": null,
        "empty": { "filename": "e", "media": null, "blob": named(b"") },
    });
    assert_eq!(got, expected);
    let id = executions(&world).await[0]["execution"].clone();
    let id = id.as_str().unwrap();
    let path = format!("/api/v1/executions/{id}/blobs");
    let listed = world.get(&path).await.ok(200);
    let listed = listed["blobs"].as_array().unwrap();
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert!(
        listed
            .iter()
            .all(|it| it["kind"] == "put" && it["seq"] == 1)
    );
    let digest = BlobId::of(&large).digest;
    let downloaded = world.get(&format!("{path}/{digest}")).await;
    assert_eq!(
        (downloaded.status.as_u16(), &downloaded.body[..]),
        (200, &large[..])
    );
    assert_eq!(
        downloaded.headers["content-type"],
        "application/octet-stream"
    );
    // A restart is another execution with the same files.
    let again = world
        .post(&format!("/api/v1/executions/{id}/restart"), json!({}))
        .await;
    assert!(again.status.is_success(), "{}", again.text());
    let again = again.json()["execution"].as_str().unwrap().to_owned();
    let copied = world
        .get(&format!("/api/v1/executions/{again}/blobs/{digest}"))
        .await;
    assert_eq!(copied.status, 200);
    world.stopped().await;
}

/// What an execution was sent, its nodes read: the content goes on as the body of a request.
#[tokio::test]
async fn an_execution_reads_what_was_sent_to_it() {
    let world = World::new().await;
    let definition = "id: takes
triggers: [{ id: hook, type: webhook, auth: none, body: multipart, respond: last_node, input: { photo: '{{ $trigger.body.photo }}' } }]
nodes:
  - { id: back, action: test.put, requires: [blob], parameters: { reads: '{{ $input.photo.blob }}' } }
output: '{{ $nodes.back.result }}'
";
    let hook = hooked(&world, definition).await;
    let sent = body(&[part("name=\"photo\"; filename=\"a\"", "", b"the content")]);
    let got = send(&world, &hook, KIND, sent).await.ok(200);
    assert_eq!(got, json!({ "text": "the content" }));
    world.stopped().await;
}

/// What starts nothing, with the status and the code of its answer.
struct Refused<'r> {
    kind: &'r str,
    body: Vec<u8>,
    status: u16,
    code: &'r str,
}

#[tokio::test]
async fn what_is_malformed_or_too_much_is_refused_with_a_code_and_starts_nothing() {
    let world = World::new().await;
    let hook = hooked(&world, &takes("max_body: 3 MiB, max_file: 1 KiB")).await;
    let note = || part("name=\"note\"", "", b"x");
    let file = |bytes: usize| part("name=\"f\"; filename=\"f\"", "", &vec![7; bytes]);
    let long = "n".repeat(1_025);
    let head = format!("X-Long: {}\r\n", "h".repeat(90_000));
    let text = vec![b'x'; (1 << 20) + 1];
    let nameless = b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--\r\n";
    let wide = format!("multipart/form-data; boundary={}", "B".repeat(71));
    let of = |body: Vec<u8>, status, code| Refused {
        kind: KIND,
        body,
        status,
        code,
    };
    let typed = |kind, status, code| Refused {
        kind,
        body: body(&[note()]),
        status,
        code,
    };
    let all = [
        typed("application/json", 415, "UNSUPPORTED_MEDIA_TYPE"),
        typed("multipart/mixed; boundary=B", 415, "UNSUPPORTED_MEDIA_TYPE"),
        typed("multipart/form-data", 400, "MULTIPART_BOUNDARY"),
        typed("multipart/form-data; boundary=", 400, "MULTIPART_BOUNDARY"),
        typed(&wide, 400, "MULTIPART_BOUNDARY"),
        typed(
            "multipart/form-data; boundary=C",
            400,
            "MULTIPART_MALFORMED",
        ),
        of(Vec::new(), 400, "MULTIPART_MALFORMED"),
        of(note(), 400, "MULTIPART_MALFORMED"),
        of(file(100), 400, "MULTIPART_MALFORMED"),
        of(nameless.to_vec(), 400, "MULTIPART_MALFORMED"),
        of(
            b"--B\r\nno head at all\r\n\r\nx\r\n--B--\r\n".to_vec(),
            400,
            "MULTIPART_MALFORMED",
        ),
        of(
            body(&[part("name=\"note\"", "", &[0xff, 0xfe])]),
            400,
            "MULTIPART_MALFORMED",
        ),
        of(body(&[note(), file(1_025)]), 413, "FILE_TOO_LARGE"),
        of(body(&vec![note(); 101]), 413, "MULTIPART_LIMIT"),
        of(
            body(&[part("name=\"note\"", "", &text)]),
            413,
            "MULTIPART_LIMIT",
        ),
        of(
            body(&[part("name=\"note\"", &head, b"x")]),
            413,
            "MULTIPART_LIMIT",
        ),
        of(
            [&vec![b'p'; 90_000][..], &body(&[note()])].concat(),
            413,
            "MULTIPART_LIMIT",
        ),
        of(
            body(&[part(&format!("name=\"{long}\""), "", b"x")]),
            413,
            "MULTIPART_LIMIT",
        ),
        of(
            body(&[part(&format!("name=\"n\"; filename=\"{long}\""), "", b"x")]),
            413,
            "MULTIPART_LIMIT",
        ),
        of(body(&[file(4 << 20)]), 413, "BODY_TOO_LARGE"),
    ];
    for Refused {
        kind,
        body,
        status,
        code,
    } in all
    {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let answer = send(&world, &hook, kind, body).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{kind} {shown}: {}",
            answer.text()
        );
        answer.problem(status, code);
    }
    assert_eq!(executions(&world).await.len(), 0);
    // As many parts as may be, and a file as large as may be.
    let parts: Vec<_> = (0..99).map(|_| note()).chain([file(1_024)]).collect();
    let right = send(&world, &hook, KIND, body(&parts)).await;
    assert_eq!(right.status, 202, "{}", right.text());
    world.stopped().await;
}

/// A sender who says no length is stopped where the limit is, and the server's limit counts too.
#[tokio::test]
async fn a_giant_without_a_length_is_stopped_at_the_limit() {
    let config = ApiConfig {
        max_upload: ByteSize::kib(256),
        ..ApiConfig::default()
    };
    let world = World::with(config).await;
    let hook = hooked(&world, &takes("max_body: 1 GiB")).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST {hook} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {KIND}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let first = "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n";
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    stream.write_all(&chunk(first.as_bytes())).await.unwrap();
    let more = chunk(&[b'x'; 65_536]);
    let mut sent = 0;
    // Until the server closes the connection, or far beyond the limit.
    while sent < 64 << 20 && stream.write_all(&more).await.is_ok() {
        sent += 65_536;
    }
    assert!(sent < 64 << 20, "it took all");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    // A connection that was reset may have lost its answer.
    assert!(
        answer.is_empty() || answer.contains("BODY_TOO_LARGE"),
        "{answer}"
    );
    assert_eq!(executions(&world).await.len(), 0);
    assert_eq!(blobs(&world).await, []);
    world.stopped().await;
}

/// What breaks off, is a duplicate or is left out leaves nothing that is not collected, and what an
/// execution has stays.
#[tokio::test]
async fn what_starts_nothing_leaves_nothing_that_stays() {
    let world = World::new().await;
    let fields = "dedupe: $trigger.body.id, filter: \"$trigger.body.id != 'out'\"";
    let hook = hooked(&world, &takes(fields)).await;
    let of = |id: &str, content: &[u8]| {
        body(&[
            part("name=\"id\"", "", id.as_bytes()),
            part("name=\"f\"; filename=\"f\"", "", content),
        ])
    };
    let first = send(&world, &hook, KIND, of("1", b"first")).await.ok(202);
    let twice = send(&world, &hook, KIND, of("1", b"other")).await;
    assert_eq!(twice.headers["idempotency-replayed"], "true");
    assert_eq!(twice.ok(200)["execution"], first["execution"]);
    let left = send(&world, &hook, KIND, of("out", b"left out"))
        .await
        .ok(200);
    assert_eq!(left["execution"], Value::Null);
    // One whose second file is refused, and one that breaks off in its second.
    let mut cut = of("2", b"before the cut");
    cut.truncate(cut.len() - 5);
    send(&world, &hook, KIND, cut)
        .await
        .problem(400, "MULTIPART_MALFORMED");
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST {hook} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {KIND}\r\ncontent-length: 10000\r\n\r\n"
    );
    let part = part("name=\"f\"; filename=\"f\"", "", &[b'x'; 5_000]);
    stream
        .write_all(&[head.as_bytes(), &part].concat())
        .await
        .unwrap();
    drop(stream);
    world
        .until(first["execution"].as_str().unwrap(), "completed")
        .await;
    assert!(
        blobs(&world).await.len() >= 3,
        "the duplicate's and others are there"
    );
    // By the clock of the store, all of them are old then.
    loop {
        let collected = world.collect().await;
        assert_eq!(collected.unreadable, 0);
        if blobs(&world).await == [BlobId::of(b"first")] {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(executions(&world).await.len(), 1);
    world.stopped().await;
}

/// Whoever sends slower than `body_timeout` between two pieces is told, by the server's own clock.
#[tokio::test]
async fn a_sender_who_falls_silent_is_told() {
    let config = ApiConfig {
        body_timeout: Duration::from_millis(50),
        ..ApiConfig::default()
    };
    let world = World::with(config).await;
    let hook = hooked(&world, &takes("status: 200")).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST {hook} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {KIND}\r\ncontent-length: 10000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
        .write_all(&part("name=\"f\"; filename=\"f\"", "", b"xxx"))
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("BODY_TOO_SLOW"), "{answer}");
    assert_eq!(blobs(&world).await, []);
    world.stopped().await;
}
