//! Blobs for attempts: of their tenant, those that their parameters name, and without the secrets that they
//! use.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nebula_action::{ActionError, AttemptBlobs, BlobBody, Capability, ErrorClass, Grants};
use nebula_core::{BlobId, ByteSize, Digest, TenantId};
use nebula_credential::Redactor;
use nebula_ports::{BlobPut, BlobRead, BlobStore, ErrorKind, PortError};
use serde_json::Value;

use crate::{drive::Drive, sync::Mutex};

/// How much of content is searched for secrets: it is held in memory for that.
const MAX_SEARCHED: ByteSize = ByteSize::mib(64);

/// The most blobs that one attempt puts: each is named in the journal.
pub(crate) const MAX_BLOBS_PUT: usize = 1_000;

/// What an attempt has put so far.
pub(crate) type Put = Arc<Mutex<Vec<BlobId>>>;

/// The blobs of one tenant, as one attempt may use them.
#[derive(Debug, Clone)]
struct TenantBlobs {
    store: Arc<dyn BlobStore>,
    tenant: TenantId,
    /// What the parameters of the attempt name.
    named: BTreeSet<Digest>,
    put: Put,
}

/// The same for an attempt that uses secrets.
#[derive(Debug)]
struct Searched {
    blobs: Arc<dyn AttemptBlobs>,
    secrets: Arc<Redactor>,
}

impl Drive {
    /// The blobs that an attempt under these grants and with these parameters may use, and where it is noted
    /// what it puts.
    pub(crate) fn blobs(
        &self,
        grants: &Grants,
        input: &Value,
    ) -> Option<(Arc<dyn AttemptBlobs>, Put)> {
        let values = self.shared.ports.values.as_ref()?;
        grants.allow(&Capability::Blob).then(|| {
            let put = Put::default();
            let blobs: Arc<dyn AttemptBlobs> = Arc::new(TenantBlobs {
                store: values.blobs().clone(),
                tenant: self.lease.tenant.clone(),
                named: named(input),
                put: Arc::clone(&put),
            });
            (blobs, put)
        })
    }
}

/// The digests that stand in a value, each a whole text. Code that was handed no name of a blob can guess
/// what is in it, and must not learn whether it guessed right.
fn named(value: &Value) -> BTreeSet<Digest> {
    let (mut found, mut rest) = (BTreeSet::new(), vec![value]);
    while let Some(value) = rest.pop() {
        match value {
            Value::String(text) => found.extend(text.parse::<Digest>()),
            Value::Array(items) => rest.extend(items),
            Value::Object(fields) => rest.extend(fields.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    found
}

/// The same blobs, for who uses these secrets.
pub(crate) fn searched(
    blobs: Arc<dyn AttemptBlobs>,
    secrets: &Arc<Redactor>,
) -> Arc<dyn AttemptBlobs> {
    Arc::new(Searched {
        blobs,
        secrets: Arc::clone(secrets),
    })
}

#[async_trait]
impl AttemptBlobs for TenantBlobs {
    async fn put(
        &self,
        content: &mut dyn BlobBody,
        max: ByteSize,
    ) -> Result<Option<BlobId>, ActionError> {
        if self.put.lock().len() >= MAX_BLOBS_PUT {
            let message = format!("an attempt puts at most {MAX_BLOBS_PUT} blobs");
            return Err(ActionError::limit("TOO_MANY_BLOBS", message));
        }
        let mut failed = None;
        let pieces = stream::unfold((content, &mut failed), |(content, failed)| async move {
            match content.chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), (content, failed))),
                Ok(None) => None,
                Err(error) => {
                    let message = "what was to be put could not be read";
                    let stop = PortError::new(ErrorKind::Invalid, "runtime", "put a blob", message);
                    *failed = Some(error);
                    Some((Err(stop), (content, failed)))
                }
            }
        });
        let put = self.store.put(&self.tenant, pieces.boxed(), max).await;
        match (put, failed) {
            (Err(_), Some(error)) => Err(error),
            (Err(error), None) => Err(of_store(&error)),
            (Ok(BlobPut::Stored(blob) | BlobPut::Known(blob)), _) => {
                let mut put = self.put.lock();
                if !put.contains(&blob.id) {
                    put.push(blob.id);
                }
                Ok(Some(blob.id))
            }
            (Ok(BlobPut::TooLarge), _) => Ok(None),
        }
    }

    async fn open(&self, blob: BlobId) -> Result<Option<Box<dyn BlobBody>>, ActionError> {
        // Said before the store is asked, so that the answer does not tell whether there is such a blob.
        let put = || self.put.lock().iter().any(|put| put.digest == blob.digest);
        if !self.named.contains(&blob.digest) && !put() {
            let message = format!(
                "blob {blob} is neither named by a parameter nor put by this attempt; hand its name, `{{ digest, length }}`, to the node"
            );
            let class = ErrorClass::Denied {
                capability: String::new(),
            };
            return Err(ActionError::new("BLOB_NOT_NAMED", message, class));
        }
        let read = self.store.get(&self.tenant, blob, None).await;
        let read = read.map_err(|error| of_store(&error))?;
        Ok(read.map(|read| Box::new(Reading { read, failed: None }) as Box<dyn BlobBody>))
    }
}

