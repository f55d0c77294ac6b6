//! What a seed decides about its world, before anything runs.

use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

use nebula_core::Entropy;
use nebula_memory::Grace;

use super::planted::Bug;
use crate::SeededEntropy;

/// So much has no fact: nothing lies in blobs.
const NO_BLOBS: u64 = 1 << 20;

/// How long a slow call takes at most, each way.
pub(super) const SLOWEST: Duration = Duration::from_secs(3);

/// Declares an enum with its members and their names in order.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $member:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$what])* $member,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$member),+];

            /// What summaries call it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// One way in which the world goes wrong.
    Fault {
        /// The store fails before it has done anything.
        StoreRefuses = "store-refuses",
        /// The store does it, and its answer is lost.
        StoreAnswerLost = "store-answer-lost",
        /// Request and answer take their time; a caller who is gone does not call it back.
        StoreSlow = "store-slow",
        /// A step or a renewal is on its way for longer than the lease lasts.
        StoreLate = "store-late",
        /// A step reaches the store once more, a little later: something on the way sent it again.
        StepRepeated = "step-repeated",
        /// A copy of a process, brought up again from its image, writes under the same lease.
        StepByTwin = "step-by-a-twin",
        /// There is no room for creations and steps.
        StoreFull = "store-full",
        /// A process reaches no store for a while.
        Partition = "partition",
        /// A process dies before a call reaches the store.
        DeathBeforeCommit = "death-before-commit",
        /// A process dies before it hears of its commit.
        DeathAfterCommit = "death-after-commit",
        /// A process dies while it loads an execution, again and again.
        DeathAtLoad = "death-at-load",
        /// A ring is lost.
        RingLost = "ring-lost",
        /// A ring comes twice.
        RingRepeated = "ring-repeated",
        /// A ring comes late, and so behind others.
        RingLate = "ring-late",
        /// An ack is lost.
        AckLost = "ack-lost",
        /// An ack comes when its receipt is superseded.
        AckLate = "ack-late",
        /// The queue forgets everything.
        QueueWiped = "queue-wiped",
        /// A process dies.
        Crash = "crash",
        /// A process dies soon after it was started again.
        CrashInRecovery = "crash-in-recovery",
        /// A process stands still for longer than its leases last.
        Pause = "pause",
        /// The wall clock of a process jumps.
        ClockJump = "clock-jump",
        /// All processes are stopped and started, one after the other.
        RollingRestart = "rolling-restart",
        /// Many executions are cancelled at once.
        CancelStorm = "cancel-storm",
        /// The store of blobs fails before it has done anything.
        BlobRefused = "blob-refused",
        /// The store of blobs does it, and its answer is lost.
        BlobAnswerLost = "blob-answer-lost",
        /// A call of the store of blobs takes its time, both ways.
        BlobSlow = "blob-slow",
        /// There is no room for blobs.
        BlobFull = "blob-full",
        /// A read of a blob breaks off.
        BlobTorn = "blob-torn",
        /// A read of a blob brings another byte; the store finds out.
        BlobFlipped = "blob-flipped",
        /// A process dies before a blob is durable.
        DeathBeforeBlob = "death-before-blob",
        /// A process dies when a blob is durable, and no journal names it yet.
        DeathAfterBlob = "death-after-blob",
        /// The collector stands still in the middle of its work.
        CollectorPaused = "collector-paused",
        /// The store of secrets fails before it has done anything.
        SecretsRefused = "secrets-refused",
        /// The store of secrets does it, and its answer is lost.
        SecretsAnswerLost = "secrets-answer-lost",
        /// A call of the store of secrets takes its time, both ways.
        SecretsSlow = "secrets-slow",
        /// There is no room for secrets.
        SecretsFull = "secrets-full",
        /// A process dies before a secret is set or deleted.
        DeathBeforeSecret = "death-before-secret",
        /// A process dies when a secret is set or deleted, and nothing else knows of it.
        DeathAfterSecret = "death-after-secret",
        /// The store of credentials fails before it has done anything.
        CredentialsRefused = "credentials-refused",
        /// The store of credentials does it, and its answer is lost.
        CredentialsAnswerLost = "credentials-answer-lost",
        /// A call of the store of credentials takes its time, both ways.
        CredentialsSlow = "credentials-slow",
        /// There is no room for credentials, their uses and keys.
        CredentialsFull = "credentials-full",
        /// A process dies before what it writes of a credential is durable.
        DeathBeforeCredential = "death-before-credential",
        /// A process dies when what it writes of a credential is durable, and does not hear of it.
        DeathAfterCredential = "death-after-credential",
        /// A credential gets other values, while attempts use it.
        CredentialRotated = "credential-rotated",
        /// All credentials get another master key, while attempts open them.
        KeysRotated = "keys-rotated",
        /// The store of secrets gets another key, while it is read.
        SecretsRotated = "secrets-rotated",
        /// Who rotates dies in the middle of it.
        RotationCut = "rotation-cut",
        /// Who rotates stands still in the middle of it.
        RotationPaused = "rotation-paused",
        /// The store of triggers fails before it has done anything.
        TriggersRefused = "triggers-refused",
        /// The store of triggers does it, and its answer is lost.
        TriggersAnswerLost = "triggers-answer-lost",
        /// A call of the store of triggers takes its time, both ways.
        TriggersSlow = "triggers-slow",
        /// There is no room to move a trigger.
        TriggersFull = "triggers-full",
        /// A process dies before a trigger is moved.
        DeathBeforeTrigger = "death-before-trigger",
        /// A process dies when a trigger is moved, and does not hear of it.
        DeathAfterTrigger = "death-after-trigger",
    }
}

