//! `nebula executions`: look, cancel, pause, decide, go over again.

use nebula_core::{ExecutionId, Timestamp};
use nebula_engine::{Report, Waiting};
use nebula_execution::{Again, Choice, Fact, Signal, Status, Timeline, Times};
use nebula_ports::{ExecutionFilter, ExecutionSummary, Signalled};
use serde_json::{Value, json};

use crate::{
    arguments::{Executions, ListExecutions},
    commands::{
        again, bulk, list, migrate, pause, replay, run,
        saying::{HOLDER_WAIT, Saying},
        signal, unpark, vote, waits, watch,
    },
    console::{Console, Paint},
    ending,
    failure::{Exit, Failure},
    progress::{self, Picture},
    session::{Driven, Session},
    settings::Loaded,
    table::table,
    timeline,
    wanted::Wanted,
};

/// Runs `nebula executions`.
pub(crate) async fn run(
    command: &Executions,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    match command {
        Executions::List(arguments) => {
            let filter = filter(arguments)?;
            let session = Session::open_existing(loaded).await?;
            let (session, limit) = (session.as_ref(), usize::from(arguments.limit));
            if arguments.waiting {
                waits::list(session, filter, limit, console).await
            } else {
                list::list(session, &filter, limit, console).await
            }
        }
        Executions::Bulk(arguments) => bulk::run(arguments, loaded, console).await,
        Executions::Replay(arguments) => {
            let (session, id) = Wanted::parse(&arguments.id)?.open(loaded).await?;
            replay::run(arguments, &session, id, console).await
        }
        Executions::Watch { id, .. } => {
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            watch::run(&session, id, console).await
        }
        Executions::Show { id, .. } => {
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            show(&session.report(id).await?, &session, console).await
        }
        Executions::Cancel { id, reason, .. } => {
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            cancel(&session, id, reason, console).await
        }
        Executions::Pause { id, reason, .. } => {
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            pause::pause(&session, id, reason, console).await
        }
        Executions::Signal(arguments) => {
            let (session, id) = Wanted::parse(&arguments.id)?.open(loaded).await?;
            signal::run(arguments, &session, id, console).await
        }
        Executions::Approve(arguments) => {
            vote::run(arguments, Choice::Approve, loaded, console).await
        }
        Executions::Reject(arguments) => {
            vote::run(arguments, Choice::Reject, loaded, console).await
        }
        Executions::Defer(arguments) => vote::run(arguments, Choice::Defer, loaded, console).await,
        Executions::Tokens { id, node, .. } => {
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            vote::tokens(&session, id, node.as_deref(), console).await
        }
        Executions::Migrate { id, to, check, .. } => {
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            migrate::run(&session, id, *to, *check, console).await
        }
        Executions::Unpause { id, .. } => {
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            pause::unpause(&session, id, console).await
        }
        Executions::Unpark(arguments) => {
            let decision = unpark::decision(arguments)?;
            let (session, id) = Wanted::parse(&arguments.id)?.open(loaded).await?;
            unpark::run(arguments, decision, &session, id, console).await
        }
        Executions::Retry { id, .. } => {
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            Box::pin(again::run(Again::Retry, &session, id, console)).await
        }
        Executions::Restart { id, from, .. } => {
            let how = again::restart(from.as_deref())?;
            let (session, id) = Wanted::parse(id)?.open(loaded).await?;
            Box::pin(again::run(how, &session, id, console)).await
        }
    }
}

/// Statuses as they were given.
pub(crate) fn statuses(given: &[String]) -> Result<Vec<Status>, Failure> {
    let statuses = given.iter().map(|text| {
        text.parse::<Status>().map_err(|error| {
            let all: Vec<_> = Status::all().map(Status::as_str).collect();
            Failure::invalid("USAGE", format!("--status: {error}"))
                .advice(format!("give one of {}", all.join(", ")))
        })
    });
    statuses.collect()
}

fn filter(arguments: &ListExecutions) -> Result<ExecutionFilter, Failure> {
    let workflow = arguments.workflow.as_deref().map(|id| {
        id.parse()
            .map_err(|error| Failure::invalid("USAGE", format!("--workflow: {error}")))
    });
    Ok(ExecutionFilter {
        statuses: statuses(&arguments.status)?,
        workflow: workflow.transpose()?,
        ids: None,
        since: arguments.since,
        until: arguments.until,
        labels: run::labels(&arguments.label)?,
        text: arguments.text.clone(),
    })
}

pub(crate) fn summary_json(summary: &ExecutionSummary) -> Value {
    json!({
        "execution": summary.id,
        "workflow": summary.workflow,
        "version": summary.version,
        "priority": summary.priority,
        "status": summary.status,
        "created_at": summary.created_at.to_string(),
        "updated_at": summary.updated_at.to_string(),
        "begins_at": summary.begins_at.map(|at| at.to_string()),
        "wake_at": summary.wake_at.map(|at| at.to_string()),
        "entries": summary.entries,
        "leased": summary.leased,
        "labels": summary.labels,
    })
}

