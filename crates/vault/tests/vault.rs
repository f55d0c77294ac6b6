//! The vault over the models of its ports: what it keeps, what it refuses, and what a crash at any call
//! or a neighbour at any moment leaves behind.

#[path = "support/wire.rs"]
mod wire;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use nebula_core::{CredentialId, Entropy, ExposeSecret as _, KeyId, SecretId, TenantId};
use nebula_credential::{AllowedHosts, Credential, CredentialType, MasterKeys};
use nebula_ports::{
    CredentialDeleted, CredentialRepo, CredentialRewrapped, CredentialUser, CredentialVersion,
    KeyPromoted, RefreshLease, SecretsStore,
};
use nebula_testkit::{ManualClock, MemoryCredentialRepo, MemorySecretsStore, SeededEntropy, run};
use nebula_vault::{
    KeyFound, KeysRotated, RESERVED, Vault, VaultError, VaultPut, is_reserved, key_secret,
};
use wire::Wire;

/// The stores that outlive a process, and a seed for each process.
struct World {
    repo: Arc<MemoryCredentialRepo>,
    secrets: Arc<MemorySecretsStore>,
    entropy: Arc<SeededEntropy>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            repo: Arc::new(MemoryCredentialRepo::new(Arc::new(ManualClock::default()))),
            secrets: Arc::default(),
            entropy: Arc::new(SeededEntropy::new(seed)),
        }
    }

    /// A process that reads everything anew.
    fn vault(&self) -> Vault {
        self.through(&Wire::straight())
    }

    /// A process whose every call goes through `wire`.
    fn through(&self, wire: &Arc<Wire>) -> Vault {
        Vault::new(
            Arc::new(wire::Repo(self.repo.clone(), wire.clone())),
            Arc::new(wire::Secrets(self.secrets.clone(), wire.clone())),
            self.entropy.clone(),
        )
    }

    async fn reserved(&self) -> Vec<SecretId> {
        let ids = self.secrets.list(&tenant(), None, 1_000).await.unwrap();
        ids.into_iter().filter(is_reserved).collect()
    }

    /// Everything is under one key, which is the only one that is kept.
    async fn settled(&self) -> KeyId {
        let keys = self.repo.keys(&tenant()).await.unwrap();
        assert_eq!(keys.len(), 1, "{keys:?}");
        let listed = self.repo.list(&tenant(), None, 1_000).await.unwrap();
        assert!(listed.iter().all(|it| it.key == keys[0]), "{listed:?}");
        assert!(self.reserved().await.contains(&key_secret(&keys[0])));
        keys[0].clone()
    }
}

fn tenant() -> TenantId {
    TenantId::local()
}

fn id(text: &str) -> CredentialId {
    CredentialId::new(text).unwrap()
}

fn token(value: &str) -> Credential {
    let fields = BTreeMap::from([("token".to_owned(), value.into())]);
    let hosts = AllowedHosts::parse(["api.example"]).unwrap();
    Credential::new(CredentialType::Bearer, fields, hosts).unwrap()
}

async fn add(vault: &Vault, name: &str, value: &str) -> u32 {
    let put = vault.put(&tenant(), &id(name), None, &token(value)).await;
    match put.unwrap() {
        VaultPut::Stored { version } => version,
        conflict @ VaultPut::Conflict { .. } => panic!("{name}: {conflict:?}"),
    }
}

async fn opened(vault: &Vault, name: &str) -> Result<(u32, String), VaultError> {
    let opened = vault
        .open(&tenant(), &id(name), &CredentialUser::Test)
        .await?;
    let token = opened.credential.field("token").unwrap();
    Ok((opened.version, token.expose_secret().to_owned()))
}

async fn check(vault: &Vault, name: &str, version: u32, value: &str) {
    let found = opened(vault, name).await.unwrap();
    assert_eq!(found, (version, value.to_owned()), "{name}");
}

