//! Workflows as people write them, which between them have every construct; and a process that dies
//! at every call of its store while it runs them.
//!
//! Each is a file beside this one. Its first lines say what it is for, and then, after a word and a
//! colon:
//!
//! - `gives`: its status, and its output or the code of its failure
//! - `does`: the labels of all effects, those that arrive under several keys with their number
//!   (`send *2`), or `does in order`
//! - `fails`: labels of effects whose first attempts fail, with their number (`send *2`), until
//!   somebody goes over it again
//! - `calls`: the file of the workflow that it calls
//! - `answers`: what [`People`] say instead of the usual, as JSON
//! - `people`: what they do beside answering: `pause` it as soon as it runs, `cancel` it when it waits
//!   for a signal, `retry` it or `restart` it from a node when it has ended, or `start twice`
//!
//! Whatever dies when, the same must come of it, outside included.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
};

use nebula::{Nebula, engine::Installed};
use nebula_core::{Digest, ExecutionId, TenantId};
use nebula_execution::{Again, StartOptions};
use nebula_ports::ExecutionFilter;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    Ended, ManualClock, People,
    stage::{Death, Stage, Stores},
};

/// How many executions a reference workflow has at most, with those that it calls.
const MAX_EXECUTIONS: usize = 100;

/// Entries after which a process keeps a snapshot that keeps none.
const NO_SNAPSHOT: u64 = u64::MAX;

/// A workflow, and what must come of it.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// The name of its file.
    pub name: &'static str,
    /// Its definition, with what comes of it in its first lines.
    pub yaml: &'static str,
}

macro_rules! references {
    ($($name:literal),+ $(,)?) => {
        /// Every reference workflow.
        pub const ALL: &[Reference] = &[$(Reference {
            name: $name,
            yaml: include_str!(concat!($name, ".yaml")),
        }),+];
    };
}

references![
    "audited_gates",
    "ballot",
    "change_before_shipping",
    "draft_review",
    "examinations",
    "first_offers",
    "gives_itself_up",
    "invoice_run",
    "lost_transfer",
    "nightly_sync",
    "order_saga",
    "out_of_time",
    "paging",
    "payment_approval",
    "payment_or_reminders",
    "rated_queue",
    "restarted_report",
    "retried_import",
    "slow_partner",
    "story_of_a_parcel",
    "threads",
    "three_warehouses",
    "till",
    "trip_booking",
    "unanswered_questions",
    "upload_in_parts",
    "withdrawn_order",
];

/// Workflows that others call.
const CALLED: &[Reference] = &[Reference {
    name: "invoice",
    yaml: include_str!("invoice.yaml"),
}];

/// What became of the reference workflows.
#[derive(Debug, Default)]
pub struct Survived {
    /// How many lives each took, by its name.
    pub lives: BTreeMap<&'static str, usize>,
    /// Those of which something else came.
    pub wrong: Vec<&'static str>,
}

/// Lets every reference workflow run over stores that `make` makes of a clock, once undisturbed, and
/// once for each call of its store at which the process dies: before the call does anything, and after
/// it. Another process goes on. With `each`, only every so many calls are looked at.
///
/// What was wrong is printed as a panic; the other workflows are looked at all the same.
pub fn survive<M: Future<Output = Stores>>(
    each: usize,
    make: impl Fn(Arc<ManualClock>) -> M + Sync,
) -> Survived {
    let (next, survived) = (AtomicUsize::new(0), Mutex::new(Survived::default()));
    let look = || {
        while let Some(reference) = ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let lives = catch_unwind(AssertUnwindSafe(|| reference.dies_at_each(each, &make)));
            let mut survived = survived.lock();
            match lives {
                Ok(lives) => {
                    survived.lives.insert(reference.name, lives);
                }
                Err(_) => survived.wrong.push(reference.name),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            scope.spawn(look);
        }
    });
    survived.into_inner()
}

/// Plans that were made once: that is most of the work of a short life.
struct Kept {
    installed: Installed,
    plans: Vec<(Digest, Vec<u8>)>,
}

