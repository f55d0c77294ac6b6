//! The model of an elector.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::{Clock, Timestamp};
use nebula_ports::{
    Campaigned, DutyName, DutyState, ErrorKind, Incarnation, LeaderElector, Leadership, MAX_DUTIES,
    PortError, Result, TermRenewed, check_duty_ttl,
};
use parking_lot::Mutex;

use super::{DutyGuard as Guard, record::DRIVER};

/// A [`LeaderElector`] in memory: the oracle for drivers, and the elector of other crates' tests.
#[derive(Debug)]
pub struct MemoryElector {
    removed: Option<Guard>,
    clock: Arc<dyn Clock>,
    duties: Mutex<BTreeMap<DutyName, Row>>,
}

#[derive(Debug, Clone)]
struct Row {
    term: u64,
    leader: Option<Incarnation>,
    until: Timestamp,
}

impl MemoryElector {
    /// An elector by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            removed: None,
            clock,
            duties: Mutex::default(),
        }
    }

    /// An elector that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(clock: Arc<dyn Clock>, guard: Guard) -> Self {
        Self {
            removed: Some(guard),
            ..Self::new(clock)
        }
    }

    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    fn key(&self, duty: &DutyName) -> DutyName {
        match self.keep(Guard::OneDuty) {
            true => duty.clone(),
            false => DutyName::new("any").expect("it is a name"),
        }
    }

    fn is_held(&self, row: &Row, candidate: Incarnation) -> bool {
        let now = self.clock.now();
        let lasts = match (self.keep(Guard::Ends), self.keep(Guard::Lasts)) {
            (false, _) => true,
            (_, false) => row.until > now.plus(Duration::from_millis(1)),
            _ => row.until > now,
        };
        let other = self.keep(Guard::Itself) || row.leader != Some(candidate);
        row.leader.is_some() && lasts && other && self.keep(Guard::Held)
    }

    fn is_over(&self, row: &Row, leadership: &Leadership) -> bool {
        let replaced = row.term != leadership.term && self.keep(Guard::Fence);
        let given_back = row.leader.is_none() && self.keep(Guard::GivenBackIsOver);
        let foreign = row.leader.is_some_and(|it| it != leadership.leader)
            && row.term == leadership.term
            && self.keep(Guard::OnlyLeader);
        let late = row.until <= self.clock.now() && !self.keep(Guard::Late);
        replaced || given_back || foreign || late
    }
}

#[async_trait]
impl LeaderElector for MemoryElector {
    async fn campaign(
        &self,
        duty: &DutyName,
        candidate: Incarnation,
        ttl: Duration,
    ) -> Result<Campaigned> {
        if self.keep(Guard::CheckTtl) {
            check_duty_ttl(DRIVER, ttl)?;
        }
        let (key, now) = (self.key(duty), self.clock.now());
        let seen = self.duties.lock().get(&key).cloned();
        if !self.keep(Guard::AtOnce) {
            tokio::task::yield_now().await;
        }
        let mut duties = self.duties.lock();
        let seen = match self.keep(Guard::AtOnce) {
            true => duties.get(&key).cloned(),
            false => seen,
        };
        if let Some(row) = seen.as_ref().filter(|row| self.is_held(row, candidate)) {
            let until = match self.keep(Guard::TellsUntil) {
                true => row.until,
                false => now,
            };
            let term = row.term;
            return Ok(Campaigned::Held { term, until });
        }
        if seen.is_none() && duties.len() >= MAX_DUTIES && self.keep(Guard::Most) {
            let message = format!("there are {MAX_DUTIES} duties");
            return Err(PortError::new(ErrorKind::Full, DRIVER, "campaign", message));
        }
        let before = seen.map_or(0, |row| match row.leader {
            None if !self.keep(Guard::Remembers) => 0,
            _ => row.term,
        });
        let term = match self.keep(Guard::Grows) || before == 0 {
            true => before + 1,
            false => before,
        };
        let term = match self.keep(Guard::FromOne) {
            true => term,
            false => term + 1,
        };
        let leader = Some(candidate);
        let until = now.plus(ttl);
        duties.insert(
            key,
            Row {
                term,
                leader,
                until,
            },
        );
        Ok(Campaigned::Elected(Leadership {
            duty: duty.clone(),
            leader: candidate,
            term,
            ttl,
        }))
    }

    async fn renew(&self, leadership: &Leadership) -> Result<TermRenewed> {
        let mut duties = self.duties.lock();
        let Some(row) = duties.get_mut(&self.key(&leadership.duty)) else {
            return Ok(TermRenewed::Over);
        };
        if self.is_over(row, leadership) {
            return Ok(TermRenewed::Over);
        }
        if self.keep(Guard::RenewLasts) {
            row.until = self.clock.now().plus(leadership.ttl);
        }
        if !self.keep(Guard::RenewKeeps) {
            row.term += 1;
        }
        Ok(TermRenewed::Renewed)
    }

    async fn resign(&self, leadership: &Leadership) -> Result<()> {
        let mut duties = self.duties.lock();
        let row = duties.get_mut(&self.key(&leadership.duty));
        let mine = |row: &&mut Row| {
            let same = row.leader == Some(leadership.leader);
            (row.term == leadership.term || !self.keep(Guard::ResignFence))
                && (same || !self.keep(Guard::ResignOnlyLeader))
        };
        if let Some(row) = row.filter(mine)
            && self.keep(Guard::Resigns)
        {
            row.leader = None;
        }
        Ok(())
    }

    async fn duties(&self) -> Result<Vec<DutyState>> {
        let now = self.clock.now();
        let duties = self.duties.lock();
        let all = duties.iter().map(|(duty, row)| {
            let lasts = row.until > now || !self.keep(Guard::ListsOver);
            let leads = row.leader.filter(|_| lasts && self.keep(Guard::Lists));
            DutyState {
                duty: duty.clone(),
                term: row.term,
                leader: leads.map(|leader| (leader, row.until)),
            }
        });
        Ok(all.collect())
    }
}