#[async_trait]
impl AttemptBlobs for Searched {
    async fn put(
        &self,
        content: &mut dyn BlobBody,
        max: ByteSize,
    ) -> Result<Option<BlobId>, ActionError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = content.chunk().await? {
            bytes.extend_from_slice(&chunk);
            let length = bytes.len() as u64;
            if length > max.as_u64() {
                return Ok(None);
            }
            if length > MAX_SEARCHED.as_u64() {
                let message = format!(
                    "what an attempt puts that uses a credential is searched for its secrets first, and that is done up to {MAX_SEARCHED}; put less, or ask without the credential"
                );
                return Err(ActionError::limit("BLOB_NOT_SEARCHED", message));
            }
        }
        if self
            .secrets
            .text(&String::from_utf8_lossy(&bytes))
            .is_some()
        {
            let message =
                "what was to be put has a secret in it that the attempt used, and was not put";
            return Err(ActionError::fatal("BLOB_HAS_SECRET", message));
        }
        self.blobs.put(&mut Whole(Some(bytes.into())), max).await
    }

    async fn open(&self, blob: BlobId) -> Result<Option<Box<dyn BlobBody>>, ActionError> {
        self.blobs.open(blob).await
    }
}

/// Content that is in memory.
#[derive(Debug)]
struct Whole(Option<Bytes>);

#[async_trait]
impl BlobBody for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ActionError> {
        Ok(self.0.take().filter(|bytes| !bytes.is_empty()))
    }
}

/// A blob that is being read.
#[derive(Debug)]
struct Reading {
    read: BlobRead,
    failed: Option<ActionError>,
}

