//! `nebula executions replay`: a journal step by step, and what was true at any moment.

use nebula_core::{ExecutionId, duration_text};
use nebula_execution::{
    Again, CompensationInput, EndReason, Fact, InstanceId, ItemOutcome, ParkReason, Question,
    Refusal, Repeats, Tries, UnparkDecision,
};
use serde_json::Value;

use crate::{
    arguments::Replay,
    commands::executions::{activation_row, shortened},
    console::{Console, Paint},
    ending,
    failure::{Exit, Failure},
    reach::ReplayLine,
    session::Session,
    table::table,
};

/// Runs `nebula executions replay`.
pub(crate) async fn run(
    arguments: &Replay,
    session: &Session,
    id: ExecutionId,
    console: &Console,
) -> Result<Exit, Failure> {
    let known = session.reach.summary(id).await?;
    let summary = known.ok_or_else(|| session.unknown(id))?;
    let node = arguments.node.as_deref();
    let Some(at) = arguments.at else {
        let mut show = |step: ReplayLine| match console.json {
            true => console.json_line(&step),
            false => console.line(&line(&step, console)),
        };
        session.reach.replay(id, node, &mut show).await?;
        return Ok(Exit::Completed);
    };
    if at > summary.entries {
        let message = format!(
            "{id} has {} entries, and none has number {at}",
            summary.entries
        );
        return Err(Failure::invalid("UNKNOWN_ENTRY", message)
            .advice("`nebula executions replay` without --at shows them all"));
    }
    show(&session.reach.moment(id, at, node).await?, console)?;
    Ok(Exit::Completed)
}

fn line(step: &ReplayLine, console: &Console) -> String {
    let number = console.out.paint(Paint::Dim, format!("{:>5}", step.seq));
    let mut text = format!("{number}  {}  {}", step.at, words(&step.fact));
    for (what, instances) in [("ready", &step.ready), ("skipped", &step.skipped)] {
        if !instances.is_empty() {
            let list = shortened(&instances.join(", "));
            text.push_str(&format!("; {what}: {list}"));
        }
    }
    text
}

fn names(instances: &[InstanceId]) -> Vec<String> {
    instances.iter().map(ToString::to_string).collect()
}

