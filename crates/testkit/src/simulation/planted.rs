//! Defects that are put in on purpose: a simulation that does not find them proves nothing.
//!
//! Those of the stores are guards that their models lack then, and need no build of their own. Those of
//! engine, runtime, machine and the layer of blobs exist only under `--cfg sim_bug`, where `nebula_core::sim_bug` wakes them.

use crate::{BlobGuard, CredentialGuard, ExecutionGuard as Guard, TriggerGuard};

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bug {
    /// How it is called.
    pub name: &'static str,
    /// Where it is.
    pub(super) place: Place,
}

/// Where a defect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In what runs: the code has it under `--cfg sim_bug`.
    Code,
    /// In the layer that puts values into blobs, or in their collector: under `--cfg sim_bug`, too.
    Layer,
    /// The store of executions lacks this.
    Store(Guard),
    /// The store of blobs lacks this.
    Blobs(BlobGuard),
    /// The store of blobs answers before what it was given is durable.
    Unsynced,
    /// In what opens credentials, keeps them, or takes secrets out: under `--cfg sim_bug`, too.
    Holding,
    /// The store of credentials lacks this.
    Credentials(CredentialGuard),
    /// In what fires triggers: under `--cfg sim_bug`, too.
    Firing,
    /// The store of triggers lacks this.
    Triggers(TriggerGuard),
}

const fn engine(name: &'static str) -> Bug {
    let place = Place::Code;
    Bug { name, place }
}

const fn layer(name: &'static str) -> Bug {
    let place = Place::Layer;
    Bug { name, place }
}

const fn store(name: &'static str, guard: Guard) -> Bug {
    let place = Place::Store(guard);
    Bug { name, place }
}

const fn blobs(name: &'static str, guard: BlobGuard) -> Bug {
    let place = Place::Blobs(guard);
    Bug { name, place }
}

const fn holding(name: &'static str) -> Bug {
    let place = Place::Holding;
    Bug { name, place }
}

const fn credentials(name: &'static str, guard: CredentialGuard) -> Bug {
    let place = Place::Credentials(guard);
    Bug { name, place }
}

const fn firing(name: &'static str) -> Bug {
    let place = Place::Firing;
    Bug { name, place }
}

const fn triggers(name: &'static str, guard: TriggerGuard) -> Bug {
    let place = Place::Triggers(guard);
    Bug { name, place }
}

impl Bug {
    /// All of them.
    pub const ALL: &[Self] = &[
        engine("ack-before-commit"),
        engine("attempt-number-is-reused"),
        engine("backoff-is-skipped"),
        engine("begins-though-cancelled"),
        layer("cache-confuses-values"),
        layer("collector-has-no-grace"),
        layer("collector-keeps-orphans"),
        holding("credential-is-opened-before-its-start"),
        holding("credential-is-opened-once-for-all"),
        engine("dead-token-is-dropped"),
        engine("end-is-a-step-by-itself"),
        engine("end-of-a-child-is-lost"),
        engine("end-is-told-before-it-stands"),
        holding("errors-keep-their-secrets"),
        engine("inbox-item-is-lost"),
        engine("input-is-not-that-of-the-start"),
        engine("key-changes-on-retry"),
        holding("key-goes-before-what-it-encrypts"),
        engine("late-write-is-repeated"),
        engine("lease-is-not-given-back"),
        engine("lease-is-not-watched"),
        engine("lock-is-not-taken-again"),
        engine("lost-write-is-repeated"),
        engine("one-attempt-too-many"),
        holding("progress-keeps-its-secrets"),
        engine("reads-before-it-begins"),
        holding("refresh-asks-for-no-right"),
        holding("refresh-keeps-the-old-token"),
        engine("rings-for-another-tenant"),
        engine("sleeps-for-ever"),
        firing("slot-has-no-key"),
        firing("slot-is-settled-before-its-start"),
        engine("snapshot-is-misplaced"),
        layer("step-before-its-blob"),
        engine("sweep-looks-again-at-once"),
        engine("sweep-rings-for-nobody"),
        engine("timer-fires-early"),
        engine("undoing-is-forgotten"),
        holding("use-is-not-recorded"),
        holding("values-keep-their-secrets"),
        engine("write-before-its-start"),
        blobs("blobs-are-read-unverified", BlobGuard::Digest),
        Bug {
            name: "blobs-are-not-durable",
            place: Place::Unsynced,
        },
        credentials("credentials-take-any-version", CredentialGuard::NextVersion),
        credentials("credentials-let-all-refresh", CredentialGuard::OneRefresher),
        store("store-answers-a-repeated-step-anew", Guard::StepId),
        store("store-begins-a-known-start-anew", Guard::Dedupe),
        store("store-knows-no-repeated-beginning", Guard::BeginReplay),
        store("store-counts-no-grants", Guard::GrantCounter),
        store(
            "store-forgets-deliveries-of-the-last-step",
            Guard::FinalDelivery,
        ),
        store("store-gives-a-full-lock-away", Guard::SlotFull),
        store("store-gives-a-held-lease-away", Guard::HeldCheck),
        store("store-keeps-a-lost-lock-secret", Guard::SlotLostTold),
        store("store-keeps-the-epoch", Guard::EpochGrows),
        store("store-lets-unread-items-sleep", Guard::UnreadWakes),
        store("store-skips-the-epoch", Guard::Epoch),
        store("store-skips-the-place", Guard::ExpectedSeq),
        store("store-takes-a-signal-twice", Guard::SignalDedupe),
        store("store-wakes-nobody-for-a-signal", Guard::SignalWakes),
        triggers("triggers-start-from-anywhere", TriggerGuard::CreateCompares),
    ];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|bug| bug.name == name).copied()
    }

    /// Whether this build has it.
    #[must_use]
    pub fn is_there(self) -> bool {
        !self.is_in_code() || cfg!(sim_bug)
    }

    /// Whether it must be woken: it is in what runs, and not in a model around it.
    fn is_in_code(self) -> bool {
        let here = self.place;
        matches!(
            here,
            Place::Code | Place::Layer | Place::Holding | Place::Firing
        )
    }

    /// Whether it shows only where values lie in blobs.
    pub(super) fn needs_blobs(self) -> bool {
        matches!(self.place, Place::Layer | Place::Blobs(_) | Place::Unsynced)
    }

    /// Whether it shows only where workflows start by themselves.
    pub(super) fn needs_triggers(self) -> bool {
        matches!(self.place, Place::Firing | Place::Triggers(_))
    }

    /// Whether it shows only where nodes use credentials.
    pub(super) fn needs_secrets(self) -> bool {
        matches!(self.place, Place::Holding | Place::Credentials(_))
    }
}

/// Wakes the defect of the engine that is wanted on this thread, and lets any other sleep.
pub(super) fn wake(bug: Option<Bug>) {
    #[cfg(sim_bug)]
    nebula_core::sim_bug::wake(
        bug.filter(|bug| bug.is_in_code())
            .map_or("", |bug| bug.name),
    );
    #[cfg(not(sim_bug))]
    let _ = bug;
}
