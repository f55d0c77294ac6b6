//! The model of a store of incidents.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use nebula_core::{Clock, TenantId, Timestamp};
use nebula_ports::{
    CounterChange, ErrorKind, Incident, IncidentChange, IncidentChanged, IncidentFilter,
    IncidentOpened, IncidentRef, IncidentRepo, IncidentStatus, MAX_INCIDENT_COUNTERS,
    MAX_INCIDENT_OPS, MAX_INCIDENTS, MAX_TIMELINE, NewIncident, Operation, Page, PageToken,
    PortError, Result, TimelineEntry, check_change, check_counter, check_incident, check_operation,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{IncidentGuard as Guard, record::DRIVER};

/// An [`IncidentRepo`] in memory: the oracle for drivers, and the store of other crates' tests.
#[derive(Debug)]
pub struct MemoryIncidentRepo {
    removed: Option<Guard>,
    clock: Arc<dyn Clock>,
    tenants: Mutex<BTreeMap<String, Tenant>>,
}

/// What a tenant has.
#[derive(Debug, Clone, Default)]
struct Tenant {
    incidents: BTreeMap<Uuid, (Incident, VecDeque<TimelineEntry>)>,
    counters: BTreeMap<String, u64>,
    /// What was done, the oldest first.
    done: VecDeque<(String, Done)>,
}

/// What an operation came to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Done {
    Of(Uuid),
    Counted(u64),
}

impl Tenant {
    fn done(&self, key: &str) -> Option<Done> {
        let found = self.done.iter().find(|(it, _)| it == key);
        found.map(|(_, done)| *done)
    }

    fn remember(&mut self, key: &str, done: Done) {
        self.done.push_back((key.to_owned(), done));
        if self.done.len() > MAX_INCIDENT_OPS {
            self.done.pop_front();
        }
    }

    fn same(&self, done: Option<Done>) -> Option<Incident> {
        match done? {
            Done::Of(id) => self.incidents.get(&id).map(|(it, _)| it.clone()),
            Done::Counted(_) => None,
        }
    }
}

impl MemoryIncidentRepo {
    /// A store by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            removed: None,
            clock,
            tenants: Mutex::default(),
        }
    }

    /// A store that lacks `guard`, to test the suite itself.
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

    fn name(&self, tenant: &TenantId) -> String {
        match self.keep(Guard::Tenant) {
            true => tenant.to_string(),
            false => String::new(),
        }
    }

    fn key(&self, tenant: &TenantId, operation: &Operation) -> String {
        let _ = tenant;
        operation.key.clone()
    }

    /// What was done under this key, wherever an operation is looked for.
    fn done(&self, tenants: &BTreeMap<String, Tenant>, name: &str, key: &str) -> Option<Done> {
        match self.keep(Guard::OpsOfTenant) {
            true => tenants.get(name)?.done(key),
            false => tenants.values().find_map(|it| it.done(key)),
        }
    }

    fn is_open(&self, incident: &Incident, key: &str) -> bool {
        let open = incident.status != IncidentStatus::Resolved || !self.keep(Guard::ResolvedIsPast);
        incident.key == key && open
    }

    fn find(&self, tenant: &Tenant, which: &IncidentRef) -> Option<Uuid> {
        let known = |incident: &Incident| match which {
            IncidentRef::Id(id) => incident.id == *id,
            IncidentRef::Key(key) => {
                let open = incident.status != IncidentStatus::Resolved;
                incident.key == *key && (open || !self.keep(Guard::ByKey))
            }
        };
        let mut all = tenant.incidents.values().map(|(it, _)| it);
        all.find(|it| known(it)).map(|it| it.id)
    }

    fn room(&self, tenant: &mut Tenant) -> Result<()> {
        if tenant.incidents.len() < MAX_INCIDENTS || !self.keep(Guard::Most) {
            return Ok(());
        }
        let goes = |incident: &&Incident| {
            incident.status == IncidentStatus::Resolved || !self.keep(Guard::OpenStays)
        };
        let all = tenant.incidents.values().map(|(it, _)| it);
        let first = all.filter(goes).min_by_key(|it| (it.updated_at, it.id));
        let Some(first) = first.map(|it| it.id) else {
            let message = format!("there are {MAX_INCIDENTS} incidents, and none is resolved");
            return Err(PortError::new(
                ErrorKind::Full,
                DRIVER,
                "open an incident",
                message,
            ));
        };
        tenant.incidents.remove(&first);
        Ok(())
    }

    fn write(&self, timeline: &mut VecDeque<TimelineEntry>, entry: TimelineEntry) {
        timeline.push_back(entry);
        if timeline.len() > MAX_TIMELINE && self.keep(Guard::Newest) {
            timeline.pop_front();
        }
    }
}

