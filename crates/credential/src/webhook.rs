//! Secrets by which deliveries to somebody's webhook are signed ([Standard Webhooks] 1.0).
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nebula_action::SignDelivery;
use nebula_core::Digest;
use zeroize::Zeroizing;

/// What such a secret begins with.
const PREFIX: &str = "whsec_";

/// Signs by one secret, and by the one before while that still counts.
pub(crate) struct Signer(Vec<Zeroizing<Vec<u8>>>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.0.len()).finish()
    }
}

/// The key in a secret; `None` if it is none.
pub(crate) fn key(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = secret.strip_prefix(PREFIX)?;
    let key = Zeroizing::new(STANDARD.decode(text).ok()?);
    (24..=64).contains(&key.len()).then_some(key)
}

impl Signer {
    pub(crate) fn new(secret: &str, previous: Option<&str>) -> Option<Self> {
        // Whoever gives the same one twice has ended the one before.
        let previous = previous.filter(|it| *it != secret);
        let all = [secret].into_iter().chain(previous);
        all.map(key).collect::<Option<_>>().map(Self)
    }
}

impl SignDelivery for Signer {
    fn signatures(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
        let each = self.0.iter().map(|key| {
            let mac = Digest::mac(key, &signed);
            format!("v1,{}", STANDARD.encode(mac.as_bytes()))
        });
        each.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The example of the specification.
    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let signer = Signer::new(SECRET, None).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = signer.signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let other = format!("{PREFIX}{}", STANDARD.encode([7; 64]));
        let alone = |secret: &str| {
            let signer = Signer::new(secret, None).unwrap();
            signer.signatures("m", 1, b"x")
        };
        let both = Signer::new(&other, Some(SECRET)).unwrap();
        let expected = format!("{} {}", alone(&other), alone(SECRET));
        assert_eq!(both.signatures("m", 1, b"x"), expected);
        assert!(!format!("{both:?}").contains('7'));
        let ended = Signer::new(&other, Some(&other)).unwrap();
        assert_eq!(ended.signatures("m", 1, b"x"), alone(&other));
    }

    #[test]
    fn what_is_too_short_or_too_long_or_no_base64_is_no_secret() {
        let of = |bytes: usize| format!("{PREFIX}{}", STANDARD.encode(vec![1; bytes]));
        for right in [24, 32, 64] {
            assert_eq!(key(&of(right)).unwrap().len(), right);
        }
        let bare = SECRET.trim_start_matches(PREFIX);
        for wrong in [&of(23), &of(65), &of(0), bare, "whsec_!", ""] {
            assert!(key(wrong).is_none(), "{wrong}");
        }
    }
}
