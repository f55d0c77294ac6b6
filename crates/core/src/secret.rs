//! Text that must not be seen.
//!
//! [`SecretString`] is the `secrecy` crate's: its debug text has none of it, it has no `Serialize`,
//! and its memory is overwritten when it is dropped. It is read by [`ExposeSecret::expose_secret`]
//! alone, so that a search for that word finds every place that sees a secret.

use zeroize::Zeroizing;

pub use secrecy::{ExposeSecret, SecretString};

/// Takes bytes as a secret text, without leaving a copy of them in memory.
///
/// # Errors
/// Gives back the bytes if they are not UTF-8.
pub fn secret_text(bytes: Zeroizing<Vec<u8>>) -> Result<SecretString, Zeroizing<Vec<u8>>> {
    match str::from_utf8(&bytes) {
        // The text is copied into a place of its exact size; the bytes are overwritten by their drop.
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_seen_only_where_it_is_exposed() {
        let secret = secret_text(Zeroizing::new(b"hunter2".to_vec())).unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
        for shown in [format!("{secret:?}"), format!("{secret:#?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn what_is_no_text_comes_back() {
        let bytes = secret_text(Zeroizing::new(vec![0xff, 0x41])).unwrap_err();
        assert_eq!(*bytes, [0xff, 0x41]);
    }
}
