//! Something is said to an execution; once it is heard, the execution is driven on.

use std::{cell::Cell, time::Duration};

use nebula_core::ExecutionId;
use nebula_engine::Report;
use nebula_execution::Fact;

use crate::{
    commands::run,
    console::Console,
    ending,
    failure::{Exit, Failure},
    progress::Picture,
    session::{Driven, Session},
};

/// How long is waited for another process that drives the execution.
pub(crate) const HOLDER_WAIT: Duration = Duration::from_secs(30);

/// How many journal entries are read at a time.
const PAGE: usize = 1_000;

/// How an execution stood before something was said to it.
pub(crate) struct Saying<'a> {
    session: &'a Session,
    console: &'a Console,
    id: ExecutionId,
    /// What it had done.
    pub(crate) before: Report,
    /// How many entries its journal had: what is heard stands after them.
    last: u64,
}

impl<'a> Saying<'a> {
    /// Looks where the execution stands. To be called before anything is sent to it.
    pub(crate) async fn to(
        session: &'a Session,
        id: ExecutionId,
        console: &'a Console,
    ) -> Result<Self, Failure> {
        let before = session.report(id).await?;
        let summary = session.reach.summary(id).await?;
        let last = summary.ok_or_else(|| session.unknown(id))?.entries;
        Ok(Self {
            session,
            console,
            id,
            before,
            last,
        })
    }

    /// Under a drive: waits until `said` finds in the journal what was said, or the execution has
    /// ended; false if nobody took it within [`HOLDER_WAIT`]. Before that the execution stands where
    /// it stood, and after it the same question may be open again.
    pub(crate) async fn heard(&self, said: impl Fn(&Fact) -> bool) -> Result<bool, Failure> {
        self.session.wake(self.id).await;
        let next = Cell::new(self.last + 1);
        let heard = self.session.watch(HOLDER_WAIT, async || {
            let reach = &self.session.reach;
            let page = reach.journal(self.id, next.get(), PAGE).await?;
            if let Some(entry) = page.entries.last() {
                next.set(entry.seq + 1);
            }
            let mut facts = page.entries.iter().map(|stored| &stored.entry.fact);
            let heard = facts.any(|fact| said(fact) || fact.is_terminal());
            Ok(heard.then_some(()))
        });
        Ok(heard.await?.is_some())
    }

    /// Says who drives it, and looks to this execution before all others.
    pub(crate) fn begin(&self, what: &str) {
        if self.before.leased && !self.session.is_there() {
            self.console
                .note(&format!("another process drives it; {what}"));
        }
        self.session.focus(self.id);
    }

    /// Waits until what was said is heard, lets `answer` tell what became of it, and drives the
    /// execution on until it has ended or needs somebody.
    pub(crate) async fn drive_on(
        self,
        said: impl Fn(&Fact) -> bool,
        answer: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Exit, Failure> {
        let (session, console, id) = (self.session, self.console, self.id);
        self.begin("waiting for that one");
        let picture = Picture::of_report(&self.before, session.bus());
        let driven = session.drive(console, async {
            if !self.heard(said).await? {
                return Err(unheard(id));
            }
            answer()?;
            run::wait(session, id, picture, console).await
        });
        match driven.await? {
            Driven::Done(report) => ending::settled(&report, None, &session.place, console),
            Driven::Stopped(request) => run::interrupted(session, request, Some(id), console).await,
        }
    }
}

/// What was said is in the inbox, and whoever drives the execution has not read it.
pub(crate) fn unheard(id: ExecutionId) -> Failure {
    let seconds = HOLDER_WAIT.as_secs();
    let message = format!("nobody took what was said to {id} within {seconds} s; it is saved");
    Failure::environment("HOLDER_SILENT", message)
        .advice("look at the process that drives it; it goes on when that one hears")
}
