//! Random operations: the driver and the test kit's model give the same answers.

mod support;

use std::{fmt::Debug, sync::Arc, time::Duration};

use nebula_core::{Clock, Digest, Entropy, ExecutionId, TenantId, Timestamp};
use nebula_execution::{Entry, Fact, StartSlot, Status};
use nebula_ports::{
    Acquired, Created, DedupeKey, ExecutionFilter, ExecutionRepo, InboxDelivery, Incarnation,
    Lease, LeaseRequest, NewSignal, Result, SlotClaim, SlotId, SlotKey, SlotOwner, Snapshot, Step,
    StepId, WaitToken,
};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_testkit::{ManualClock, MemoryExecutionRepo, START, SeededEntropy, run};
use serde_json::{Value, json};
use support::{end, execution, fact, new_execution};
use uuid::Uuid;

/// Ids that operations choose from: few, so that they meet.
const EXECUTIONS: u64 = 6;

/// Everything that one run knows.
struct Run {
    model: MemoryExecutionRepo,
    driver: Sqlite,
    clock: ManualClock,
    random: SeededEntropy,
    leases: Vec<Lease>,
    steps: Vec<(Lease, Step)>,
}

/// Answers that can be compared: a page token or a message is each store's own affair.
fn shown<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("{:?}", error.kind),
    }
}

macro_rules! both {
    ($run:ident, $what:expr, |$repo:ident| $call:expr) => {{
        let $repo: &dyn ExecutionRepo = &$run.model;
        let expected = $call.await;
        let $repo: &dyn ExecutionRepo = &$run.driver;
        let found = $call.await;
        let (expected, answer) = (shown(expected), found.as_ref().map_err(|error| error.kind));
        let told = match &answer {
            Ok(answer) => format!("{answer:?}"),
            Err(kind) => format!("{kind:?}"),
        };
        assert_eq!(told, expected, "{}", $what);
        found
    }};
}