impl Reference {
    /// What its first lines say of `what`.
    fn told(&self, what: &str) -> Option<&'static str> {
        let mut lines = self.yaml.lines().map_while(|line| line.strip_prefix("# "));
        lines.find_map(|line| line.strip_prefix(what)?.strip_prefix(": "))
    }

    /// Its definitions, what it calls first.
    pub fn definitions(&self) -> impl Iterator<Item = &'static str> {
        let called = self.told("calls").map(|name| {
            let mut called = CALLED.iter();
            let called = called.find(|it| it.name == name);
            called.unwrap_or_else(|| panic!("{name} is no file")).yaml
        });
        called.into_iter().chain([self.yaml])
    }

    /// How many lives it took to die at each `each`-th call, before it and after it.
    fn dies_at_each<M: Future<Output = Stores>>(
        &self,
        each: usize,
        make: &impl Fn(Arc<ManualClock>) -> M,
    ) -> usize {
        let kept = Stage::set(make, async |stage| self.keep(&stage).await);
        let live = |death| {
            Stage::set(make, async |stage| {
                Box::pin(self.live(&stage, &kept, death)).await
            })
        };
        let (undisturbed, calls) = live(None);
        self.compare(&undisturbed);
        let mut lives = 1;
        for dies_at in (1..=calls).step_by(each) {
            for after in [false, true] {
                let (mut ended, _) = live(Some((dies_at, after)));
                if self.told("does in order").is_none() {
                    ended.order.clone_from(&undisturbed.order);
                }
                assert_eq!(
                    ended, undisturbed,
                    "{}: death at call {dies_at} of {calls}, after: {after}",
                    self.name
                );
                lives += 1;
            }
        }
        lives
    }

    /// Compares what came of it, undisturbed, with what its first lines say.
    fn compare(&self, ended: &Ended) {
        let of = self.name;
        assert_eq!(Some(&*ended.gives), self.told("gives"), "{of}");
        if let Some(order) = self.told("does in order") {
            assert_eq!(ended.order.join(", "), order, "{of}");
            return;
        }
        assert_eq!(ended.effects, self.counted("does"), "{of}");
    }

    /// Labels with their numbers.
    fn counted<N: FromStr + Ord>(&self, what: &str) -> BTreeMap<String, N> {
        let labels = self.told(what).into_iter().flat_map(|it| it.split(", "));
        let counted = labels.map(|label| {
            let (label, number) = label.split_once(" *").unwrap_or((label, "1"));
            let number = number.parse().ok().expect("a number of times");
            (label.to_owned(), number)
        });
        counted.collect()
    }

    async fn keep(&self, stage: &Stage) -> Kept {
        let (mut last, mut plans) = (None, Vec::new());
        for yaml in self.definitions() {
            let installed = stage.install(yaml).await;
            let plan = stage.workflows().plan(&tenant(), installed.digest).await;
            let plan = plan.expect("the store answers");
            plans.push((installed.digest, plan.expect("it has the plan")));
            last = Some(installed);
        }
        Kept {
            installed: last.expect("there is a definition"),
            plans,
        }
    }

    /// One life: what came of it, and how many calls its first process made.
    async fn live(&self, stage: &Stage, kept: &Kept, death: Option<Death>) -> (Ended, usize) {
        for (digest, plan) in &kept.plans {
            let put = stage.workflows().put_plan(&tenant(), *digest, plan).await;
            put.expect("the store answers");
        }
        for (label, times) in self.counted("fails") {
            stage.ledger().fail_next(&label, times);
        }
        // Who takes over finds a snapshot of every step, or none at all.
        let snapshot_entries = match death {
            Some((_, true)) => 1,
            _ => NO_SNAPSHOT,
        };
        let snapshot_entries = [snapshot_entries, NO_SNAPSHOT];
        let act = async |nebula: &Nebula| self.act(stage, kept, nebula).await;
        Box::pin(stage.through(death, snapshot_entries, act)).await
    }

    /// What people do, whoever of them did a part of it before.
    async fn act(&self, stage: &Stage, kept: &Kept, nebula: &Nebula) -> Ended {
        let answers = self.told("answers").map(serde_json::from_str);
        let answers = answers.transpose().expect("answers are JSON");
        let people = People::new(stage.clock(), answers.unwrap_or(Value::Null));
        let does = self.told("people").unwrap_or_default();
        let starts = if does == "start twice" { 2 } else { 1 };
        let mut ids = started(nebula, kept).await;
        while ids.len() < starts {
            let options = StartOptions::default();
            let (tenant, input) = (tenant(), json!({ "n": 1 }));
            let id = nebula.start(&tenant, &kept.installed, input, options).await;
            ids.push(id.expect("the store takes it"));
        }
        match does {
            "pause" => {
                let why = "an audit".to_owned();
                let paused = nebula.engine().pause(&tenant(), ids[0], why).await;
                let _signalled = paused.expect("the store answers");
            }
            "cancel" => {
                people.await_question(nebula, ids[0]).await;
                let why = "withdrawn".to_owned();
                let cancelled = nebula.engine().cancel(&tenant(), ids[0], why).await;
                let _signalled = cancelled.expect("the store answers");
            }
            _ => {}
        }
        // Who died may have gone over it again before.
        let (mut report, mut repeated) = (None, None);
        for id in &ids {
            let ended = people.see_off(nebula, *id).await;
            match ended.again {
                None => report = Some(ended),
                Some(_) => repeated = Some(ended),
            }
        }
        let mut report = report.expect("it was started");
        let again = match does.split_once(' ') {
            None if does == "retry" => Some(Again::Retry),
            Some(("restart", from)) => Some(Again::Restart {
                from: Some(from.parse().expect("the id of a node")),
            }),
            _ => None,
        };
        if let Some(again) = again {
            report = match repeated {
                Some(repeated) => repeated,
                None => {
                    // Whoever goes over it again has mended what failed.
                    for label in self.counted::<u32>("fails").keys() {
                        stage.ledger().fail_next(label, 0);
                    }
                    let id = nebula.again(&tenant(), report.execution, again).await;
                    let id = id.expect("it can be gone over again");
                    people.see_off(nebula, id).await
                }
            };
        }
        // What it began beside itself ends as well.
        for id in listed(nebula, ExecutionFilter::default()).await {
            people.see_off(nebula, id).await;
        }
        Ended::new(&report, stage.ledger())
    }
}

/// Every execution of the workflow, the oldest first.
async fn started(nebula: &Nebula, kept: &Kept) -> Vec<ExecutionId> {
    let filter = ExecutionFilter {
        workflow: Some(kept.installed.plan.workflow.clone()),
        ..ExecutionFilter::default()
    };
    listed(nebula, filter).await
}

async fn listed(nebula: &Nebula, filter: ExecutionFilter) -> Vec<ExecutionId> {
    let (engine, most) = (nebula.engine(), MAX_EXECUTIONS);
    let page = engine.list(&tenant(), &filter, None, most).await;
    let found = page.expect("the store answers").items.into_iter().rev();
    found.map(|summary| summary.id).collect()
}

fn tenant() -> TenantId {
    TenantId::local()
}