named! {
    /// One way back to work, or out of harm's way.
    Recovery {
        /// A holder was told that somebody else has its execution.
        Fenced = "step-fenced",
        /// A repeated step was recognised.
        Replayed = "step-replayed",
        /// A renewal was refused.
        LeaseLost = "lease-lost",
        /// An execution was created with its first step.
        BegunByStep = "begun-by-step",
        /// An execution went to another holder in the middle of its work.
        TakenOver = "taken-over",
        /// A state was loaded from a snapshot.
        SnapshotLoaded = "snapshot-loaded",
        /// An attempt that was lost with its worker was made again.
        AttemptRepeated = "lost-attempt-repeated",
        /// An action was asked what became of an attempt.
        Reconciled = "attempt-reconciled",
        /// A person decided about an unknown outcome.
        Decided = "decided-by-a-person",
        /// An execution that brought no progress was parked, and let go.
        PoisonParked = "poison-parked",
        /// A repeated start was recognised.
        StartRepeated = "start-repeated",
        /// A repeated signal was recognised.
        SignalRepeated = "signal-repeated",
        /// A receipt was superseded.
        ReceiptSuperseded = "receipt-superseded",
        /// A task was delivered more than once.
        Redelivered = "task-redelivered",
        /// The sweep found work.
        Swept = "found-by-the-sweep",
        /// A full queue dropped a ring.
        RingDropped = "ring-dropped",
        /// A slot was lost with a lease.
        SlotLost = "slot-lost",
        /// An effect was undone.
        Undone = "effect-undone",
        /// A start was refused for now, and came again when it was told to.
        StartRefused = "start-refused-for-now",
        /// A start had to wait for its turn or its time.
        StartWaits = "start-waits",
        /// An execution that waited was moved to a later version.
        Moved = "moved-to-a-version",
        /// A process was stopped and left in order.
        Drained = "drained",
        /// A fact was read back from its blob.
        BlobLoaded = "blob-loaded",
        /// The collector has read a blob that is named, and what it names.
        BlobMarked = "blob-marked",
        /// What was put was there already.
        BlobKnown = "blob-known",
        /// A writer that took long renewed what it was about to name.
        BlobRenewed = "blob-renewed",
        /// A blob that no journal named was deleted.
        OrphanCollected = "orphan-collected",
        /// An attempt whose credentials could not be opened is made again.
        OpenedAgain = "opened-at-another-try",
        /// An attempt had the values that an attempt before it had not.
        NewVersion = "attempt-with-newer-values",
        /// A secret was taken out of what an attempt gave.
        TakenOut = "secret-taken-out",
        /// A rotation went on with another one's.
        RotationResumed = "rotation-resumed",
        /// Of those who gave a credential other values, one was late.
        RotationLost = "rotation-lost-to-another",
        /// A token was refreshed.
        TokenRefreshed = "token-refreshed",
        /// The answer to a refresh was lost, and was given again.
        TokenAskedAgain = "token-asked-again",
        /// An execution was started for a slot.
        SlotStarted = "slot-started",
        /// A slot was left out, as its trigger says.
        SlotLeftOut = "slot-left-out",
        /// A start came from where its trigger stood before, and was refused.
        StartOutdated = "start-outdated",
        /// A slot was started already, and is passed over.
        SlotKnown = "slot-started-before",
        /// Of those who moved a trigger, one was late.
        TriggerMoved = "trigger-moved-by-another",
    }
}