impl Run {
    fn below(&self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn tenant(&self) -> TenantId {
        TenantId::new(if self.one_in(4) { "other" } else { "local" }).unwrap()
    }

    fn id(&self) -> ExecutionId {
        execution(self.below(EXECUTIONS).into())
    }

    fn request(&self) -> LeaseRequest {
        LeaseRequest {
            holder: Incarnation(Uuid::from_u128(self.below(3).into())),
            ttl: Duration::from_secs(1 + self.below(20)),
        }
    }

    fn soon(&self) -> Timestamp {
        self.clock.now().plus(Duration::from_secs(self.below(20)))
    }

    fn token(&self) -> WaitToken {
        WaitToken(Digest::of(&[u8::try_from(self.below(4)).unwrap()]))
    }

    fn key(&self) -> DedupeKey {
        DedupeKey(format!("key {}", self.below(12)))
    }

    fn slot(&self) -> SlotId {
        SlotId {
            key: SlotKey::new(format!("key {}", self.below(3))).unwrap(),
            owner: SlotOwner::new(format!("item {}", self.below(2))).unwrap(),
        }
    }

    async fn next_step(&self, lease: &Lease) -> Step {
        let known = self
            .model
            .get(&lease.tenant, lease.execution)
            .await
            .unwrap();
        let seq = known.as_ref().map_or(1, |summary| summary.entries + 1);
        let seq = if self.one_in(10) {
            self.below(seq + 2)
        } else {
            seq
        };
        let id = u128::from(self.random.next_u64());
        let mut step = match self.below(16) {
            0 => end(seq, id),
            n => {
                let entries = vec![
                    Entry {
                        at: START,
                        fact: fact(20)
                    };
                    usize::try_from(n / 4).unwrap()
                ];
                Step::append(StepId(Uuid::from_u128(id)), seq, entries, 0)
            }
        };
        if self.one_in(4) && step.to.is_none() {
            step.to = Status::all().nth(usize::try_from(self.below(7)).unwrap());
        }
        if self.one_in(40) {
            step.entries.push(Entry {
                at: START,
                fact: Fact::ExecutionTimedOut,
            });
        }
        step.wake_at = (!self.one_in(3)).then(|| self.soon());
        let head = self
            .model
            .inbox(&lease.tenant, lease.execution, 0, 1000)
            .await
            .unwrap()
            .len();
        step.inbox_through = if self.one_in(12) {
            self.below(4)
        } else {
            head as u64
        };
        if self.one_in(4) {
            step.waits_opened.push(self.token());
        }
        if self.one_in(4) {
            step.waits_closed.push(self.token());
        }
        if self.one_in(6) {
            step.children
                .push(new_execution(self.below(EXECUTIONS).into()));
        }
        if self.one_in(4) {
            step.deliver.push(InboxDelivery {
                to: self.id(),
                dedupe: self.key(),
                kind: "child".to_owned(),
                payload: json!({ "n": self.below(9) }),
            });
        }
        if self.one_in(5) {
            step.snapshot = Some(Snapshot {
                through: seq,
                state: vec![1, 2, 3].into(),
            });
        }
        if self.one_in(3) {
            let (id, capacity) = (self.slot(), u32::try_from(1 + self.below(2)).unwrap());
            step.slots.claim.push(SlotClaim { id, capacity });
        }
        if self.one_in(4) {
            step.slots.free.push(self.slot());
        }
        step.release = self.one_in(3);
        step
    }

    async fn one(&mut self, n: usize) {
        let (tenant, id) = (self.tenant(), self.id());
        let what = format!("operation {n}");
        match self.below(16) {
            0 => self.clock.advance(Duration::from_secs(self.below(15))),
            1 if self.one_in(50) => self.clock.advance(Duration::from_hours(24 * 7)),
            1 | 2 => {
                let mut new = new_execution(self.below(EXECUTIONS).into());
                new.tenant = tenant.clone();
                new.slot = self.one_in(3).then(|| StartSlot {
                    key: self.slot().key.as_str().to_owned(),
                    capacity: u32::try_from(1 + self.below(2)).unwrap(),
                    max_waiting: u32::try_from(self.below(3)).unwrap(),
                });
                let dedupe = self.one_in(3).then(|| self.key());
                let lease = self.one_in(2).then(|| self.request());
                let created = both!(self, what, |repo| repo.create(
                    &tenant,
                    new.clone(),
                    dedupe.clone(),
                    lease
                ));
                if let Ok(Created::Created(Some(lease))) = created {
                    self.leases.push(lease);
                }
            }
            3 | 4 => {
                let request = self.request();
                let acquired = both!(self, what, |repo| repo.acquire(&tenant, id, request, 3));
                if let Ok(Acquired::Granted(granted)) = acquired {
                    self.leases.push(granted.lease);
                }
            }
            5 => {
                let leases: Vec<_> = self.leases.iter().rev().take(3).cloned().collect();
                let _ = both!(self, what, |repo| repo.renew(&leases));
            }
            6..=9 => {
                let Some(lease) = self.some_lease() else {
                    return;
                };
                let step = self.next_step(&lease).await;
                self.steps.push((lease.clone(), step.clone()));
                let _ = both!(self, what, |repo| repo.step(&lease, step.clone()));
            }
            10 if self.one_in(2) => {
                let Some(lease) = self.some_lease() else {
                    return;
                };
                let _ = both!(self, what, |repo| repo.release(&lease));
            }
            10 => {
                // A step with entries is recognised for ever, another until the next one.
                let last = self.steps.len().checked_sub(1);
                let Some(last) = last else { return };
                let at = last - usize::try_from(self.below(4)).unwrap().min(last);
                let (lease, step) = self.steps[at].clone();
                if !step.entries.is_empty() {
                    let _ = both!(self, what, |repo| repo.step(&lease, step.clone()));
                }
            }
            11 => {
                let signal = NewSignal {
                    kind: "go".to_owned(),
                    payload: Value::from(n),
                    dedupe: self.key(),
                };
                let _ = both!(self, what, |repo| repo.signal(&tenant, id, signal.clone()));
            }
            12 => {
                let limit = usize::try_from(self.below(8)).unwrap();
                let back = Duration::from_secs(self.below(20));
                let before = Timestamp::from_millis(
                    self.clock.now().as_millis() - i64::try_from(back.as_millis()).unwrap(),
                );
                let _ = both!(self, what, |repo| repo.runnable(
                    before,
                    &nebula_core::Groups::All,
                    limit
                ));
            }
            13 => {
                let limit = usize::try_from(self.below(5)).unwrap();
                let before = self.soon();
                let _ = both!(self, what, |repo| repo.delete_ended(&tenant, before, limit));
            }
            14 => {
                let token = self.token();
                let _ = both!(self, what, |repo| repo.waiting_on(&tenant, token));
                let _ = both!(self, what, |repo| repo.inbox(&tenant, id, 1, 3));
                let key = self.slot().key;
                let _ = both!(self, what, |repo| repo.slots(&tenant, &key, 9));
            }
            _ => {
                let (from, limit) = (1 + self.below(6), usize::try_from(self.below(5)).unwrap());
                let _ = both!(self, what, |repo| repo.journal(&tenant, id, from, limit));
                let _ = both!(self, what, |repo| repo.get(&tenant, id));
                self.compare_listings(&tenant, &what).await;
            }
        }
    }

    fn some_lease(&self) -> Option<Lease> {
        let last = self.leases.len().checked_sub(1)?;
        let back = usize::try_from(self.below(6)).unwrap();
        self.leases.get(last - back.min(last)).cloned()
    }

    /// Walks a listing in each store by its own tokens.
    async fn compare_listings(&self, tenant: &TenantId, what: &str) {
        let mut filter = ExecutionFilter::default();
        if self.one_in(2) {
            filter.statuses = Status::all().filter(|_| self.one_in(3)).collect();
        }
        if self.one_in(3) {
            filter.ids = Some(self.id()..=self.id());
        }
        let limit = 1 + usize::try_from(self.below(3)).unwrap();
        let mut listings = Vec::new();
        for repo in [&self.model as &dyn ExecutionRepo, &self.driver] {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let page = repo
                    .list(tenant, &filter, after.as_ref(), limit)
                    .await
                    .unwrap();
                all.push(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            listings.push(all);
        }
        assert_eq!(listings[1], listings[0], "{what}");
    }
}

fn agree(config: SqliteConfig, seed: u64, operations: usize) {
    run(async {
        let clock = ManualClock::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let mut run = Run {
            model: MemoryExecutionRepo::new(Arc::clone(&shared)),
            driver: Sqlite::open(config, shared).await.unwrap(),
            clock,
            random: SeededEntropy::new(seed),
            leases: Vec::new(),
            steps: Vec::new(),
        };
        for n in 0..operations {
            run.one(n).await;
        }
        let stats = run.driver.stats();
        assert!(
            stats.steps as usize > operations / 20,
            "seed {seed}: {stats:?} is hardly a test"
        );
    });
}

#[test]
fn ten_thousand_random_operations_agree_with_the_model() {
    for seed in 0..10 {
        agree(SqliteConfig::ephemeral(), seed, 1000);
    }
}

#[test]
fn random_operations_on_a_file_agree_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    agree(SqliteConfig::file(folder.path().join("a.db")), 77, 2000);
}

#[test]
fn the_random_operations_of_the_test_kit_agree_too() {
    for seed in 0..5 {
        nebula_testkit::agree::execution_repos(seed, 1500, |clock| async move {
            let opened = Sqlite::open(SqliteConfig::ephemeral(), clock).await;
            Arc::new(opened.unwrap()) as Arc<_>
        });
    }
}

#[test]
fn random_operations_on_credentials_give_the_answers_of_the_model() {
    for seed in 1..=12 {
        nebula_testkit::agree::credential_repos(seed, 800, |clock| async move {
            let driver = Sqlite::open(SqliteConfig::ephemeral(), clock).await;
            Arc::new(driver.unwrap()) as Arc<_>
        });
    }
}

#[test]
fn random_operations_on_identities_give_the_answers_of_the_model() {
    for seed in 1..=12 {
        nebula_testkit::agree::identity_repos(seed, 1_000, |clock| async move {
            let driver = Sqlite::open(SqliteConfig::ephemeral(), clock).await;
            Arc::new(driver.unwrap()) as Arc<_>
        });
    }
}

#[test]
fn random_operations_on_sessions_give_the_answers_of_the_model() {
    for seed in 1..=12 {
        nebula_testkit::agree::session_repos(seed, 1_000, |clock| async move {
            let driver = Sqlite::open(SqliteConfig::ephemeral(), clock).await;
            Arc::new(driver.unwrap()) as Arc<_>
        });
    }
}
