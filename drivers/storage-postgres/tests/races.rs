//! What two processes decide at once is decided one after the other: whatever a decision reads is locked until
//! it is committed.
#![cfg(unix)]

mod support;

use std::{cell::Cell, future::Future, sync::Arc, time::Duration};

use futures_util::future::join_all;
use nebula_core::{CredentialId, Digest, ExecutionId, KeyId, PrincipalId, TriggerId, WorkflowId};
use nebula_ports::{
    Announcement, Attempted, AuditLog as _, AuditLogExt as _, AuditOutcome, Bringing, Brought,
    Campaigned, CounterChange, CredentialPut, CredentialRepo as _, CredentialUser,
    CredentialVersion, DutyName, ErrorKind, ExecutionRepo as _, IdentityRepo as _, Incarnation,
    IncidentOpened, IncidentRepo as _, KeyDropped, KeyPromoted, LeaderElector as _, Lockout,
    Looked, MembershipChanged, NewAudit, NewIncident, NewOnce, NewSession, NewTrigger, NewVersion,
    Operation, Passing, PrincipalKind, PrincipalRecord, Published, RecordDeleted, RecordPut,
    RefreshLease, Role, Rotated, Saved, SessionKind, SessionRepo as _, Severity, Step, Stepped,
    Subscription, TriggerRepo as _, TriggerUpdated, WorkflowRepo as _,
};
use nebula_postgres::{Address, Client};
use nebula_storage_postgres::Postgres;
use nebula_testkit::{ManualClock, run};
use serde_json::json;
use support::{database, leased, open, step, tenant};
use uuid::Uuid;

/// How many come at once.
const MANY: u8 = 8;
/// How often: a race that can be lost is lost in one of so many.
const ROUNDS: u8 = 5;

/// Runs `race` over two handles of one database, unless there is no server, which was said loudly.
fn race<F: Future<Output = ()>>(
    race: impl FnOnce(Arc<Postgres>, Arc<Postgres>, Arc<ManualClock>) -> F,
) {
    run(async {
        if let Some(address) = database() {
            let clock = Arc::new(ManualClock::default());
            let a = open(&address, Some(clock.clone())).await;
            let b = open(&address, Some(clock.clone())).await;
            race(a, b, clock).await;
        }
    });
}

/// What each of [`MANY`] is answered, over the handles in turn.
async fn all<'h, T, F: Future<Output = T>>(
    (a, b): (&'h Postgres, &'h Postgres),
    call: impl Fn(&'h Postgres, u8) -> F,
) -> Vec<T> {
    join_all((0..MANY).map(|n| call(if n % 2 == 0 { a } else { b }, n))).await
}

fn count<T>(answers: &[T], is: impl Fn(&T) -> bool) -> usize {
    answers.iter().filter(|it| is(it)).count()
}

fn orders() -> WorkflowId {
    WorkflowId::new("orders").unwrap()
}

fn version(content: u16, from: u64) -> NewVersion {
    let definition = json!({ "n": content });
    NewVersion {
        id: orders(),
        name: "Orders".to_owned(),
        digest: Digest::of_json(&definition),
        definition,
        expected_revision: Some(from),
        project: None,
    }
}

#[test]
fn of_saves_at_once_one_wins() {
    race(|a, b, _| async move {
        let tenant = tenant();
        for round in 0..ROUNDS {
            let answers = all((&a, &b), |handle, n| {
                let new = version(u16::from(round) * 100 + u16::from(n), round.into());
                let tenant = &tenant;
                async move { handle.save(tenant, new).await.unwrap() }
            })
            .await;
            let won = count(&answers, |it| matches!(it, Saved::New { .. }));
            assert_eq!(won, 1, "{answers:?}");
        }
        let all = a
            .versions(&tenant, &orders(), None, 100)
            .await
            .unwrap()
            .unwrap();
        let numbers: Vec<_> = all.versions.iter().map(|it| it.version).collect();
        assert_eq!(numbers, [5, 4, 3, 2, 1]);
    });
}

