//! `nebula schedule`: when a schedule comes.

use nebula_core::{Clock as _, Timestamp};
use nebula_system::SystemClock;
use nebula_trigger::Schedule;
use serde_json::{Value, json};

use crate::{
    arguments,
    console::Console,
    failure::{Exit, Failure},
    table::table,
};

/// Runs `nebula schedule`.
pub(crate) fn run(command: &arguments::Schedule, console: &Console) -> Result<Exit, Failure> {
    let arguments::Schedule::Next {
        expr,
        tz,
        from,
        count,
    } = command;
    let schedule = Schedule::cron(expr, tz)
        .map_err(|error| Failure::invalid("INVALID_SCHEDULE", error.to_string()))?;
    let from = from.unwrap_or_else(|| SystemClock::default().now());
    let occurrences: Vec<_> = schedule.occurrences(from).take((*count).into()).collect();
    if console.json {
        let occurrences: Vec<Value> = occurrences
            .iter()
            .map(|occurrence| shown(&schedule, *occurrence))
            .collect();
        console.document(&json!({ "expression": expr, "timezone": tz, "from": from.to_string(), "occurrences": occurrences }))?;
    } else if occurrences.is_empty() {
        console.line(&format!("`{expr}` does not come any more after {from}."))?;
    } else {
        let row = |occurrence: &Timestamp| {
            let local = schedule
                .local(*occurrence)
                .strftime("%a %Y-%m-%d %H:%M:%S %:z");
            vec![local.to_string(), occurrence.to_string()]
        };
        let rows: Vec<_> = occurrences.iter().map(row).collect();
        console.line(&table(&[&tz.to_uppercase(), "UTC"], &rows))?;
    }
    Ok(Exit::Completed)
}

fn shown(schedule: &Schedule, occurrence: Timestamp) -> Value {
    let local = schedule.local(occurrence).strftime("%Y-%m-%dT%H:%M:%S%:z");
    json!({ "at": occurrence.to_string(), "local": local.to_string() })
}
