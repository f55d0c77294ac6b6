//! What all processes of a simulation share: the true stores, the outside, chance, and the oracle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use nebula_core::{Clock, Entropy, ExecutionId, TenantId, Timestamp};
use nebula_execution::{Fact, Status, StoredEntry};
use nebula_ports::{ExecutionRepo, Receipt};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    checks::{self, Check},
    credentials::Held,
    director::Prepared,
    oracle::{Effect, Oracle},
    outside::Ledger,
    planted::Place,
    scheduler::{Board, Life, Order},
    slots::Slots,
    swarm::{Fault, Recovery, SLOWEST, Swarm},
};
use crate::{
    ManualClock, MemoryBlobStore, MemoryCredentialRepo, MemoryExecutionRepo, MemorySecretsStore,
    MemoryTriggerRepo, MemoryWorkflowRepo, SeededEntropy,
};

/// How often each thing happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Recoveries by path.
    pub recoveries: BTreeMap<Recovery, u64>,
    /// Calls of the store.
    pub calls: u64,
    /// Effects outside.
    pub effects: u64,
    /// Executions that were accepted.
    pub executions: u64,
}

impl Counts {
    /// Adds those of another world.
    pub fn add(&mut self, other: &Self) {
        for (fault, times) in &other.faults {
            *self.faults.entry(*fault).or_default() += times;
        }
        for (recovery, times) in &other.recoveries {
            *self.recoveries.entry(*recovery).or_default() += times;
        }
        self.calls += other.calls;
        self.effects += other.effects;
        self.executions += other.executions;
    }
}

/// Everything that survives the death of a process.
pub(super) struct World {
    pub(super) swarm: Swarm,
    pub(super) clock: ManualClock,
    pub(super) store: MemoryExecutionRepo,
    pub(super) blobs: MemoryBlobStore,
    pub(super) credentials: MemoryCredentialRepo,
    pub(super) secrets: MemorySecretsStore,
    pub(super) held: Mutex<Held>,
    /// The lives that collect blobs.
    pub(super) collectors: Mutex<BTreeSet<Life>>,
    pub(super) triggers: MemoryTriggerRepo,
    pub(super) slots: Mutex<Slots>,
    /// Whether no trigger fires any more.
    pub(super) rests: AtomicBool,
    /// Rings when a process hears that triggers are due.
    pub(super) fires: Notify,
    /// From when on there are slots.
    pub(super) ticks_from: Timestamp,
    pub(super) workflows: Arc<MemoryWorkflowRepo>,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) oracle: Mutex<Oracle>,
    pub(super) counts: Mutex<Counts>,
    pub(super) board: Arc<Board>,
    pub(super) cut_off: Mutex<BTreeSet<Life>>,
    pub(super) dead: Mutex<BTreeSet<Life>>,
    pub(super) hands: Mutex<BTreeMap<(Life, ExecutionId), Hands>>,
    /// How many processes each deadly execution has taken along.
    deaths: Mutex<BTreeMap<ExecutionId, u32>>,
    /// How often each process looked for work in the second of its last look.
    looks: Mutex<BTreeMap<Life, (u64, u32)>>,
    tenants: Vec<TenantId>,
    chance: SeededEntropy,
    faulty: AtomicBool,
    trace: Mutex<Trace>,
}

/// The deliveries of one execution that a process has not answered.
#[derive(Debug, Default)]
pub(super) struct Hands {
    pub(super) receipts: Vec<Receipt>,
    /// The one that led to a lease, and its epoch.
    pub(super) leading: Option<(Receipt, u64)>,
    /// The last epoch whose delivery was acked.
    pub(super) answered: u64,
}

/// Those in whose name the executions of a world run.
pub(super) fn tenants(swarm: &Swarm) -> Vec<TenantId> {
    let names = ["local", "other"].into_iter();
    let count = usize::try_from(swarm.tenants).unwrap_or(1);
    let tenants = names.take(count).map(TenantId::new);
    tenants.map(|tenant| tenant.expect("a good name")).collect()
}

/// What happened, as a hash, and as lines if somebody wants to read them.
struct Trace {
    hash: u64,
    lines: Option<String>,
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // FNV-1a (Fowler, Noll, Vo): enough to tell two traces apart.
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push_str(text);
        }
        Ok(())
    }
}

/// How many executions of a world are deadly, and how often.
const DEADLY: usize = 2;
const DEATHS: u32 = 7;

