//! Listings of executions: by the index that has the least to look at, and never at more than a page
//! may cost.

use std::cmp::Reverse;

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_execution::Status;
use nebula_ports::{ExecutionFilter, ExecutionSummary, Page, PageToken};
use nebula_postgres::Param;
use uuid::Uuid;

use crate::{
    error::Fault,
    link::Link,
    read::{SUMMARY, summary},
    row::{limited, uuid},
    texts::check_texts,
};

/// How many executions a page looks at beyond those that are on it. What is rare among more of them than
/// that is on one of the next pages, so a page takes a bounded time whatever is filtered for.
pub(crate) const LOOKED_AT: usize = 1_024;

/// The column that says whether a row is wanted: the one behind those of a summary.
const FITS: usize = 12;

/// Where an execution stands in a listing: the newest has the greatest place.
type Place = (i64, ExecutionId);

/// Which executions a statement goes through, each way in the order of its index.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way<'f> {
    /// All, by the time of creation.
    All,
    /// Those of the filter's workflow.
    Workflow,
    /// Those in one status, not `completed`: most are, and its index does not have them.
    In(Status),
    /// Those with one label.
    Label(&'f str, &'f str),
    /// Those of the filter's range of ids, by their order.
    Ids,
}

/// What one way has come to.
struct Walked {
    found: Vec<ExecutionSummary>,
    /// The last place that was looked at, where there may be more behind it.
    stopped: Option<Place>,
}

/// A value of a statement.
#[derive(Debug)]
enum Value {
    Text(String),
    Number(i64),
    Small(i16),
    Id(Uuid),
}

impl Value {
    fn param(&self) -> &dyn Param {
        match self {
            Self::Text(it) => it,
            Self::Number(it) => it,
            Self::Small(it) => it,
            Self::Id(it) => it,
        }
    }
}

/// A statement that is being written, with its values: each `?` becomes the next number.
#[derive(Default)]
struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    fn push(&mut self, text: &str, values: impl IntoIterator<Item = Value>) {
        let mut given = values.into_iter();
        let mut parts = text.split('?');
        self.text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            self.values.extend(given.next());
            let number = self.values.len();
            self.text.push_str(&format!("${number}{part}"));
        }
        debug_assert!(given.next().is_none(), "a value without its place");
    }

    fn params(&self) -> Vec<&dyn Param> {
        self.values.iter().map(Value::param).collect()
    }
}

/// One listing.
struct Listing<'f> {
    tenant: &'f TenantId,
    filter: &'f ExecutionFilter,
    after: Option<Place>,
    statuses: Vec<Status>,
}

