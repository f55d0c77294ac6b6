//! Tokens that nobody can guess, in a form that scanners find.
//!
//! `<kind>_<place>_<secret><checksum>`: the kind says what it is for, the place by what it is looked up
//! (a tenant, or of a key also its prefix), the secret is 40 random letters and digits (238 bits), and
//! the checksum six more, over everything before: so a scanner needs no server to tell a token from a
//! text like one, and nothing of what is no token reaches a store. The checksum protects nothing.

use nebula_core::{Digest, Entropy, SecretString, TenantId};
use zeroize::Zeroizing;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An API key.
    Key,
    /// The cookie of a browser's session.
    Session,
    /// The refresh token of a program's session.
    Refresh,
    /// A token for one use: ticket, invitation, first administrator.
    Once,
    /// The token of one machine.
    Local,
}

impl TokenKind {
    fn text(self) -> &'static str {
        match self {
            Self::Key => "nbk",
            Self::Session => "nbs",
            Self::Refresh => "nbr",
            Self::Once => "nbo",
            Self::Local => "nbl",
        }
    }
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters of a secret.
const SECRET: usize = 40;

/// Characters of a checksum: 62⁶ > 2³².
const CHECKSUM: usize = 6;

/// Characters of an API key's prefix.
const PREFIX: usize = 8;

/// The most bytes of a token's text: whatever is longer is none.
pub(crate) const MAX_TOKEN: usize = 256;

/// A new token: the text is for its owner alone, the hash for the store.
pub(crate) struct NewToken {
    pub(crate) text: SecretString,
    pub(crate) hash: Digest,
    /// Of a key: by what it is looked for.
    pub(crate) prefix: String,
}

/// What a text that is a token says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) tenant: TenantId,
    /// Of a key: by what it is looked for.
    pub(crate) prefix: String,
    pub(crate) hash: Digest,
}

/// Letters and digits, each as likely as the others.
fn random(entropy: &dyn Entropy, length: usize) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(length));
    while out.len() < length {
        let mut bits = entropy.next_u64();
        for _ in 0..10 {
            let index = usize::try_from(bits & 63).expect("six bits");
            bits >>= 6;
            if let Some(character) = ALPHABET.get(index)
                && out.len() < length
            {
                out.push(char::from(*character));
            }
        }
    }
    out
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut out = [b'0'; CHECKSUM];
    for place in out.iter_mut().rev() {
        let index = usize::try_from(rest % 62).expect("below 62");
        *place = ALPHABET[index];
        rest /= 62;
    }
    out.iter().map(|byte| char::from(*byte)).collect()
}

/// A new token of this kind.
pub(crate) fn new(entropy: &dyn Entropy, kind: TokenKind, tenant: &TenantId) -> NewToken {
    let prefix = match kind {
        TokenKind::Key => random(entropy, PREFIX).to_string(),
        _ => String::new(),
    };
    let place = match kind {
        TokenKind::Key if *tenant == TenantId::local() => prefix.clone(),
        TokenKind::Key => format!("{tenant}.{prefix}"),
        _ => tenant.to_string(),
    };
    let secret = random(entropy, SECRET);
    let body = Zeroizing::new(format!("{}_{place}_{}", kind.text(), &*secret));
    let text = Zeroizing::new(format!("{}{}", &*body, checksum(&body)));
    NewToken {
        text: SecretString::from(text.as_str()),
        hash: Digest::of(secret.as_bytes()),
        prefix,
    }
}

/// Reads a token of this kind; `None` if it is none.
pub(crate) fn parse(kind: TokenKind, text: &str) -> Option<Token> {
    if text.len() > MAX_TOKEN || !text.is_ascii() {
        return None;
    }
    let (body, sum) = text.split_at_checked(text.len().checked_sub(CHECKSUM)?)?;
    if checksum(body) != sum {
        return None;
    }
    let rest = body.strip_prefix(kind.text())?.strip_prefix('_')?;
    let (place, secret) = rest.rsplit_once('_')?;
    if secret.len() != SECRET || !secret.bytes().all(|it| it.is_ascii_alphanumeric()) {
        return None;
    }
    let (tenant, prefix) = match (kind, place.split_once('.')) {
        (TokenKind::Key, Some((tenant, prefix))) => (TenantId::new(tenant).ok()?, prefix),
        (TokenKind::Key, None) => (TenantId::local(), place),
        _ => (TenantId::new(place).ok()?, ""),
    };
    let possible = prefix.len() == PREFIX && prefix.bytes().all(|it| it.is_ascii_alphanumeric());
    if kind == TokenKind::Key && !possible {
        return None;
    }
    Some(Token {
        tenant,
        prefix: prefix.to_owned(),
        hash: Digest::of(secret.as_bytes()),
    })
}

/// Whether a text looks like a token of this kind.
pub(crate) fn is_kind(kind: TokenKind, text: &str) -> bool {
    text.strip_prefix(kind.text())
        .is_some_and(|rest| rest.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use nebula_core::ExposeSecret;
    use nebula_testkit::SeededEntropy;

    use super::*;

    const KINDS: [TokenKind; 5] = [
        TokenKind::Key,
        TokenKind::Session,
        TokenKind::Refresh,
        TokenKind::Once,
        TokenKind::Local,
    ];

    #[test]
    fn a_token_reads_back_as_its_kind_alone() {
        let entropy = SeededEntropy::new(1);
        for tenant in ["local", "acme", "a_b-c", "nbk_x"] {
            let tenant = TenantId::new(tenant).unwrap();
            for kind in KINDS {
                let new = new(&entropy, kind, &tenant);
                for other in KINDS {
                    let read = parse(other, new.text.expose_secret());
                    let expected = (kind == other).then(|| Token {
                        tenant: tenant.clone(),
                        prefix: new.prefix.clone(),
                        hash: new.hash,
                    });
                    assert_eq!(read, expected);
                }
            }
        }
    }

    #[test]
    fn a_changed_character_is_no_token() {
        let new = new(&SeededEntropy::new(2), TokenKind::Key, &TenantId::local());
        let text = new.text.expose_secret();
        assert!(text.starts_with("nbk_") && text.len() == 4 + PREFIX + 1 + SECRET + CHECKSUM);
        for at in 0..text.len() {
            let other = if &text[at..=at] == "x" { "y" } else { "x" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(parse(TokenKind::Key, &changed), None, "{changed}");
        }
        for wrong in ["", "nbk_", "nbk__", "äöü", &text[1..], &format!("{text}0")] {
            assert_eq!(parse(TokenKind::Key, wrong), None);
        }
    }

    #[test]
    fn every_character_is_as_likely_as_the_others() {
        let text = random(&SeededEntropy::new(3), 62_000);
        for character in ALPHABET {
            let count = text.bytes().filter(|it| it == character).count();
            // The mean is 1,000, the deviation 32; the seed is fixed.
            assert!((850..1_150).contains(&count), "{character}: {count}");
        }
    }
}
