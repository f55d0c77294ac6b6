//! Which blobs nobody names: the decision, without the world.

use std::{collections::BTreeMap, io};

use nebula_core::Digest;
use nebula_ports::Blob;

/// How many hex digits a digest has.
const DIGITS: usize = 64;

/// Old blobs, of which those go that nothing names.
///
/// A blob is named by its digest, wherever that stands: 64 hex digits in lower case, in any text that
/// is shown to [`Sweep::read`]. So a reference needs no shape of its own to be seen, and text that
/// happens to hold a digest only keeps a blob for longer. A digest that is split, in capitals, or in
/// another encoding is not seen.
///
/// The order is what makes this safe while others write: first the old blobs are listed, with their
/// ages, and only then the journals are read, all of them. Whoever names a blob renews it first. Had that
/// been before the listing, the blob would not be old; if it is after, its age is not the one that was
/// listed, and the deletion, which is conditional on that age, spares it.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    candidates: BTreeMap<Digest, Blob>,
    /// The hex digits that were read last, at most as many as a digest has.
    run: Vec<u8>,
}

impl Sweep {
    /// All of these go, unless they are named. They must have been listed before anything is read.
    #[must_use]
    pub fn new(old: impl IntoIterator<Item = Blob>) -> Self {
        let candidates = old.into_iter().map(|blob| (blob.id.digest, blob));
        Self {
            candidates: candidates.collect(),
            run: Vec::with_capacity(DIGITS),
        }
    }

    /// Keeps one.
    pub fn keep(&mut self, digest: Digest) {
        self.candidates.remove(&digest);
    }

    /// Keeps every blob that `text` names; a name may begin in one text and end in the next, until
    /// [`Sweep::end`].
    pub fn read(&mut self, text: &[u8]) {
        for byte in text {
            if !matches!(byte, b'0'..=b'9' | b'a'..=b'f') {
                self.run.clear();
                continue;
            }
            if self.run.len() == DIGITS {
                self.run.remove(0);
            }
            self.run.push(*byte);
            if self.run.len() < DIGITS {
                continue;
            }
            if let Some(digest) = str::from_utf8(&self.run)
                .ok()
                .and_then(|it| it.parse().ok())
            {
                self.keep(digest);
            }
        }
    }

    /// Says that what is read next does not belong to what was read.
    pub fn end(&mut self) {
        self.run.clear();
    }

    /// How many would be deleted now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Whether there is nothing left to delete.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// What nothing named, as it was listed: each may be deleted if its age is still this one.
    pub fn doomed(self) -> impl Iterator<Item = Blob> {
        self.candidates.into_values()
    }
}

/// Reads whatever is written to it.
impl io::Write for Sweep {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.read(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nebula_core::{BlobId, Timestamp};

    use super::*;

    fn blob(content: &[u8]) -> Blob {
        Blob {
            id: BlobId::of(content),
            renewed_at: Timestamp::from_millis(7),
        }
    }

    /// `{}` is the digest of the blob.
    fn check(texts: &[&str], kept: bool) {
        let blob = blob(b"content");
        let digest = blob.id.digest.to_string();
        let mut sweep = Sweep::new([blob]);
        for text in texts {
            let (head, tail) = digest.split_at(30);
            let text = text.replace("{}", &digest);
            let text = text.replace("{head}", head).replace("{tail}", tail);
            sweep.read(text.as_bytes());
        }
        assert_eq!(sweep.is_empty(), kept, "{texts:?}");
    }

    #[test]
    fn a_blob_is_kept_wherever_its_digest_stands() {
        check(&[r#"{"digest":"{}","length":7}"#], true);
        check(&["{}"], true);
        check(&["see {}, and more"], true);
        check(&["abc0{}"], true);
        check(&["{}0123"], true);
        check(&["0{}{}"], true);
        check(&["{head}", "{tail}"], true);
        check(&["other", "{}"], true);
    }

    #[test]
    fn what_is_no_digest_keeps_nothing() {
        check(&[], false);
        check(&["{head} {tail}"], false);
        check(&["{head}", ",", "{tail}"], false);
        check(&["{tail}{head}"], false);
        check(&["0123456789abcdef"], false);
    }

    #[test]
    fn what_ends_does_not_go_on() {
        let blob = blob(b"content");
        let digest = blob.id.digest.to_string();
        let mut sweep = Sweep::new([blob]);
        sweep.read(&digest.as_bytes()[..40]);
        sweep.end();
        sweep.read(&digest.as_bytes()[40..]);
        assert_eq!(sweep.doomed().collect::<Vec<_>>(), [blob]);
    }
}