#[test]
fn a_credential_is_opened_as_it_was_put() {
    run(async {
        let world = World::new(1);
        let vault = world.vault();
        assert_eq!(add(&vault, "shop", "hunter2").await, 1);
        check(&vault, "shop", 1, "hunter2").await;
        check(&world.vault(), "shop", 1, "hunter2").await;
        let unknown = opened(&vault, "shpo").await.unwrap_err();
        assert!(matches!(unknown, VaultError::Unknown(_)));
        let (kind, hosts) = vault.hosts(&tenant(), &id("shop")).await.unwrap();
        let hosts: Vec<_> = hosts.patterns().collect();
        assert_eq!(
            (kind, hosts),
            (CredentialType::Bearer, vec!["api.example".to_owned()])
        );
        let uses = vault.uses(&tenant(), &id("shop"), None, 10).await.unwrap();
        assert_eq!(uses.len(), 2, "what is not given out is no use");
        let listed = vault.list(&tenant(), None, 10).await.unwrap();
        assert_eq!((listed[0].kind.as_str(), listed[0].version), ("bearer", 1));
    });
}

#[test]
fn a_version_takes_the_place_of_the_one_that_was_read_only() {
    run(async {
        let world = World::new(1);
        let vault = world.vault();
        let put = async |expected, value| {
            let put = vault
                .put(&tenant(), &id("shop"), expected, &token(value))
                .await;
            put.unwrap()
        };
        let none = VaultPut::Conflict { version: None };
        assert_eq!(put(Some(1), "x").await, none);
        assert_eq!(put(None, "one").await, VaultPut::Stored { version: 1 });
        let first = VaultPut::Conflict { version: Some(1) };
        assert_eq!(put(None, "x").await, first);
        assert_eq!(put(Some(1), "two").await, VaultPut::Stored { version: 2 });
        let second = VaultPut::Conflict { version: Some(2) };
        assert_eq!(put(Some(1), "x").await, second);
        check(&vault, "shop", 2, "two").await;
        let removed = vault.remove(&tenant(), &id("shop")).await.unwrap();
        assert_eq!(removed, CredentialDeleted::Deleted);
        assert_eq!(put(Some(2), "x").await, none);
        // Not version 1 again: who holds one of before would take it for the same.
        assert_eq!(put(None, "three").await, VaultPut::Stored { version: 4 });
        check(&vault, "shop", 4, "three").await;
    });
}

#[test]
fn every_use_is_recorded_before_the_value_is_given() {
    run(async {
        let world = World::new(1);
        add(&world.vault(), "shop", "hunter2").await;
        let attempt = CredentialUser::Attempt {
            execution: nebula_core::ExecutionId::from_bytes([7; 16]),
            node: "charge".to_owned(),
            attempt: 2,
        };
        let vault = world.vault();
        let opened = vault.open(&tenant(), &id("shop"), &attempt).await.unwrap();
        assert_eq!(opened.version, 1);
        let uses = vault.uses(&tenant(), &id("shop"), None, 10).await.unwrap();
        assert_eq!((uses.len(), uses[0].version), (1, 1));
        assert_eq!(uses[0].user, attempt);
        // The last call of an open is the record: where it fails, nothing is given out.
        let counted = Wire::straight();
        let vault = world.through(&counted);
        let _ = vault.open(&tenant(), &id("shop"), &attempt).await.unwrap();
        let broken = Wire::crash(counted.calls(), false);
        let vault = world.through(&broken);
        let refused = vault.open(&tenant(), &id("shop"), &attempt).await;
        assert!(matches!(refused, Err(VaultError::Port(_))));
        let uses = vault_uses(&world).await;
        assert_eq!(uses, 2);
    });
}

async fn vault_uses(world: &World) -> usize {
    let uses = world.vault();
    let uses = uses.uses(&tenant(), &id("shop"), None, 100).await;
    uses.unwrap().len()
}

#[test]
fn what_others_removed_meanwhile_is_not_given_out() {
    run(async {
        let world = World::new(1);
        add(&world.vault(), "shop", "hunter2").await;
        let wire = Wire::straight();
        // Between the read and the record.
        let repo = world.repo.clone();
        wire.before("record_use", move || {
            let repo = repo.clone();
            Box::pin(async move {
                let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
            })
        });
        let refused = opened(&world.through(&wire), "shop").await.unwrap_err();
        assert!(matches!(refused, VaultError::Unknown(_)));
    });
}