/// Publishes version 1 with a trigger that something is brought to; the revision then.
async fn published(handle: &Postgres, clock: &ManualClock) -> u64 {
    use nebula_core::Clock as _;
    let tenant = tenant();
    let _ = handle.save(&tenant, version(1, 0)).await.unwrap();
    let trigger = NewTrigger {
        id: TriggerId::new("inbox").unwrap(),
        kind: "file".to_owned(),
        definition: json!({}),
        pace: Digest::of(b"pace"),
        through: clock.now(),
        due: None,
        hook: None,
        listens: vec![Subscription {
            topic: "event:x".to_owned(),
            source: None,
        }],
        sourced: true,
    };
    let answer = handle
        .publish(&tenant, &orders(), 1, 1, vec![trigger])
        .await;
    match answer.unwrap() {
        Published::Published { revision } => revision,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_publications_at_once_one_wins() {
    race(|a, b, clock| async move {
        let tenant = tenant();
        let mut revision = published(&a, &clock).await;
        for _ in 0..ROUNDS {
            let answers = all((&a, &b), |handle, _| {
                let tenant = &tenant;
                async move {
                    let id = orders();
                    handle
                        .publish(tenant, &id, 1, revision, Vec::new())
                        .await
                        .unwrap()
                }
            })
            .await;
            let won = count(&answers, |it| matches!(it, Published::Published { .. }));
            assert_eq!(won, 1, "{answers:?}");
            revision += 1;
        }
    });
}

#[test]
fn of_changes_of_a_trigger_at_once_one_wins() {
    race(|a, b, clock| async move {
        let (tenant, id) = (tenant(), TriggerId::new("inbox").unwrap());
        published(&a, &clock).await;
        for _ in 0..ROUNDS {
            let record = a.get_trigger(&tenant, &id).await;
            let answers = all((&a, &b), |handle, _| {
                let (tenant, id, record) = (&tenant, &id, &record);
                async move {
                    let (of, state) = (orders(), record.state.clone());
                    let update = handle.update(tenant, &of, id, record.revision, state);
                    update.await.unwrap()
                }
            })
            .await;
            let won = count(&answers, |it| matches!(it, TriggerUpdated::Updated { .. }));
            assert_eq!(won, 1, "{answers:?}");
        }
    });
}

/// A name that says which `get` is meant.
trait GetTrigger {
    async fn get_trigger(
        &self,
        tenant: &nebula_core::TenantId,
        id: &TriggerId,
    ) -> nebula_ports::TriggerRecord;
}

impl GetTrigger for Postgres {
    async fn get_trigger(
        &self,
        tenant: &nebula_core::TenantId,
        id: &TriggerId,
    ) -> nebula_ports::TriggerRecord {
        let found = nebula_ports::TriggerRepo::get(self, tenant, &orders(), id).await;
        found.unwrap().unwrap()
    }
}

#[test]
fn what_is_brought_at_once_arrives_once_each() {
    race(|a, b, clock| async move {
        let (tenant, id) = (tenant(), TriggerId::new("inbox").unwrap());
        published(&a, &clock).await;
        let answers = all((&a, &b), |handle, n| {
            let (tenant, id) = (&tenant, &id);
            async move {
                let items = vec![json!([n, 1]), json!([n, 2])];
                let brings = Bringing {
                    items,
                    looked: None,
                };
                handle.bring(tenant, &orders(), id, brings).await.unwrap()
            }
        })
        .await;
        let taken = count(&answers, |it| matches!(it, Brought::Taken { .. }));
        assert_eq!(taken, usize::from(MANY), "{answers:?}");
        let waiting = a.arrivals(&tenant, &orders(), &id, 100).await.unwrap();
        let numbers: Vec<_> = waiting.iter().map(|it| it.n).collect();
        let expected: Vec<_> = (1..=u64::from(MANY) * 2).collect();
        assert_eq!(numbers, expected);
    });
}

/// A look counts from one revision, also where nothing new is there.
#[test]
fn of_looks_from_one_revision_one_counts() {
    race(|a, b, clock| async move {
        use nebula_core::Clock as _;
        let (tenant, id) = (tenant(), TriggerId::new("inbox").unwrap());
        published(&a, &clock).await;
        for _ in 0..ROUNDS {
            let expected = a.get_trigger(&tenant, &id).await.revision;
            let through = clock.now();
            let answers = all((&a, &b), |handle, n| {
                let (tenant, id) = (&tenant, &id);
                async move {
                    let looked = Some(Looked {
                        expected,
                        cursor: Some(json!(n)),
                        through,
                        due: None,
                    });
                    let brings = Bringing {
                        items: Vec::new(),
                        looked,
                    };
                    handle.bring(tenant, &orders(), id, brings).await.unwrap()
                }
            })
            .await;
            let won = count(&answers, |it| matches!(it, Brought::Taken { .. }));
            assert_eq!(won, 1, "{answers:?}");
        }
    });
}

/// What was announced while others were taken is neither lost nor told twice, and its trigger is due.
#[test]
fn what_is_announced_at_once_arrives_once_each() {
    race(|a, b, clock| async move {
        use nebula_core::Clock as _;
        let (tenant, id) = (tenant(), TriggerId::new("inbox").unwrap());
        published(&a, &clock).await;
        for round in 0..ROUNDS {
            let mut leases = Vec::new();
            for n in 0..MANY {
                let number = u128::from(round) * 100 + u128::from(n) + 1;
                leases.push(leased(&a, number, 1).await);
            }
            let before = a.arrivals(&tenant, &orders(), &id, 100).await.unwrap();
            let passes = async {
                let passing = Passing {
                    arrivals: before.iter().map(|it| it.n).collect(),
                    ..Passing::default()
                };
                let revision = b.get_trigger(&tenant, &id).await.revision;
                let passed = b.pass(&tenant, &orders(), &id, revision, passing).await;
                let updated = matches!(passed, Ok(TriggerUpdated::Updated { .. }));
                assert!(updated, "{passed:?}");
            };
            let announces = all((&a, &b), |handle, n| {
                let lease = leases[usize::from(n)].clone();
                let announce = vec![Announcement {
                    topic: "event:x".to_owned(),
                    seq: 2,
                }];
                let step = Step {
                    announce,
                    ..step(2, u128::from(n) + 1, 1, 10)
                };
                async move { handle.step(&lease, step).await.unwrap() }
            });
            let (answers, ()) = futures_util::join!(announces, passes);
            let applied = count(&answers, |it| matches!(it, Stepped::Applied { .. }));
            assert_eq!(applied, usize::from(MANY), "{answers:?}");
            let waiting = a.arrivals(&tenant, &orders(), &id, 100).await.unwrap();
            let numbers: Vec<_> = waiting.iter().map(|it| it.n).collect();
            let first = u64::from(round) * u64::from(MANY) + 1;
            let expected: Vec<_> = (first..first + u64::from(MANY)).collect();
            assert_eq!(numbers, expected);
            let due = a.get_trigger(&tenant, &id).await.state.due;
            assert_eq!(due, Some(clock.now()));
        }
    });
}

#[test]
fn an_audit_chain_has_neither_gap_nor_fork() {
    race(|a, b, _| async move {
        let tenant = tenant();
        for round in 0..ROUNDS {
            let answers = all((&a, &b), |handle, n| {
                let tenant = &tenant;
                let new = NewAudit {
                    id: Uuid::from_u128(u128::from(round) * 100 + u128::from(n) + 1),
                    who: "local".to_owned(),
                    via: String::new(),
                    from: String::new(),
                    what: "keys.make".to_owned(),
                    target: format!("key:{n}"),
                    outcome: AuditOutcome::Allowed,
                    change: String::new(),
                };
                async move { handle.append(tenant, new).await.unwrap().seq }
            })
            .await;
            let first = u64::from(round) * u64::from(MANY) + 1;
            let mut numbers = answers;
            numbers.sort_unstable();
            let expected: Vec<_> = (first..first + u64::from(MANY)).collect();
            assert_eq!(numbers, expected);
        }
        let head = a.head(&tenant).await.unwrap();
        let followed = b.verify(&tenant, head).await.unwrap().unwrap();
        assert_eq!(Some(followed), head);
    });
}

#[test]
fn a_term_has_one_leader() {
    race(|a, b, clock| async move {
        let ttl = Duration::from_secs(10);
        for term in 1..=u64::from(ROUNDS) {
            let answers = all((&a, &b), |handle, n| async move {
                let candidate = Incarnation(Uuid::from_u128(u128::from(n) + 1));
                let duty = DutyName::new("sweep").unwrap();
                handle.campaign(&duty, candidate, ttl).await.unwrap()
            })
            .await;
            let elected: Vec<_> = answers
                .iter()
                .filter_map(|it| match it {
                    Campaigned::Elected(leadership) => Some(leadership.term),
                    Campaigned::Held { .. } => None,
                })
                .collect();
            assert_eq!(elected, [term], "{answers:?}");
            clock.advance(ttl);
        }
    });
}

fn principal(n: u8) -> PrincipalId {
    PrincipalId::from_bytes([n + 1; 16])
}

fn person(n: u8, version: u32, disabled: bool) -> PrincipalRecord {
    PrincipalRecord {
        id: principal(n),
        version,
        kind: PrincipalKind::Person,
        login: format!("person-{n}"),
        name: String::new(),
        password: None,
        subject: None,
        disabled,
    }
}

/// Puts so many people who own the tenant.
async fn owners(handle: &Postgres) {
    let tenant = tenant();
    for n in 0..MANY {
        let _ = handle
            .put_principal(&tenant, person(n, 1, false))
            .await
            .unwrap();
        let own = handle.change_membership(&tenant, principal(n), None, None, Some(Role::Owner));
        let _ = own.await.unwrap();
    }
}

#[test]
fn the_last_owner_stays_one_whoever_is_told_so_at_once() {
    race(|a, b, _| async move {
        let tenant = tenant();
        owners(&a).await;
        let answers = all((&a, &b), |handle, n| {
            let tenant = &tenant;
            async move {
                let (id, owner) = (principal(n), Some(Role::Owner));
                let leave = handle.change_membership(tenant, id, None, owner, None);
                leave.await.unwrap()
            }
        })
        .await;
        let stay = count(&answers, |it| matches!(it, MembershipChanged::LastOwner));
        assert_eq!(stay, 1, "{answers:?}");
    });
}

#[test]
fn the_last_owner_is_neither_deleted_nor_disabled() {
    race(|a, b, _| async move {
        let tenant = tenant();
        owners(&a).await;
        let kept = all((&a, &b), |handle, n| {
            let tenant = &tenant;
            async move {
                if n < MANY / 2 {
                    let deleted = handle.delete_principal(tenant, principal(n)).await;
                    deleted.unwrap() == RecordDeleted::LastOwner
                } else {
                    let disabled = handle.put_principal(tenant, person(n, 2, true)).await;
                    disabled.unwrap() == RecordPut::LastOwner
                }
            }
        })
        .await;
        assert_eq!(count(&kept, |it| *it), 1, "{kept:?}");
    });
}

#[test]
fn of_exchanges_of_a_token_at_once_one_wins() {
    race(|a, b, _| async move {
        let tenant = tenant();
        for round in 0..ROUNDS {
            let token = Digest::of(&[round]);
            let new = NewSession {
                id: Uuid::from_u128(u128::from(round) + 1),
                principal: principal(1),
                kind: SessionKind::Program,
                token,
                from: String::new(),
                agent: String::new(),
                idle: Duration::from_hours(1),
                lasts: Duration::from_hours(9),
            };
            let _ = a.open_session(&tenant, new).await.unwrap();
            let answers = all((&a, &b), |handle, n| {
                let tenant = &tenant;
                async move {
                    let to = Digest::of(&[round, n]);
                    handle.rotate(tenant, token, to).await.unwrap()
                }
            })
            .await;
            let won = count(&answers, |it| matches!(it, Rotated::Rotated(_)));
            let seen = count(&answers, |it| matches!(it, Rotated::Reused { .. }));
            assert_eq!((won, seen), (1, 1), "{answers:?}");
        }
    });
}

#[test]
fn tries_at_once_are_counted_each() {
    race(|a, b, _| async move {
        let tenant = tenant();
        let lockout = Lockout {
            free: 3,
            first: Duration::from_secs(5),
            longest: Duration::from_mins(5),
            forget: Duration::from_hours(1),
        };
        for round in 0..ROUNDS {
            let answers = all((&a, &b), |handle, _| {
                let tenant = &tenant;
                async move {
                    let key = Digest::of(&[round]);
                    handle.attempt(tenant, key, &lockout).await.unwrap()
                }
            })
            .await;
            let gone = answers.iter().filter_map(|it| match it {
                Attempted::Go { tries } => Some(*tries),
                Attempted::Wait { .. } => None,
            });
            let mut gone: Vec<_> = gone.collect();
            gone.sort_unstable();
            assert_eq!(gone, [1, 2, 3], "{answers:?}");
        }
    });
}

#[test]
fn a_token_for_one_use_is_taken_once() {
    race(|a, b, _| async move {
        let tenant = tenant();
        for round in 0..ROUNDS {
            let token = Digest::of(&[round]);
            let new = NewOnce {
                token,
                purpose: "reset".to_owned(),
                content: "ada".to_owned(),
                ttl: Duration::from_mins(5),
                alone: false,
            };
            a.put_once(&tenant, new).await.unwrap();
            let answers = all((&a, &b), |handle, _| {
                let tenant = &tenant;
                async move { handle.take_once(tenant, "reset", token).await.unwrap() }
            })
            .await;
            assert_eq!(count(&answers, Option::is_some), 1, "{answers:?}");
        }
    });
}

fn credential() -> CredentialId {
    CredentialId::new("shop").unwrap()
}

fn key(n: u8) -> KeyId {
    KeyId::new(format!("key-{n}")).unwrap()
}

fn sealed(version: u32, under: u8, envelope: u8) -> CredentialVersion {
    CredentialVersion {
        id: credential(),
        kind: "token".to_owned(),
        version,
        key: key(under),
        envelope: vec![envelope],
    }
}

#[test]
fn of_credentials_put_at_once_one_is_stored() {
    race(|a, b, _| async move {
        let tenant = tenant();
        let _ = a.promote_key(&tenant, None, &key(1)).await.unwrap();
        for round in 0..ROUNDS {
            let answers = all((&a, &b), |handle, n| {
                let tenant = &tenant;
                async move {
                    let new = sealed(u32::from(round) + 1, 1, n);
                    handle.put(tenant, new).await.unwrap()
                }
            })
            .await;
            let stored = count(&answers, |it| matches!(it, CredentialPut::Stored));
            assert_eq!(stored, 1, "{answers:?}");
        }
    });
}

/// Nothing is encrypted with another key than the primary one at the moment at which it is put.
#[test]
fn of_keys_promoted_at_once_one_is_the_primary() {
    race(|a, b, _| async move {
        let tenant = tenant();
        let _ = a.promote_key(&tenant, None, &key(100)).await.unwrap();
        let mut primary = key(100);
        for round in 0..ROUNDS {
            let answers = all((&a, &b), |handle, n| {
                let (tenant, primary) = (&tenant, &primary);
                async move {
                    let to = key(round * 10 + n);
                    handle
                        .promote_key(tenant, Some(primary), &to)
                        .await
                        .unwrap()
                }
            })
            .await;
            let won = count(&answers, |it| matches!(it, KeyPromoted::Promoted));
            assert_eq!(won, 1, "{answers:?}");
            let keys = nebula_ports::CredentialRepo::keys(&*b, &tenant).await;
            primary = keys.unwrap().remove(0);
        }
    });
}

/// Whether somebody waits for a lock of this kind.
async fn waits(client: &Client, kind: &str) -> bool {
    let sql = format!("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = '{kind}'");
    !client.query_typed(&sql, &[]).await.unwrap().is_empty()
}

/// The key under which something is put is neither replaced nor dropped before that is committed: a put is held
/// up behind its look at the keys, and so whoever changes them waits for it.
#[test]
fn nothing_is_encrypted_with_a_key_that_was_dropped() {
    let Some(address) = database() else { return };
    run(async {
        let (store, tenant, done) = (open(&address, None).await, tenant(), Cell::new(false));
        let _ = store.promote_key(&tenant, None, &key(0)).await.unwrap();
        let parsed = Address::parse(&address, &[]).unwrap();
        let (client, carrier) = parsed.connect().await.unwrap();
        let hold = "BEGIN; LOCK TABLE credentials IN SHARE MODE";
        let changes = async {
            while !waits(&client, "relation").await {}
            let change = async {
                let promoted = store.promote_key(&tenant, Some(&key(0)), &key(1)).await;
                assert_eq!(promoted.unwrap(), KeyPromoted::Promoted);
                let dropped = store.drop_key(&tenant, &key(0)).await.unwrap();
                done.set(true);
                dropped
            };
            let release = async {
                while !done.get() && !waits(&client, "advisory").await {}
                client.batch_execute("ROLLBACK").await.unwrap();
            };
            futures_util::join!(change, release).0
        };
        let work = async {
            client.batch_execute(hold).await.unwrap();
            let put = store.put(&tenant, sealed(1, 0, 1));
            futures_util::join!(put, changes)
        };
        let (put, dropped) = tokio::select! {
            biased;
            answers = work => answers,
            _ = carrier => panic!("the connection ended"),
        };
        assert_eq!(put.unwrap(), CredentialPut::Stored);
        assert_eq!(dropped, KeyDropped::InUse);
    });
}

#[test]
fn a_refresh_is_leased_to_one_and_uses_are_numbered() {
    race(|a, b, clock| async move {
        let tenant = tenant();
        let _ = a.promote_key(&tenant, None, &key(1)).await.unwrap();
        let _ = a.put(&tenant, sealed(1, 1, 1)).await.unwrap();
        let ttl = Duration::from_secs(10);
        for _ in 0..ROUNDS {
            let answers = all((&a, &b), |handle, n| {
                let tenant = &tenant;
                async move {
                    let holder = Uuid::from_u128(u128::from(n) + 1);
                    let lease = handle
                        .lease_refresh(tenant, &credential(), 1, holder, ttl)
                        .await;
                    let used = handle
                        .record_use(tenant, &credential(), 1, &CredentialUser::Test)
                        .await;
                    let _ = used.unwrap();
                    lease.unwrap()
                }
            })
            .await;
            let granted = count(&answers, |it| matches!(it, RefreshLease::Granted { .. }));
            assert_eq!(granted, 1, "{answers:?}");
            clock.advance(ttl);
        }
        let uses = a.uses(&tenant, &credential(), None, 100).await.unwrap();
        let numbers: Vec<_> = uses.iter().map(|it| it.number).rev().collect();
        let expected: Vec<_> = (1..=u64::from(MANY) * u64::from(ROUNDS)).collect();
        assert_eq!(numbers, expected);
    });
}

fn operation(n: u16) -> Operation {
    Operation {
        key: format!("operation-{n}"),
        by: "local".to_owned(),
    }
}

#[test]
fn of_incidents_about_one_thing_one_is_opened() {
    race(|a, b, _| async move {
        let tenant = tenant();
        for round in 0..ROUNDS {
            let answers = all((&a, &b), |handle, n| {
                let tenant = &tenant;
                let new = NewIncident {
                    key: format!("shop-{round}"),
                    service: "shop".to_owned(),
                    title: "does not answer".to_owned(),
                    description: String::new(),
                    severity: Severity::Critical,
                    may_lower: false,
                    workflow: orders(),
                    execution: ExecutionId::from_bytes([7; 16]),
                };
                async move {
                    let number = u16::from(round) * 100 + u16::from(n);
                    let id = Uuid::from_u128(u128::from(number) + 1);
                    handle
                        .open(tenant, id, &operation(number), new)
                        .await
                        .unwrap()
                }
            })
            .await;
            let opened = count(&answers, |it| matches!(it, IncidentOpened::Opened(_)));
            assert_eq!(opened, 1, "{answers:?}");
        }
    });
}

#[test]
fn a_counter_counts_each() {
    race(|a, b, _| async move {
        let tenant = tenant();
        let mut values = all((&a, &b), |handle, n| {
            let tenant = &tenant;
            async move {
                let (operation, add) = (operation(n.into()), CounterChange::Add);
                handle
                    .count(tenant, "failed", &operation, add)
                    .await
                    .unwrap()
            }
        })
        .await;
        values.sort_unstable();
        let expected: Vec<_> = (1..=u64::from(MANY)).collect();
        assert_eq!(values, expected);
    });
}

#[test]
fn what_the_server_cannot_store_is_refused_with_what_to_do() {
    race(|a, _, _| async move {
        let new = NewVersion {
            name: "a\0b".to_owned(),
            ..version(1, 0)
        };
        let refused = a.save(&tenant(), new).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
        assert!(refused.message.contains("U+0000"), "{refused}");
    });
}
