//! What a trigger takes of what comes to it, and how much of that starts one execution.

use std::time::Duration;

use nebula_core::{Digest, Timestamp};
use serde_json::{Map, Value};

use crate::{FieldError, reader::Reader};

/// The most that comes to a trigger and is gathered into one execution.
pub const MAX_GATHERED: usize = 256;
/// For how long something that came may be kept waiting for more at most.
pub const MAX_GATHER_WAIT: Duration = Duration::from_secs(86_400);
/// For how long `debounce` keeps something waiting where nothing else is said.
const AT_MOST: Duration = Duration::from_secs(3_600);

/// The fields of every trigger that something comes to.
pub(crate) const INTAKE: [&str; 4] = ["filter", "key", "debounce", "batch"];

/// What a trigger takes of what comes to it, and how it starts executions for that.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intake {
    /// An expression over `$trigger`: what it is false for starts nothing.
    pub filter: Option<String>,
    /// An expression over `$trigger`: what has the same value is gathered together, and its executions
    /// run one after the other, in the order of what started them.
    pub key: Option<String>,
    /// How several are gathered into one execution; `None` starts one for each.
    pub gather: Option<Gather>,
}

/// How several things are gathered into one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gather {
    /// Once nothing has come for a while: the last one counts.
    Debounce {
        /// For how long nothing comes.
        quiet: Duration,
        /// But no longer after the first one.
        at_most: Duration,
    },
    /// So many, or those that came until the first one has waited.
    Batch {
        /// How many, 2 to [`MAX_GATHERED`].
        size: usize,
        /// For how long the first one waits.
        wait: Duration,
    },
}

/// Something that came and waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// When it came.
    pub at: Timestamp,
    /// What it is gathered with.
    pub key: Option<Digest>,
}

/// What is to be done with what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gathered {
    /// These start one execution: places in what waits, in order.
    Starts(Vec<usize>),
    /// Nothing before this moment, unless something comes.
    Waits(Timestamp),
    /// Nothing waits.
    Nothing,
}

impl Intake {
    /// Reads the fields of [`INTAKE`].
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let debounce = reader.debounce();
        let batch = reader.batch();
        if debounce.is_some() && batch.is_some() {
            let message = "`debounce` and `batch` do not go together: one keeps the last of several, the other all of them";
            reader.wrong("batch", message);
        }
        Self {
            filter: reader.text("filter").map(str::to_owned),
            key: reader.text("key").map(str::to_owned),
            gather: debounce.or(batch),
        }
    }

    /// What is to be done at `now` with what waits, in the order in which it came.
    ///
    /// Without [`Gather`] the first one starts. With it, what has the same key is gathered, and of the keys
    /// that are ready the one whose first came first is started; [`MAX_GATHERED`] of one key are ready
    /// whenever they came.
    #[must_use]
    pub fn gathered(&self, waiting: &[Waiting], now: Timestamp) -> Gathered {
        let Some(first) = waiting.first() else {
            return Gathered::Nothing;
        };
        let Some(gather) = self.gather else {
            return Gathered::Starts(vec![0]);
        };
        let mut keys: Vec<Option<Digest>> = Vec::new();
        let mut soonest: Option<Timestamp> = None;
        for one in waiting {
            if keys.contains(&one.key) {
                continue;
            }
            keys.push(one.key);
            let together = waiting.iter().enumerate();
            let together = together.filter(|(_, other)| other.key == one.key);
            let mut places: Vec<usize> = together.map(|(place, _)| place).collect();
            let last = places.last().map_or(one.at, |place| waiting[*place].at);
            let (many, ready_at) = match gather {
                Gather::Debounce { quiet, at_most } => {
                    (MAX_GATHERED, last.plus(quiet).min(one.at.plus(at_most)))
                }
                Gather::Batch { size, wait } => (size, one.at.plus(wait)),
            };
            if places.len() >= many || ready_at <= now {
                places.truncate(many);
                return Gathered::Starts(places);
            }
            soonest = Some(soonest.map_or(ready_at, |it| it.min(ready_at)));
        }
        Gathered::Waits(soonest.unwrap_or(first.at))
    }
}

impl Reader<'_> {
    fn debounce(&mut self) -> Option<Gather> {
        let (quiet, at_most) = match self.get("debounce")? {
            Value::Object(fields) => {
                let fields: &Map<String, Value> = fields;
                let mut inner = Reader::new(fields);
                inner.refuse_others(["quiet", "at_most"]);
                let _ = inner.needed("quiet", "quiet: 5s");
                let quiet = inner.span("quiet", MAX_GATHER_WAIT);
                let at_most = inner.span("at_most", MAX_GATHER_WAIT);
                self.within("debounce", inner.errors());
                (quiet?, at_most)
            }
            _ => (self.span("debounce", MAX_GATHER_WAIT)?, None),
        };
        let at_most = at_most.unwrap_or(AT_MOST.max(quiet));
        if quiet.is_zero() {
            self.wrong(
                "debounce",
                "without a span nothing is waited for; leave it out",
            );
        }
        if at_most < quiet {
            self.wrong("debounce", "`at_most` is shorter than `quiet`");
        }
        Some(Gather::Debounce { quiet, at_most })
    }

    fn batch(&mut self) -> Option<Gather> {
        let Value::Object(fields) = self.get("batch")? else {
            self.wrong(
                "batch",
                "expected an object like `{ size: 100, wait: 10s }`",
            );
            return None;
        };
        let mut inner = Reader::new(fields);
        inner.refuse_others(["size", "wait"]);
        let size = inner.get("size").and_then(Value::as_u64);
        let size = size.and_then(|size| usize::try_from(size).ok());
        let size = size.filter(|size| (2..=MAX_GATHERED).contains(size));
        if size.is_none() {
            inner.wrong(
                "size",
                format!("expected a number from 2 to {MAX_GATHERED}"),
            );
        }
        let _ = inner.needed("wait", "wait: 10s");
        let wait = inner.span("wait", MAX_GATHER_WAIT);
        let errors: Vec<FieldError> = inner.errors();
        self.within("batch", errors);
        Some(Gather::Batch {
            size: size?,
            wait: wait?,
        })
    }
}
