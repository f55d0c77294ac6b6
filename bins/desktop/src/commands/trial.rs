//! `nebula run` with `--until`, `--only`, `--pin` or `--dry-run`: what is tried, and with which values.

use std::collections::BTreeMap;

use nebula_core::NodeId;
use nebula_engine::{Answer, Engine, Extent, Trial, TrialError, Tried};
use nebula_execution::{ExecutionPlan, Tries};
use nebula_workflow::WorkflowDefinition;
use serde_json::Value;

use crate::{
    arguments::Run,
    commands::executions::shortened,
    console::{Console, Paint},
    definition::Checked,
    failure::Failure,
    input,
    settings::Loaded,
    wanted::Wanted,
};

/// A definition that is tried, with its plan.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) definition: WorkflowDefinition,
    pub(crate) plan: ExecutionPlan,
    pub(crate) tries: Tries,
}

/// Whether something is tried rather than run.
pub(crate) fn is_wanted(arguments: &Run) -> bool {
    let pins = !arguments.pin.is_empty() || arguments.pin_from.is_some();
    arguments.until.is_some() || arguments.only.is_some() || arguments.dry_run || pins
}

/// Makes the definition of the trial and plans it, and says what is special about it.
pub(crate) async fn prepare(
    arguments: &Run,
    checked: &Checked,
    (engine, loaded): (&Engine, &Loaded),
    console: &Console,
) -> Result<Prepared, Failure> {
    let trial = Trial {
        extent: match (&arguments.until, &arguments.only) {
            (Some(node), _) => Extent::Until(id(node, "--until")?),
            (None, Some(node)) => Extent::Only(id(node, "--only")?),
            (None, None) => Extent::All,
        },
        pins: arguments
            .pin
            .iter()
            .map(|pin| pinned(pin))
            .collect::<Result<_, _>>()?,
        spare: spare(arguments, loaded).await?,
        dry_run: arguments.dry_run,
    };
    if trial.extent == Extent::All && !trial.dry_run && arguments.pin_from.is_some() {
        let message =
            "--pin-from gives values to the nodes before --until or --only, or to a --dry-run";
        return Err(Failure::invalid("USAGE", message).advice(
            "say which: --until NODE, --only NODE or --dry-run; or pin nodes one by one with --pin",
        ));
    }
    let tried = engine.trial(&checked.definition, &checked.plan, &trial);
    let mut tried = tried.map_err(refused)?;
    let given = arguments.input_json.is_some()
        || !arguments.input.is_empty()
        || !arguments.more_input.is_empty();
    if matches!(trial.extent, Extent::Only(_)) && !given && !tried.pinned.is_empty() {
        // What feeds the node is pinned; who gives no input need not give a right one.
        tried.definition.input = None;
    }
    let planned = engine.check(&tried.definition, &checked.callees);
    let plan = planned.plan.ok_or_else(|| {
        let first = planned
            .diagnostics
            .iter()
            .find(|problem| problem.is_error());
        let why = first
            .map(|problem| problem.message.clone())
            .unwrap_or_default();
        Failure::invalid(
            "TRIAL_INVALID",
            format!("this part cannot be run by itself: {why}"),
        )
        .advice("pin fewer nodes, or use --until instead of --only")
    })?;
    say(&trial, &tried, console);
    let (until, only) = match trial.extent {
        Extent::All => (None, None),
        Extent::Until(node) => (Some(node), None),
        Extent::Only(node) => (None, Some(node)),
    };
    Ok(Prepared {
        definition: tried.definition,
        plan,
        tries: Tries {
            until,
            only,
            dry_run: trial.dry_run,
            pinned: tried.pinned,
        },
    })
}

fn id(text: &str, flag: &str) -> Result<NodeId, Failure> {
    text.parse()
        .map_err(|error| Failure::invalid("USAGE", format!("{flag}: {error}")))
}

/// Reads `NODE=JSON`.
fn pinned(text: &str) -> Result<(NodeId, Value), Failure> {
    let Some((node, value)) = text.split_once('=') else {
        let message = format!("--pin: `{}` has no `=`", shortened(text));
        return Err(Failure::invalid("USAGE", message)
            .advice("write --pin NODE=JSON, such as --pin 'fetch={\"status\": 200}'"));
    };
    Ok((
        id(node, "--pin")?,
        input::parse(value, &format!("--pin {node}"))?,
    ))
}

/// What every node gave in the execution that `--pin-from` names.
async fn spare(arguments: &Run, loaded: &Loaded) -> Result<BTreeMap<NodeId, Value>, Failure> {
    let Some(from) = &arguments.pin_from else {
        return Ok(BTreeMap::new());
    };
    let (session, id) = Wanted::parse(from)?.open(loaded).await?;
    let report = session.report(id).await?;
    let mut spare = BTreeMap::new();
    for (node, activations) in report.nodes {
        let succeeded = |it: &&Value| it["status"] == "succeeded";
        if let (Ok(node), Some(last)) = (node.parse(), activations.iter().rev().find(succeeded)) {
            spare.insert(node, last["output"].clone());
        }
    }
    Ok(spare)
}

/// Says what is not as in a run of the whole workflow.
fn say(trial: &Trial, tried: &Tried, console: &Console) {
    let label = console.err.paint(Paint::Yellow, "a trial:");
    let what = if trial.dry_run {
        "; nothing outside is touched"
    } else {
        ""
    };
    console.note(&format!(
        "{label} no version of the workflow is saved{what}"
    ));
    for node in &tried.unused {
        console.note(&format!("  the pin of `{node}` is not needed"));
    }
    for (node, answer) in &tried.answered {
        match answer {
            Answer::Pin => console.note(&format!("  `{node}` is answered by its pin")),
            Answer::Example => {
                console.note(&format!("  `{node}` is answered by the example of its action"));
            }
            Answer::PassedOn => console.note(&format!("  `{node}` passes on what comes, at once")),
            // Whoever asked for quiet still wants to know that what follows is made of nothing.
            Answer::Nothing => console.error_text(&format!(
                "  `{node}` HAS NO ANSWER: its action has no example, so it gives null; pin it with --pin {node}=JSON"
            )),
        }
    }
}

fn refused(error: TrialError) -> Failure {
    let message = error.to_string();
    match error {
        TrialError::UnknownNode {
            near: Some(near), ..
        } => Failure::invalid("UNKNOWN_NODE", message).advice(format!("did you mean `{near}`?")),
        TrialError::Missing { missing, .. } => {
            let flags: Vec<_> = missing
                .iter()
                .map(|node| format!("--pin {node}=JSON"))
                .collect();
            Failure::invalid("PIN_MISSING", message).advice(format!(
                "give {}, or take them from an execution with --pin-from EXECUTION",
                flags.join(" ")
            ))
        }
        TrialError::PinnedItself { .. } => {
            Failure::invalid("USAGE", message).advice("leave its --pin out")
        }
        _ => Failure::invalid("UNKNOWN_NODE", message).advice("`nebula plan FILE` lists the nodes"),
    }
}
