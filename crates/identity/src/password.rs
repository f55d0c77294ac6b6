//! Passwords as argon2id hashes, made off the async threads, few at a time.
//!
//! A hash is text in the PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`, salt and hash
//! in base64 without padding.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use nebula_core::{Entropy, ExposeSecret as _, Offload, SecretString};
use nebula_ports::PasswordHash;
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

/// How much work a hash is.
///
/// The default is the least that the OWASP Password Storage Cheat Sheet gives for argon2id: 19 MiB, two
/// passes, one lane; some 20 ms on a server's core. A password that was hashed with another cost is
/// hashed anew when its owner logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory of one hashing, in KiB; 8 at least.
    pub memory_kib: u32,
    /// Passes over it; 1 at least.
    pub passes: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self {
            memory_kib: 19 << 10,
            passes: 2,
        }
    }
}

/// The most memory that a stored hash may ask for, in KiB: more than any cost that is set.
const MAX_MEMORY_KIB: u32 = 1 << 20;

/// The most passes that a stored hash may ask for.
const MAX_PASSES: u32 = 100;

/// How many hashings run at a time: with the default cost, 76 MiB.
pub const HASHINGS: usize = 4;

/// How many wait for their turn; whoever comes then is told to come later.
pub const HASHINGS_WAITING: usize = 64;

/// The fewest characters of a password (NIST SP 800-63B asks for 8 at least, and for no kinds of them).
pub const MIN_PASSWORD_CHARS: usize = 10;

/// The most bytes of a password.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

const SALT: usize = 16;
const HASH: usize = 32;

/// Too many hash at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// Hashes and compares.
#[derive(Debug)]
pub(crate) struct Passwords {
    cost: PasswordCost,
    offload: Arc<dyn Offload>,
    entropy: Arc<dyn Entropy>,
    /// Those that run, and those that wait or run.
    running: Semaphore,
    waiting: Semaphore,
}

/// A stored hash, read.
struct Parsed {
    cost: PasswordCost,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Passwords {
    pub(crate) fn new(
        cost: PasswordCost,
        offload: Arc<dyn Offload>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            cost,
            offload,
            entropy,
            running: Semaphore::new(HASHINGS),
            waiting: Semaphore::new(HASHINGS + HASHINGS_WAITING),
        }
    }

    /// Hashes a password with a salt of its own.
    pub(crate) async fn hash(&self, password: &SecretString) -> Result<PasswordHash, Busy> {
        let mut salt = [0; SALT];
        let (low, high) = salt.split_at_mut(8);
        low.copy_from_slice(&self.entropy.next_u64().to_le_bytes());
        high.copy_from_slice(&self.entropy.next_u64().to_le_bytes());
        let cost = self.cost;
        let hash = self.run(password, cost, salt.to_vec(), HASH).await?;
        Ok(PasswordHash::new(format!(
            "$argon2id$v=19$m={},t={},p=1${}${}",
            cost.memory_kib,
            cost.passes,
            BASE64.encode(salt),
            BASE64.encode(hash)
        )))
    }

    /// Whether it is the password. Where there is none, another one is compared all the same, so that
    /// the time says nothing.
    pub(crate) async fn is(
        &self,
        password: &SecretString,
        stored: Option<&PasswordHash>,
    ) -> Result<bool, Busy> {
        let parsed = stored.and_then(parse);
        let nobody = parsed.is_none();
        let parsed = parsed.unwrap_or_else(|| Parsed {
            cost: self.cost,
            salt: vec![0; SALT],
            hash: vec![0; HASH],
        });
        let length = parsed.hash.len();
        let hash = self.run(password, parsed.cost, parsed.salt, length).await?;
        Ok(bool::from(hash.ct_eq(&parsed.hash)) && !nobody)
    }

    /// Whether a hash is to be made anew, with the cost that is set now.
    pub(crate) fn is_old(&self, stored: &PasswordHash) -> bool {
        parse(stored).is_none_or(|it| it.cost != self.cost)
    }

    async fn run(
        &self,
        password: &SecretString,
        cost: PasswordCost,
        salt: Vec<u8>,
        length: usize,
    ) -> Result<Vec<u8>, Busy> {
        let _place = self.waiting.try_acquire().map_err(|_| Busy)?;
        let _turn = self.running.acquire().await.map_err(|_| Busy)?;
        let made = Arc::new(Mutex::new(None));
        let (mine, password) = (Arc::clone(&made), password.clone());
        let job = move || *mine.lock() = hashed(&password, cost, &salt, length);
        self.offload.run(Box::new(job)).await;
        // No hash comes of a cost that cannot be, or of a thread that has died: nobody is let in.
        let made = made.lock().take();
        made.ok_or(Busy)
    }
}

fn hashed(
    password: &SecretString,
    cost: PasswordCost,
    salt: &[u8],
    length: usize,
) -> Option<Vec<u8>> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(length)).ok()?;
    let mut out = vec![0; length];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.expose_secret().as_bytes(), salt, &mut out)
        .ok()?;
    Some(out)
}