#[test]
fn tenants_have_keys_of_their_own() {
    run(async {
        let world = World::new(1);
        let vault = world.vault();
        let other = TenantId::new("other").unwrap();
        add(&vault, "shop", "hunter2").await;
        let put = vault.put(&other, &id("shop"), None, &token("theirs")).await;
        assert_eq!(put.unwrap(), VaultPut::Stored { version: 1 });
        let mine = vault.keys(&tenant()).await.unwrap();
        let theirs = vault.keys(&other).await.unwrap();
        assert_ne!(mine[0].key, theirs[0].key);
        let _ = vault.rotate_keys(&tenant()).await.unwrap();
        assert_eq!(vault.keys(&other).await.unwrap(), theirs);
        check(&vault, "shop", 1, "hunter2").await;
        let opened = vault.open(&other, &id("shop"), &CredentialUser::Test).await;
        let opened = opened.unwrap().credential;
        assert_eq!(opened.field("token").unwrap().expose_secret(), "theirs");
    });
}

/// What the stores hold: nothing of it may change by a call that is refused.
async fn picture(world: &World) -> String {
    let mut picture = String::new();
    for summary in world.repo.list(&tenant(), None, 100).await.unwrap() {
        let stored = world.repo.get(&tenant(), &summary.id).await.unwrap();
        picture.push_str(&format!("{:?}", stored.unwrap()));
    }
    for secret in world.secrets.list(&tenant(), None, 100).await.unwrap() {
        let text = world
            .secrets
            .get(&tenant(), &secret)
            .await
            .unwrap()
            .unwrap();
        picture.push_str(&format!("{secret} {}", text.expose_secret()));
    }
    let keys = world.repo.keys(&tenant()).await.unwrap();
    picture + &format!("{keys:?}")
}

#[test]
fn a_missing_or_another_key_writes_nothing() {
    run(async {
        let world = World::new(1);
        add(&world.vault(), "shop", "hunter2").await;
        let key = world.settled().await;
        let secret = key_secret(&key);
        let right = world
            .secrets
            .get(&tenant(), &secret)
            .await
            .unwrap()
            .unwrap();
        let another = MasterKeys::random(&SeededEntropy::new(9)).text();
        for (text, found) in [
            (None, KeyFound::Missing),
            (Some(another), KeyFound::Wrong),
            (Some("no key at all".into()), KeyFound::Wrong),
            (
                Some(format!("{0}{0}", right.expose_secret()).into()),
                KeyFound::Wrong,
            ),
        ] {
            let _ = world.secrets.delete(&tenant(), &secret).await.unwrap();
            if let Some(text) = text {
                let _ = world.secrets.set(&tenant(), &secret, text).await.unwrap();
            }
            let before = picture(&world).await;
            let vault = world.vault();
            let state = vault.keys(&tenant()).await.unwrap();
            assert_eq!((&state[0].key, state[0].found), (&key, found));
            let put = vault.put(&tenant(), &id("new"), None, &token("x")).await;
            let next = vault
                .put(&tenant(), &id("shop"), Some(1), &token("x"))
                .await;
            let rotated = vault.rotate_keys(&tenant()).await.map(|_| ());
            let read = opened(&vault, "shop").await.map(|_| ());
            for refused in [put.map(|_| ()), next.map(|_| ()), rotated, read] {
                let refused = refused.unwrap_err();
                let missing = matches!(refused, VaultError::MissingKey { .. });
                let wrong = matches!(refused, VaultError::WrongKey { .. });
                assert_eq!(missing, found == KeyFound::Missing, "{refused}");
                assert_eq!(wrong, found == KeyFound::Wrong, "{refused}");
                let text = refused.to_string();
                assert!(
                    text.contains(key.as_str()) && text.contains(RESERVED),
                    "{text}"
                );
            }
            assert_eq!(picture(&world).await, before);
        }
        let _ = world.secrets.set(&tenant(), &secret, right).await.unwrap();
        check(&world.vault(), "shop", 1, "hunter2").await;
    });
}

#[test]
fn a_lost_key_holds_up_nobody_once_nothing_is_lost_with_it() {
    run(async {
        let world = World::new(1);
        add(&world.vault(), "shop", "hunter2").await;
        let lost = world.settled().await;
        let _ = world
            .secrets
            .delete(&tenant(), &key_secret(&lost))
            .await
            .unwrap();
        let vault = world.vault();
        assert!(
            vault
                .put(&tenant(), &id("new"), None, &token("x"))
                .await
                .is_err()
        );
        let _ = vault.remove(&tenant(), &id("shop")).await.unwrap();
        add(&vault, "new", "x").await;
        let _ = vault.rotate_keys(&tenant()).await.unwrap();
        assert_ne!(world.settled().await, lost);
        check(&world.vault(), "new", 1, "x").await;
    });
}

