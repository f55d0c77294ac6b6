//! The form of the file: a header in the clear, and secrets that only the key opens.
//!
//! | bytes | what |
//! |---|---|
//! | 14 | `nebula-secrets` |
//! | 2 | the format, big-endian: 1 |
//! | 8 | which key |
//! | 16 | a check value of that key |
//! | 24 | the nonce, random for each file that is written |
//! | rest | XChaCha20-Poly1305 over the secrets; what stands before the nonce is associated data |
//!
//! The secrets: a count (4 bytes), then for each its tenant and its id (a length of 1 byte and the
//! text) and its value (4 bytes and the text), by tenant and id. Numbers are big-endian.

use std::collections::BTreeMap;

use chacha20poly1305::{XNonce, aead::AeadInOut as _};
use nebula_core::{Entropy, ExposeSecret as _, SecretId, SecretString, TenantId, secret_text};
use nebula_ports::{ErrorKind, MAX_SECRET_BYTES};
use zeroize::Zeroizing;

use crate::{
    config::MAX_FILE_BYTES,
    error::Fault,
    key::{CHECK_BYTES, ID_BYTES, Key, fill, named},
};

/// What the file holds.
pub(crate) type Secrets = BTreeMap<(TenantId, SecretId), SecretString>;

const MAGIC: &[u8; 14] = b"nebula-secrets";
const FORMAT: u16 = 1;
const KEY_AT: usize = MAGIC.len() + 2;
const CHECK_AT: usize = KEY_AT + ID_BYTES;
const NONCE_AT: usize = CHECK_AT + CHECK_BYTES;
const NONCE_BYTES: usize = 24;
const BODY_AT: usize = NONCE_AT + NONCE_BYTES;
const TAG_BYTES: usize = 16;

/// Encrypts `secrets` with `key`: the content of a file.
pub(crate) fn seal(key: &Key, entropy: &dyn Entropy, secrets: &Secrets) -> Result<Vec<u8>, Fault> {
    let mut header = Vec::with_capacity(BODY_AT);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&FORMAT.to_be_bytes());
    header.extend_from_slice(&key.raw_id());
    header.extend_from_slice(&key.check_value());
    let mut nonce = [0; NONCE_BYTES];
    fill(entropy, &mut nonce);
    let mut body = encode(secrets)?;
    let sealed = key
        .cipher()
        .encrypt_in_place(&XNonce::from(nonce), &header, &mut *body);
    sealed.map_err(|_| Fault::new(ErrorKind::Full, "there is too much to encrypt at once"))?;
    header.extend_from_slice(&nonce);
    header.extend_from_slice(&body);
    Ok(header)
}

/// A file whose header was read.
pub(crate) struct Sealed<'f> {
    bytes: &'f [u8],
}

impl<'f> Sealed<'f> {
    /// Reads the header.
    pub(crate) fn read(bytes: &'f [u8]) -> Result<Self, Fault> {
        let cut = MAGIC.len().min(bytes.len());
        if bytes.is_empty() {
            return Err(Fault::corrupt(
                "it is empty, and a file of secrets never is",
            ));
        }
        if bytes[..cut] != MAGIC[..cut] {
            let message = "it is no file of secrets of Nebula; move it away, or name another path";
            return Err(Fault::new(ErrorKind::Format, message));
        }
        if bytes.len() < BODY_AT + TAG_BYTES {
            return Err(Fault::corrupt(format!(
                "it ends after {} bytes, in its header",
                bytes.len()
            )));
        }
        let format = u16::from_be_bytes([bytes[MAGIC.len()], bytes[MAGIC.len() + 1]]);
        if format != FORMAT {
            let message = format!("it has format {format}; this build reads {FORMAT}");
            return Err(Fault::new(ErrorKind::Format, message));
        }
        Ok(Self { bytes })
    }

    /// Which key it names.
    pub(crate) fn key_id(&self) -> [u8; ID_BYTES] {
        part(self.bytes, KEY_AT)
    }

    /// The one of `keys` that encrypted it; `None` if it is none of them. Where only one of id and
    /// check value is that of a key, the other one is damaged, which shows when it is opened.
    pub(crate) fn key<'k>(&self, keys: &'k [Key]) -> Option<&'k Key> {
        let check: [u8; CHECK_BYTES] = part(self.bytes, CHECK_AT);
        let id = self.key_id();
        keys.iter()
            .find(|key| key.raw_id() == id || key.check_value() == check)
    }

    /// Decrypts the secrets with the right key.
    pub(crate) fn open(&self, key: &Key) -> Result<Secrets, Fault> {
        let nonce: [u8; NONCE_BYTES] = part(self.bytes, NONCE_AT);
        let mut body = Zeroizing::new(self.bytes[BODY_AT..].to_vec());
        let header = &self.bytes[..NONCE_AT];
        let opened = key
            .cipher()
            .decrypt_in_place(&XNonce::from(nonce), header, &mut *body);
        opened.map_err(|_| {
            Fault::corrupt(format!(
                "the key is right ({}), and the content does not match its seal: it is cut off or changed",
                named(self.key_id())
            ))
        })?;
        let read = Reader(&body).secrets();
        read.ok_or_else(|| Fault::corrupt("its seal is right and its content makes no sense"))
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

/// The secrets in a buffer that has room for the tag, so that nothing of them is left behind by growing.
fn encode(secrets: &Secrets) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let each = secrets.iter().map(|((tenant, id), value)| {
        6 + tenant.as_str().len() + id.as_str().len() + value.expose_secret().len()
    });
    let size = 4 + each.sum::<usize>();
    if size + BODY_AT + TAG_BYTES > MAX_FILE_BYTES {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("all secrets together would have {size} bytes; the limit is {MAX_FILE_BYTES}"),
        ));
    }
    let long = |length: usize| u32::try_from(length).expect("it is below MAX_FILE_BYTES");
    let mut body = Zeroizing::new(Vec::with_capacity(size + TAG_BYTES));
    body.extend_from_slice(&long(secrets.len()).to_be_bytes());
    for ((tenant, id), value) in secrets {
        for name in [tenant.as_str(), id.as_str()] {
            body.push(u8::try_from(name.len()).expect("an id has at most 128 bytes"));
            body.extend_from_slice(name.as_bytes());
        }
        let value = value.expose_secret().as_bytes();
        body.extend_from_slice(&long(value.len()).to_be_bytes());
        body.extend_from_slice(value);
    }
    debug_assert_eq!(body.len(), size);
    Ok(body)
}

