//! `nebula executions unpark`: a person's decision, and going on with it.

use std::sync::Arc;

use nebula_core::ExecutionId;
use nebula_engine::{Report, Waiting};
use nebula_execution::{Fact, InstanceId, Signal, Status, UnparkDecision};
use nebula_ports::Signalled;
use serde_json::Value;

use crate::{
    arguments::{Decision, Unpark},
    commands::saying::Saying,
    console::Console,
    ending,
    failure::{Exit, Failure},
    input,
    session::Session,
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
    let saying = Saying::to(session, id, console).await?;
    let instance = about(arguments, &saying.before)?;
    let signal = Signal::Unpark {
        instance: instance.clone(),
        decision,
    };
    match session.reach.signal(id, &signal).await? {
        Signalled::Delivered { .. } | Signalled::Duplicate { .. } => {}
        Signalled::Unknown => return Err(session.unknown(id)),
        Signalled::Terminal(status) => return Err(not_parked(id, status)),
    }
    let decided =
        |fact: &Fact| matches!(fact, Fact::Unparked { instance: on, .. } if *on == instance);
    saying.drive_on(decided, || Ok(())).await
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
            | Waiting::Milestone { .. }
            | Waiting::Start { .. }
            | Waiting::Worker { .. }
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