async fn rotated(vault: &Vault) -> (Vec<KeyId>, KeyId, usize, bool) {
    match vault.rotate_keys(&tenant()).await.unwrap() {
        KeysRotated::Rotated {
            from,
            to,
            credentials,
            resumed,
        } => (from, to, credentials, resumed),
        KeysRotated::NoKeys => panic!("there are keys"),
    }
}

#[test]
fn a_rotation_encrypts_everything_anew_and_deletes_the_key_before() {
    run(async {
        let world = World::new(1);
        let vault = world.vault();
        let none = vault.rotate_keys(&tenant()).await.unwrap();
        assert_eq!(none, KeysRotated::NoKeys);
        assert!(world.reserved().await.is_empty());
        // More than one page.
        for number in 0..250 {
            add(&vault, &format!("c{number}"), &format!("value {number}")).await;
        }
        let old = world.settled().await;
        let (from, to, credentials, resumed) = rotated(&vault).await;
        assert_eq!(
            (from, credentials, resumed),
            (vec![old.clone()], 250, false)
        );
        assert_eq!(world.settled().await, to);
        assert_ne!(to, old);
        assert_eq!(world.reserved().await, [key_secret(&to)]);
        for vault in [&vault, &world.vault()] {
            for number in 0..250 {
                check(vault, &format!("c{number}"), 1, &format!("value {number}")).await;
            }
        }
    });
}

#[test]
fn a_process_that_knows_the_key_before_goes_on() {
    run(async {
        let world = World::new(1);
        let (mine, other) = (world.vault(), world.vault());
        add(&mine, "shop", "one").await;
        check(&other, "shop", 1, "one").await;
        let _ = rotated(&mine).await;
        let put = other
            .put(&tenant(), &id("shop"), Some(1), &token("two"))
            .await;
        assert_eq!(put.unwrap(), VaultPut::Stored { version: 2 });
        add(&other, "new", "x").await;
        world.settled().await;
        check(&world.vault(), "shop", 2, "two").await;
        check(&world.vault(), "new", 1, "x").await;
    });
}

#[test]
fn what_cannot_be_encrypted_anew_keeps_its_key() {
    run(async {
        let world = World::new(1);
        let vault = world.vault();
        for name in ["a", "b", "c"] {
            add(&vault, name, name).await;
        }
        let old = world.settled().await;
        // The envelope of another one.
        let a = world.repo.get(&tenant(), &id("a")).await.unwrap().unwrap();
        let wrong = CredentialVersion {
            version: 2,
            id: id("b"),
            ..a
        };
        let _ = world.repo.put(&tenant(), wrong).await.unwrap();
        for _ in 0..2 {
            let left = vault.rotate_keys(&tenant()).await.unwrap_err();
            let text = left.to_string();
            assert!(
                matches!(&left, VaultError::Left { first, count: 1, .. } if *first == id("b")),
                "{text}"
            );
            assert!(text.contains("belongs elsewhere"), "{text}");
            assert!(world.reserved().await.contains(&key_secret(&old)));
            for name in ["a", "c"] {
                check(&world.vault(), name, 1, name).await;
            }
        }
        let _ = vault.remove(&tenant(), &id("b")).await.unwrap();
        let (from, _, credentials, resumed) = rotated(&vault).await;
        assert_eq!((from, credentials, resumed), (vec![old], 0, true));
        let to = world.settled().await;
        assert_eq!(world.reserved().await, [key_secret(&to)]);
    });
}

/// Does `work` in a process that dies at each of its calls, before and after the call was done; `check`
/// sees what is left behind, in the process that comes after it.
fn with_every_crash(
    prepare: &impl AsyncFn(&World),
    work: &impl AsyncFn(&Vault) -> bool,
    check: &impl AsyncFn(&World, bool),
) -> usize {
    let mut crashes = 0;
    for after in [false, true] {
        for at in 1.. {
            let ended = run(async {
                let world = World::new(at as u64);
                prepare(&world).await;
                let wire = Wire::crash(at, after);
                let done = work(&world.through(&wire)).await;
                check(&world, done).await;
                wire.calls() < at
            });
            if ended {
                break;
            }
            crashes += 1;
        }
    }
    crashes
}