/// What a fact says, in a line.
fn words(fact: &Fact) -> String {
    let value = |value: &Value| shortened(&value.to_string());
    match fact {
        Fact::ExecutionStarted(started) => {
            let before = started.repeats.as_ref().map(repeats).unwrap_or_default();
            let (workflow, version) = (&started.workflow, started.version);
            let trial = started.trial.as_ref().map(tries).unwrap_or_default();
            let parent = started.parent.as_deref();
            let parent =
                parent.map(|it| format!(", called by {} of {}", it.instance, it.execution));
            let parent = parent.unwrap_or_default();
            let input = match &started.input_blob {
                Some(stored) => format!("blob {}", stored.blob()),
                None => value(&started.input),
            };
            format!("began: {workflow} version {version} on {input}{before}{trial}{parent}")
        }
        Fact::AttemptStarted {
            instance,
            attempt,
            key,
            ..
        } => {
            format!("{instance}: attempt {attempt} may have begun, under key {key}")
        }
        Fact::AttemptSucceeded {
            instance,
            output,
            port,
            ..
        } => {
            format!("{instance}: succeeded by `{port}` with {}", value(output))
        }
        Fact::AttemptSpilled {
            instance,
            blob,
            port,
            ..
        } => {
            format!("{instance}: succeeded by `{port}` with what lies in blob {blob}")
        }
        Fact::BlobsPut {
            instance, blobs, ..
        } => {
            let names: Vec<_> = blobs.iter().map(ToString::to_string).collect();
            format!("{instance}: put {}", names.join(", "))
        }
        Fact::JsonPassed { instance, port, .. } => {
            format!("{instance}: succeeded by `{port}` with its $json")
        }
        Fact::AttemptFailed {
            instance,
            attempt,
            error,
            retry_at,
            ..
        } => {
            let again = retry_at
                .map(|at| format!("; again at {at}"))
                .unwrap_or_default();
            let message = shortened(&error.message);
            format!(
                "{instance}: attempt {attempt} failed: {}: {message}{again}",
                error.code
            )
        }
        Fact::AttemptIndeterminate {
            instance,
            attempt,
            error,
        } => {
            let message = shortened(&error.message);
            format!("{instance}: nobody knows what attempt {attempt} did: {message}")
        }
        Fact::InstanceSkipped { instance } => format!("{instance}: skipped, its `when` is false"),
        Fact::ItemsOpened {
            instance,
            count,
            more,
        } => match more {
            None => format!("{instance}: has {count} items"),
            Some(name) => format!("{instance}: has {count} items, more with signal `{name}`"),
        },
        Fact::ItemsAdded {
            instance,
            count,
            last,
            ..
        } => {
            let last = if *last { ", and no more come" } else { "" };
            format!("{instance}: its signal brought {count} items{last}")
        }
        Fact::ItemsEnough {
            instance,
            error: None,
        } => format!("{instance}: is complete, whatever its other items do"),
        Fact::ItemsEnough {
            instance,
            error: Some(error),
        } => format!(
            "{instance}: failed: {}: {}",
            error.code,
            shortened(&error.message)
        ),
        Fact::ItemsAbsorbed { instance } => format!("{instance}: the rest of its items ended"),
        Fact::ItemsSettled {
            instance,
            from,
            outcomes,
        } => {
            let failed = outcomes
                .iter()
                .filter(|it| matches!(it, ItemOutcome::Error(_)))
                .count();
            let last = *from as usize + outcomes.len().saturating_sub(1);
            format!("{instance}: items {from} to {last} ended, {failed} of them failed")
        }
        Fact::ItemsCompleted { instance, .. } => format!("{instance}: succeeded with its items"),
        Fact::TimerSet { instance, due } => format!("{instance}: waits until {due}"),
        Fact::TimerFired { instance, .. } => format!("{instance}: its time has come"),
        Fact::MilestoneAwaited { instance, reached } => {
            format!("{instance}: waits until `{reached}` succeeds")
        }
        Fact::SlotClaimed { instance, wanted } => {
            let (key, wait) = (&wanted.key, duration_text(wanted.wait));
            format!("{instance}: waits for `{key}` for up to {wait}")
        }
        Fact::SlotGranted { instance } => format!("{instance}: holds its slot"),
        Fact::SlotLost { instance } => {
            format!("{instance}: lost its slot with the worker that had it")
        }
        Fact::SlotGivenUp { instance, error } => {
            let message = shortened(&error.message);
            format!(
                "{instance}: its body is given up: {}: {message}",
                error.code
            )
        }
        Fact::SignalAwaited {
            instance,
            name,
            due,
        } => {
            let due = due.map(|due| format!(" until {due}")).unwrap_or_default();
            format!("{instance}: waits for signal `{name}`{due}")
        }
        Fact::SignalReceived(signal) => {
            format!(
                "signal `{}` came with {}",
                signal.name,
                value(&signal.payload)
            )
        }
        Fact::SignalRefused { name, .. } => format!("signal `{name}` came and was refused"),
        Fact::SignalMissed { name, .. } => {
            format!("signal `{name}` came and was not kept: nobody waited for it")
        }
        Fact::ApprovalAsked { instance, question } => asked(instance, question),
        Fact::VoteCast { instance, vote, .. } => {
            let comment = vote
                .comment
                .as_deref()
                .map(|it| format!(": {}", shortened(it)));
            let (by, choice) = (&vote.by, vote.choice.as_str());
            format!(
                "{instance}: `{by}` says {choice}{}",
                comment.unwrap_or_default()
            )
        }
        Fact::VoteRefused {
            instance, by, why, ..
        } => {
            let why = match why {
                Refusal::NotOpen => "nothing is asked there",
                Refusal::NotAnApprover => "others are asked",
                Refusal::VotedBefore => "a person counts once",
            };
            format!("{instance}: a vote of `{by}` does not count: {why}")
        }
        Fact::EventEmitted {
            instance,
            name,
            payload,
            ..
        } => format!("{instance}: emitted `{name}` with {}", value(payload)),
        Fact::SignalTaken { instance, .. } => format!("{instance}: took its signal"),
        Fact::SignalSent {
            instance,
            to,
            signal,
            ..
        } => {
            format!("{instance}: sent signal `{}` to {to}", signal.name)
        }
        Fact::CompensationRegistered { instance, input } => match input {
            CompensationInput::Parameters(input) => {
                format!("{instance}: would be undone with {}", value(input))
            }
            CompensationInput::Error(error) => {
                let message = shortened(&error.message);
                format!("{instance}: only a person could undo it: {message}")
            }
        },
        Fact::CompensationStarted {
            instance,
            attempt,
            key,
            ..
        } => {
            format!("{instance}: attempt {attempt} to undo it may have begun, under key {key}")
        }
        Fact::CompensationSucceeded {
            instance, output, ..
        } => {
            format!("{instance}: undone, which gave {}", value(output))
        }
        Fact::CompensationFailed {
            instance,
            attempt,
            error,
            retry_at,
            ..
        } => {
            let again = retry_at
                .map(|at| format!("; again at {at}"))
                .unwrap_or_default();
            let message = shortened(&error.message);
            format!(
                "{instance}: attempt {attempt} to undo it failed: {}: {message}{again}",
                error.code
            )
        }
        Fact::ChildStarted {
            instance,
            child,
            workflow,
            version,
            detached,
            ..
        } => {
            let what = if *detached { "started" } else { "called" };
            let workflow = ending::version(workflow, *version);
            format!("{instance}: {what} {workflow}, execution {child}")
        }
        Fact::ChildEnded {
            instance,
            child,
            status,
            output,
            blob,
            ..
        } => {
            let gave = match (output, blob) {
                (Some(output), _) => format!(" with {}", value(output)),
                (None, Some(stored)) => format!(" with blob {}", stored.blob()),
                (None, None) => String::new(),
            };
            format!("{instance}: execution {child} has ended: {status}{gave}")
        }
        Fact::PartStarted {
            instance,
            from,
            count,
            child,
        } => format!(
            "{instance}: items {from} to {} are run by execution {child}",
            from + count - 1
        ),
        Fact::PartEnded {
            instance,
            from,
            child,
            status,
        } => format!(
            "{instance}: execution {child} has ended, of the items from {from} on: {status}"
        ),
        Fact::StopRequested { instance, output } => {
            format!("{instance}: stops the execution with {}", value(output))
        }
        Fact::NodesCancelled {
            instance, nodes, ..
        } => {
            let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
            format!("{instance}: cancels {}", shortened(&nodes.join(", ")))
        }
        Fact::InstanceCancelled { instance } => format!("{instance}: is cancelled"),
        Fact::QuitRequested { instance, reason } => {
            format!("{instance}: cancels the execution: {}", shortened(reason))
        }
        other => of_body(other),
    }
}

