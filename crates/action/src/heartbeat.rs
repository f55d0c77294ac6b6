//! Signs of life of an attempt, and how far it has come.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use nebula_core::Clock;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far an attempt has come. It is shown while the attempt runs, and nowhere written down: what
/// counts is its result. JSON: `{ "done": 3, "total": 10, "note": "page 3", "partial": … }`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Progress {
    /// How much is done, in whatever the action counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// How much there is, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What people read beside it; the first [`Progress::MAX_NOTE`] characters count.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// A part of the result that is there already; left out if it has more than
    /// [`Progress::MAX_PARTIAL`] bytes as compact JSON.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub partial: Value,
}

impl Progress {
    /// The most characters of a note.
    pub const MAX_NOTE: usize = 200;
    /// The most bytes of a partial result.
    pub const MAX_PARTIAL: usize = 4 << 10;

    /// So much of so much.
    #[must_use]
    pub fn of(done: u64, total: u64) -> Self {
        Self {
            done: Some(done),
            total: Some(total),
            ..Self::default()
        }
    }

    /// So much, where nobody knows how much there is.
    #[must_use]
    pub fn done(done: u64) -> Self {
        Self {
            done: Some(done),
            ..Self::default()
        }
    }

    /// With a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// What is shown of it.
    fn bounded(mut self) -> Self {
        if let Some((end, _)) = self.note.char_indices().nth(Self::MAX_NOTE) {
            self.note.truncate(end);
        }
        if !self.partial.is_null() && self.partial.to_string().len() > Self::MAX_PARTIAL {
            self.partial = Value::Null;
        }
        self
    }
}

/// Where the signs of life of one attempt arrive. Clones are those of the same attempt.
#[derive(Clone, Default)]
pub struct Heartbeat(Option<Arc<Heart<Show>>>);

type Show = dyn Fn(Progress) + Send + Sync;

struct Heart<S: ?Sized> {
    clock: Arc<dyn Clock>,
    longest: Option<Duration>,
    /// By the clock, in microseconds: the last sign of life. Nothing where nobody minds silence.
    last: AtomicU64,
    /// When something was shown last, plus one; 0 for never.
    shown: AtomicU64,
    show: S,
}

impl Heartbeat {
    /// How long after one progress was shown the next is, at the earliest; those in between only count
    /// as signs of life.
    pub const SHOWN_EVERY: Duration = Duration::from_millis(100);

    /// Signs of life by `clock`, which may be `longest` apart; what they bring is given to `show`.
    pub fn new(
        clock: Arc<dyn Clock>,
        longest: Option<Duration>,
        show: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Self {
        let heart = Heart {
            longest,
            last: AtomicU64::new(last(&clock, longest)),
            shown: AtomicU64::new(0),
            clock,
            show: move |progress: Progress| show(progress.bounded()),
        };
        Self(Some(Arc::new(heart)))
    }

    /// The same, where `change` sees what is said of progress before it is cut and shown.
    #[must_use]
    pub fn through(&self, change: impl Fn(&mut Progress) + Send + Sync + 'static) -> Self {
        let Some(heart) = self.0.clone() else {
            return Self::default();
        };
        let (clock, longest) = (Arc::clone(&heart.clock), heart.longest);
        let wrapped = Heart {
            longest,
            last: AtomicU64::new(last(&clock, longest)),
            shown: AtomicU64::new(0),
            clock,
            show: move |mut progress: Progress| {
                change(&mut progress);
                (heart.show)(progress);
            },
        };
        Self(Some(Arc::new(wrapped)))
    }

    /// A sign of life without progress; whoever runs the attempt gives the first.
    pub fn beat(&self) {
        if let Some(heart) = &self.0 {
            let now = last(&heart.clock, heart.longest);
            heart.last.store(now, Relaxed);
        }
    }

    /// A sign of life that says how far the attempt has come.
    pub fn progress(&self, progress: Progress) {
        let Some(heart) = &self.0 else { return };
        let now = micros(heart.clock.monotonic());
        heart.last.store(now, Relaxed);
        let shown = heart.shown.load(Relaxed);
        if shown == 0 || now >= shown - 1 + micros(Self::SHOWN_EVERY) {
            heart.shown.store(now + 1, Relaxed);
            (heart.show)(progress);
        }
    }

    /// How long the attempt may still be silent: zero if it has been for too long, `None` where
    /// nobody minds.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let heart = self.0.as_ref()?;
        let longest = heart.longest?;
        let last = Duration::from_micros(heart.last.load(Relaxed));
        let silent = heart.clock.monotonic().saturating_sub(last);
        Some(longest.saturating_sub(silent))
    }