async fn show(report: &Report, session: &Session, console: &Console) -> Result<Exit, Failure> {
    let timeline = timeline(report.execution, session).await?;
    if console.json {
        let unwritable =
            |error: serde_json::Error| Failure::environment("OUTPUT", error.to_string());
        let mut document = serde_json::to_value(report).map_err(unwritable)?;
        document["timeline"] = serde_json::to_value(&timeline).map_err(unwritable)?;
        console.document(&document)?;
        return Ok(Exit::Completed);
    }
    ending::summary(report, None, &session.place, console);
    let mut rows = Vec::new();
    for (node, activations) in &report.nodes {
        for activation in activations {
            rows.push(activation_row(node, activation));
        }
    }
    let head = [
        "NODE", "STATUS", "PORT", "ATTEMPTS", "STARTED", "TOOK", "RESULT",
    ];
    console.line(&table(&head, &rows))?;
    let now = session.clock.now();
    let drawn = timeline::draw(&timeline, now, timeline::columns(), console.out);
    if !drawn.is_empty() {
        console.line(&format!("\n{drawn}"))?;
    }
    events(report, console)?;
    if !report.output.is_null() {
        let label = console.out.paint(Paint::Bold, "output");
        console.line(&format!("\n{label} {:#}", report.output))?;
    }
    Ok(Exit::Completed)
}

/// How many entries of a journal are read at once.
const PAGE: usize = 1_000;

/// What it spent its time with, wherever its journal lies.
async fn timeline(id: ExecutionId, session: &Session) -> Result<Timeline, Failure> {
    let (mut times, mut from) = (Times::default(), Some(1));
    while let Some(next) = from {
        let page = session.reach.journal(id, next, PAGE).await?;
        page.entries.iter().for_each(|it| times.take(&it.entry));
        from = page.next;
    }
    Ok(times.into_timeline())
}

/// What it told its watchers.
fn events(report: &Report, console: &Console) -> Result<(), Failure> {
    if report.events.is_empty() {
        return Ok(());
    }
    let rows = report.events.iter().map(|event| {
        if let Some(more) = event.get("truncated") {
            return vec![String::new(), String::new(), format!("… and {more} more")];
        }
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let payload = shortened(&event["payload"].to_string());
        vec![text("at"), text("instance"), text("event"), payload]
    });
    let rows: Vec<_> = rows.collect();
    let head = ["AT", "NODE", "EVENT", "PAYLOAD"];
    console.line(&format!("\n{}", table(&head, &rows)))
}

/// The longest value that is shown on one line, in characters.
const MAX_SHOWN: usize = 50;

pub(crate) fn activation_row(node: &str, activation: &Value) -> Vec<String> {
    let text = |key: &str| match activation.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if activation.get("truncated").is_some() {
        let more = format!("… and {} more", text("truncated"));
        return vec![node.to_owned(), more];
    }
    let name = match activation.get("activation").and_then(Value::as_u64) {
        None | Some(1) => node.to_owned(),
        Some(number) => format!("{node}#{number}"),
    };
    let result = match activation.get("error").filter(|error| !error.is_null()) {
        Some(error) => {
            let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
            format!("{}: {}", part("code"), part("message"))
        }
        None => text("output"),
    };
    let time = |key: &str| text(key).parse::<Timestamp>().ok();
    let took = time("started_at").zip(time("ended_at"));
    let took = took.map(|(from, to)| progress::seconds(to.since(from)));
    vec![
        name,
        text("status"),
        text("port"),
        text("attempts"),
        text("started_at"),
        took.unwrap_or_default(),
        shortened(&result),
    ]
}

/// A text on one line, with as much of it as a table shows.
pub(crate) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    shown = shown.replace(char::is_control, " ");
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Asks for the end, and sees to it: whoever holds the execution ends it, else this process does.
async fn cancel(
    session: &Session,
    id: ExecutionId,
    reason: &str,
    console: &Console,
) -> Result<Exit, Failure> {
    let saying = Saying::to(session, id, console).await?;
    let before = &saying.before;
    let decides = |waiting: &Waiting| matches!(waiting, Waiting::CompensationDecision { .. });
    if !before.status.is_terminal() && before.waiting.iter().any(decides) {
        console.note("it ends anyway, once a person has decided about what could not be undone");
        return ending::settled(before, None, &session.place, console);
    }
    let signal = Signal::Cancel {
        reason: reason.to_owned(),
    };
    match session.reach.signal(id, &signal).await? {
        Signalled::Delivered { .. } | Signalled::Duplicate { .. } => {}
        Signalled::Unknown => return Err(session.unknown(id)),
        Signalled::Terminal(status) => {
            console.note(&format!("it had ended before: {}", ending::words(status)));
            let report = session.report(id).await?;
            return ended(&report, session, console);
        }
    }
    saying.begin("waiting until that one has heard");
    let driven = session
        .drive(console, async {
            let asked = |fact: &Fact| matches!(fact, Fact::CancellationRequested { .. });
            if !saying.heard(asked).await? {
                return session.report(id).await;
            }
            // What was done is undone before the end, which may take its time or need a person.
            let picture = Picture::of_report(before, session.bus());
            run::wait(session, id, picture, console).await
        })
        .await?;
    match driven {
        Driven::Done(report) if report.status.is_terminal() => ended(&report, session, console),
        Driven::Done(report) if !report.compensations.is_empty() => {
            ending::settled(&report, None, &session.place, console)
        }
        Driven::Done(report) => {
            let seconds = HOLDER_WAIT.as_secs();
            let message = format!(
                "{id} is {} and did not end within {seconds} s; the wish to end it is saved",
                ending::words(report.status)
            );
            Err(Failure::environment("HOLDER_SILENT", message)
                .advice("look at the process that drives it; it ends when that one hears, or when it is stopped"))
        }
        Driven::Stopped(request) => run::interrupted(session, request, Some(id), console).await,
    }
}

/// To have it cancelled is what was wanted; any other end is not.
fn ended(report: &Report, session: &Session, console: &Console) -> Result<Exit, Failure> {
    ending::summary(report, None, &session.place, console);
    if console.json {
        console.document(report)?;
    }
    Ok(match report.status {
        Status::Cancelled => Exit::Completed,
        _ => Exit::Ended,
    })
}
