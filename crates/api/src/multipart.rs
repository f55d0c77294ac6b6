//! Deliveries of `multipart/form-data` (RFC 7578): texts go into `$trigger`, files into blobs, piece by piece as
//! they come. What a caller calls a file is told and used for nothing: a blob is named by its digest.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{StatusCode, header};
use hyper::body::Body as _;
use multer::{Field, Multipart};
use nebula_core::{BlobId, ByteSize, Clock, TenantId};
use nebula_ports::{BlobPut, BlobStore, BlobStream, ErrorKind, PortError};
use nebula_trigger::Webhook;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::{
    api::Inner,
    extract::{media_type, unsupported},
    problem::Problem,
};

/// The most parts of a delivery.
pub(crate) const MAX_PARTS: usize = 100;

/// The most bytes of all its texts together: they are in memory, and in the journal.
pub(crate) const MAX_TEXT: ByteSize = ByteSize::mib(1);

/// The longest name of a field, or of a file, in bytes.
const MAX_NAME: usize = 1_024;

/// How much may come that is neither text nor file: the head of a part, or what stands before the first one.
const MAX_HEAD: usize = 64 << 10;

/// In which pieces a body is looked at.
const PIECE: usize = 16 << 10;

/// How long all of a delivery may take to arrive; between two pieces it is `body_timeout` of the server.
const MAX_TIME: Duration = Duration::from_secs(600);

const WANTED: &str = "multipart/form-data";

/// The longest boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY: usize = 70;

fn malformed(what: impl Into<String>) -> Problem {
    Problem::bad("MULTIPART_MALFORMED", what)
        .hint("nothing was started; send what RFC 7578 describes, as browsers and `curl --form` do")
}

fn too_much(what: impl Into<String>) -> Problem {
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Problem::new(status, "MULTIPART_LIMIT", what).hint("nothing was started; send less at a time")
}

fn slow(after: Duration) -> Problem {
    let after = nebula_core::duration_text(after);
    let message = format!("the body had not arrived after {after}");
    Problem::new(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", message)
}

/// A name for a message: what a caller has written, and not too much of it.
fn shown(name: &str) -> String {
    name.chars().take(60).collect()
}

/// Why a body goes on no further, as the one who reads its parts is told.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the body broke off: {0}")]
    Cut(String),
    #[error("too large")]
    TooLarge,
    #[error("no end of a head")]
    Head,
}

/// A body in small pieces, one for each look: whoever reads parts takes all that there is otherwise, and a
/// fast sender would fill the memory. It counts what came since a part or some of its content was found.
struct Pieces {
    body: Body,
    rest: Bytes,
    gave: bool,
    left: u64,
    held: Arc<AtomicUsize>,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Broken>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.gave) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while this.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(Broken::Cut(error.to_string())))),
            };
            this.rest = frame.into_data().unwrap_or_default();
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        let Some(left) = this.left.checked_sub(piece.len() as u64) else {
            return Poll::Ready(Some(Err(Broken::TooLarge)));
        };
        this.left = left;
        this.gave = true;
        let held = this.held.fetch_add(piece.len(), Relaxed) + piece.len();
        Poll::Ready(Some(match held > MAX_HEAD + PIECE {
            true => Err(Broken::Head),
            false => Ok(piece),
        }))
    }
}

/// What reads a delivery: its parts, and what may become of them.
struct Reading<'r> {
    clock: &'r Arc<dyn Clock>,
    /// Between two pieces.
    idle: Duration,
    max_body: ByteSize,
    max_file: ByteSize,
    held: Arc<AtomicUsize>,
    texts: u64,
}

/// The value of a delivery, by the names of its fields, and the blobs of its files. A text is a text, a file
/// `{ filename, media, blob: { digest, length } }`, and what is there several times is a list.
///
/// What is refused leaves at most blobs that no execution names.
pub(crate) async fn read(
    shared: &Inner,
    tenant: &TenantId,
    hook: &Webhook,
    request: Request,
) -> Result<(Value, Vec<BlobId>), Problem> {
    let media = media_type(request.headers());
    if media.as_deref() != Some(WANTED) {
        return Err(unsupported(media.as_deref(), WANTED));
    }
    let Some(store) = shared.nebula.engine().blobs() else {
        let message = "this server keeps no blobs, so it takes no files";
        return Err(
            Problem::new(StatusCode::NOT_IMPLEMENTED, "NO_BLOBS", message)
                .hint("have whoever runs it add a store of blobs"),
        );
    };
    let boundary = boundary(&request)?;
    let config = shared.config();
    let mut reading = Reading {
        clock: &shared.clock,
        idle: config.body_timeout,
        max_body: hook.max_body.min(config.max_upload),
        max_file: hook.max_file,
        held: Arc::default(),
        texts: 0,
    };
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|said| said.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| said > reading.max_body.as_u64()) {
        return Err(reading.too_large());
    }
    let pieces = Pieces {
        body: request.into_body(),
        rest: Bytes::new(),
        gave: false,
        left: reading.max_body.as_u64(),
        held: Arc::clone(&reading.held),
    };
    let parts = Multipart::new(pieces, boundary);
    let clock = &shared.clock;
    tokio::select! {
        biased;
        read = reading.parts(parts, (&**store, tenant)) => read,
        () = clock.sleep(MAX_TIME) => Err(slow(MAX_TIME)),
    }
}

/// What stands between the parts.
fn boundary(request: &Request) -> Result<String, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let found = multer::parse_boundary(kind).ok();
    let fits = found.filter(|it| !it.is_empty() && it.len() <= MAX_BOUNDARY);
    fits.ok_or_else(|| {
        let message =
            format!("its Content-Type has no `boundary` of 1 to {MAX_BOUNDARY} characters");
        Problem::bad("MULTIPART_BOUNDARY", message)
            .hint("let your HTTP library write the Content-Type, which knows the boundary")
    })
}