#[async_trait]
impl IncidentRepo for MemoryIncidentRepo {
    async fn open(
        &self,
        tenant: &TenantId,
        id: Uuid,
        operation: &Operation,
        new: NewIncident,
    ) -> Result<IncidentOpened> {
        if self.keep(Guard::Limits) {
            check_operation(DRIVER, operation)?;
            check_incident(DRIVER, &new)?;
        }
        let (now, name, key) = (
            self.clock.now(),
            self.name(tenant),
            self.key(tenant, operation),
        );
        let look = |tenants: &BTreeMap<String, Tenant>| {
            let mut all = tenants.get(&name)?.incidents.values().map(|(it, _)| it);
            all.find(|it| self.is_open(it, &new.key)).map(|it| it.id)
        };
        let seen = look(&self.tenants.lock());
        if !self.keep(Guard::AtOnce) {
            tokio::task::yield_now().await;
        }
        let mut tenants = self.tenants.lock();
        let seen = match self.keep(Guard::AtOnce) {
            true => look(&tenants),
            false => seen,
        };
        let done = self.done(&tenants, &name, &key);
        let mine = tenants.entry(name).or_default();
        if let Some(same) = mine.same(done).filter(|_| self.keep(Guard::OpenOnce)) {
            return Ok(IncidentOpened::Same(same));
        }
        if done.is_some() && !self.keep(Guard::OpsOfTenant) {
            let message = "somebody else's operation";
            return Err(PortError::new(
                ErrorKind::Invalid,
                DRIVER,
                "open an incident",
                message,
            ));
        }
        let seen = seen.filter(|_| self.keep(Guard::OneOpen));
        if let Some(at) = seen {
            let (incident, timeline) = mine.incidents.get_mut(&at).expect("it was seen");
            let (before, wanted) = (incident.severity, new.severity);
            let may_lower = new.may_lower && self.keep(Guard::MayLower);
            let again = NewIncident { may_lower, ..new };
            let mut entry = incident.say_again(again, &operation.by, now);
            if !self.keep(Guard::Rises) {
                let _ = before;
                incident.severity = wanted;
                entry.severity = incident.severity;
            }
            self.write(timeline, entry);
            let incident = incident.clone();
            mine.remember(&key, Done::Of(at));
            return Ok(IncidentOpened::Updated(incident));
        }
        self.room(mine)?;
        let (incident, entry) = Incident::open(id, new, &operation.by, now);
        if self.keep(Guard::Keeps) {
            mine.incidents
                .insert(id, (incident.clone(), VecDeque::from([entry])));
        }
        mine.remember(&key, Done::Of(id));
        Ok(IncidentOpened::Opened(incident))
    }

    async fn change(
        &self,
        tenant: &TenantId,
        which: &IncidentRef,
        operation: &Operation,
        change: IncidentChange,
    ) -> Result<IncidentChanged> {
        if self.keep(Guard::Limits) {
            check_operation(DRIVER, operation)?;
            check_change(DRIVER, &change)?;
        }
        let (now, name, key) = (
            self.clock.now(),
            self.name(tenant),
            self.key(tenant, operation),
        );
        let mut tenants = self.tenants.lock();
        let done = self.done(&tenants, &name, &key);
        let mine = tenants.entry(name).or_default();
        if let Some(same) = mine.same(done).filter(|_| self.keep(Guard::ChangeOnce)) {
            return Ok(IncidentChanged::Same(same));
        }
        let Some(id) = self.find(mine, which) else {
            return Ok(IncidentChanged::Unknown);
        };
        let (incident, timeline) = mine.incidents.get_mut(&id).expect("it was found");
        if incident.status == IncidentStatus::Resolved && self.keep(Guard::Over) {
            return Ok(IncidentChanged::Over(incident.clone()));
        }
        let taken = incident.status == IncidentStatus::Acknowledged;
        if taken && change == IncidentChange::Acknowledge && !self.keep(Guard::TakenOnce) {
            incident.status = IncidentStatus::Open;
        }
        let Some(entry) = incident.change(&change, &operation.by, now) else {
            let same = incident.clone();
            return Ok(IncidentChanged::Same(same));
        };
        if !self.keep(Guard::Who) {
            (incident.acknowledged, incident.resolved) = (None, None);
        }
        self.write(timeline, entry);
        let incident = incident.clone();
        mine.remember(&key, Done::Of(id));
        Ok(IncidentChanged::Changed(incident))
    }

