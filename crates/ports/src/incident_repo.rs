//! Where incidents are kept: what is wrong with services, since when, and who looks after it.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use nebula_core::{ExecutionId, TenantId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ErrorKind, Page, PageToken, PortError, Result};

/// The most bytes of a correlation key, of a service, of a counter's name, of whoever does something.
pub const MAX_INCIDENT_NAME: usize = 256;

/// The most bytes of a title.
pub const MAX_INCIDENT_TITLE: usize = 500;

/// The most bytes of a description, of a note, of a resolution.
pub const MAX_INCIDENT_TEXT: usize = 8_192;

/// The most incidents of a tenant. The one that was resolved first goes for a new one.
pub const MAX_INCIDENTS: usize = 2_000;

/// The most entries of one timeline: the newest.
pub const MAX_TIMELINE: usize = 1_000;

/// How many operations of a tenant are remembered, so that each is done once: the newest.
pub const MAX_INCIDENT_OPS: usize = 10_000;

/// The most counters of a tenant that do not stand at 0.
pub const MAX_INCIDENT_COUNTERS: usize = 1_000;

/// The most incidents or entries of a page.
pub const MAX_INCIDENT_PAGE: usize = 1_000;

/// Declares an enum whose values have names.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident, $error:ident, $what:literal { $($(#[$value_doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            /// Every value, in ascending order.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// The name in JSON and on screen.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        /// The text names none.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error($what)]
        pub struct $error(String);

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let found = Self::ALL.iter().copied().find(|it| it.as_str() == text);
                found.ok_or_else(|| $error(text.chars().take(40).collect()))
            }
        }
    };
}

named! {
    /// How bad it is.
    Severity, SeverityError, "`{0}` is no severity; write info, warning or critical" {
        /// Worth knowing.
        Info = "info",
        /// Somebody should look.
        Warning = "warning",
        /// Somebody must look now.
        Critical = "critical",
    }
}

named! {
    /// How an incident stands.
    IncidentStatus, IncidentStatusError, "`{0}` is no status of an incident; write open, acknowledged or resolved" {
        /// Nobody has taken it.
        Open = "open",
        /// Somebody looks after it.
        Acknowledged = "acknowledged",
        /// It is over; nothing changes any more.
        Resolved = "resolved",
    }
}

/// What is wrong with a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIncident {
    /// What this is about: as long as an incident with this key is not resolved, there is no second one.
    pub key: String,
    /// Which service.
    pub service: String,
    /// In a few words.
    pub title: String,
    /// In more words; may be empty.
    pub description: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whether the severity may fall as well, where an incident is open already.
    pub may_lower: bool,
    /// Whose execution says so: it decides in which project the incident is.
    pub workflow: WorkflowId,
    /// Which execution says so.
    pub execution: ExecutionId,
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: Uuid,
    /// What it is about.
    pub key: String,
    /// Which service.
    pub service: String,
    /// In a few words, as said last.
    pub title: String,
    /// In more words, as said last.
    pub description: String,
    /// How bad it is.
    pub severity: Severity,
    /// How it stands.
    pub status: IncidentStatus,
    /// The workflow that opened it.
    pub workflow: WorkflowId,
    /// The execution that opened it.
    pub execution: ExecutionId,
    /// How often it was said.
    pub occurrences: u64,
    /// How many entries its timeline has had; the newest [`MAX_TIMELINE`] are kept.
    pub entries: u64,
    /// When it was opened, by the store's clock.
    pub opened_at: Timestamp,
    /// When its last entry was written, by the store's clock.
    pub updated_at: Timestamp,
    /// Who took it, and when.
    pub acknowledged: Option<ByAt>,
    /// Who resolved it, and when.
    pub resolved: Option<ByAt>,
    /// What helped; may be empty.
    pub resolution: Option<String>,
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByAt {
    /// `person:<id>`, `service:<id>`, `local`, or `execution:<id>/<node>`.
    pub by: String,
    /// By the store's clock.
    pub at: Timestamp,
}

/// One entry of a timeline; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// Its number, from 1.
    pub seq: u64,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What.
    pub what: Happened,
    /// In words; may be empty.
    pub text: String,
    /// How bad it was from then on.
    pub severity: Severity,
}

/// What an entry of a timeline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// It was opened.
    Opened,
    /// It was said again.
    Again,
    /// Somebody noted something.
    Noted,
    /// Somebody took it.
    Acknowledged,
    /// Somebody resolved it.
    Resolved,
}

impl Happened {
    /// The name in JSON and on screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Again => "again",
            Self::Noted => "noted",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// One operation: done once, however often it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The same for each repetition: 1 to [`MAX_INCIDENT_NAME`] bytes.
    pub key: String,
    /// Who asks for it.
    pub by: String,
}

