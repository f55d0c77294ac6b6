//! Listings of executions: by the index that has the least to look at, and never at more than a page
//! may cost.

use std::cmp::Reverse;

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_execution::Status;
use nebula_ports::{ExecutionFilter, ExecutionSummary, Page, PageToken};
use rusqlite::{Connection, params_from_iter, types::Value};

use crate::{
    error::Fault,
    read::{SUMMARY, summary},
    row::counted,
};

/// How many executions a page looks at beyond those that are on it. What is rare among more of them than
/// that is on one of the next pages, so a page takes a bounded time whatever is filtered for.
pub(crate) const LOOKED_AT: usize = 1_024;

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

/// A statement that is being written, with its values.
#[derive(Default)]
struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    fn push(&mut self, text: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push_str(text);
        self.values.extend(values);
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
pub(crate) fn list(
    connection: &Connection,
    tenant: &TenantId,
    filter: &ExecutionFilter,
    after: Option<&PageToken>,
    limit: usize,
    now: Timestamp,
) -> Result<Page<ExecutionSummary>, Fault> {
    let mut statuses = filter.statuses.clone();
    statuses.sort_unstable();
    statuses.dedup();
    let listing = Listing {
        tenant,
        filter,
        after: after.map(place_of).transpose()?,
        statuses,
    };
    let (mut found, mut stopped) = (Vec::new(), None);
    for way in listing.ways(connection)? {
        let walked = listing.walk(connection, way, limit.saturating_add(1), now)?;
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
    Value::from(text.to_owned())
}

fn id(id: &ExecutionId) -> Value {
    Value::from(id.as_bytes().to_vec())
}

impl<'f> Listing<'f> {
    /// The ways that lead to all that is wanted and to the least else.
    fn ways(&self, connection: &Connection) -> Result<Vec<Way<'f>>, Fault> {
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
        let (mut best, mut least) = (Vec::new(), usize::MAX);
        for ways in candidates {
            let mut count = 0;
            for way in &ways {
                count += self.count(connection, *way)?;
            }
            if count < least {
                (best, least) = (ways, count);
            }
        }
        Ok(best)
    }

    /// How many executions lie on this way, counted to what a page may look at.
    fn count(&self, connection: &Connection, way: Way<'_>) -> Result<usize, Fault> {
        let sql = self.counting(way);
        counted(connection, &sql.text, params_from_iter(sql.values))
    }

    fn counting(&self, way: Way<'_>) -> Sql {
        let mut sql = Sql::default();
        sql.push("SELECT count(*) FROM (SELECT 1", []);
        self.along(&mut sql, way);
        sql.push(" LIMIT ?)", [Value::from(LOOKED_AT as i64)]);
        sql
    }

    /// The first `wanted` executions on this way, as far as they are found.
    fn walk(
        &self,
        connection: &Connection,
        way: Way<'_>,
        wanted: usize,
        now: Timestamp,
    ) -> Result<Walked, Fault> {
        let (sql, budget) = self.statement(way, wanted);
        let mut find = connection.prepare_cached(&sql.text)?;
        let mut rows = find.query(params_from_iter(sql.values))?;
        let mut walked = Walked {
            found: Vec::new(),
            stopped: None,
        };
        let mut looked = 0;
        while let Some(row) = rows.next()? {
            looked += 1;
            if row.get(FITS)? {
                walked.found.push(summary(row, now)?);
                if walked.found.len() == wanted {
                    break;
                }
            }
            if looked == budget {
                walked.stopped = Some((row.get(4)?, ExecutionId::from_bytes(row.get(0)?)));
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
                sql.push("1", []);
                wanted
            }
            false => wanted.saturating_add(LOOKED_AT),
        };
        self.along(&mut sql, way);
        let order = match way {
            Way::Ids => " ORDER BY executions.id DESC LIMIT ?",
            Way::Label(..) => " ORDER BY labels.created_at DESC, executions.id DESC LIMIT ?",
            _ => " ORDER BY executions.created_at DESC, executions.id DESC LIMIT ?",
        };
        let most = i64::try_from(budget).unwrap_or(i64::MAX);
        sql.push(order, [Value::from(most)]);
        (sql, budget)
    }

    /// `FROM` and `WHERE`: what the way's index settles.
    fn along(&self, sql: &mut Sql, way: Way<'_>) {
        let tenant = || text(self.tenant.as_str());
        let filter = self.filter;
        match way {
            Way::All => sql.push(
                " FROM executions INDEXED BY executions_created WHERE executions.tenant = ?",
                [tenant()],
            ),
            Way::Workflow => {
                let workflow = filter.workflow.as_ref().map_or("", |it| it.as_str());
                sql.push(
                    " FROM executions INDEXED BY executions_workflow WHERE executions.tenant = ? AND workflow = ?",
                    [tenant(), text(workflow)],
                );
            }
            // The second condition says to SQLite that the index has the answer.
            Way::In(status) => sql.push(
                " FROM executions INDEXED BY executions_status WHERE executions.tenant = ? AND status = ? AND status <> 6",
                [tenant(), Value::from(status as u8)],
            ),
            Way::Label(key, value) => sql.push(
                " FROM labels INDEXED BY labels_value CROSS JOIN executions ON n = labels.execution WHERE labels.tenant = ? AND labels.key = ? AND labels.value = ?",
                [tenant(), text(key), text(value)],
            ),
            Way::Ids => {
                let from = " FROM executions INDEXED BY executions_id WHERE executions.tenant = ? AND executions.id >= ?";
                let first = filter.ids.as_ref().map(|ids| id(ids.start()));
                sql.push(from, [tenant()].into_iter().chain(first));
                // Of two ends SQLite begins at one, and that may be the far one.
                let end = filter.ids.as_ref().map(std::ops::RangeInclusive::end);
                match (&self.after, end) {
                    (Some((_, last)), end) if end.is_none_or(|end| last <= end) => {
                        sql.push(" AND executions.id < ?", [id(last)]);
                    }
                    (_, end) => sql.push(" AND executions.id <= ?", end.map(id)),
                }
                return;
            }
        }
        let at = match way {
            Way::Label(..) => "labels.created_at",
            _ => "executions.created_at",
        };
        if let Some(since) = filter.since {
            sql.push(&format!(" AND {at} >= ?"), [Value::from(since.as_millis())]);
        }
        let until = filter
            .until
            .map(|until| until.as_millis().saturating_sub(1));
        let last = self.after.as_ref().map(|(millis, _)| *millis);
        // One end, as above.
        if let Some(end) = until.into_iter().chain(last).min() {
            sql.push(&format!(" AND {at} <= ?"), [Value::from(end)]);
        }
        if let Some((millis, last)) = &self.after {
            sql.push(
                &format!(" AND ({at}, executions.id) < (?, ?)"),
                [Value::from(*millis), id(last)],
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
            also(sql, "workflow = ?", vec![text(workflow.as_str())]);
        }
        if !self.statuses.is_empty() && !matches!(way, Way::In(_)) {
            let places = vec!["?"; self.statuses.len()].join(", ");
            let values = self.statuses.iter().map(|it| Value::from(*it as u8));
            also(sql, &format!("status IN ({places})"), values.collect());
        }
        for (key, value) in filter.labels.iter() {
            if way != Way::Label(key, value) {
                also(
                    sql,
                    "EXISTS (SELECT 1 FROM labels AS other WHERE other.execution = n AND other.key = ? AND other.value = ?)",
                    vec![text(key), text(value)],
                );
            }
        }
        if let Some(wanted) = &filter.text {
            let wanted = wanted.to_ascii_lowercase();
            also(
                sql,
                "(instr(lower(workflow), ?) > 0 OR executions.labels IS NOT NULL AND EXISTS (SELECT 1 FROM labels AS other WHERE other.execution = n AND instr(lower(other.value), ?) > 0))",
                vec![text(&wanted), text(&wanted)],
            );
        }
        // Their own index has neither.
        if way == Way::Ids {
            if let Some(since) = filter.since {
                also(
                    sql,
                    "executions.created_at >= ?",
                    vec![Value::from(since.as_millis())],
                );
            }
            if let Some(until) = filter.until {
                also(
                    sql,
                    "executions.created_at < ?",
                    vec![Value::from(until.as_millis())],
                );
            }
        }
    }
}

/// The column that says whether a row is wanted: the one behind those of a summary.
const FITS: usize = 12;

#[cfg(test)]
mod tests {
    use nebula_core::WorkflowId;

    use super::*;
    use crate::schema::query_plan;

    fn everything() -> ExecutionFilter {
        ExecutionFilter {
            workflow: Some(WorkflowId::new("w").unwrap()),
            statuses: vec![Status::Failed, Status::Completed],
            labels: "a=1,b=2".parse().unwrap(),
            text: Some("x".to_owned()),
            since: Some(Timestamp::from_millis(1)),
            until: Some(Timestamp::from_millis(9)),
            ids: None,
        }
    }

    /// The statements of a way find their rows by this index, in its order, whatever else is asked.
    #[track_caller]
    fn check(filter: &ExecutionFilter, way: Way<'_>, expected: &str) {
        for after in [None, Some((5, ExecutionId::from_bytes([7; 16])))] {
            let tenant = TenantId::local();
            let statuses = filter.statuses.clone();
            let listing = Listing {
                tenant: &tenant,
                filter,
                after,
                statuses,
            };
            let (sql, _) = listing.statement(way, 9);
            assert_eq!(
                sql.text.matches('?').count(),
                sql.values.len(),
                "{}",
                sql.text
            );
            let plan = query_plan(&sql.text);
            let found = |it: &String| it.starts_with("SEARCH") && it.contains(expected);
            assert!(found(&plan[0]), "{plan:?}");
            // Executions of one millisecond are put into order, and nothing beyond them.
            let sorts: Vec<_> = plan
                .iter()
                .filter(|it| it.contains("TEMP B-TREE"))
                .collect();
            assert!(
                sorts.iter().all(|it| it.contains("LAST TERM")),
                "{} {plan:?}",
                sql.text
            );
            let sql = listing.counting(way);
            assert_eq!(
                sql.text.matches('?').count(),
                sql.values.len(),
                "{}",
                sql.text
            );
            let plan = query_plan(&sql.text);
            assert!(plan.iter().any(found), "{plan:?}");
        }
    }

    #[test]
    fn every_way_finds_its_rows_by_its_index() {
        let ids = Some(ExecutionId::from_bytes([1; 16])..=ExecutionId::from_bytes([2; 16]));
        for filter in [ExecutionFilter::default(), everything()] {
            let created = "executions_created (tenant=?";
            check(&filter, Way::All, created);
            let status = "executions_status (tenant=? AND status=?";
            check(&filter, Way::In(Status::Failed), status);
            let workflow = "executions_workflow (tenant=? AND workflow=?";
            check(&filter, Way::Workflow, workflow);
            let label = "labels_value (tenant=? AND key=? AND value=?";
            check(&filter, Way::Label("a", "1"), label);
            let filter = ExecutionFilter {
                ids: ids.clone(),
                ..filter
            };
            let range = "executions_id (tenant=? AND id>? AND id<?)";
            check(&filter, Way::Ids, range);
        }
    }
}