    async fn get(&self, tenant: &TenantId, which: &IncidentRef) -> Result<Option<Incident>> {
        let tenants = self.tenants.lock();
        let Some(mine) = tenants.get(&self.name(tenant)) else {
            return Ok(None);
        };
        let id = self.find(mine, which);
        Ok(id.map(|id| mine.incidents[&id].0.clone()))
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &IncidentFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<Incident>> {
        let after = after.map(place_of).transpose()?;
        let tenants = self.tenants.lock();
        let all = tenants.get(&self.name(tenant)).map(|it| &it.incidents);
        let all = all.into_iter().flat_map(|it| it.values());
        let mut found: Vec<Incident> = all
            .map(|(it, _)| it.clone())
            .filter(|it| filter.takes(it) || !self.keep(Guard::Filters))
            .filter(|it| after.is_none_or(|after| place(it) < after))
            .collect();
        found.sort_by_key(|it| std::cmp::Reverse(place(it)));
        if !self.keep(Guard::NewestFirst) {
            found.reverse();
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|it| {
            let (at, id) = place(it);
            PageToken(format!("{}.{id}", at.as_millis()))
        });
        Ok(Page { items: found, next })
    }

    async fn timeline(
        &self,
        tenant: &TenantId,
        id: Uuid,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TimelineEntry>> {
        let tenants = self.tenants.lock();
        let mine = tenants.get(&self.name(tenant));
        let found = mine.and_then(|it| it.incidents.get(&id));
        let entries = found.into_iter().flat_map(|(_, timeline)| timeline);
        let entries = entries.filter(|it| it.seq > after || !self.keep(Guard::Order));
        Ok(entries.take(limit).cloned().collect())
    }

    async fn count(
        &self,
        tenant: &TenantId,
        counter: &str,
        operation: &Operation,
        change: CounterChange,
    ) -> Result<u64> {
        if self.keep(Guard::Limits) {
            check_operation(DRIVER, operation)?;
            check_counter(DRIVER, counter)?;
        }
        let (name, key) = (self.name(tenant), self.key(tenant, operation));
        let mut tenants = self.tenants.lock();
        let done = self.done(&tenants, &name, &key);
        let mine = tenants.entry(name).or_default();
        if let Some(Done::Counted(value)) = done.filter(|_| self.keep(Guard::CountOnce)) {
            return Ok(value);
        }
        let before = mine.counters.get(counter).copied().unwrap_or(0);
        let value = match change {
            CounterChange::Add => before.saturating_add(1),
            CounterChange::Reset if self.keep(Guard::Reset) => 0,
            CounterChange::Reset => before,
        };
        let full = before == 0 && value > 0 && mine.counters.len() >= MAX_INCIDENT_COUNTERS;
        if full && self.keep(Guard::MostCounters) {
            let message = format!("there are {MAX_INCIDENT_COUNTERS} counters");
            return Err(PortError::new(ErrorKind::Full, DRIVER, "count", message));
        }
        match value {
            0 => drop(mine.counters.remove(counter)),
            value => drop(mine.counters.insert(counter.to_owned(), value)),
        }
        mine.remember(&key, Done::Counted(value));
        Ok(value)
    }
}

fn place(incident: &Incident) -> (Timestamp, Uuid) {
    (incident.opened_at, incident.id)
}

fn place_of(PageToken(token): &PageToken) -> Result<(Timestamp, Uuid)> {
    let place = token
        .split_once('.')
        .and_then(|(at, id)| Some((Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?)));
    place.ok_or_else(|| {
        let message = "the page token is not from a page before";
        PortError::new(ErrorKind::Invalid, DRIVER, "list incidents", message)
    })
}