/// What is done with an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncidentChange {
    /// Something is noted; not an empty text.
    Note(String),
    /// Somebody takes it.
    Acknowledge,
    /// It is over, and this helped.
    Resolve(String),
}

/// Which incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncidentRef {
    /// The one with this id.
    Id(Uuid),
    /// The one with this key that is not resolved.
    Key(String),
}

/// What became of an incident that was to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum IncidentOpened {
    /// It is a new one.
    Opened(Incident),
    /// One was open; it was said again.
    Updated(Incident),
    /// This operation was done before; the incident as it is now.
    Same(Incident),
}

impl IncidentOpened {
    /// The incident, whatever became of it.
    #[must_use]
    pub fn incident(&self) -> &Incident {
        match self {
            Self::Opened(it) | Self::Updated(it) | Self::Same(it) => it,
        }
    }
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum IncidentChanged {
    /// It is as it was asked for, and stands in the timeline.
    Changed(Incident),
    /// It was so already, or this operation was done before; nothing was written.
    Same(Incident),
    /// It is resolved, and does not change any more; nothing was written.
    Over(Incident),
    /// There is no such incident.
    Unknown,
}

/// Which incidents to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Only these; all if it is empty.
    pub statuses: Vec<IncidentStatus>,
    /// Only those at least so bad.
    pub severity: Option<Severity>,
    /// Only those of this service.
    pub service: Option<String>,
}

impl IncidentFilter {
    /// Whether it is listed.
    #[must_use]
    pub fn takes(&self, incident: &Incident) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&incident.status))
            && self.severity.is_none_or(|least| incident.severity >= least)
            && self
                .service
                .as_ref()
                .is_none_or(|it| *it == incident.service)
    }
}

/// What is done with a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterChange {
    /// One more.
    Add,
    /// Back to 0.
    Reset,
}

impl Incident {
    /// A new one, with the first entry of its timeline.
    #[must_use]
    pub fn open(id: Uuid, new: NewIncident, by: &str, now: Timestamp) -> (Self, TimelineEntry) {
        let mut incident = Self {
            id,
            key: new.key,
            service: new.service,
            title: new.title,
            description: new.description,
            severity: new.severity,
            status: IncidentStatus::Open,
            workflow: new.workflow,
            execution: new.execution,
            occurrences: 1,
            entries: 0,
            opened_at: now,
            updated_at: now,
            acknowledged: None,
            resolved: None,
            resolution: None,
        };
        let title = incident.title.clone();
        let entry = incident.entry(Happened::Opened, title, by, now);
        (incident, entry)
    }

    /// Says it again: counts, takes over the words, and lets the severity rise.
    pub fn say_again(&mut self, new: NewIncident, by: &str, now: Timestamp) -> TimelineEntry {
        self.occurrences = self.occurrences.saturating_add(1);
        self.severity = match new.may_lower {
            true => new.severity,
            false => self.severity.max(new.severity),
        };
        self.title = new.title;
        self.description = new.description;
        let title = self.title.clone();
        self.entry(Happened::Again, title, by, now)
    }

    /// Changes it; `None` where it is so already.
    pub fn change(
        &mut self,
        change: &IncidentChange,
        by: &str,
        now: Timestamp,
    ) -> Option<TimelineEntry> {
        let mine = || ByAt {
            by: by.to_owned(),
            at: now,
        };
        let (what, text) = match change {
            IncidentChange::Note(text) => (Happened::Noted, text.clone()),
            IncidentChange::Acknowledge if self.status == IncidentStatus::Open => {
                self.status = IncidentStatus::Acknowledged;
                self.acknowledged = Some(mine());
                (Happened::Acknowledged, String::new())
            }
            IncidentChange::Acknowledge => return None,
            IncidentChange::Resolve(text) => {
                self.status = IncidentStatus::Resolved;
                self.resolved = Some(mine());
                self.resolution = Some(text.clone());
                (Happened::Resolved, text.clone())
            }
        };
        Some(self.entry(what, text, by, now))
    }

    fn entry(&mut self, what: Happened, text: String, by: &str, at: Timestamp) -> TimelineEntry {
        self.entries = self.entries.saturating_add(1);
        self.updated_at = at;
        TimelineEntry {
            seq: self.entries,
            at,
            by: by.to_owned(),
            what,
            text,
            severity: self.severity,
        }
    }
}

/// Refuses an operation that no store takes.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn check_operation(driver: &'static str, operation: &Operation) -> Result<()> {
    let name = |what, text: &str| text_of(driver, what, text, 1, MAX_INCIDENT_NAME);
    name("operation", &operation.key)?;
    name("author", &operation.by)
}