/// What is left to read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn secrets(&mut self) -> Option<Secrets> {
        let mut secrets = Secrets::new();
        for _ in 0..self.long()? {
            let tenant = TenantId::new(self.name()?).ok()?;
            let id = SecretId::new(self.name()?).ok()?;
            let length = self.long()?;
            if length > MAX_SECRET_BYTES {
                return None;
            }
            let value = Zeroizing::new(self.take(length)?.to_vec());
            secrets.insert((tenant, id), secret_text(value).ok()?);
        }
        self.0.is_empty().then_some(secrets)
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn long(&mut self) -> Option<usize> {
        let bytes = self.take(4)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(bytes)).ok()
    }

    fn name(&mut self) -> Option<&'b str> {
        let length = usize::from(*self.take(1)?.first()?);
        str::from_utf8(self.take(length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use nebula_testkit::SeededEntropy;

    use super::*;

    fn some() -> (Key, Secrets, Vec<u8>) {
        let entropy = SeededEntropy::new(7);
        let key = Key::random(&entropy);
        let place = |id: &str| (TenantId::local(), SecretId::new(id).unwrap());
        let secrets = Secrets::from([
            (place("a"), "hunter2".into()),
            (place("b"), "ключ\0\n".into()),
        ]);
        let bytes = seal(&key, &entropy, &secrets).unwrap();
        (key, secrets, bytes)
    }

    fn shown(secrets: &Secrets) -> Vec<(String, String)> {
        let text = |value: &SecretString| value.expose_secret().to_owned();
        let pairs = secrets.iter();
        pairs
            .map(|((tenant, id), value)| (format!("{tenant}/{id}"), text(value)))
            .collect()
    }

    fn kind(fault: Fault) -> ErrorKind {
        fault.during("read").kind
    }

    #[test]
    fn what_was_sealed_is_opened_and_does_not_show() {
        let (key, secrets, bytes) = some();
        let sealed = Sealed::read(&bytes).unwrap();
        assert!(sealed.key(std::slice::from_ref(&key)).is_some());
        assert_eq!(shown(&sealed.open(&key).unwrap()), shown(&secrets));
        for part in ["hunter2", "local", "ключ"] {
            let there = bytes.windows(part.len()).any(|at| at == part.as_bytes());
            assert!(!there, "{part}");
        }
    }

    #[test]
    fn each_seal_has_a_nonce_of_its_own() {
        let (key, secrets, _) = some();
        let entropy = SeededEntropy::new(8);
        let one = seal(&key, &entropy, &secrets).unwrap();
        let two = seal(&key, &entropy, &secrets).unwrap();
        assert_ne!(one[NONCE_AT..], two[NONCE_AT..]);
    }

    /// A file whose only key this is: what it says of any change to it.
    fn changed(bytes: &[u8], key: &Key) -> Result<(), ErrorKind> {
        let sealed = Sealed::read(bytes).map_err(kind)?;
        let found = sealed.key(std::slice::from_ref(key));
        let found = found.ok_or(ErrorKind::Key)?;
        sealed.open(found).map(drop).map_err(kind)
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let (key, _, bytes) = some();
        assert_eq!(changed(&bytes, &key), Ok(()));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let expected = match at {
                    0..KEY_AT => ErrorKind::Format,
                    _ => ErrorKind::Corrupt,
                };
                assert_eq!(changed(&bytes, &key), Err(expected), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn every_cut_is_seen() {
        let (key, _, bytes) = some();
        for length in 0..bytes.len() {
            assert_eq!(changed(&bytes[..length], &key), Err(ErrorKind::Corrupt));
        }
        let longer = [&bytes[..], b"\0"].concat();
        assert_eq!(changed(&longer, &key), Err(ErrorKind::Corrupt));
    }

    #[test]
    fn another_key_is_told_from_damage() {
        let (_, _, bytes) = some();
        let other = Key::random(&SeededEntropy::new(9));
        assert_eq!(changed(&bytes, &other), Err(ErrorKind::Key));
    }

    #[test]
    fn more_than_the_limit_is_not_sealed() {
        let (key, _, _) = some();
        let value = SecretString::from("x".repeat(MAX_SECRET_BYTES));
        let many = (0..=MAX_FILE_BYTES / MAX_SECRET_BYTES).map(|number| {
            let id = SecretId::new(format!("s{number}")).unwrap();
            ((TenantId::local(), id), value.clone())
        });
        let refused = seal(&key, &SeededEntropy::new(1), &many.collect());
        assert_eq!(kind(refused.unwrap_err()), ErrorKind::Full);
    }
}
