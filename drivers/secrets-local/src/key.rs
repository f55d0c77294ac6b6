//! One key, and texts that hold keys.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{Key as CipherKey, KeyInit as _, XChaCha20Poly1305};
use nebula_core::{Digest, Entropy, KeyId};
use zeroize::Zeroizing;

use crate::{
    config::{MAX_KEY_TEXT, MAX_KEYS},
    error::Fault,
};

/// The bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
/// The bytes that name a key in a file.
pub(crate) const ID_BYTES: usize = 8;
/// The bytes that tell the right key from one with the same name.
pub(crate) const CHECK_BYTES: usize = 16;

/// What a key is named by: a part of its HMAC over this text, from which the key does not follow.
const ID_PURPOSE: &[u8] = b"nebula secrets file: key id";
const CHECK_PURPOSE: &[u8] = b"nebula secrets file: check value";

/// A key of the cipher.
#[derive(Clone)]
pub(crate) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

impl Key {
    pub(crate) fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill(entropy, &mut *bytes);
        Self(bytes)
    }

    pub(crate) fn raw_id(&self) -> [u8; ID_BYTES] {
        first(&Digest::mac(&*self.0, ID_PURPOSE))
    }

    pub(crate) fn check_value(&self) -> [u8; CHECK_BYTES] {
        first(&Digest::mac(&*self.0, CHECK_PURPOSE))
    }

    pub(crate) fn id(&self) -> KeyId {
        named(self.raw_id())
    }

    pub(crate) fn cipher(&self) -> XChaCha20Poly1305 {
        let key: &CipherKey = (&*self.0).into();
        XChaCha20Poly1305::new(key)
    }

    /// The text of a key file with these keys.
    pub(crate) fn file_text(keys: &[Self]) -> Zeroizing<String> {
        const REMARK: &str =
            "# Keys of Nebula's secrets, newest first. Whoever has them can read every secret.\n";
        // Of its final size, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(REMARK.len() + keys.len() * 64));
        text.push_str(REMARK);
        for key in keys {
            STANDARD.encode_string(key.0.as_slice(), &mut text);
            text.push('\n');
        }
        text
    }

    /// Reads a text with keys; `from` says whose it is.
    pub(crate) fn parse(text: &[u8], from: &str) -> Result<Vec<Self>, Fault> {
        if text.len() > MAX_KEY_TEXT {
            return Err(Fault::key(format!(
                "{from} has more than the {MAX_KEY_TEXT} bytes that keys may take"
            )));
        }
        let wrong = || {
            Fault::key(format!(
                "{from} has something in it that is no key: a key is {KEY_BYTES} random bytes in base64 or hex"
            ))
        };
        let text = str::from_utf8(text).map_err(|_| wrong())?;
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let words = lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || c == ','));
        let mut keys: Vec<Self> = Vec::with_capacity(MAX_KEYS);
        for word in words.filter(|word| !word.is_empty()) {
            if keys.len() == MAX_KEYS {
                return Err(Fault::key(format!(
                    "{from} has more than {MAX_KEYS} keys; remove those that are not used any more"
                )));
            }
            keys.push(one(word).ok_or_else(wrong)?);
        }
        if keys.is_empty() {
            return Err(Fault::key(format!("{from} has no key in it")));
        }
        Ok(keys)
    }
}

/// The id that stands for these bytes of a header.
pub(crate) fn named(raw: [u8; ID_BYTES]) -> KeyId {
    let text: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    KeyId::new(text).expect("hex digits are allowed")
}

/// Fills `bytes` with random bits.
pub(crate) fn fill(entropy: &dyn Entropy, bytes: &mut [u8]) {
    for part in bytes.chunks_mut(8) {
        let bits = Zeroizing::new(entropy.next_u64().to_le_bytes());
        part.copy_from_slice(&bits[..part.len()]);
    }
}

fn first<const N: usize>(digest: &Digest) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&digest.as_bytes()[..N]);
    part
}

fn one(word: &str) -> Option<Key> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if word.len() == 2 * KEY_BYTES {
        for (byte, pair) in bytes.iter_mut().zip(word.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        return Some(Key(bytes));
    }
    // Three bytes of room more than a key needs: a longer text is refused below, by its length.
    let mut room = Zeroizing::new([0; KEY_BYTES + 3]);
    let length = STANDARD.decode_slice(word, &mut *room).ok()?;
    if length != KEY_BYTES {
        return None;
    }
    bytes.copy_from_slice(&room[..KEY_BYTES]);
    Some(Key(bytes))
}

#[cfg(test)]
mod tests {
    use nebula_testkit::SeededEntropy;

    use super::*;

    fn ids(text: &str) -> Result<Vec<KeyId>, String> {
        let keys = Key::parse(text.as_bytes(), "the test");
        let keys = keys.map_err(|fault| fault.during("read").message);
        Ok(keys?.iter().map(Key::id).collect())
    }

    #[test]
    fn a_key_is_the_same_in_base64_and_hex() {
        let (base64, hex) = (STANDARD.encode([7; 32]), "07".repeat(32));
        assert_eq!(ids(&base64), ids(&hex));
        assert_eq!(ids(&base64), ids(&hex.to_uppercase()));
        assert_ne!(ids(&base64), ids(&"08".repeat(32)));
    }

    #[test]
    fn a_text_holds_keys_in_its_order() {
        let keys = ["01", "02", "03"].map(|byte| byte.repeat(32));
        let each: Vec<_> = keys.iter().map(|key| ids(key).unwrap().remove(0)).collect();
        let [a, b, c] = &keys;
        for text in [
            format!("{a}\n{b}\n{c}\n"),
            format!("# a remark\n  {a},{b}\r\n\n{c}"),
        ] {
            assert_eq!(ids(&text).unwrap(), each);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let short = STANDARD.encode([7; 31]);
        let long = STANDARD.encode([7; 33]);
        let wrong = ["", "# only a remark", "hunter2", &short, &long, "ä", "07"];
        for text in wrong {
            let refused = ids(text).unwrap_err();
            assert!(refused.starts_with("the test has"), "{refused}");
            assert!(text.is_empty() || !refused.contains(text), "{refused}");
        }
        let many = format!("{}\n", "07".repeat(32)).repeat(MAX_KEYS + 1);
        assert!(ids(&many).unwrap_err().contains("more than 16 keys"));
        let large = " ".repeat(MAX_KEY_TEXT + 1);
        assert!(ids(&large).unwrap_err().contains("4096 bytes"));
    }

    #[test]
    fn a_key_file_is_read_as_it_was_written() {
        let entropy = SeededEntropy::new(1);
        let keys = [Key::random(&entropy), Key::random(&entropy)];
        let text = Key::file_text(&keys);
        let expected: Vec<_> = keys.iter().map(Key::id).collect();
        assert_eq!(ids(&text).unwrap(), expected);
    }

    #[test]
    fn a_debug_text_names_a_key_and_does_not_show_it() {
        let key = Key::parse("41".repeat(32).as_bytes(), "")
            .unwrap()
            .remove(0);
        assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
        assert!(!format!("{key:?}").contains("4141"));
    }
}