/// Facts about the runs of bodies.
fn of_body(fact: &Fact) -> String {
    match fact {
        Fact::RoundsOpened { instance } => format!("{instance}: runs in rounds"),
        Fact::BodyOpened {
            instance,
            json,
            blob,
            passed,
            due,
        } => {
            let due = due.map(|due| format!(", until {due}")).unwrap_or_default();
            let json = match blob {
                Some(stored) => format!("blob {}", stored.blob()),
                None if *passed => "what was given before".to_owned(),
                None => shortened(&json.to_string()),
            };
            format!("{instance}: its body begins with {json}{due}")
        }
        Fact::BodyTimedOut { instance } => format!("{instance}: its body took too long"),
        Fact::HandlerCalled { instance, node } => format!("{instance}: `{node}` is called"),
        Fact::BodyClosed { instance } => format!("{instance}: its body ended"),
        Fact::BodyCompleted { instance, .. } => format!("{instance}: succeeded with its body"),
        other => of_all(other),
    }
}

fn asked(instance: &InstanceId, question: &Question) -> String {
    let whom = match question.approvers.as_slice() {
        [] => "anybody".to_owned(),
        names => shortened(&names.join(", ")),
    };
    let due = question.due.map(|due| format!(" until {due}"));
    let title = question
        .title
        .as_deref()
        .map(|it| format!(": {}", shortened(it)));
    let (due, title) = (due.unwrap_or_default(), title.unwrap_or_default());
    format!("{instance}: asks {whom}{due}{title}")
}

