//! Log lines on their way to a stream that may be slow, or never take anything again.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::{Dispatch, Level, Metadata, dispatcher::with_default};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    budget::Budgets,
    flood::{Floods, LEFT_OUT},
    redacting::redacted,
};

/// The most bytes of lines that wait for the stream. As many again may be on their way into it.
pub(crate) const ROOM: usize = 1 << 20;

/// The part of the room that only errors get.
pub(crate) const ROOM_FOR_ERRORS: usize = ROOM / 4;

/// How often it is said that lines were left out.
const REPORTED_EVERY: Duration = Duration::from_secs(1);

/// How long the end waits for the stream to take what is left.
pub(crate) const LAST_LINES: Duration = Duration::from_secs(1);

/// What bounds the lines that are logged.
pub(crate) struct Limits {
    pub(crate) floods: Floods,
    pub(crate) budgets: Budgets,
}

/// Where lines wait. Whoever logs puts them there and goes on. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    left_out: u64,
    left_out_in_all: u64,
    /// Nothing more will be logged.
    ends: bool,
    /// All of it was written.
    ended: bool,
}

/// Who logs a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Usual,
    Error,
    /// Says how many others were left out. There are few, and the thread that empties the room
    /// makes them.
    Report,
}

/// One line that is being logged; it is there with its first write.
pub(crate) struct Line<'l> {
    queue: &'l Queue,
    kind: Kind,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let given = line.len();
        let clean = str::from_utf8(line).ok().and_then(redacted);
        let clean = clean.map(|clean| format!("{}\n", clean.trim_end()));
        let line = clean.as_ref().map_or(line, String::as_bytes);
        let room = match self.kind {
            Kind::Usual => ROOM - ROOM_FOR_ERRORS,
            Kind::Error => ROOM,
            Kind::Report => usize::MAX,
        };
        let mut waiting = self.queue.lock();
        if waiting.bytes.len() + line.len() > room {
            waiting.left_out += 1;
            waiting.left_out_in_all += 1;
        } else {
            waiting.bytes.extend_from_slice(line);
            self.queue.changed.notify_all();
        }
        Ok(given)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = Line<'l>;

    fn make_writer(&'l self) -> Line<'l> {
        let (queue, kind) = (&*self.0, Kind::Usual);
        Line { queue, kind }
    }

    fn make_writer_for(&'l self, metadata: &Metadata<'_>) -> Line<'l> {
        let kind = match *metadata.level() {
            _ if metadata.target() == LEFT_OUT => Kind::Report,
            Level::ERROR => Kind::Error,
            _ => Kind::Usual,
        };
        let queue = &*self.0;
        Line { queue, kind }
    }
}

impl Lines {
    /// How many lines found no room in all.
    pub(crate) fn left_out_in_all(&self) -> u64 {
        self.0.lock().left_out_in_all
    }

    /// Writes what comes to `stream`, on a thread of its own, and says through `dispatch` how many
    /// lines were left out.
    pub(crate) fn write_to(
        &self,
        stream: impl io::Write + Send + 'static,
        limits: Limits,
        dispatch: Dispatch,
    ) -> io::Result<()> {
        let writer = Writer {
            lines: self.clone(),
            limits,
            dispatch,
            reported: Duration::ZERO,
        };
        let thread = thread::Builder::new().name("log".to_owned());
        #[expect(
            clippy::disallowed_methods,
            reason = "a stream that takes nothing must hold up nobody; it ends with the process"
        )]
        thread.spawn(move || writer.run(stream))?;
        Ok(())
    }

    /// Waits until everything was written, but no longer than `span`.
    pub(crate) fn end(&self, span: Duration) {
        let mut waiting = self.0.lock();
        waiting.ends = true;
        self.0.changed.notify_all();
        // Whether it was written or not, there is nothing left to be done.
        let _ = self
            .0
            .changed
            .wait_timeout_while(waiting, span, |waiting| !waiting.ended);
    }

    /// What came since the last time; waits for it, but not longer than until the next report. `None`
    /// in the end.
    fn next(&self) -> Option<Vec<u8>> {
        let waits = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.ends;
        let waiting = self.0.lock();
        let waited = self
            .0
            .changed
            .wait_timeout_while(waiting, REPORTED_EVERY, waits);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let ended = waiting.ends && waiting.bytes.is_empty();
        (!ended).then(|| std::mem::take(&mut waiting.bytes))
    }
}