/// Who looks for work so often in a second turns in a circle.
const MAX_LOOKS: u32 = 200;

/// What happens to one call of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Plain,
    Refused,
    Unanswered,
    Slow { there: Duration, back: Duration },
    Full,
    Cut { arrives: bool },
    Dies { arrives: bool },
}

/// The faults of one store.
pub(super) struct Faults {
    /// How many times as often as others: a store that is seldom called has few chances.
    pub(super) often: u64,
    /// How many milliseconds a call takes at most on its way, each way, where nothing is wrong with it.
    pub(super) latency: u64,
    pub(super) refused: Fault,
    pub(super) unanswered: Fault,
    pub(super) slow: Fault,
    pub(super) full: Fault,
    pub(super) before: Fault,
    pub(super) after: Fault,
}

impl World {
    /// A world before anything happens; with `told`, its trace is kept as text.
    pub(super) fn new(swarm: Swarm, prepared: &Prepared, told: bool) -> Arc<Self> {
        let clock = ManualClock::default();
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let guard = match swarm.bug.map(|bug| bug.place) {
            Some(Place::Triggers(guard)) => Some(guard),
            _ => None,
        };
        let triggers = prepared.triggers.copy(time.clone(), guard);
        let workflows = prepared.workflows.clone();
        Arc::new(Self {
            store: match swarm.bug.map(|bug| bug.place) {
                Some(Place::Store(guard)) => MemoryExecutionRepo::without(time.clone(), guard),
                _ => MemoryExecutionRepo::new(time.clone()),
            }
            .sharing(&triggers),
            triggers,
            collectors: Mutex::default(),
            slots: Mutex::default(),
            rests: AtomicBool::new(false),
            fires: Notify::new(),
            ticks_from: clock.now(),
            blobs: match swarm.bug.map(|bug| bug.place) {
                Some(Place::Blobs(guard)) => MemoryBlobStore::without(time.clone(), guard),
                _ => MemoryBlobStore::new(time.clone()),
            },
            credentials: match swarm.bug.map(|bug| bug.place) {
                Some(Place::Credentials(guard)) => MemoryCredentialRepo::without(time, guard),
                _ => MemoryCredentialRepo::new(time),
            },
            secrets: MemorySecretsStore::default(),
            held: Mutex::default(),
            workflows,
            clock,
            ledger: Mutex::default(),
            oracle: Mutex::default(),
            counts: Mutex::default(),
            board: Arc::default(),
            cut_off: Mutex::default(),
            dead: Mutex::default(),
            hands: Mutex::default(),
            deaths: Mutex::default(),
            looks: Mutex::default(),
            tenants: tenants(&swarm),
            chance: swarm.chance(1),
            faulty: AtomicBool::new(false),
            trace: Mutex::new(Trace {
                hash: 0xcbf2_9ce4_8422_2325,
                lines: told.then(String::new),
            }),
            swarm,
        })
    }

    /// Whose the start of this number is.
    pub(super) fn tenant_of(&self, number: u64) -> TenantId {
        let tenants = &self.tenants;
        tenants[usize::try_from(number).unwrap_or(0) % tenants.len()].clone()
    }

    pub(super) fn complain(&self, check: Check, what: impl Into<String>) {
        let what = what.into();
        self.note("VIOLATION", format_args!("{check}: {what}"));
        self.oracle.lock().complain(check, what);
    }

    /// From now on faults happen.
    pub(super) fn begin(&self) {
        self.faulty.store(true, Ordering::Relaxed);
    }

    /// Whether faults happen now.
    pub(super) fn is_faulty(&self) -> bool {
        self.faulty.load(Ordering::Relaxed)
    }

    /// From now on nothing goes wrong.
    pub(super) fn heal(&self) {
        self.faulty.store(false, Ordering::Relaxed);
        self.cut_off.lock().clear();
    }

    /// Whether a fault of this kind is to happen at this chance; counts it.
    pub(super) fn strikes(&self, fault: Fault) -> bool {
        self.strikes_at(fault, self.swarm.per_mille)
    }

    /// The same for what has fewer chances: blobs are read far less often than stores are called.
    pub(super) fn strikes_a_read(&self, fault: Fault) -> bool {
        self.strikes_at(fault, 5 * self.swarm.per_mille)
    }

    fn strikes_at(&self, fault: Fault, per_mille: u64) -> bool {
        let strikes =
            self.is_faulty() && self.swarm.has(fault) && self.chance.below(1_000) < per_mille;
        if strikes {
            self.struck(fault);
        }
        strikes
    }

