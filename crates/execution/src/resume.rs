//! Resume tokens: each lets whoever has it cast one vote.
//!
//! A token follows from a secret of the installation and the place for the vote. So it can be shown
//! again and is stored nowhere; a store keeps its hash, and only while the place is free. Whoever has
//! the store alone can make none.

use std::{fmt, hint, str::FromStr};

use nebula_core::{Digest, ExecutionId, TenantId};

use crate::InstanceId;

/// The secret of an installation, from which its resume tokens follow.
#[derive(Clone)]
pub struct ResumeKey([u8; Self::BYTES]);

/// Lets its holder cast one vote. It is a secret: it has no place in a journal, a log or a command line
/// that others can read.
#[derive(Clone)]
pub struct ResumeToken([u8; 32]);

/// The text is no token: it does not have 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a resume token has 64 hex digits")]
pub struct ResumeTokenError;

impl ResumeKey {
    /// How many bytes a key has.
    pub const BYTES: usize = 32;

    /// A key of these bytes, which must come from chance.
    #[must_use]
    pub fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The token for one place of one asking of an approval.
    #[must_use]
    pub fn token(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        instance: &InstanceId,
        (round, seat): (u32, u32),
    ) -> ResumeToken {
        let place = Digest::of_parts(&[
            b"nebula resume token 1",
            tenant.as_str().as_bytes(),
            execution.as_bytes(),
            instance.to_string().as_bytes(),
            &round.to_le_bytes(),
            &seat.to_le_bytes(),
        ]);
        ResumeToken(*Digest::mac(&self.0, place.as_bytes()).as_bytes())
    }
}

impl ResumeToken {
    /// What a store keeps of it.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The token itself, for the one whom it is meant for.
    #[must_use]
    pub fn reveal(&self) -> String {
        Digest::from(self.0).to_string()
    }
}

/// Takes the same time wherever two tokens differ.
impl PartialEq for ResumeToken {
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        let differ = pairs.fold(0, |differ, (a, b)| hint::black_box(differ | (a ^ b)));
        differ == 0
    }
}

impl Eq for ResumeToken {}

impl FromStr for ResumeToken {
    type Err = ResumeTokenError;

    fn from_str(text: &str) -> Result<Self, ResumeTokenError> {
        let digest: Digest = text.trim().parse().map_err(|_| ResumeTokenError)?;
        Ok(Self(*digest.as_bytes()))
    }
}

impl fmt::Debug for ResumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeKey(..)")
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_place_and_one_key_and_is_not_shown_by_accident() {
        let key = ResumeKey::new([7; 32]);
        let execution = ExecutionId::from_bytes([1; 16]);
        let of = |key: &ResumeKey, node: &str, place| {
            key.token(&TenantId::local(), execution, &node.parse().unwrap(), place)
        };
        let token = of(&key, "sign", (0, 0));
        assert_eq!(token, of(&key, "sign", (0, 0)));
        let others = [
            of(&key, "sign", (0, 1)),
            of(&key, "sign", (1, 0)),
            of(&key, "sign#2", (0, 0)),
            of(&ResumeKey::new([8; 32]), "sign", (0, 0)),
        ];
        for other in others {
            assert_ne!(token, other);
            assert_ne!(token.hash(), other.hash());
        }
        let text = token.reveal();
        assert_eq!(text.parse::<ResumeToken>().unwrap(), token);
        for shown in [format!("{token:?}{key:?}"), token.hash().to_string()] {
            assert!(!shown.contains(&text[..8]), "{shown}");
        }
        assert_eq!("12".parse::<ResumeToken>(), Err(ResumeTokenError));
    }
}
