//! Content that is handed out, and verified on the way.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use cap_std::fs::File;
use futures_util::{StreamExt, stream};
use nebula_core::{BlobId, DigestWriter, Offload};
use nebula_ports::{BlobStream, ErrorKind, MAX_BLOB_CHUNK};

use crate::{blocking, error::Fault, folder::Found};

/// A blob whose bytes of one range have not all been handed out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    file: File,
    /// What to call it in errors.
    place: String,
    id: BlobId,
    left: u64,
    /// There if all bytes are handed out: only then the digest says anything.
    digest: Option<DigestWriter>,
}

impl Outgoing {
    /// Checks the length of a blob and the range of a read, and goes to its beginning.
    pub(crate) fn new(
        found: Found,
        place: String,
        id: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<Self, Fault> {
        if found.length != id.length {
            return Err(Fault::corrupt(format!(
                "{place} has {} bytes; {} are expected",
                found.length, id.length
            )));
        }
        let range = range.unwrap_or(0..id.length);
        if range.start > range.end || range.end > id.length {
            let message = format!(
                "bytes {range:?} do not lie in a blob of {} bytes",
                id.length
            );
            return Err(Fault::new(ErrorKind::Invalid, message));
        }
        let mut file = found.file;
        file.seek(SeekFrom::Start(range.start))
            .map_err(|error| Fault::io(error, &place))?;
        let all = range == (0..id.length);
        Ok(Self {
            file,
            place,
            id,
            left: range.end - range.start,
            digest: all.then(DigestWriter::default),
        })
    }

    /// The next piece; `None` at the end, if what was handed out is what it should be.
    fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.left == 0 {
            return match self.digest.take() {
                Some(digest) if digest.clone().finish() != self.id.digest => Err(Fault::corrupt(
                    format!("the bytes of {} are not those that were put", self.place),
                )),
                _ => Ok(None),
            };
        }
        let length = self.left.min(MAX_BLOB_CHUNK.as_u64());
        let mut bytes = vec![0; usize::try_from(length).expect("it is bounded")];
        self.file.read_exact(&mut bytes).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                return Fault::corrupt(format!("{} was cut while it was read", self.place));
            }
            Fault::io(error, &self.place)
        })?;
        self.left -= length;
        if let Some(digest) = &mut self.digest {
            digest.update(&bytes);
        }
        Ok(Some(bytes.into()))
    }

    /// The pieces, each read when it is asked for.
    pub(crate) fn into_stream(self, offload: Arc<dyn Offload>) -> BlobStream<'static> {
        stream::unfold(Some(self), move |outgoing| {
            let offload = Arc::clone(&offload);
            async move {
                let mut outgoing = outgoing?;
                let work = move || outgoing.next().map(|piece| (piece, outgoing));
                match blocking::run(&*offload, work).await {
                    Ok((piece, outgoing)) => Some((Ok(piece?), Some(outgoing))),
                    Err(fault) => Some((Err(fault.into_port("get")), None)),
                }
            }
        })
        .boxed()
    }
}

/// Shows every byte of a file, piece by piece.
pub(crate) fn read_all(mut file: &File, mut show: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; MAX_BLOB_CHUNK.as_usize()];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            length => show(&piece[..length]),
        }
    }
}