fn parse(stored: &PasswordHash) -> Option<Parsed> {
    let rest = stored.as_str().strip_prefix("$argon2id$v=19$")?;
    let mut parts = rest.split('$');
    let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let mut cost = cost.split(',');
    let memory_kib = cost.next()?.strip_prefix("m=")?.parse().ok()?;
    let passes = cost.next()?.strip_prefix("t=")?.parse().ok()?;
    if cost.next() != Some("p=1") || cost.next().is_some() {
        return None;
    }
    let (salt, hash) = (BASE64.decode(salt).ok()?, BASE64.decode(hash).ok()?);
    let possible = memory_kib <= MAX_MEMORY_KIB && passes <= MAX_PASSES && hash.len() >= 16;
    possible.then_some(Parsed {
        cost: PasswordCost { memory_kib, passes },
        salt,
        hash,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future as _,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use nebula_core::{BoxFuture, Job};
    use nebula_testkit::{InlineOffload, SeededEntropy, run};

    use super::*;

    const CHEAP: PasswordCost = PasswordCost {
        memory_kib: 8,
        passes: 1,
    };

    fn passwords(cost: PasswordCost, offload: Arc<dyn Offload>) -> Passwords {
        Passwords::new(cost, offload, Arc::new(SeededEntropy::new(1)))
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn a_password_is_known_again_and_no_other() {
        run(async {
            let passwords = passwords(CHEAP, Arc::new(InlineOffload));
            let first = passwords.hash(&secret("correct horse")).await.unwrap();
            let second = passwords.hash(&secret("correct horse")).await.unwrap();
            assert_ne!(first, second);
            for stored in [&first, &second] {
                assert!(stored.as_str().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
                assert!(
                    passwords
                        .is(&secret("correct horse"), Some(stored))
                        .await
                        .unwrap()
                );
                for wrong in ["correct horsf", "Correct horse", "", "correct horse "] {
                    assert!(!passwords.is(&secret(wrong), Some(stored)).await.unwrap());
                }
            }
        });
    }

    #[test]
    fn a_hash_of_another_cost_is_known_and_to_be_made_anew() {
        run(async {
            let passwords = passwords(CHEAP, Arc::new(InlineOffload));
            let other = PasswordCost {
                memory_kib: 16,
                passes: 2,
            };
            let older = Passwords::new(
                other,
                Arc::new(InlineOffload),
                Arc::new(SeededEntropy::new(9)),
            );
            let stored = older.hash(&secret("correct horse")).await.unwrap();
            assert!(
                passwords
                    .is(&secret("correct horse"), Some(&stored))
                    .await
                    .unwrap()
            );
            assert!(passwords.is_old(&stored) && !older.is_old(&stored));
        });
    }

    #[test]
    fn a_stored_text_that_is_no_hash_lets_nobody_in() {
        run(async {
            let passwords = passwords(CHEAP, Arc::new(InlineOffload));
            let right = passwords.hash(&secret("correct horse")).await.unwrap();
            let right = right.as_str();
            for wrong in [
                String::new(),
                "correct horse".to_owned(),
                right.replace("argon2id", "argon2i"),
                right.replace("v=19", "v=16"),
                right.replace("p=1", "p=2"),
                right.replace("m=8", "m=99999999"),
                right.replace("m=8", "m=9"),
                right.replace("t=1", "t=0"),
                format!("{right}$"),
                "$argon2id$v=19$m=8,t=1,p=1$$".to_owned(),
            ] {
                let wrong = PasswordHash::new(wrong);
                let is = passwords.is(&secret("correct horse"), Some(&wrong)).await;
                assert!(is != Ok(true), "{}", wrong.as_str());
            }
        });
    }

    /// Counts the jobs that it is given, and does them in place.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl Offload for Counting {
        fn run(&self, job: Job) -> BoxFuture<'static, ()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            InlineOffload.run(job)
        }
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        run(async {
            let counting = Arc::new(Counting::default());
            let passwords = passwords(CHEAP, counting.clone());
            let stored = passwords.hash(&secret("correct horse")).await.unwrap();
            for (before, stored) in [(1, Some(&stored)), (2, None)] {
                assert_eq!(counting.0.load(Ordering::SeqCst), before);
                let is = passwords.is(&secret("wrong"), stored).await;
                assert_eq!(is, Ok(false));
            }
            assert_eq!(counting.0.load(Ordering::SeqCst), 3);
            // What stands for nobody is nobody's password either.
            assert_eq!(passwords.is(&secret(""), None).await, Ok(false));
        });
    }

    /// Never does its job, and says how many wait for it.
    #[derive(Debug, Default)]
    struct Stuck(AtomicUsize);

    impl Offload for Stuck {
        fn run(&self, _: Job) -> BoxFuture<'static, ()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn hashings_at_once_are_bounded() {
        use std::task::{Context, Poll, Waker};
        let stuck = Arc::new(Stuck::default());
        let passwords = passwords(CHEAP, stuck.clone());
        let password = secret("correct horse");
        let mut all: Vec<_> = (0..HASHINGS + HASHINGS_WAITING + 1)
            .map(|_| Box::pin(passwords.hash(&password)))
            .collect();
        let mut context = Context::from_waker(Waker::noop());
        let polled: Vec<_> = all
            .iter_mut()
            .map(|hash| hash.as_mut().poll(&mut context))
            .collect();
        assert_eq!(stuck.0.load(Ordering::SeqCst), HASHINGS);
        let (last, others) = polled.split_last().unwrap();
        assert!(others.iter().all(Poll::is_pending));
        assert!(matches!(last, Poll::Ready(Err(Busy))));
    }
}