/// A page of a listing, newest first.
pub(crate) async fn list(
    link: &Link,
    tenant: &TenantId,
    filter: &ExecutionFilter,
    after: Option<&PageToken>,
    limit: usize,
) -> Result<Page<ExecutionSummary>, Fault> {
    let after = after.map(place_of).transpose()?;
    let labels = filter.labels.iter().flat_map(|(key, value)| [key, value]);
    if check_texts(labels.chain(filter.text.as_deref())).is_err() {
        // Nothing that is stored has such a text.
        return Ok(Page {
            items: Vec::new(),
            next: None,
        });
    }
    let now = link.now().await?;
    let mut statuses = filter.statuses.clone();
    statuses.sort_unstable();
    statuses.dedup();
    let listing = Listing {
        tenant,
        filter,
        after,
        statuses,
    };
    let (mut found, mut stopped) = (Vec::new(), None);
    for way in listing.ways(link).await? {
        let walked = listing
            .walk(link, way, limit.saturating_add(1), now)
            .await?;
        found.extend(walked.found);
        stopped = stopped.max(walked.stopped);
    }
    match filter.ids {
        Some(_) => found.sort_by_key(|it| Reverse(it.id)),
        None => found.sort_by_key(|it| Reverse(place(it))),
    }
    // Behind the place at which one way stopped, it may have what comes before the others'.
    if let Some(stopped) = stopped.filter(|_| filter.ids.is_none()) {
        found.retain(|it| place(it) >= stopped);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = match found.last().filter(|_| more) {
        Some(last) => Some(place(last)),
        None => stopped,
    };
    Ok(Page {
        items: found,
        next: next.map(token_of),
    })
}

fn place(summary: &ExecutionSummary) -> Place {
    (summary.created_at.as_millis(), summary.id)
}

fn token_of((at, id): Place) -> PageToken {
    PageToken(format!("{at}.{id}"))
}

fn place_of(PageToken(token): &PageToken) -> Result<Place, Fault> {
    let parts = token.split_once('.');
    let place = parts.and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    place.ok_or_else(|| Fault::invalid("the page token is not from a page before"))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn id(id: ExecutionId) -> Value {
    Value::Id(uuid(id))
}

impl<'f> Listing<'f> {
    /// The ways that lead to all that is wanted and to the least else.
    async fn ways(&self, link: &Link) -> Result<Vec<Way<'f>>, Fault> {
        let filter = self.filter;
        if filter.ids.is_some() {
            return Ok(vec![Way::Ids]);
        }
        let mut candidates: Vec<Vec<Way<'_>>> = Vec::new();
        for (key, value) in filter.labels.iter() {
            candidates.push(vec![Way::Label(key, value)]);
        }
        if !self.statuses.is_empty() && !self.statuses.contains(&Status::Completed) {
            candidates.push(self.statuses.iter().map(|it| Way::In(*it)).collect());
        }
        if filter.workflow.is_some() {
            candidates.push(vec![Way::Workflow]);
        }
        if candidates.len() < 2 {
            return Ok(candidates.pop().unwrap_or_else(|| vec![Way::All]));
        }
        let (mut best, mut least) = (Vec::new(), i64::MAX);
        for ways in candidates {
            let mut count = 0;
            for way in &ways {
                count += self.count(link, *way).await?;
            }
            if count < least {
                (best, least) = (ways, count);
            }
        }
        Ok(best)
    }

    /// How many executions lie on this way, counted to what a page may look at.
    async fn count(&self, link: &Link, way: Way<'_>) -> Result<i64, Fault> {
        let mut sql = Sql::default();
        sql.push("SELECT count(*) FROM (SELECT 1", []);
        self.along(&mut sql, way);
        sql.push(" LIMIT ?) AS part", [Value::Number(limited(LOOKED_AT))]);
        let row = link.row(&sql.text, &sql.params()).await?;
        let row = row.ok_or_else(|| Fault::corrupt("a count gives no row"))?;
        Ok(row.try_get(0)?)
    }

    /// The first `wanted` executions on this way, as far as they are found.
    async fn walk(
        &self,
        link: &Link,
        way: Way<'_>,
        wanted: usize,
        now: Timestamp,
    ) -> Result<Walked, Fault> {
        let (sql, budget) = self.statement(way, wanted);
        let mut walked = Walked {
            found: Vec::new(),
            stopped: None,
        };
        for (looked, row) in (1..).zip(link.rows(&sql.text, &sql.params()).await?) {
            if row.try_get(FITS)? {
                walked.found.push(summary(&row, now)?);
                if walked.found.len() == wanted {
                    break;
                }
            }
            if looked == budget {
                let id: Uuid = row.try_get(0)?;
                walked.stopped = Some((row.try_get(4)?, id.into()));
            }
        }
        Ok(walked)
    }

    /// The statement of a way, and how many rows it gives at most.
    fn statement(&self, way: Way<'_>, wanted: usize) -> (Sql, usize) {
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {SUMMARY}, "), []);
        let before = sql.text.len();
        self.rest(&mut sql, way);
        let budget = match sql.text.len() == before {
            true => {
                sql.push("true", []);
                wanted
            }
            false => wanted.saturating_add(LOOKED_AT),
        };
        self.along(&mut sql, way);
        let order = match way {
            Way::Ids => " ORDER BY e.id DESC LIMIT ?",
            Way::Label(..) => " ORDER BY l.created_at DESC, l.id DESC LIMIT ?",
            _ => " ORDER BY e.created_at DESC, e.id DESC LIMIT ?",
        };
        sql.push(order, [Value::Number(limited(budget))]);
        (sql, budget)
    }

    /// `FROM` and `WHERE`: what the way's index settles.
    fn along(&self, sql: &mut Sql, way: Way<'_>) {
        let tenant = || text(self.tenant.as_str());
        let filter = self.filter;
        match way {
            Way::All => sql.push(" FROM executions AS e WHERE e.tenant = ?", [tenant()]),
            Way::Workflow => {
                let workflow = filter.workflow.as_ref().map_or("", |it| it.as_str());
                sql.push(
                    " FROM executions AS e WHERE e.tenant = ? AND e.workflow = ?",
                    [tenant(), text(workflow)],
                );
            }
            // The second condition says that the index has the answer.
            Way::In(status) => sql.push(
                " FROM executions AS e WHERE e.tenant = ? AND e.status = ? AND e.status <> 6",
                [tenant(), Value::Small(status as i16)],
            ),
            Way::Label(key, value) => sql.push(
                " FROM labels AS l JOIN executions AS e ON e.n = l.execution WHERE l.tenant = ? AND l.key = ? AND l.value = ?",
                [tenant(), text(key), text(value)],
            ),
            Way::Ids => {
                sql.push(" FROM executions AS e WHERE e.tenant = ?", [tenant()]);
                if let Some(ids) = &filter.ids {
                    sql.push(
                        " AND e.id >= ? AND e.id <= ?",
                        [id(*ids.start()), id(*ids.end())],
                    );
                }
                if let Some((_, last)) = self.after {
                    sql.push(" AND e.id < ?", [id(last)]);
                }
                return;
            }
        }
        let (at, by) = match way {
            Way::Label(..) => ("l.created_at", "l.id"),
            _ => ("e.created_at", "e.id"),
        };
        if let Some(since) = filter.since {
            let since = Value::Number(since.as_millis());
            sql.push(&format!(" AND {at} >= ?"), [since]);
        }
        if let Some(until) = filter.until {
            let until = Value::Number(until.as_millis());
            sql.push(&format!(" AND {at} < ?"), [until]);
        }
        if let Some((millis, last)) = self.after {
            sql.push(
                &format!(" AND ({at}, {by}) < (?, ?)"),
                [Value::Number(millis), id(last)],
            );
        }
    }

    /// What is left to look at in each row: a condition, or nothing.
    fn rest(&self, sql: &mut Sql, way: Way<'_>) {
        let filter = self.filter;
        let mut and = "";
        let mut also = |sql: &mut Sql, text: &str, values: Vec<Value>| {
            sql.push(and, []);
            sql.push(text, values);
            and = " AND ";
        };
        if way != Way::Workflow
            && let Some(workflow) = &filter.workflow
        {
            also(sql, "e.workflow = ?", vec![text(workflow.as_str())]);
        }
        if !self.statuses.is_empty() && !matches!(way, Way::In(_)) {
            let places = vec!["?"; self.statuses.len()].join(", ");
            let values = self.statuses.iter().map(|it| Value::Small(*it as i16));
            also(sql, &format!("e.status IN ({places})"), values.collect());
        }
        for (key, value) in filter.labels.iter() {
            if way != Way::Label(key, value) {
                also(
                    sql,
                    "EXISTS (SELECT 1 FROM labels AS other WHERE other.execution = e.n AND other.key = ? AND other.value = ?)",
                    vec![text(key), text(value)],
                );
            }
        }
        if let Some(wanted) = &filter.text {
            let wanted = wanted.to_ascii_lowercase();
            also(
                sql,
                "(strpos(lower(e.workflow COLLATE \"C\"), ?) > 0 OR e.labels IS NOT NULL AND EXISTS (SELECT 1 FROM labels AS other WHERE other.execution = e.n AND strpos(lower(other.value COLLATE \"C\"), ?) > 0))",
                vec![text(&wanted), text(&wanted)],
            );
        }
        // Their own index has neither.
        if way == Way::Ids {
            if let Some(since) = filter.since {
                let since = Value::Number(since.as_millis());
                also(sql, "e.created_at >= ?", vec![since]);
            }
            if let Some(until) = filter.until {
                let until = Value::Number(until.as_millis());
                also(sql, "e.created_at < ?", vec![until]);
            }
        }
    }
}