#[test]
fn a_crash_at_any_call_of_the_first_put_loses_nothing() {
    let crashes = with_every_crash(
        &async |_| {},
        &async |vault| {
            let put = vault.put(&tenant(), &id("shop"), None, &token("one")).await;
            put.is_ok()
        },
        &async |world, done| {
            let vault = world.vault();
            match opened(&vault, "shop").await {
                Ok(found) => assert_eq!(found, (1, "one".to_owned())),
                Err(VaultError::Unknown(_)) if !done => {
                    assert_eq!(add(&vault, "shop", "one").await, 1);
                    check(&world.vault(), "shop", 1, "one").await;
                }
                Err(error) => panic!("{error}"),
            }
            world.settled().await;
        },
    );
    assert!(crashes >= 8, "{crashes}");
}

#[test]
fn a_crash_at_any_call_of_a_rotation_loses_nothing_and_the_next_goes_on() {
    let names = ["a", "b", "c"];
    let before = std::cell::RefCell::new(None);
    let crashes = with_every_crash(
        &async |world| {
            for name in names {
                add(&world.vault(), name, name).await;
            }
            before.replace(Some(world.settled().await));
        },
        &async |vault| match vault.rotate_keys(&tenant()).await {
            Ok(_) => true,
            // Not that credentials were left: nobody knows.
            Err(VaultError::Port(_)) => false,
            Err(error) => panic!("{error}"),
        },
        &async |world, done| {
            // Before anybody goes on, everything is readable, and can be written.
            for name in names {
                check(&world.vault(), name, 1, name).await;
            }
            let put = world.vault();
            let put = put.put(&tenant(), &id("b"), Some(1), &token("two")).await;
            assert_eq!(put.unwrap(), VaultPut::Stored { version: 2 });
            if done {
                world.settled().await;
            }
            let _ = rotated(&world.vault()).await;
            world.settled().await;
            let before = before.borrow().clone().unwrap();
            assert!(!world.reserved().await.contains(&key_secret(&before)));
            check(&world.vault(), "a", 1, "a").await;
            check(&world.vault(), "b", 2, "two").await;
        },
    );
    assert!(crashes >= 24, "{crashes}");
}

#[test]
fn of_processes_that_put_first_at_once_all_keep_what_they_put() {
    for seed in 0..50 {
        run(async {
            let world = World::new(seed);
            let names = ["a", "b", "c", "d"];
            let puts = names.map(async |name| {
                let vault = world.through(&Wire::slow(seed));
                add(&vault, name, name).await
            });
            futures_util::future::join_all(puts).await;
            let key = world.settled().await;
            assert_eq!(world.reserved().await, [key_secret(&key)], "seed {seed}");
            for name in names {
                check(&world.vault(), name, 1, name).await;
            }
        });
    }
}

#[test]
fn rotations_writers_and_readers_at_once_lose_nothing() {
    let mut overlapped = 0;
    for seed in 0..80_u64 {
        run(async {
            let world = World::new(seed);
            for number in 0..4 {
                add(&world.vault(), &format!("c{number}"), "0").await;
            }
            let wire = |part: u64| Wire::slow(seed * 31 + part);
            let rotator = async |part| {
                let vault = world.through(&wire(part));
                let (_, _, _, resumed) = rotated(&vault).await;
                let _ = rotated(&vault).await;
                usize::from(resumed)
            };
            // Counts up: a lost update would show.
            let writer = async |part| {
                let vault = world.through(&wire(part));
                let choice = SeededEntropy::new(seed * 7 + part);
                for step in 0..6 {
                    let name = format!("c{}", choice.next_u64() % 4);
                    loop {
                        let (version, value) = opened(&vault, &name).await.unwrap();
                        let next = (value.parse::<u32>().unwrap() + 1).to_string();
                        let put = vault
                            .put(&tenant(), &id(&name), Some(version), &token(&next))
                            .await;
                        match put.unwrap() {
                            VaultPut::Stored { .. } => break,
                            VaultPut::Conflict { version } => assert!(version.is_some()),
                        }
                    }
                    add(&vault, &format!("w{part}-{step}"), "new").await;
                }
                0
            };
            let reader = async |part| {
                let vault = world.through(&wire(part));
                for round in 0..10 {
                    opened(&vault, &format!("c{}", round % 4)).await.unwrap();
                }
                0
            };
            let all = tokio::join!(
                rotator(1),
                rotator(2),
                writer(3),
                writer(4),
                reader(5),
                reader(6)
            );
            overlapped += all.0 + all.1;
            let (vault, mut sum) = (world.vault(), 0);
            for number in 0..4 {
                let (version, value) = opened(&vault, &format!("c{number}")).await.unwrap();
                assert_eq!(value, (version - 1).to_string(), "seed {seed}");
                sum += version - 1;
            }
            assert_eq!(sum, 12, "seed {seed}");
            for (part, step) in (3..5).flat_map(|part| (0..6).map(move |step| (part, step))) {
                check(&vault, &format!("w{part}-{step}"), 1, "new").await;
            }
            let key = world.settled().await;
            assert_eq!(world.reserved().await, [key_secret(&key)], "seed {seed}");
        });
    }
    // The two rotations must have met.
    assert!(overlapped > 10, "{overlapped}");
}