    /// The longest time between two signs of life, if there is one.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        self.0.as_ref()?.longest
    }
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Heartbeat").field(&self.longest()).finish()
    }
}

/// A sign of life now. The clock is asked only where somebody minds silence: most attempts are over
/// sooner than it answers.
fn last(clock: &Arc<dyn Clock>, longest: Option<Duration>) -> u64 {
    longest.map_or(0, |_| micros(clock.monotonic()))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use nebula_core::{BoxFuture, Timestamp};
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default)]
    struct Hands(AtomicU64);

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Relaxed))
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    fn watched(longest: Option<Duration>) -> (Arc<Hands>, Heartbeat, Arc<Mutex<Vec<Progress>>>) {
        let (clock, seen) = (Arc::new(Hands::default()), Arc::new(Mutex::default()));
        let sink: Arc<Mutex<Vec<Progress>>> = Arc::clone(&seen);
        let show = move |progress| sink.lock().unwrap().push(progress);
        (clock.clone(), Heartbeat::new(clock, longest, show), seen)
    }

    #[test]
    fn any_sign_of_life_begins_the_silence_anew() {
        let second = Duration::from_secs(1);
        let (clock, heartbeat, _) = watched(Some(second));
        clock.0.store(900, Relaxed);
        assert_eq!(heartbeat.time_left(), Some(second / 10));
        heartbeat.beat();
        assert_eq!(heartbeat.time_left(), Some(second));
        clock.0.store(2_000, Relaxed);
        assert_eq!(heartbeat.time_left(), Some(Duration::ZERO));
        heartbeat.progress(Progress::done(1));
        assert_eq!(heartbeat.time_left(), Some(second));
        assert_eq!(watched(None).1.time_left(), None);
        assert_eq!(Heartbeat::default().time_left(), None);
    }

    #[test]
    fn watchers_see_no_more_than_they_can_read() {
        let (clock, heartbeat, seen) = watched(None);
        for millis in 0..250 {
            clock.0.store(millis, Relaxed);
            heartbeat.progress(Progress::of(millis, 250));
        }
        let done: Vec<_> = seen.lock().unwrap().iter().map(|it| it.done).collect();
        assert_eq!(done, [Some(0), Some(100), Some(200)]);
    }

    #[test]
    fn what_is_said_is_changed_before_it_is_cut() {
        let (_, heartbeat, seen) = watched(Some(Duration::from_secs(1)));
        let heartbeat =
            heartbeat.through(|progress| progress.note = progress.note.replace("xy", "z"));
        let note = format!("{}xy", "a".repeat(Progress::MAX_NOTE - 1));
        heartbeat.progress(Progress::done(1).note(note));
        assert_eq!(seen.lock().unwrap()[0].note.chars().last(), Some('z'));
        assert_eq!(heartbeat.longest(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_note_is_cut_and_a_large_part_is_left_out() {
        let (_, heartbeat, seen) = watched(None);
        heartbeat.progress(Progress {
            note: "ä".repeat(300),
            partial: json!("x".repeat(Progress::MAX_PARTIAL)),
            ..Progress::of(1, 2)
        });
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].note.chars().count(), Progress::MAX_NOTE);
        assert_eq!(
            serde_json::to_value(&Progress {
                note: String::new(),
                ..seen[0].clone()
            })
            .unwrap(),
            json!({ "done": 1, "total": 2 })
        );
    }
}
