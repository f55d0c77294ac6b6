//! What is said in the end.

use std::fmt;

use nebula_execution::{Fact, StoredEntry};

/// Counts, and everything that must not be.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) executions: u64,
    pub(crate) effects: u64,
    /// Keyed writes that came again and were done once.
    pub(crate) repeats: u64,
    /// Writes whose start was looked up in the database before they were let in.
    pub(crate) looked: u64,
    /// Entries of journals that were checked.
    pub(crate) entries: u64,
    /// Times that somebody took an execution over from another one.
    pub(crate) takeovers: u64,
    /// Effects in doubt that were asked about and settled by the action itself or a person.
    pub(crate) decisions: u64,
    pub(crate) drains: u64,
    /// Drains while attempts were under way.
    pub(crate) busy: u64,
    pub(crate) faults: u64,
    /// What else was counted, by what it is.
    pub(crate) counted: Vec<(&'static str, u64)>,
    /// What could not be done here.
    pub(crate) skipped: Vec<String>,
    pub(crate) violations: Vec<String>,
}

impl Told {
    /// Something must not be.
    pub(crate) fn wrong(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("!!!! {what}");
        self.violations.push(what);
    }

    /// Counts what journals say.
    pub(crate) fn count<'e>(&mut self, entries: impl Iterator<Item = &'e StoredEntry>) {
        let mut epoch = 0;
        for stored in entries {
            self.entries += 1;
            self.takeovers += u64::from(stored.seq > 1 && epoch > 0 && stored.epoch > epoch);
            epoch = stored.epoch;
            self.decisions += u64::from(matches!(stored.entry.fact, Fact::Unparked { .. }));
        }
    }

    /// Adds what another part has told.
    pub(crate) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.stops += other.stops;
        self.executions += other.executions;
        self.effects += other.effects;
        self.repeats += other.repeats;
        self.looked += other.looked;
        self.entries += other.entries;
        self.takeovers += other.takeovers;
        self.decisions += other.decisions;
        self.drains += other.drains;
        self.busy += other.busy;
        self.faults += other.faults;
        self.counted.extend(other.counted);
        self.skipped.extend(other.skipped);
        self.violations.extend(other.violations);
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("kills", self.kills),
            ("stops past the lease", self.stops),
            ("executions", self.executions),
            ("journal entries checked", self.entries),
            ("leases taken over", self.takeovers),
            ("effects outside", self.effects),
            (
                "starts found in the database before the effect",
                self.looked,
            ),
            ("repeats honoured by key", self.repeats),
            ("decisions of a person", self.decisions),
            ("drains", self.drains),
            ("drains with attempts under way", self.busy),
            ("faults of the disk", self.faults),
            ("skipped", self.skipped.len() as u64),
            ("violations", self.violations.len() as u64),
        ];
        let is_fleet = !self.counted.is_empty();
        let shown = rows
            .into_iter()
            .filter(|(what, count)| !is_fleet || *count > 0 || *what == "violations");
        for (what, count) in shown {
            writeln!(f, "{count:>9}  {what}")?;
        }
        for (what, count) in &self.counted {
            writeln!(f, "{count:>9}  {what}")?;
        }
        for skipped in &self.skipped {
            writeln!(f, "!!!! skipped: {skipped}")?;
        }
        for violation in &self.violations {
            writeln!(f, "VIOLATION {violation}")?;
        }
        Ok(())
    }
}