/// The thread that writes.
struct Writer {
    lines: Lines,
    limits: Limits,
    dispatch: Dispatch,
    reported: Duration,
}

impl Writer {
    fn run(mut self, mut stream: impl io::Write) {
        loop {
            while let Some(bytes) = self.lines.next() {
                // Nobody is left to tell if it cannot be written.
                let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
                let now = self.limits.floods.now();
                if now >= self.reported + REPORTED_EVERY {
                    self.reported = now;
                    self.report(false);
                }
            }
            self.report(true);
            let mut waiting = self.lines.0.lock();
            if waiting.bytes.is_empty() {
                waiting.ended = true;
                self.lines.0.changed.notify_all();
                return;
            }
        }
    }

    /// Says what was left out since the last time; the lines come next.
    fn report(&self, ends: bool) {
        let lines = std::mem::take(&mut self.lines.0.lock().left_out);
        with_default(&self.dispatch, || {
            if lines > 0 {
                tracing::warn!(target: LEFT_OUT, lines, "log lines were left out: standard error took them too slowly");
            }
            self.limits.floods.report();
            self.limits.budgets.report(self.limits.floods.now(), ends);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, sync::mpsc};

    use tracing::subscriber::NoSubscriber;

    use super::*;

    /// Takes a write each time that it is told to, and shows what it took.
    struct Slow {
        may: mpsc::Receiver<()>,
        took: mpsc::Sender<Vec<u8>>,
    }

    impl io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.may.recv().map_err(io::Error::other)?;
            self.took.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn log(&self, kind: Kind, line: &[u8]) {
            let queue = &*self.0;
            Line { queue, kind }.write_all(line).unwrap();
        }

        fn fares(&self) -> (usize, u64) {
            let waiting = self.0.lock();
            (waiting.bytes.len(), waiting.left_out)
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_errors_find_more() {
        let (lines, line) = (Lines::default(), [b'a'; 1 << 10]);
        for _ in 0..2_000 {
            lines.log(Kind::Usual, &line);
        }
        assert_eq!(lines.fares(), (ROOM - ROOM_FOR_ERRORS, 2_000 - 768));
        for _ in 0..2_000 {
            lines.log(Kind::Error, &line);
        }
        assert_eq!(lines.fares(), (ROOM, 2_000 - 768 + 2_000 - 256));
        lines.log(Kind::Report, b"so many");
        assert_eq!(lines.fares().0, ROOM + 7);
        let all = lines.next().unwrap();
        assert_eq!((all.len(), lines.fares().0), (ROOM + 7, 0));
    }

    #[test]
    fn a_stream_that_takes_nothing_holds_up_nobody() {
        let (lines, (_kept, may), (took, taken)) =
            (Lines::default(), mpsc::channel(), mpsc::channel());
        let limits = Limits {
            floods: Floods::new(|| Duration::ZERO),
            budgets: Budgets::default(),
        };
        let dispatch = Dispatch::new(NoSubscriber::default());
        lines
            .write_to(Slow { may, took }, limits, dispatch)
            .unwrap();
        for _ in 0..3_000 {
            lines.log(Kind::Usual, &[b'a'; 1 << 10]);
        }
        lines.end(Duration::ZERO);
        // What was on its way at first, and what found room then.
        assert!(lines.fares().1 >= 3_000 - 2 * 768);
        assert!(taken.try_recv().is_err());
    }
}
