//! The master keys, under which the keys of credentials are encrypted.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nebula_core::{Digest, Entropy, ExposeSecret as _, KeyId, SecretString};
use zeroize::Zeroizing;

use crate::aead::{KEY_BYTES, KeyBytes, random_key};

/// The most master keys that are kept at a time.
pub const MAX_MASTER_KEYS: usize = 16;

const PURPOSE: &[u8] = b"nebula credentials: id of a master key";

/// Master keys, newest first: the first one encrypts, each of them decrypts.
///
/// As a text, which is kept as a secret: one key on each line, in base64.
#[derive(Clone)]
pub struct MasterKeys(Vec<KeyBytes>);

/// Why a text holds no master keys. The text does not show in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// A line is no key.
    #[error("line {0} of the master keys is no key: a key is 32 bytes in base64")]
    NoKey(usize),
    /// There is none, or there are too many.
    #[error("there are {0} master keys; there may be 1 to {MAX_MASTER_KEYS}")]
    Count(usize),
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl MasterKeys {
    /// One random key; `entropy` must be fit for keys.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(vec![random_key(entropy)])
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`KeysError`]: a line is no key, there is none, there are too many.
    pub fn parse(text: &SecretString) -> Result<Self, KeysError> {
        let mut keys = Vec::with_capacity(MAX_MASTER_KEYS);
        for (number, line) in text.expose_secret().lines().enumerate() {
            let mut room = Zeroizing::new([0; KEY_BYTES + 3]);
            let length = STANDARD.decode_slice(line.trim(), &mut *room);
            if length != Ok(KEY_BYTES) {
                return Err(KeysError::NoKey(number + 1));
            }
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            key.copy_from_slice(&room[..KEY_BYTES]);
            keys.push(key);
        }
        match keys.len() {
            1..=MAX_MASTER_KEYS => Ok(Self(keys)),
            count => Err(KeysError::Count(count)),
        }
    }

    /// The text form.
    #[must_use]
    pub fn text(&self) -> SecretString {
        let mut text = String::with_capacity(self.0.len() * 64);
        for key in &self.0 {
            STANDARD.encode_string(key.as_slice(), &mut text);
            text.push('\n');
        }
        let secret = SecretString::from(text.as_str());
        drop(Zeroizing::new(text));
        secret
    }

    /// The same with a new random key before the others.
    ///
    /// # Errors
    /// [`KeysError::Count`]: there is no room; drop keys that nothing is encrypted with any more.
    pub fn rotated(&self, entropy: &dyn Entropy) -> Result<Self, KeysError> {
        if self.0.len() == MAX_MASTER_KEYS {
            return Err(KeysError::Count(MAX_MASTER_KEYS + 1));
        }
        let mut keys = vec![random_key(entropy)];
        keys.extend(self.0.iter().cloned());
        Ok(Self(keys))
    }

    /// These, and those of another text behind them: what is encrypted with either opens.
    #[must_use]
    pub fn with(&self, older: &Self) -> Self {
        Self(self.0.iter().chain(&older.0).cloned().collect())
    }

    /// The newest key alone, once nothing is encrypted with the others.
    #[must_use]
    pub fn newest_alone(&self) -> Self {
        Self(vec![self.newest().clone()])
    }

    /// The id of the key that encrypts.
    #[must_use]
    pub fn id(&self) -> KeyId {
        id(self.newest())
    }

    /// The ids of all keys, newest first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().map(id)
    }

    pub(crate) fn newest(&self) -> &KeyBytes {
        &self.0[0]
    }

    pub(crate) fn find(&self, wanted: &KeyId) -> Option<&KeyBytes> {
        self.0.iter().find(|key| id(key) == *wanted)
    }
}

fn id(key: &KeyBytes) -> KeyId {
    let mac = Digest::mac(&**key, PURPOSE).to_string();
    KeyId::new(&mac[..16]).expect("hex digits are allowed")
}

#[cfg(test)]
mod tests {
    use nebula_testkit::SeededEntropy;

    use super::*;

    #[test]
    fn a_text_gives_the_keys_that_it_was_made_of() {
        let entropy = SeededEntropy::new(1);
        let keys = MasterKeys::random(&entropy).rotated(&entropy).unwrap();
        let again = MasterKeys::parse(&keys.text()).unwrap();
        assert_eq!(
            again.ids().collect::<Vec<_>>(),
            keys.ids().collect::<Vec<_>>()
        );
        assert_eq!(keys.ids().count(), 2);
        assert_eq!(keys.newest_alone().ids().collect::<Vec<_>>(), [keys.id()]);
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let parse = |text: &str| MasterKeys::parse(&text.into()).map(|_| ());
        assert_eq!(parse(""), Err(KeysError::Count(0)));
        let key = STANDARD.encode([7; 32]);
        assert_eq!(parse(&key), Ok(()));
        assert_eq!(parse(&format!("{key}\nhunter2")), Err(KeysError::NoKey(2)));
        assert_eq!(parse(&STANDARD.encode([7; 31])), Err(KeysError::NoKey(1)));
        assert_eq!(parse(&STANDARD.encode([7; 33])), Err(KeysError::NoKey(1)));
        let many = format!("{key}\n").repeat(MAX_MASTER_KEYS + 1);
        assert_eq!(parse(&many), Err(KeysError::Count(MAX_MASTER_KEYS + 1)));
        let mut keys = MasterKeys::random(&SeededEntropy::new(1));
        for _ in 1..MAX_MASTER_KEYS {
            keys = keys.rotated(&SeededEntropy::new(1)).unwrap();
        }
        assert!(keys.rotated(&SeededEntropy::new(1)).is_err());
    }

    #[test]
    fn a_debug_text_has_ids_and_no_keys() {
        let keys = MasterKeys::parse(&STANDARD.encode([b'A'; 32]).into()).unwrap();
        let shown = format!("{keys:?}");
        assert!(shown.contains(keys.id().as_str()));
        assert!(!shown.contains("QUFB") && !shown.contains("AAAA") && !shown.contains("65, 65"));
    }
}