impl Reading<'_> {
    async fn parts(
        &mut self,
        mut parts: Multipart<'static>,
        (store, tenant): (&dyn BlobStore, &TenantId),
    ) -> Result<(Value, Vec<BlobId>), Problem> {
        let (mut all, mut blobs) = (Map::new(), Vec::new());
        let mut count = 0;
        while let Some(part) = self.next(&mut parts).await? {
            count += 1;
            if count > MAX_PARTS {
                return Err(too_much(format!("there are more than {MAX_PARTS} parts")));
            }
            let Some(name) = part.name().map(str::to_owned) else {
                return Err(malformed(format!("part {count} has no name")));
            };
            let filename = part.file_name().map(str::to_owned);
            let long = |it: &str| it.len() > MAX_NAME;
            if long(&name) || filename.as_deref().is_some_and(long) {
                let message = format!("a name in part {count} has more than {MAX_NAME} bytes");
                return Err(too_much(message));
            }
            let value = match filename {
                None => Value::from(self.text(part, &name).await?),
                Some(filename) => {
                    let media = part.content_type().map(ToString::to_string);
                    let blob = self.file(part, &name, (store, tenant)).await?;
                    match filename.is_empty() && blob.length == 0 {
                        // A page whose field for a file was left empty.
                        true => Value::Null,
                        false => {
                            blobs.push(blob);
                            let named =
                                json!({ "digest": blob.digest.to_string(), "length": blob.length });
                            json!({ "filename": filename, "media": media, "blob": named })
                        }
                    }
                }
            };
            match all.get_mut(&name) {
                None => drop(all.insert(name, value)),
                Some(Value::Array(list)) => list.push(value),
                Some(one) => {
                    let first = one.take();
                    *one = Value::Array(vec![first, value]);
                }
            }
        }
        Ok((Value::Object(all), blobs))
    }

    fn too_large(&self) -> Problem {
        let message = format!("the body is larger than {}", self.max_body);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", message).hint(
            "send less, or have `max_body` of the trigger or `max_upload` of the server raised",
        )
    }

    /// What a reader of parts complains about.
    fn problem(&self, error: &multer::Error) -> Problem {
        match error {
            multer::Error::StreamReadFailed(inner) => match inner.downcast_ref::<Broken>() {
                Some(Broken::TooLarge) => self.too_large(),
                Some(Broken::Head) => too_much(format!(
                    "the head of a part, or what stands before the first one, is larger than {MAX_HEAD} bytes"
                )),
                Some(cut @ Broken::Cut(_)) => Problem::bad("BODY_CUT", cut.to_string()),
                None => malformed("it cannot be read"),
            },
            multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
                malformed("it ends before its last boundary, or has another boundary than it says")
            }
            multer::Error::ReadHeaderFailed(_) | multer::Error::IncompleteHeaders => {
                malformed("the head of a part is none")
            }
            _ => malformed("a part cannot be read"),
        }
    }

    async fn within<T>(
        &self,
        next: impl Future<Output = Result<T, multer::Error>>,
    ) -> Result<T, Problem> {
        let found = tokio::select! {
            biased;
            found = next => found.map_err(|error| self.problem(&error)),
            () = self.clock.sleep(self.idle) => Err(slow(self.idle)),
        };
        self.held.store(0, Relaxed);
        found
    }

    async fn next(
        &self,
        parts: &mut Multipart<'static>,
    ) -> Result<Option<Field<'static>>, Problem> {
        self.within(parts.next_field()).await
    }

    async fn text(&mut self, mut part: Field<'static>, name: &str) -> Result<String, Problem> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.within(part.chunk()).await? {
            self.texts += piece.len() as u64;
            if self.texts > MAX_TEXT.as_u64() {
                return Err(too_much(format!(
                    "all texts together are larger than {MAX_TEXT}"
                )));
            }
            bytes.extend_from_slice(&piece);
        }
        String::from_utf8(bytes).map_err(|_| {
            let name = shown(name);
            malformed(format!(
                "`{name}` is no text in UTF-8, and has no `filename`"
            ))
        })
    }

    /// A file on its way into a blob. The store is told of a failure, and the caller of what it was.
    async fn file(
        &self,
        part: Field<'static>,
        name: &str,
        (store, tenant): (&dyn BlobStore, &TenantId),
    ) -> Result<BlobId, Problem> {
        let failed: Mutex<Option<Problem>> = Mutex::new(None);
        let content: BlobStream<'_> = stream::unfold(Some(part), |part| async {
            let mut part = part?;
            match self.within(part.chunk()).await {
                Ok(piece) => piece.map(|piece| (Ok(piece), Some(part))),
                Err(problem) => {
                    let (driver, doing) = ("multipart", "read a file");
                    let kind = ErrorKind::Unavailable;
                    let error = PortError::new(kind, driver, doing, problem.detail());
                    *failed.lock() = Some(problem);
                    Some((Err(error), None))
                }
            }
        })
        .boxed();
        let put = store.put(tenant, content, self.max_file).await;
        if let Some(problem) = failed.lock().take() {
            return Err(problem);
        }
        match put? {
            BlobPut::Stored(blob) | BlobPut::Known(blob) => Ok(blob.id),
            BlobPut::TooLarge => {
                let (name, most) = (shown(name), self.max_file);
                let message = format!("the file in `{name}` is larger than {most}");
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                Err(Problem::new(status, "FILE_TOO_LARGE", message)
                    .hint("send less, or have `max_file` of the trigger raised"))
            }
        }
    }
}