impl Fault {
    /// Whether it happens to credentials, secrets and triggers. Which of these a world has is drawn apart,
    /// so that the other faults of a seed do not depend on how many of them there are.
    fn is_drawn_apart(self) -> bool {
        self >= Self::SecretsRefused
    }
}

/// What a seed decides about its world. Different seeds have different faults, so that rare
/// combinations come about (Groce et al.: "Swarm testing", ISSTA 2012).
///
/// As text it is one line of `key=value`, which can be read back: with `seed=7` alone it is the swarm
/// of that seed, and each further key changes one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Where it comes from.
    pub seed: u64,
    /// How many processes there are, from 1 to 5.
    pub processes: u64,
    /// How many executions are begun, from 1 to 40.
    pub executions: u64,
    /// Of how many workflows they are.
    pub workflows: u64,
    /// How many tenants there are, 1 or 2.
    pub tenants: u64,
    /// How often a call fails by one of the faults, in a thousand.
    pub per_mille: u64,
    /// How long the nemesis rests between two deeds, on average, in milliseconds.
    pub rest: u64,
    /// How long faults last, in milliseconds.
    pub safety: u64,
    /// How long leases last, in milliseconds.
    pub ttl: u64,
    /// Whether all processes have one queue (1), rather than one each (0).
    pub shared: u64,
    /// How many tasks a queue has room for.
    pub queue: u64,
    /// How far wall clocks are apart at most, in milliseconds.
    pub skew: u64,
    /// Entries between two snapshots.
    pub snapshot: u64,
    /// How many entries a step has at the most before it is committed on the way.
    pub step: u64,
    /// How many bytes of values a fact has at the most that lies in no blob.
    pub inline: u64,
    /// Up to how many milliseconds an execution waits in memory.
    pub memory: u64,
    /// Whether nodes use credentials (1).
    pub secrets: u64,
    /// Whether there are triggers, and which of their slots are made up for that were missed: all (1), the
    /// last (2), none (3).
    pub triggers: u64,
    /// Which faults happen.
    pub faults: BTreeSet<Fault>,
    /// Which defect is put in on purpose.
    pub bug: Option<Bug>,
}