/// Makes a new key primary, as a rotation does that then comes to no end.
async fn begin_rotation(world: &World) -> KeyId {
    let keys = world.repo.keys(&tenant()).await.unwrap();
    let master = MasterKeys::random(&*world.entropy);
    let secret = key_secret(&master.id());
    let _ = world.secrets.set(&tenant(), &secret, master.text()).await;
    let (tenant, new) = (tenant(), master.id());
    let promoted = world.repo.promote_key(&tenant, keys.first(), &new).await;
    assert_eq!(promoted.unwrap(), KeyPromoted::Promoted);
    new
}

/// A wire on which others do `work` before the call with this name is made for the `nth` time.
fn meanwhile<F: Future<Output = ()> + Send + 'static>(
    call: &'static str,
    nth: usize,
    work: impl Fn() -> F + Send + Sync + 'static,
) -> Arc<Wire> {
    let wire = Wire::straight();
    let seen = AtomicUsize::new(0);
    wire.before(call, move || match seen.fetch_add(1, SeqCst) + 1 == nth {
        true => Box::pin(work()),
        false => Box::pin(std::future::ready(())),
    });
    wire
}

#[test]
fn who_reads_while_a_rotation_ends_reads_again() {
    run(async {
        let world = World::new(1);
        add(&world.vault(), "shop", "hunter2").await;
        let other = Arc::new(world.vault());
        // Its envelope is read, and then the key of that is gone.
        let wire = meanwhile("secret", 1, move || {
            let other = other.clone();
            async move { drop(rotated(&other).await) }
        });
        check(&world.through(&wire), "shop", 1, "hunter2").await;
    });
}

#[test]
fn who_puts_while_a_rotation_ends_takes_the_new_key_and_makes_none() {
    run(async {
        let world = World::new(1);
        add(&world.vault(), "shop", "hunter2").await;
        let other = Arc::new(world.vault());
        let wire = meanwhile("secret", 1, move || {
            let other = other.clone();
            async move { drop(rotated(&other).await) }
        });
        wire.before("set", || panic!("a key was made that nobody needs"));
        add(&world.through(&wire), "new", "x").await;
        world.settled().await;
    });
}

#[test]
fn a_key_that_a_rotation_deleted_and_did_not_forget_is_not_missed() {
    run(async {
        let (twin, world) = (World::new(1), World::new(1));
        for world in [&twin, &world] {
            add(&world.vault(), "shop", "hunter2").await;
        }
        let counted = Wire::straight();
        let _ = rotated(&twin.through(&counted)).await;
        // The last call forgets the key.
        let dies = Wire::crash(counted.calls(), false);
        let died = world.through(&dies).rotate_keys(&tenant()).await;
        assert!(matches!(died, Err(VaultError::Port(_))));
        assert_eq!(world.repo.keys(&tenant()).await.unwrap().len(), 2);
        let keys = world.vault().keys(&tenant()).await.unwrap();
        assert_eq!((keys.len(), keys[0].found), (1, KeyFound::Right));
        let _ = rotated(&world.vault()).await;
        world.settled().await;
    });
}

#[test]
fn a_key_that_is_missing_is_told_while_one_credential_needs_it() {
    run(async {
        let world = World::new(1);
        // The one that needs it is on the second page.
        for number in 100..250 {
            add(&world.vault(), &format!("c{number}"), "x").await;
        }
        let old = world.settled().await;
        let new = begin_rotation(&world).await;
        for number in 100..249 {
            let name = id(&format!("c{number}"));
            let there = world.repo.get(&tenant(), &name).await.unwrap().unwrap();
            let again = CredentialVersion {
                key: new.clone(),
                ..there
            };
            let done = world.repo.rewrap(&tenant(), &old, again).await.unwrap();
            assert_eq!(done, CredentialRewrapped::Rewrapped);
        }
        let _ = world.secrets.delete(&tenant(), &key_secret(&old)).await;
        let keys = world.vault().keys(&tenant()).await.unwrap();
        let found: Vec<_> = keys.iter().map(|it| (&it.key, it.found)).collect();
        assert_eq!(found, [(&new, KeyFound::Right), (&old, KeyFound::Missing)]);
    });
}