/// Facts about the whole execution.
fn of_all(fact: &Fact) -> String {
    match fact {
        Fact::PauseRequested { reason } => format!("is to pause: {}", shortened(reason)),
        Fact::Resumed => "may go on".to_owned(),
        Fact::CancellationRequested {
            reason: EndReason::Timeout,
        } => "its time is up".to_owned(),
        Fact::CancellationRequested {
            reason: EndReason::Requested(reason),
        } => {
            format!("is to end: {}", shortened(reason))
        }
        Fact::Migrated { version, .. } => format!("has version {version} from here on"),
        Fact::Parked {
            reason: ParkReason::Indeterminate(instances),
        } => {
            format!(
                "parked: a person must decide about {}",
                shortened(&names(instances).join(", "))
            )
        }
        Fact::Parked {
            reason: ParkReason::Compensation(instances),
        } => {
            format!(
                "parked: a person must decide about {}, which could not be undone",
                shortened(&names(instances).join(", "))
            )
        }
        Fact::Parked {
            reason: ParkReason::Poison { grants },
        } => {
            format!("parked: {grants} attempts in a row to go on brought no progress")
        }
        Fact::Unparked {
            instance, decision, ..
        } => {
            let about = instance
                .as_ref()
                .map(|it| format!("{it}: "))
                .unwrap_or_default();
            let decision = match decision {
                UnparkDecision::Succeeded(output) => {
                    format!("it succeeded with {}", shortened(&output.to_string()))
                }
                UnparkDecision::Failed => "it failed".to_owned(),
                UnparkDecision::Retry => "do it again".to_owned(),
            };
            format!("{about}a person decided: {decision}")
        }
        Fact::ExecutionCompleted { output } => {
            format!("completed with {}", shortened(&output.to_string()))
        }
        Fact::ExecutionFailed { error } => {
            format!(
                "failed: {}: {}",
                error.error.code,
                shortened(&error.error.message)
            )
        }
        Fact::ExecutionCancelled { reason } => format!("cancelled: {}", shortened(reason)),
        Fact::ExecutionTimedOut => "timed out".to_owned(),
        _ => unreachable!("the caller sorts facts"),
    }
}

fn repeats(repeats: &Repeats) -> String {
    let how = match &repeats.how {
        Again::Retry => "retry".to_owned(),
        Again::Restart { from: None } => "restart".to_owned(),
        Again::Restart { from: Some(node) } => format!("restart from `{node}`"),
    };
    format!(
        "; {how} of {}, {} entries copied",
        repeats.of, repeats.copied
    )
}

fn tries(tries: &Tries) -> String {
    let mut text = "; a trial".to_owned();
    if tries.dry_run {
        text.push_str(", dry");
    }
    for (what, node) in [("until", &tries.until), ("only", &tries.only)] {
        if let Some(node) = node {
            text.push_str(&format!(", {what} `{node}`"));
        }
    }
    text
}

/// Shows a state, as [`nebula_engine::Moment`] has it.
fn show(moment: &Value, console: &Console) -> Result<(), Failure> {
    if console.json {
        return console.document(moment);
    }
    let status = moment["status"].as_str().and_then(|it| it.parse().ok());
    console.note(&format!(
        "after entry {}, at {}: {}",
        moment["at"],
        moment["time"].as_str().unwrap_or_default(),
        status.map_or("", ending::words)
    ));
    let mut rows = Vec::new();
    for (node, activations) in moment["nodes"].as_object().into_iter().flatten() {
        let activations = activations.as_array().map_or(&[][..], Vec::as_slice);
        if activations.is_empty() {
            rows.push(vec![node.clone(), "pending".to_owned()]);
        }
        rows.extend(activations.iter().map(|it| activation_row(node, it)));
    }
    let head = [
        "NODE", "STATUS", "PORT", "ATTEMPTS", "STARTED", "TOOK", "RESULT",
    ];
    console.line(&table(&head, &rows))
}
