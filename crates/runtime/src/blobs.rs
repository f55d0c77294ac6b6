//! Blobs for attempts: of their tenant, and without the secrets that they use.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nebula_action::{ActionError, AttemptBlobs, BlobBody, Capability, Grants};
use nebula_core::{BlobId, ByteSize, TenantId};
use nebula_credential::Redactor;
use nebula_ports::{BlobPut, BlobRead, BlobStore, ErrorKind, PortError};

use crate::{drive::Drive, sync::Mutex};

/// How much of content is searched for secrets: it is held in memory for that.
const MAX_SEARCHED: ByteSize = ByteSize::mib(64);

/// The most blobs that one attempt puts: each is named in the journal.
pub(crate) const MAX_BLOBS_PUT: usize = 1_000;

/// What an attempt has put so far.
pub(crate) type Put = Arc<Mutex<Vec<BlobId>>>;

/// The blobs of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct TenantBlobs {
    store: Arc<dyn BlobStore>,
    tenant: TenantId,
    put: Put,
}

/// The same for an attempt that uses secrets.
#[derive(Debug)]
struct Searched {
    blobs: Arc<dyn AttemptBlobs>,
    secrets: Arc<Redactor>,
}

impl Drive {
    /// The blobs that an attempt under these grants may use, and where it is noted what it puts.
    pub(crate) fn blobs(&self, grants: &Grants) -> Option<(Arc<dyn AttemptBlobs>, Put)> {
        let values = self.shared.ports.values.as_ref()?;
        grants.allow(&Capability::Blob).then(|| {
            let put = Put::default();
            let blobs: Arc<dyn AttemptBlobs> = Arc::new(TenantBlobs {
                store: values.blobs().clone(),
                tenant: self.lease.tenant.clone(),
                put: Arc::clone(&put),
            });
            (blobs, put)
        })
    }
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

    use nebula_testkit::run;

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
