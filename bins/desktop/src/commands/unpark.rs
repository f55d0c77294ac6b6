//! `nebula executions unpark`: a person's decision, and going on with it.

use std::{cell::Cell, sync::Arc};

use nebula_core::ExecutionId;
use nebula_engine::{Report, Waiting};
use nebula_execution::{Fact, InstanceId, Status, UnparkDecision};
use nebula_ports::Signalled;
use serde_json::Value;

use crate::{
    arguments::{Decision, Unpark},
    commands::{executions::HOLDER_WAIT, run},
    console::Console,
    ending,
    failure::{Exit, Failure},
    input,
    progress::Picture,
    session::{self, Driven, Session},
};

/// How many journal entries are read at a time.
const PAGE: usize = 1_000;

/// Reads the decision.
pub(crate) fn decision(arguments: &Unpark) -> Result<UnparkDecision, Failure> {
    match (arguments.decision, &arguments.output) {
        (Decision::Succeeded, None) => Ok(UnparkDecision::Succeeded(Arc::new(Value::Null))),
        (Decision::Succeeded, Some(text)) => {
            let output = input::parse(text, "--output")?;
            Ok(UnparkDecision::Succeeded(Arc::new(output)))
        }
        (_, Some(_)) => {
            let message =
                "--output is the node's result, and there is one only with --as succeeded";
            Err(Failure::invalid("USAGE", message).advice("leave --output out"))
        }
        (Decision::Failed, None) => Ok(UnparkDecision::Failed),
        (Decision::Retry, None) => Ok(UnparkDecision::Retry),
    }
}

/// Sends the decision, then drives the execution on unless somebody else does.
pub(crate) async fn run(
    arguments: &Unpark,
    decision: UnparkDecision,
    session: &Session,
    id: ExecutionId,
    console: &Console,
) -> Result<Exit, Failure> {
    let before = session.report(id).await?;
    let instance = about(arguments, &before)?;
    let summary = session.composed.executions.get(&session.tenant, id).await?;
    let last = summary.ok_or_else(|| session::unknown(id))?.entries;
    let sent = session
        .engine()
        .unpark(&session.tenant, id, instance.clone(), decision)
        .await?;
    match sent {
        Signalled::Delivered { .. } | Signalled::Duplicate { .. } => {}
        Signalled::Unknown => return Err(session::unknown(id)),
        Signalled::Terminal(status) => return Err(not_parked(id, status)),
    }
    if before.leased {
        console.note("another process drives it; waiting for that one");
    }
    session.composed.focus.on(id);
    let picture = Picture::of_report(&before, session.composed.nebula.bus());
    let driven = session
        .drive(console, async {
            session.engine().wake(&session.tenant, id).await;
            let decided = |fact: &Fact| match fact {
                Fact::Unparked { instance: on, .. } => *on == instance,
                _ => false,
            };
            if !heard(session, id, last, decided).await? {
                return Ok(None);
            }
            run::wait(session, id, picture, console).await.map(Some)
        })
        .await?;
    match driven {
        Driven::Done(Some(report)) => ending::settled(&report, None, &session.place, console),
        Driven::Done(None) => Err(unheard(id)),
        Driven::Stopped(request) => run::interrupted(session, request, Some(id), console).await,
    }
}

/// What was said is in the inbox, and whoever drives the execution has not read it.
pub(crate) fn unheard(id: ExecutionId) -> Failure {
    let seconds = HOLDER_WAIT.as_secs();
    let message = format!("nobody took what was said to {id} within {seconds} s; it is saved");
    Failure::environment("HOLDER_SILENT", message)
        .advice("look at the process that drives it; it goes on when that one hears")
}

/// Which open decision is meant; `None` is the one about poison.
fn about(arguments: &Unpark, report: &Report) -> Result<Option<InstanceId>, Failure> {
    let id = report.execution;
    let open: Vec<&str> = report
        .waiting
        .iter()
        .filter_map(|waiting| match waiting {
            Waiting::Decision { instance, .. } | Waiting::CompensationDecision { instance, .. } => {
                Some(instance.as_str())
            }
            Waiting::Time { .. }
            | Waiting::Retry { .. }
            | Waiting::Compensation { .. }
            | Waiting::Slot { .. }
            | Waiting::Signal { .. }
            | Waiting::Approval { .. }
            | Waiting::Child { .. }
            | Waiting::Unpause
            | Waiting::Poison { .. } => None,
        })
        .collect();
    let poison = report
        .waiting
        .iter()
        .any(|waiting| matches!(waiting, Waiting::Poison { .. }));
    let listed = || format!("open are: {}", open.join(", "));
    let named = match (&arguments.node, open.as_slice()) {
        (Some(node), open) if open.contains(&node.as_str()) => node.as_str(),
        (Some(node), []) if !poison => {
            return Err(
                not_parked(id, report.status).advice(format!("nothing is open about `{node}`"))
            );
        }
        (Some(node), _) => {
            let message = format!("`{node}` of {id} waits for no decision");
            return Err(Failure::invalid("NOT_PARKED", message).advice(listed()));
        }
        (None, [one]) => one,
        (None, []) if poison => return Ok(None),
        (None, []) => return Err(not_parked(id, report.status)),
        (None, _) => {
            let message = format!("{id} waits for several decisions");
            return Err(Failure::invalid("USAGE", message)
                .advice(format!("name one with --node; {}", listed())));
        }
    };
    let instance = named
        .parse()
        .map_err(|error| Failure::invalid("USAGE", format!("`{named}` is no instance: {error}")))?;
    Ok(Some(instance))
}

fn not_parked(id: ExecutionId, status: Status) -> Failure {
    let message = format!(
        "{id} is {} and waits for no decision",
        ending::words(status)
    );
    Failure::invalid("NOT_PARKED", message)
        .advice("`nebula executions show ID` says where it stands")
}

/// Waits until what was said is in the journal after entry `last`, or the end: until then the
/// execution stands where it stood, and after it the same question may be open again.
pub(crate) async fn heard(
    session: &Session,
    id: ExecutionId,
    last: u64,
    said: impl Fn(&Fact) -> bool,
) -> Result<bool, Failure> {
    let executions = &session.composed.executions;
    let next = Cell::new(last + 1);
    let heard = session
        .watch(HOLDER_WAIT, async || {
            let page = executions
                .journal(&session.tenant, id, next.get(), PAGE)
                .await?;
            if let Some(entry) = page.entries.last() {
                next.set(entry.seq + 1);
            }
            let mut facts = page.entries.iter().map(|stored| &stored.entry.fact);
            let heard = facts.any(|fact| said(fact) || fact.is_terminal());
            Ok(heard.then_some(()))
        })
        .await?;
    Ok(heard.is_some())
}