#[test]
fn a_rotation_that_another_one_has_overtaken_goes_on_with_the_newest_key() {
    run(async {
        let world = World::new(1);
        add(&world.vault(), "shop", "hunter2").await;
        let _ = begin_rotation(&world).await;
        let other = Arc::new(world.vault());
        // The key that it goes on with is deleted before it has read it.
        let wire = meanwhile("secret", 1, move || {
            let other = other.clone();
            async move {
                let _ = rotated(&other).await;
                let _ = rotated(&other).await;
            }
        });
        let _ = rotated(&world.through(&wire)).await;
        world.settled().await;
        check(&world.vault(), "shop", 1, "hunter2").await;
    });
}

#[test]
fn a_rotation_deletes_no_key_after_another_one_has_begun() {
    run(async {
        let world = Arc::new(World::new(1));
        for name in ["a", "b"] {
            add(&world.vault(), name, name).await;
        }
        let other = world.clone();
        let wire = meanwhile("rewrap", 1, move || {
            let other = other.clone();
            async move { drop(begin_rotation(&other).await) }
        });
        let _ = rotated(&world.through(&wire)).await;
        world.settled().await;
        for name in ["a", "b"] {
            check(&world.vault(), name, 1, name).await;
        }
    });
}

#[test]
fn what_another_rotation_encrypts_meanwhile_is_not_left() {
    run(async {
        let world = World::new(1);
        add(&world.vault(), "shop", "hunter2").await;
        let _ = begin_rotation(&world).await;
        let other = Arc::new(world.vault());
        // The first key that it reads is the new one, the second that of the envelope it has read.
        let wire = meanwhile("secret", 2, move || {
            let other = other.clone();
            async move { drop(rotated(&other).await) }
        });
        let _ = rotated(&world.through(&wire)).await;
        world.settled().await;
        check(&world.vault(), "shop", 1, "hunter2").await;
    });
}

#[test]
fn a_refresh_is_leased_to_one_and_ends_with_its_version() {
    run(async {
        let world = World::new(1);
        let vault = world.vault();
        add(&vault, "shop", "one").await;
        let lease = async |version, holder| {
            let (tenant, id) = (tenant(), id("shop"));
            let holder = uuid::Uuid::from_u128(holder);
            let ttl = Duration::from_secs(30);
            let leased = vault
                .lease_refresh(&tenant, &id, version, holder, ttl)
                .await;
            leased.unwrap()
        };
        assert!(matches!(lease(1, 1).await, RefreshLease::Granted { .. }));
        assert!(matches!(lease(1, 2).await, RefreshLease::Held { .. }));
        let shop = id("shop");
        let holder = uuid::Uuid::from_u128(1);
        vault
            .release_refresh(&tenant(), &shop, holder)
            .await
            .unwrap();
        assert!(matches!(lease(1, 2).await, RefreshLease::Granted { .. }));
        let put = vault.put(&tenant(), &shop, Some(1), &token("two")).await;
        assert_eq!(put.unwrap(), VaultPut::Stored { version: 2 });
        assert_eq!(lease(1, 1).await, RefreshLease::Stale { version: 2 });
        assert!(matches!(lease(2, 1).await, RefreshLease::Granted { .. }));
    });
}

#[test]
fn no_value_and_no_key_shows_in_a_debug_text_or_an_error() {
    run(async {
        let world = World::new(1);
        let vault = world.vault();
        add(&vault, "shop", "hunter2").await;
        let key = world.settled().await;
        let secret = world.secrets.get(&tenant(), &key_secret(&key)).await;
        let secret = secret.unwrap().unwrap().expose_secret().trim().to_owned();
        let opened = vault
            .open(&tenant(), &id("shop"), &CredentialUser::Test)
            .await;
        let shown = format!("{vault:?} {opened:?} {:?}", vault.keys(&tenant()).await);
        assert!(
            !shown.contains("hunter2") && !shown.contains(&secret),
            "{shown}"
        );
    });
}