impl Swarm {
    /// The swarm that belongs to a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let entropy = SeededEntropy::new(seed ^ 0x5157_4152_4d00);
        let mut faults = BTreeSet::new();
        // Every tenth world is a peaceful one: there, nothing may go wrong at all.
        if !entropy.chance(10) {
            let percent = *entropy.pick(&[15, 40, 70]);
            let apart = SeededEntropy::new(seed ^ 0x5345_4352_4554);
            faults.extend(Fault::ALL.iter().filter(|it| match it.is_drawn_apart() {
                true => apart.chance(percent),
                false => entropy.chance(percent),
            }));
        }
        // Most are small: what goes wrong in large ones mostly does so in small ones, and sooner.
        let executions = *entropy.pick(&[
            1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 8, 8, 12, 40,
        ]);
        Self {
            seed,
            processes: 1 + entropy.below(5),
            executions,
            workflows: 1 + entropy.below(executions),
            tenants: *entropy.pick(&[1, 1, 2]),
            per_mille: *entropy.pick(&[5, 20, 60]),
            rest: 500 + entropy.below(8_000),
            safety: 5_000 + entropy.below(40_000),
            ttl: 2_000 + entropy.below(8_000),
            shared: u64::from(entropy.chance(60)),
            queue: *entropy.pick(&[2, 1_000, 1_000]),
            skew: *entropy.pick(&[0, 20, 2_000]),
            snapshot: *entropy.pick(&[1, 4, 20, 2_000]),
            memory: *entropy.pick(&[0, 1_000, 1_000, 5_000]),
            step: *entropy.pick(&[1, 2, 5, 256, 256, 256]),
            inline: *entropy.pick(&[0, 0, 40, NO_BLOBS, NO_BLOBS]),
            secrets: u64::from(entropy.chance(40)),
            triggers: {
                let apart = SeededEntropy::new(seed ^ 0x5449_434b_5300);
                match apart.chance(33) {
                    true => *apart.pick(&[1, 1, 2, 3]),
                    false => 0,
                }
            },
            faults,
            bug: None,
        }
    }

    /// The same world, one process and no blobs, and nothing goes wrong.
    #[must_use]
    pub fn undisturbed(&self) -> Self {
        Self {
            processes: 1,
            queue: 1_000,
            faults: BTreeSet::new(),
            skew: 0,
            inline: NO_BLOBS,
            triggers: 0,
            bug: None,
            ..self.clone()
        }
    }

    /// Worlds that are a little smaller, the smallest first.
    pub(super) fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        let mut add = |swarm: Self| {
            if swarm != *self {
                smaller.push(swarm);
            }
        };
        for executions in [1, self.executions / 2, self.executions.saturating_sub(1)] {
            let executions = executions.max(1);
            add(Self {
                executions,
                workflows: self.workflows.min(executions),
                ..self.clone()
            });
        }
        add(Self {
            faults: BTreeSet::new(),
            ..self.clone()
        });
        for fault in &self.faults {
            let mut faults = self.faults.clone();
            faults.remove(fault);
            add(Self {
                faults,
                ..self.clone()
            });
        }
        for processes in [1, self.processes - 1] {
            add(Self {
                processes: processes.max(1),
                ..self.clone()
            });
        }
        add(Self {
            tenants: 1,
            ..self.clone()
        });
        add(Self {
            skew: 0,
            ..self.clone()
        });
        add(Self {
            queue: 1_000,
            ..self.clone()
        });
        add(Self {
            inline: NO_BLOBS,
            ..self.clone()
        });
        add(Self {
            secrets: 0,
            ..self.clone()
        });
        add(Self {
            triggers: 0,
            ..self.clone()
        });
        smaller
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub(super) fn lease_ttl(&self) -> Duration {
        Duration::from_millis(self.ttl)
    }

    /// The world of a seed with a defect. Values lie in blobs only where it is about them: a defect that
    /// makes an execution turn in a circle would read all of them again in each round. In the same way
    /// nodes use credentials, and there are triggers, where it is about those.
    #[must_use]
    pub fn with(bug: Bug, seed: u64) -> Self {
        let world = Self::of(seed);
        let inline = match bug.needs_blobs() {
            true => world.inline,
            false => NO_BLOBS,
        };
        Self {
            inline,
            secrets: u64::from(bug.needs_secrets()),
            triggers: u64::from(bug.needs_triggers()),
            bug: Some(bug),
            ..world
        }
    }

    /// Whether anything lies in blobs.
    pub(super) fn spills(&self) -> bool {
        self.inline < NO_BLOBS
    }

    /// Whether nodes use credentials.
    pub(super) fn has_secrets(&self) -> bool {
        self.secrets == 1
    }

    /// Whether workflows start by themselves.
    pub(super) fn has_triggers(&self) -> bool {
        self.triggers > 0
    }

    /// What a trigger does about slots that were missed.
    pub(super) fn misfire(&self) -> &'static str {
        match self.triggers {
            0 | 1 => "all",
            2 => "once",
            _ => "skip",
        }
    }

    /// How many bytes of the values that lie in blobs a process keeps in memory: often none, so that
    /// blobs are read.
    pub(super) fn kept(&self) -> u64 {
        match self.processes % 3 {
            0 => 0,
            1 => 500,
            _ => 100_000,
        }
    }

    /// How long a blob counts as just put.
    pub(super) fn fresh(&self) -> Duration {
        self.lease_ttl() / 4
    }

    /// How long a collector leaves a blob alone: until a step that was on its way when its blob was
    /// last renewed has arrived, by clocks that are apart.
    pub(super) fn grace(&self) -> Grace {
        Grace {
            lease: 2 * self.lease_ttl() + SLOWEST,
            attempt: self.fresh(),
            skew: Duration::from_millis(2 * self.skew),
        }
    }

    /// How long before the store lets a lease go its holder counts it as gone.
    pub(super) fn lease_margin(&self) -> Duration {
        self.lease_ttl() / 5
    }

    /// A stream of chance of its own for each purpose.
    pub(super) fn chance(&self, purpose: u64) -> SeededEntropy {
        let first = SeededEntropy::new(self.seed ^ (purpose << 40));
        SeededEntropy::new(first.next_u64())
    }

    /// The numbers by name, in the order in which they are written.
    fn numbers(&mut self) -> [(&'static str, &mut u64); 18] {
        [
            ("seed", &mut self.seed),
            ("processes", &mut self.processes),
            ("executions", &mut self.executions),
            ("workflows", &mut self.workflows),
            ("tenants", &mut self.tenants),
            ("per_mille", &mut self.per_mille),
            ("rest", &mut self.rest),
            ("safety", &mut self.safety),
            ("ttl", &mut self.ttl),
            ("shared", &mut self.shared),
            ("queue", &mut self.queue),
            ("skew", &mut self.skew),
            ("snapshot", &mut self.snapshot),
            ("memory", &mut self.memory),
            ("step", &mut self.step),
            ("inline", &mut self.inline),
            ("secrets", &mut self.secrets),
            ("triggers", &mut self.triggers),
        ]
    }
}