    /// Whether a process dies that loads this execution: some are deadly, for a while.
    pub(super) fn dies_at_load(&self, id: ExecutionId) -> bool {
        let deadly = self.is_faulty() && self.swarm.has(Fault::DeathAtLoad);
        let mut deaths = self.deaths.lock();
        if !deadly || !(deaths.contains_key(&id) || deaths.len() < DEADLY) {
            return false;
        }
        let died = deaths.entry(id).or_default();
        *died += 1;
        let dies = *died <= DEATHS;
        drop(deaths);
        if dies {
            self.struck(Fault::DeathAtLoad);
        }
        dies
    }

    /// A process looks for work: now and then, and when something is due.
    pub(super) fn looks(&self, life: Life) {
        let second = self.clock.monotonic().as_secs();
        let mut looks = self.looks.lock();
        let (of, times) = looks.entry(life).or_default();
        *times = if *of == second { *times + 1 } else { 1 };
        *of = second;
        let too_often = *times == MAX_LOOKS;
        drop(looks);
        if too_often {
            let what = format!("{life} looked for work {MAX_LOOKS} times in a second");
            self.complain(checks::NO_CIRCLE, what);
        }
    }

    pub(super) fn struck(&self, fault: Fault) {
        *self.counts.lock().faults.entry(fault).or_default() += 1;
        self.note("fault", fault);
    }

    pub(super) fn recovered(&self, by: Recovery) {
        *self.counts.lock().recoveries.entry(by).or_default() += 1;
        self.note("recovery", by);
    }

    /// A span up to `max` milliseconds.
    pub(super) fn span(&self, max: u64) -> Duration {
        Duration::from_millis(self.chance.below(max.max(1)))
    }

    /// Adds to the trace: what happened, when, in which order.
    pub(super) fn note(&self, what: &'static str, detail: impl fmt::Display) {
        let mut trace = self.trace.lock();
        let millis = self.clock.monotonic().as_millis();
        let written = writeln!(trace, "{millis:>8} {what} {detail}");
        written.expect("a hash takes everything");
    }

    /// The trace's hash, and its text if somebody wanted it.
    pub(super) fn trace(&self) -> (u64, Option<String>) {
        let trace = self.trace.lock();
        (trace.hash, trace.lines.clone())
    }

    /// Ends a process at once, in the middle of whatever it does.
    pub(super) fn kill(&self, life: Life) {
        self.dead.lock().insert(life);
        self.board.order(Order::Kill(life));
    }

    /// What becomes of a call of a store; those that write may find no room.
    pub(super) fn fate(&self, operation: &str, life: Life, writes: bool) -> Fate {
        self.counts.lock().calls += 1;
        if !self.is_faulty() {
            return Fate::Plain;
        }
        if self.cut_off.lock().contains(&life) {
            let arrives = self.chance.chance(30);
            return Fate::Cut { arrives };
        }
        let slow = || self.span(SLOWEST.as_millis() as u64);
        let (there, back) = (slow(), slow());
        let of_lease = matches!(operation, "begin" | "step" | "renew");
        match () {
            () if self.strikes(Fault::StoreRefuses) => Fate::Refused,
            () if self.strikes(Fault::StoreAnswerLost) => Fate::Unanswered,
            () if self.strikes(Fault::StoreSlow) => Fate::Slow { there, back },
            () if of_lease && self.strikes(Fault::StoreLate) => {
                let there = self.swarm.lease_ttl() + self.span(self.swarm.ttl);
                Fate::Slow { there, back }
            }
            () if writes && self.strikes(Fault::StoreFull) => Fate::Full,
            () if self.strikes(Fault::DeathBeforeCommit) => Fate::Dies { arrives: false },
            () if self.strikes(Fault::DeathAfterCommit) => Fate::Dies { arrives: true },
            () => Fate::Plain,
        }
    }

