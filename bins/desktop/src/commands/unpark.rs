//! `nebula executions unpark`: a person's decision, and going on with it.

use std::sync::Arc;

use nebula_core::ExecutionId;
use nebula_engine::{Report, Waiting};
use nebula_execution::{InstanceId, Status, UnparkDecision};
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
    let picture = Picture::of_nodes(before.workflow.as_str());
    let driven = session
        .drive(async {
            session.engine().wake(&session.tenant, id).await;
            if !heard(session, id, &before, instance.as_ref()).await? {
                return Ok(None);
            }
            run::wait(session, id, picture, console).await.map(Some)
        })
        .await?;
    match driven {
        Driven::Done(Some(report)) => ending::settled(&report, None, &session.place, console),
        Driven::Done(None) => {
            let seconds = HOLDER_WAIT.as_secs();
            let message =
                format!("nobody took the decision about {id} within {seconds} s; it is saved");
            Err(Failure::environment("HOLDER_SILENT", message)
                .advice("look at the process that drives it; it goes on when that one hears"))
        }
        Driven::Stopped(request) => run::interrupted(session, request, Some(id), console).await,
    }
}

/// Which open decision is meant; `None` is the one about poison.
fn about(arguments: &Unpark, report: &Report) -> Result<Option<InstanceId>, Failure> {
    let id = report.execution;
    let open: Vec<&str> = report
        .waiting
        .iter()
        .filter_map(|waiting| match waiting {
            Waiting::Decision { instance, .. } => Some(instance.as_str()),
            Waiting::Time { .. } | Waiting::Poison { .. } => None,
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

/// Waits until the decision is in the journal: until then the execution stands where it stood.
async fn heard(
    session: &Session,
    id: ExecutionId,
    before: &Report,
    instance: Option<&InstanceId>,
) -> Result<bool, Failure> {
    let about = instance.map(ToString::to_string);
    let open = |report: &Report| {
        report.waiting.iter().any(|waiting| match waiting {
            Waiting::Decision { instance, .. } => Some(instance) == about.as_ref(),
            Waiting::Poison { .. } => about.is_none(),
            Waiting::Time { .. } => false,
        })
    };
    debug_assert!(
        open(before),
        "the decision was looked up in this very report"
    );
    let heard = session
        .watch(HOLDER_WAIT, async || {
            let report = session.report(id).await?;
            Ok((report.status.is_terminal() || !open(&report)).then_some(()))
        })
        .await?;
    Ok(heard.is_some())
}