impl fmt::Display for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.clone().numbers() {
            write!(f, "{name}={value} ")?;
        }
        let faults: Vec<_> = self.faults.iter().map(|fault| fault.name()).collect();
        write!(f, "faults={}", faults.join(","))?;
        self.bug
            .map_or(Ok(()), |bug| write!(f, " bug={}", bug.name))
    }
}

/// Why a text is no swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSwarm(pub String);

impl fmt::Display for NoSwarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` says nothing about a world", self.0)
    }
}

impl FromStr for Swarm {
    type Err = NoSwarm;

    fn from_str(text: &str) -> Result<Self, NoSwarm> {
        let wrong = |word: &str| NoSwarm(word.to_owned());
        let mut words = text.split_whitespace();
        let seed = words.next().and_then(|word| word.strip_prefix("seed="));
        let seed = seed.and_then(|seed| seed.parse().ok());
        let mut swarm = Self::of(seed.ok_or_else(|| wrong(text))?);
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| wrong(word))?;
            if name == "bug" {
                let bug = Bug::named(value).filter(|bug| bug.is_there());
                swarm.bug = Some(bug.ok_or_else(|| wrong(word))?);
                continue;
            }
            if name == "faults" {
                let names = value.split(',').filter(|name| !name.is_empty());
                let faults = names.map(|name| {
                    let found = Fault::ALL.iter().find(|fault| fault.name() == name);
                    found.copied().ok_or_else(|| wrong(name))
                });
                swarm.faults = faults.collect::<Result<_, _>>()?;
                continue;
            }
            let value = value.parse().map_err(|_| wrong(word))?;
            let mut numbers = swarm.numbers().into_iter();
            let number = numbers.find(|(known, _)| *known == name);
            *number.ok_or_else(|| wrong(word))?.1 = value;
        }
        let sound =
            swarm.processes > 0 && swarm.workflows > 0 && swarm.tenants > 0 && swarm.ttl > 0;
        if sound { Ok(swarm) } else { Err(wrong(text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swarm_is_written_and_read_back() {
        for seed in 0..50 {
            let swarm = Swarm::of(seed);
            assert_eq!(swarm.to_string().parse(), Ok(swarm.clone()));
            for smaller in swarm.smaller() {
                assert_eq!(smaller.to_string().parse(), Ok(smaller));
            }
        }
    }

    #[test]
    fn what_is_no_swarm_is_refused() {
        for text in [
            "",
            "7",
            "seed=x",
            "seed=1 ttl",
            "seed=1 faults=rain",
            "seed=1 ttl=0",
        ] {
            assert!(text.parse::<Swarm>().is_err(), "{text}");
        }
    }
}