#[async_trait]
impl BlobBody for Reading {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ActionError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        match self.read.content.next().await.transpose() {
            Ok(chunk) => Ok(chunk),
            Err(error) => {
                let error = of_store(&error);
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }
}

/// What a failure of the store means for an attempt.
fn of_store(error: &PortError) -> ActionError {
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::Full => {
            ActionError::retryable("BLOB_STORE", error.message.clone())
        }
        _ => ActionError::fatal("BLOB_STORE", error.message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use nebula_testkit::{ManualClock, MemoryBlobStore, run};
    use serde_json::json;

    use super::*;

    /// Takes everything, and counts it.
    #[derive(Debug, Default)]
    struct Counting(AtomicU64);

    #[async_trait]
    impl AttemptBlobs for Counting {
        async fn put(
            &self,
            content: &mut dyn BlobBody,
            _: ByteSize,
        ) -> Result<Option<BlobId>, ActionError> {
            while let Some(chunk) = content.chunk().await? {
                self.0.fetch_add(chunk.len() as u64, Relaxed);
            }
            Ok(Some(BlobId::of(b"")))
        }

        async fn open(&self, _: BlobId) -> Result<Option<Box<dyn BlobBody>>, ActionError> {
            Ok(None)
        }
    }

    /// So many pieces of 1 MiB, and how many were read.
    #[derive(Debug)]
    struct Pieces(u64, u64);

    #[async_trait]
    impl BlobBody for Pieces {
        async fn chunk(&mut self) -> Result<Option<Bytes>, ActionError> {
            if self.1 == self.0 {
                return Ok(None);
            }
            self.1 += 1;
            Ok(Some(Bytes::from_static(&[b'x'; 1 << 20])))
        }
    }

    /// Runs a test of one thread; what threads share knows no other tests in this crate than those.
    fn alone<F: Future<Output = ()>>(test: impl Fn() -> F + Send + Sync + 'static) {
        shuttle::check_random(move || run(test()), 1);
    }

    fn of_attempt(input: &Value) -> TenantBlobs {
        let clock = Arc::new(ManualClock::default());
        TenantBlobs {
            store: Arc::new(MemoryBlobStore::new(clock)),
            tenant: TenantId::local(),
            named: named(input),
            put: Put::default(),
        }
    }

    async fn put(blobs: &TenantBlobs, text: &'static [u8]) -> Result<BlobId, String> {
        let mut content = Whole(Some(Bytes::from_static(text)));
        let put = blobs.put(&mut content, ByteSize::mib(1)).await;
        let put = put.map_err(|error| error.code.to_string())?;
        Ok(put.expect("it is small"))
    }

    async fn length(blobs: &TenantBlobs, id: BlobId) -> Result<Option<usize>, String> {
        let read = (blobs as &dyn AttemptBlobs).read(id).await;
        let read = read.map_err(|error| error.code.to_string())?;
        Ok(read.map(|bytes| bytes.len()))
    }

    /// Guards: what a parameter names, as a text of its own, at any depth, is opened, and what the attempt has
    /// put; nothing else, whether it is there or not.
    #[test]
    fn an_attempt_opens_what_it_was_handed_and_what_it_put() {
        alone(|| async {
            let theirs = of_attempt(&Value::Null);
            let id = put(&theirs, b"theirs").await.unwrap();
            let text = id.digest.to_string();
            let as_one = |input: Value| TenantBlobs {
                named: named(&input),
                put: Put::default(),
                ..theirs.clone()
            };
            let opens = [
                json!({ "blob": id }),
                json!(text),
                json!([{ "at": [[text]] }]),
                json!(text.to_uppercase()),
            ];
            for input in opens {
                assert_eq!(
                    length(&as_one(input.clone()), id).await,
                    Ok(Some(6)),
                    "{input}"
                );
            }
            let refused = Err("BLOB_NOT_NAMED".to_owned());
            let mine = [
                Value::Null,
                json!({ "digest": &text[..63] }),
                json!(format!("see {text}")),
                json!({ text: 1 }),
                json!(BlobId::of(b"another")),
            ];
            for input in mine {
                assert_eq!(length(&as_one(input.clone()), id).await, refused, "{input}");
            }
            let mine = as_one(Value::Null);
            assert_eq!(length(&mine, BlobId::of(b"nobody's")).await, refused);
            let own = put(&mine, b"mine").await.unwrap();
            assert_eq!(length(&mine, own).await, Ok(Some(4)));
            let named = as_one(json!(BlobId::of(b"nobody's")));
            assert_eq!(length(&named, BlobId::of(b"nobody's")).await, Ok(None));
        });
    }

    /// Guard: each blob that is put is named in the journal, and so an attempt puts so many and no more.
    #[test]
    fn an_attempt_puts_so_many_blobs_and_no_more() {
        alone(|| async {
            let blobs = of_attempt(&Value::Null);
            let known = (1..MAX_BLOBS_PUT).map(|n| BlobId::of(&n.to_be_bytes()));
            blobs.put.lock().extend(known);
            assert!(put(&blobs, b"the last").await.is_ok());
            let refused = put(&blobs, b"one more").await;
            assert_eq!(refused, Err("TOO_MANY_BLOBS".to_owned()));
            assert_eq!(blobs.put.lock().len(), MAX_BLOBS_PUT);
        });
    }

    /// Guards: what is held in memory to be searched is no more than 64 MiB, and nothing of what is more is
    /// put; a smaller limit of who puts comes first.
    #[test]
    fn what_is_too_large_to_be_searched_is_not_put() {
        run(async {
            let counting = Arc::new(Counting::default());
            let blobs = searched(counting.clone(), &Arc::default());
            let put = async |pieces: u64, max: ByteSize| {
                let mut content = Pieces(pieces, 0);
                let put = blobs.put(&mut content, max).await;
                (put.map_err(|error| error.code.to_string()), content.1)
            };
            let all = ByteSize::mib(4_096);
            assert_eq!(put(64, all).await, (Ok(Some(BlobId::of(b""))), 64));
            assert_eq!(counting.0.swap(0, Relaxed), 64 << 20);
            let refused = Err("BLOB_NOT_SEARCHED".to_owned());
            assert_eq!(put(1_000, all).await, (refused, 65));
            assert_eq!(put(1_000, ByteSize::mib(3)).await, (Ok(None), 4));
            assert_eq!(counting.0.load(Relaxed), 0, "nothing was put");
        });
    }
}