/// Refuses a new incident that no store takes.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn check_incident(driver: &'static str, new: &NewIncident) -> Result<()> {
    text_of(driver, "key", &new.key, 1, MAX_INCIDENT_NAME)?;
    text_of(driver, "service", &new.service, 1, MAX_INCIDENT_NAME)?;
    text_of(driver, "title", &new.title, 1, MAX_INCIDENT_TITLE)?;
    text_of(
        driver,
        "description",
        &new.description,
        0,
        MAX_INCIDENT_TEXT,
    )
}

/// Refuses a change that no store takes.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn check_change(driver: &'static str, change: &IncidentChange) -> Result<()> {
    match change {
        IncidentChange::Note(text) => text_of(driver, "note", text, 1, MAX_INCIDENT_TEXT),
        IncidentChange::Acknowledge => Ok(()),
        IncidentChange::Resolve(text) => text_of(driver, "resolution", text, 0, MAX_INCIDENT_TEXT),
    }
}

/// Refuses a name of a counter that no store takes.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn check_counter(driver: &'static str, counter: &str) -> Result<()> {
    text_of(driver, "name of a counter", counter, 1, MAX_INCIDENT_NAME)
}

fn text_of(driver: &'static str, what: &str, text: &str, least: usize, most: usize) -> Result<()> {
    let length = text.len();
    if (least..=most).contains(&length) {
        return Ok(());
    }
    let message = format!("the {what} has {length} bytes; it has {least} to {most}");
    let operation = "write to an incident";
    Err(PortError::new(
        ErrorKind::Invalid,
        driver,
        operation,
        message,
    ))
}

/// Keeps incidents, their timelines, and counters.
///
/// Of one correlation key there is at most one incident that is not resolved. What is done carries the key
/// of its operation and is done once, also when it is asked for again after a lost reply, as long as it is
/// among the last [`MAX_INCIDENT_OPS`] of the tenant.
///
/// Rules (each is a test of `nebula_testkit::incident_repo!`): an incident is opened, and found by its id; a
/// key that is open is said again, and opens no second incident, also when several open it at once; a key that was resolved opens a
/// new one; severity rises and does not fall, unless it may; an operation is done once, of whichever kind; who
/// acknowledges and resolves is kept; what was acknowledged is not acknowledged again; what is resolved does
/// not change; an incident is found by its key until it is resolved; a timeline is in order, in pages, and
/// keeps the newest entries; a listing is newest first, in pages, and filters; a counter counts, each
/// operation once, and goes back to 0; a tenant sees nothing of another's; texts have limits; the incident that was resolved first
/// goes for a new one, and none that is open.
#[async_trait]
pub trait IncidentRepo: fmt::Debug + Send + Sync + 'static {
    /// Opens an incident with `id`, or says the one again that is open under its key.
    ///
    /// # Errors
    /// [`ErrorKind::Full`]: there are [`MAX_INCIDENTS`], and none of them is resolved.
    /// [`ErrorKind::Invalid`]: a text is too long or empty.
    async fn open(
        &self,
        tenant: &TenantId,
        id: Uuid,
        operation: &Operation,
        new: NewIncident,
    ) -> Result<IncidentOpened>;

    /// Changes an incident.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: a text is too long or empty.
    async fn change(
        &self,
        tenant: &TenantId,
        which: &IncidentRef,
        operation: &Operation,
        change: IncidentChange,
    ) -> Result<IncidentChanged>;

    /// One incident.
    ///
    /// # Errors
    /// The store cannot answer.
    async fn get(&self, tenant: &TenantId, which: &IncidentRef) -> Result<Option<Incident>>;

    /// A page of incidents, newest first.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: the token is not from a page before.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &IncidentFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<Incident>>;

    /// The entries of a timeline after the one numbered `after`, in their order; at most `limit`. Empty for
    /// an incident that is not there.
    ///
    /// # Errors
    /// The store cannot answer.
    async fn timeline(
        &self,
        tenant: &TenantId,
        id: Uuid,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TimelineEntry>>;

    /// Changes a counter, and says where it stood then: of an operation that was done before, where it
    /// stood after that.
    ///
    /// # Errors
    /// [`ErrorKind::Full`]: there are [`MAX_INCIDENT_COUNTERS`] others that do not stand at 0.
    /// [`ErrorKind::Invalid`]: the name is too long or empty.
    async fn count(
        &self,
        tenant: &TenantId,
        counter: &str,
        operation: &Operation,
        change: CounterChange,
    ) -> Result<u64>;
}
