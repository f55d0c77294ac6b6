//! Connections at work: each takes what has gathered while its last transaction was on its way.

use std::{rc::Rc, sync::Arc};

use nebula_ports::ErrorKind;
use tokio::sync::{Mutex, mpsc};

use crate::{
    config::{MAX_BATCH, MAX_BATCH_BYTES, MAX_TRIES},
    error::Fault,
    link::Link,
    opening::Opening,
    stats::Counters,
    tx::Tx,
    work::{Failure, Question, Work},
};

/// How a transaction ended that did not commit.
enum Ended {
    /// Nothing was written.
    Aborted(Fault),
    /// The commit was under way: it may have been written.
    Unknown(Fault),
}

/// A connection that writes.
pub(crate) struct Writer {
    opening: Rc<Opening>,
    link: Option<Rc<Link>>,
}

/// A connection that reads.
pub(crate) struct Reader {
    opening: Rc<Opening>,
    link: Option<Rc<Link>>,
}

/// The open connection, or a new one.
async fn connected(link: &mut Option<Rc<Link>>, opening: &Opening) -> Result<Rc<Link>, Fault> {
    if let Some(open) = link.as_ref().filter(|it| !it.is_closed()) {
        return Ok(Rc::clone(open));
    }
    let open = Rc::new(Link::open(opening).await?);
    *link = Some(Rc::clone(&open));
    Ok(open)
}

impl Writer {
    pub(crate) fn new(opening: Rc<Opening>) -> Self {
        Self {
            opening,
            link: None,
        }
    }

    /// Works until nobody can ask any more.
    pub(crate) async fn run(mut self, waiting: Rc<Mutex<mpsc::Receiver<Box<dyn Work>>>>) {
        let mut left = None;
        loop {
            let batch = match left.take() {
                Some(work) => vec![work],
                None => match gather(&waiting, &mut left).await {
                    Some(batch) => batch,
                    None => return,
                },
            };
            Counters::add(&self.opening.counters.writes, batch.len());
            self.work(batch).await;
        }
    }

    /// Answers for each.
    async fn work(&mut self, mut batch: Vec<Box<dyn Work>>) {
        if batch.len() > 1 {
            match self.try_once(&mut batch).await {
                Ok(()) => return answer_all(batch),
                Err(Ended::Unknown(fault)) => return fail_all(batch, fault),
                Err(Ended::Aborted(fault)) if fault.breaks() => return fail_all(batch, fault),
                Err(Ended::Aborted(_)) => {}
            }
        }
        for work in batch {
            self.alone(work).await;
        }
    }

    /// In a transaction of its own, as often as others are in the way.
    async fn alone(&mut self, work: Box<dyn Work>) {
        let mut one = vec![work];
        for tried in 1.. {
            let fault = match self.try_once(&mut one).await {
                Ok(()) => return answer_all(one),
                Err(Ended::Unknown(fault)) => fault,
                Err(Ended::Aborted(fault)) if fault.is_again() && tried < MAX_TRIES => {
                    Counters::add(&self.opening.counters.again, 1);
                    continue;
                }
                Err(Ended::Aborted(fault)) => fault,
            };
            let mut fault = Some(fault);
            return one.into_iter().for_each(|work| {
                if let Some(fault) = fault.take() {
                    work.fail(Failure::Own(fault));
                }
            });
        }
    }

    /// All of these in one transaction. A connection that turns out to be dead before anything was asked over
    /// it is replaced, once.
    async fn try_once(&mut self, batch: &mut [Box<dyn Work>]) -> Result<(), Ended> {
        let mut replaced = false;
        let (link, tx) = loop {
            let had = self.link.is_some();
            let link = connected(&mut self.link, &self.opening).await;
            let link = link.map_err(Ended::Aborted)?;
            let claims = batch.iter().map(|work| work.claims());
            match Tx::begin(Rc::clone(&link), &self.opening, claims).await {
                Ok(tx) => break (link, tx),
                Err(fault) if fault.breaks() => {
                    self.link = None;
                    if !had || replaced {
                        return Err(Ended::Aborted(fault));
                    }
                    replaced = true;
                }
                Err(fault) => {
                    self.roll_back(&link).await;
                    return Err(Ended::Aborted(fault));
                }
            }
        };
        for work in batch {
            if let Err(fault) = work.run(&tx).await {
                self.roll_back(&link).await;
                return Err(Ended::Aborted(fault));
            }
        }
        match tx.commit().await {
            Ok(()) => {
                Counters::add(&self.opening.counters.commits, 1);
                Ok(())
            }
            Err(fault) if fault.breaks() => {
                self.link = None;
                Err(Ended::Unknown(fault))
            }
            // The server has made a rollback of the commit behind the statement that failed.
            Err(fault) => {
                self.roll_back(&link).await;
                Err(Ended::Aborted(fault))
            }
        }
    }

    async fn roll_back(&mut self, link: &Link) {
        if link.is_closed() || link.batch("ROLLBACK").await.is_err() {
            self.link = None;
        }
    }
}

fn answer_all(batch: Vec<Box<dyn Work>>) {
    for work in batch {
        work.answer();
    }
}

fn fail_all(batch: Vec<Box<dyn Work>>, fault: Fault) {
    let error = fault.into_port("");
    let (kind, message): (ErrorKind, Arc<str>) = (error.kind, error.message.into());
    for work in batch {
        work.fail(Failure::Shared(kind, Arc::clone(&message)));
    }
}

/// What waits and may share a transaction; the first that may not goes to `left`.
async fn gather(
    waiting: &Mutex<mpsc::Receiver<Box<dyn Work>>>,
    left: &mut Option<Box<dyn Work>>,
) -> Option<Vec<Box<dyn Work>>> {
    let mut waiting = waiting.lock().await;
    let first = waiting.recv().await?;
    let mut bytes = first.bytes();
    let mut batch = vec![first];
    while !batch[0].is_alone() && batch.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
        let Ok(next) = waiting.try_recv() else { break };
        if next.is_alone() {
            *left = Some(next);
            break;
        }
        bytes += next.bytes();
        batch.push(next);
    }
    Some(batch)
}

impl Reader {
    pub(crate) fn new(opening: Rc<Opening>) -> Self {
        Self {
            opening,
            link: None,
        }
    }

    /// Asks until nobody can ask any more.
    pub(crate) async fn run(mut self, waiting: Rc<Mutex<mpsc::Receiver<Box<dyn Question>>>>) {
        loop {
            let next = waiting.lock().await.recv().await;
            let Some(question) = next else { return };
            self.ask(question).await;
        }
    }

    /// Over a new connection, if the one that there was turns out to be dead.
    async fn ask(&mut self, mut question: Box<dyn Question>) {
        let had = self.link.is_some();
        match self.try_once(&mut question).await {
            Ok(()) => question.answer(),
            Err(fault) if had && fault.breaks() => match self.try_once(&mut question).await {
                Ok(()) => question.answer(),
                Err(fault) => question.fail(fault),
            },
            Err(fault) => question.fail(fault),
        }
    }

    async fn try_once(&mut self, question: &mut Box<dyn Question>) -> Result<(), Fault> {
        let link = connected(&mut self.link, &self.opening).await?;
        let asked = question.ask(&link).await;
        if asked.as_ref().is_err_and(Fault::breaks) {
            self.link = None;
        }
        asked
    }
}