    /// What becomes of a call of a store that has its own faults; they strike `often` times as often as
    /// others.
    pub(super) fn fate_by(&self, faults: &Faults, life: Life, writes: bool) -> Fate {
        self.counts.lock().calls += 1;
        if !self.is_faulty() {
            return Fate::Plain;
        }
        if self.cut_off.lock().contains(&life) {
            let arrives = self.chance.chance(30);
            return Fate::Cut { arrives };
        }
        let strikes = |fault| self.strikes_at(fault, faults.often * self.swarm.per_mille);
        match () {
            () if strikes(faults.refused) => Fate::Refused,
            () if strikes(faults.unanswered) => Fate::Unanswered,
            () if strikes(faults.slow) => {
                let slow = || self.span(SLOWEST.as_millis() as u64);
                let (there, back) = (slow(), slow());
                Fate::Slow { there, back }
            }
            () if writes && strikes(faults.full) => Fate::Full,
            () if writes && strikes(faults.before) => Fate::Dies { arrives: false },
            () if writes && strikes(faults.after) => Fate::Dies { arrives: true },
            () if faults.latency > 0 && self.chance.chance(50) => {
                let (there, back) = (self.span(faults.latency), self.span(faults.latency));
                Fate::Slow { there, back }
            }
            () => Fate::Plain,
        }
    }

    /// An action acts.
    pub(super) fn effect(&self, effect: &Effect<'_>) {
        self.counts.lock().effects += 1;
        let ctx = effect.ctx;
        self.note(
            "effect",
            format_args!(
                "{} {} attempt {} by {}",
                ctx.execution, ctx.node, ctx.attempt, effect.life
            ),
        );
        self.oracle.lock().effect(effect, self.clock.now());
    }

    /// Asks the true store, which never keeps anybody waiting.
    pub(super) fn ask<T>(&self, call: impl Future<Output = T>) -> T {
        call.now_or_never().expect("the model answers at once")
    }

    /// Status and wake-up of an execution, as the store has them.
    pub(super) fn stands(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
    ) -> (Option<Status>, Option<Timestamp>) {
        let found = self.ask(self.store.get(tenant, id)).ok().flatten();
        found.map_or((None, None), |found| (Some(found.status), found.wake_at))
    }

    /// A number that no other purpose sees.
    pub(super) fn fresh(&self) -> u64 {
        self.chance.next_u64()
    }
}

/// How many entries the oracle reads at a time.
const PAGE: usize = 1_000;

impl World {
    /// The journal of an execution from `from` on, as its machine decided it.
    fn journal(&self, tenant: &TenantId, id: ExecutionId, from: u64) -> Vec<StoredEntry> {
        let mut entries = self.stored(tenant, id, from);
        for stored in &mut entries {
            self.read_fact(tenant, &mut stored.entry.fact);
        }
        entries
    }

    /// The journal of an execution from `from` on, as the store has it.
    pub(super) fn stored(&self, tenant: &TenantId, id: ExecutionId, from: u64) -> Vec<StoredEntry> {
        let (mut entries, mut next) = (Vec::new(), Some(from));
        while let Some(from) = next {
            let Ok(page) = self.ask(self.store.journal(tenant, id, from, PAGE)) else {
                self.complain(checks::NO_CHANGE, format!("{id} cannot be read"));
                break;
            };
            entries.extend(page.entries);
            next = page.next;
        }
        entries
    }

    /// Tells the oracle of entries that the store wrote by itself.
    pub(super) fn catch_up(&self, tenant: &TenantId, id: ExecutionId) {
        let from = self.oracle.lock().entries(id) + 1;
        let stored = self.journal(tenant, id, from);
        self.oracle.lock().written(id, &stored);
    }

    /// Holds everything that the store has against what the oracle saw.
    pub(super) fn compare_journals(&self) {
        let ids: Vec<_> = {
            let oracle = self.oracle.lock();
            let all = oracle.accepted();
            all.map(|(id, machine)| (machine.tenant().clone(), id))
                .collect()
        };
        for (tenant, id) in ids {
            let stored = self.journal(&tenant, id, 1);
            let (status, _) = self.stands(&tenant, id);
            self.oracle.lock().compare_journal(id, &stored, status);
        }
    }

    /// What a step says about ways back to work.
    pub(super) fn count_entries(&self, step: &nebula_ports::Step) {
        for entry in &step.entries {
            let recovery = match &entry.fact {
                Fact::AttemptFailed { counts: false, .. } => Recovery::AttemptRepeated,
                Fact::Unparked { .. } => Recovery::Decided,
                Fact::CompensationSucceeded { .. } => Recovery::Undone,
                Fact::SlotLost { .. } => Recovery::SlotLost,
                Fact::AttemptFailed { error, .. } if error.code.starts_with("CREDENTIAL_") => {
                    Recovery::OpenedAgain
                }
                _ => continue,
            };
            self.recovered(recovery);
        }
    }
}
