//! Scripts of outcomes, and traces as text.

use std::{sync::Arc, time::Duration};

use nebula_action::{ActionError, ErrorClass};
use nebula_core::{BlobId, Digest, ExecutionId, Timestamp, WorkflowId};
use nebula_execution::{
    Ballot, Choice, Command, CompensationInput, Decision, EndReason, Entry, Event, Fact, Given,
    InstanceId, NamedSignal, Outcome, ParkReason, Question, Rest, Signal, SlotScope, SlotWanted,
    Status, Stored, Taken, UnparkDecision, WhenLost,
};
use serde_json::{Value, json};

use super::{Rig, id, plan};

/// Runs a script, a list of steps, and compares the trace: for each step `entries > commands`,
/// then where the machine rests.
pub(crate) fn check(text: &str, script: &str, expected: &str) {
    let shown = trace(text, script);
    assert_eq!(shown, expected, "\nplan: {text}\nscript: {script}\n");
}

/// Runs a script and compares the statuses of all activations.
pub(crate) fn check_statuses(text: &str, script: &str, expected: &str) {
    let mut rig = Rig::new(plan(text));
    for step in script.split(", ").map(str::trim) {
        take(&mut rig, step);
    }
    let mut shown = Vec::new();
    for (index, node) in (0..).zip(&rig.plan.nodes) {
        for activation in rig.machine.state().activations(index) {
            shown.push(format!("{} {}", node.id, activation.status.as_str()));
        }
    }
    assert_eq!(
        shown.join(", "),
        expected,
        "\nplan: {text}\nscript: {script}\n"
    );
}

pub(crate) fn trace(text: &str, script: &str) -> String {
    let mut rig = Rig::new(plan(text));
    let mut shown = Vec::new();
    for step in script.split(", ").map(str::trim) {
        let decision = take(&mut rig, step);
        shown.push(show(&decision));
    }
    format!("{} = {}", shown.join(" | "), rest(&rig))
}

/// One step: `begin`, `@500` (a tick at that time), `a ok`, `a fail`, `cancel`, `crash`, …
pub(crate) fn take(rig: &mut Rig, step: &str) -> Decision {
    let words: Vec<_> = step.split(' ').collect();
    match words.as_slice() {
        ["begin"] => rig.tell(Event::Begin),
        ["careful"] => {
            let machine = super::replay(&rig.plan, &rig.journal);
            rig.machine = machine.careful(true);
            rig.tell(Event::Begin)
        }
        ["output"] => rig.tell(Event::Output(Ok(json!(null)))),
        ["output", "fail"] => rig.tell(Event::Output(Err(error(ErrorClass::Fatal)))),
        ["cancel"] => signal(
            rig,
            &Signal::Cancel {
                reason: "enough".to_owned(),
            },
        ),
        ["pause"] => signal(
            rig,
            &Signal::Pause {
                reason: "an audit".to_owned(),
            },
        ),
        ["signal", name, number, "with", payload] => {
            let payload = Arc::new(serde_json::from_str(payload).unwrap());
            let named = NamedSignal::new(name, number, payload).unwrap();
            signal(rig, &Signal::Named(named))
        }
        ["signal", name, number] => {
            let payload = Arc::new(json!(format!("{name}{number}")));
            let named = NamedSignal::new(name, number, payload).unwrap();
            signal(rig, &Signal::Named(named))
        }
        ["transient", name, number] => {
            let payload = Arc::new(json!(format!("{name}{number}")));
            let named = NamedSignal::new(name, number, payload).unwrap();
            signal(rig, &Signal::Named(named.transient()))
        }
        ["vote", on, by, choice, more @ ..] => {
            let ballot = Ballot {
                instance: id(on),
                round: more.first().map_or(0, |round| round.parse().unwrap()),
                id: format!("{by} {choice}"),
                by: (*by).to_owned(),
                choice: Choice::of(choice).unwrap(),
                comment: Some("a comment".to_owned()),
                seat: more.get(1).map(|seat| seat.parse().unwrap()),
                at: None,
            };
            signal(rig, &Signal::Vote(Box::new(ballot)))
        }
        ["unpause"] => signal(rig, &Signal::Unpause),
        ["queued"] => rig.tell(Event::Queued),
        ["admitted"] => rig.tell(Event::Admitted),
        ["crash"] => rig.crash_at(rig.journal.len()),
        ["poison"] => {
            let fact = Fact::Parked {
                reason: ParkReason::Poison { grants: 5 },
            };
            rig.journal.push(Entry { at: rig.now, fact });
            rig.crash_at(rig.journal.len())
        }
        ["unpark", on, decision] => {
            let decision = match *decision {
                "ok" => UnparkDecision::Succeeded(Arc::new(json!("decided"))),
                "failed" => UnparkDecision::Failed,
                "retry" => UnparkDecision::Retry,
                other => panic!("no decision {other}"),
            };
            let instance = (*on != "-").then(|| id(on));
            signal(rig, &Signal::Unpark { instance, decision })
        }
        [time] if time.starts_with('@') => {
            rig.now = Timestamp::from_millis(time[1..].parse().unwrap());
            rig.tell(Event::Tick)
        }
        [on, rest @ ..] => {
            let event = event(rig, on, rest);
            rig.tell(event)
        }
        [] => panic!("an empty step"),
    }
}

fn signal(rig: &mut Rig, signal: &Signal) -> Decision {
    let (kind, payload) = signal.to_inbox();
    let signal = Signal::from_inbox(kind, &payload).unwrap();
    let undo = match &signal {
        Signal::Unpark {
            instance: Some(instance),
            decision: UnparkDecision::Succeeded(_),
        } => undo(rig, instance),
        _ => None,
    };
    rig.tell(Event::Signalled {
        signal,
        taken: Taken::All,
        undo,
    })
}

/// What undoes the effect of an instance, if its node has a compensation.
pub(crate) fn undo(rig: &Rig, instance: &InstanceId) -> Option<CompensationInput> {
    let node = rig.plan.index_of(instance.node.as_str())?;
    rig.plan.node(node).compensation.as_ref()?;
    let input = Arc::new(json!(instance.to_string()));
    Some(CompensationInput::Parameters(input))
}

fn event(rig: &Rig, on: &str, rest: &[&str]) -> Event {
    let instance = id(on.split('~').next().unwrap());
    let output: Arc<Value> = Arc::new(json!(on));
    let number = |text: &str| text.parse::<u32>().unwrap();
    match rest {
        ["start"] => Event::Starting {
            key: match rig.machine.compensates(&instance) {
                true => rig.machine.compensation_identity(&instance).key(),
                false => rig.machine.identity(&instance).key(),
            },
            input: Digest::of(on.as_bytes()),
            deadline: rig.now.plus(Duration::from_secs(1)),
            instance,
        },
        ["ok", more @ ..] => {
            let (mut port, mut taken) = ("main", Taken::All);
            match more {
                ["via", name] => port = name,
                ["to"] => taken = Taken::Only(Vec::new()),
                ["to", names @ ..] => {
                    taken = Taken::Only(names.iter().map(|name| (*name).into()).collect());
                }
                _ => {}
            }
            let outcome = Outcome::Succeeded {
                output: output.into(),
                port: port.into(),
                lineage: None,
                taken,
                undo: undo(rig, &instance),
            };
            Event::Finished {
                instance,
                outcome,
                micros: 1,
            }
        }
        // About 10 kB; what lies in a blob; and `$json` itself.
        ["ok-large" | "ok-spilled" | "ok-passes", more @ ..] => {
            let at = rig.machine.state().find(&rig.plan, &instance).unwrap();
            let output = match rest[0] {
                "ok-large" => Given::Value(Arc::new(json!("x".repeat(10_000)))),
                "ok-spilled" => {
                    Given::Blob(Arc::new(Stored::of(BlobId::of(b"null"), Arc::default())))
                }
                _ => rig.machine.state().json(&rig.plan, at),
            };
            let outcome = Outcome::Succeeded {
                output,
                port: (*more.last().unwrap_or(&"main")).into(),
                lineage: None,
                taken: Taken::All,
                undo: None,
            };
            Event::Finished {
                instance,
                outcome,
                micros: 1,
            }
        }
        ["ok-without-undo"] => Event::Finished {
            outcome: Outcome::Succeeded {
                output: output.into(),
                port: "main".into(),
                lineage: None,
                taken: Taken::All,
                undo: Some(CompensationInput::Error(error(ErrorClass::Fatal))),
            },
            instance,
            micros: 1,
        },
        ["ok-and-fails"] => Event::Finished {
            outcome: Outcome::Failed {
                error: error(ErrorClass::Fatal),
                taken: Taken::All,
                undo: undo(rig, &instance),
            },
            instance,
            micros: 1,
        },
        ["undone"] => Event::Compensated {
            instance,
            outcome: Ok(output),
            micros: 1,
        },
        ["undo", how] => Event::Compensated {
            instance,
            outcome: Err(error(class(how))),
            micros: 1,
        },
        ["skip"] => Event::Skipped { instance },
        ["withheld"] => Event::Withheld { instance },
        ["open", count] => Event::Opened {
            instance,
            count: number(count),
            more: None,
        },
        ["open", count, "more", name] => Event::Opened {
            instance,
            count: number(count),
            more: Some((*name).into()),
        },
        ["weighed", answer] => Event::Weighed {
            instance,
            complete: match *answer {
                "no" => Ok(false),
                "yes" => Ok(true),
                _ => Err(error(ErrorClass::Fatal)),
            },
        },
        ["collect"] => Event::Collected {
            instance,
            taken: Taken::All,
        },
        ["waits", due] => {
            let due = Timestamp::from_millis(number(due).into());
            Event::Waits { instance, due }
        }
        ["awaits", name] => Event::Awaits {
            instance,
            name: (*name).into(),
            due: None,
        },
        ["awaits", name, due] => Event::Awaits {
            instance,
            name: (*name).into(),
            due: Some(Timestamp::from_millis(number(due).into())),
        },
        ["heeds"] => Event::Heeds { instance },
        ["claims", key, terms @ ..] => Event::Claims {
            instance,
            wanted: wanted(key, terms),
        },
        ["granted", key] => Event::SlotGranted {
            key: (*key).to_owned(),
            owner: owner(rig, on),
        },
        ["lost", key] => Event::SlotLost {
            key: (*key).to_owned(),
            owner: owner(rig, on),
        },
        ["took"] => Event::Took {
            instance,
            taken: Taken::All,
        },
        ["sends", name] => Event::Sends {
            signal: NamedSignal::new(name, "1", output).unwrap(),
            to: super::execution(),
            instance,
            taken: Taken::All,
        },
        ["asks", more @ ..] => {
            let mut question = Question {
                title: None,
                artifact: None,
                approvers: Vec::new(),
                quorum: 1,
                rejections: 1,
                due: None,
                default: None,
                leaves_deferred: false,
            };
            for pair in more.chunks(2) {
                match pair {
                    ["of", who] => question.approvers = who.split('+').map(str::to_owned).collect(),
                    ["quorum", count] => question.quorum = number(count),
                    ["rejections", count] => question.rejections = number(count),
                    ["due", due] => {
                        question.due = Some(Timestamp::from_millis(number(due).into()));
                    }
                    ["default", word] => question.default = Choice::of(word),
                    other => panic!("no attribute {other:?} of a question"),
                }
            }
            let question = Box::new(question);
            Event::Asks { instance, question }
        }
        ["emits", name] => Event::Emits {
            name: (*name).into(),
            payload: output,
            instance,
            taken: Taken::All,
        },
        ["cancels", nodes @ ..] => Event::Cancels {
            instance,
            nodes: nodes
                .iter()
                .map(|node| nebula_core::NodeId::new(*node).unwrap())
                .collect(),
            taken: Taken::All,
        },
        ["quits"] => Event::Quits {
            instance,
            reason: "enough".to_owned(),
        },
        ["calls", child] => calls(instance, child, false),
        ["starts", child] => calls(instance, child, true),
        ["child", child, "ok"] => Event::ChildEnded {
            child: child_id(child),
            status: Status::Completed,
            outcome: Outcome::Succeeded {
                undo: None,
                output: output.into(),
                port: "main".into(),
                lineage: None,
                taken: Taken::All,
            },
            instance,
        },
        ["child", child, how] => {
            let (status, class) = match *how {
                "failed" => (Status::Failed, ErrorClass::Fatal),
                "again" => (Status::Failed, ErrorClass::Retryable { after: None }),
                "late" => (Status::TimedOut, ErrorClass::Timeout),
                "cancelled" => (Status::Cancelled, ErrorClass::Fatal),
                other => panic!("no end {other}"),
            };
            Event::ChildEnded {
                child: child_id(child),
                status,
                outcome: Outcome::Failed {
                    undo: None,
                    error: error(class),
                    taken: Taken::All,
                },
                instance,
            }
        }
        ["in"] => Event::Enters {
            instance,
            rounds: false,
            due: None,
        },
        ["in", due] => Event::Enters {
            instance,
            rounds: false,
            due: Some(Timestamp::from_millis(number(due).into())),
        },
        ["rounds"] => Event::Enters {
            instance,
            rounds: true,
            due: None,
        },
        ["with", json] => Event::Entered {
            instance,
            json: Given::Value(Arc::new(json!(json))),
        },
        ["over"] => Event::RoundsOver { instance },
        ["caught"] => Event::Caught {
            instance,
            handler: None,
        },
        ["caught", "by", node] => Event::Caught {
            instance,
            handler: Some(nebula_core::NodeId::new(*node).unwrap()),
        },
        ["fired"] => Event::Fired {
            instance,
            taken: Taken::All,
        },
        ["stop"] => Event::Stopped { instance, output },
        ["interrupted"] => Event::Interrupted { instance },
        ["unreconciled"] => Event::Unreconciled {
            instance,
            error: error(ErrorClass::Unknown),
            taken: Taken::All,
        },
        [how] => {
            let outcome = Outcome::Failed {
                error: error(class(how)),
                taken: Taken::All,
                undo: None,
            };
            Event::Finished {
                instance,
                outcome,
                micros: 1,
            }
        }
        _ => panic!("no step {rest:?}"),
    }
}

fn class(how: &str) -> ErrorClass {
    match how {
        "fail" => ErrorClass::Fatal,
        "again" => ErrorClass::Retryable { after: None },
        "later" => ErrorClass::Retryable {
            after: Some(Duration::from_millis(700)),
        },
        "deferred" => ErrorClass::Deferred {
            after: Duration::from_millis(700),
        },
        "late" => ErrorClass::Timeout,
        "unknown" => ErrorClass::Unknown,
        "cancelled" => ErrorClass::Cancelled,
        other => panic!("no outcome {other}"),
    }
}

fn calls(instance: InstanceId, child: &str, detached: bool) -> Event {
    Event::Calls {
        instance,
        child: child_id(child),
        workflow: WorkflowId::new("callee").unwrap(),
        version: 3,
        detached,
        taken: Taken::All,
    }
}

/// A child that is named by a letter.
fn child_id(name: &str) -> ExecutionId {
    ExecutionId::from_bytes([name.as_bytes()[0]; 16])
}

fn child_name(child: ExecutionId) -> char {
    char::from(child.as_bytes()[0])
}

/// The owner of a slot: the latest claim of an instance, unless it says which.
fn owner(rig: &Rig, on: &str) -> String {
    let claimed = rig.machine.slots().into_iter().map(|slot| slot.owner);
    let mut ours = claimed.filter(|owner| owner.split('~').next() == Some(on));
    ours.next_back().unwrap_or_else(|| on.to_owned())
}

/// A slot of one permit for which one waits a second, but for what the terms say.
fn wanted(key: &str, terms: &[&str]) -> SlotWanted {
    let mut wanted = SlotWanted {
        key: key.into(),
        permits: 1,
        scope: SlotScope::Tenant,
        wait: Duration::from_secs(1),
        timeout: None,
        when_lost: WhenLost::Wait,
    };
    for term in terms {
        match *term {
            "own" => wanted.scope = SlotScope::Execution,
            "two" => wanted.permits = 2,
            "fails" => wanted.when_lost = WhenLost::Fail,
            "briefly" => wanted.timeout = Some(Duration::from_millis(300)),
            other => panic!("no term {other}"),
        }
    }
    wanted
}

pub(crate) fn error(class: ErrorClass) -> ActionError {
    ActionError::new("TEST", "it went wrong", class)
}

pub(crate) fn show(decision: &Decision) -> String {
    let entries: Vec<_> = decision
        .entries
        .iter()
        .map(|entry| fact(&entry.fact))
        .collect();
    let commands: Vec<_> = decision.commands.iter().map(command).collect();
    match (entries.is_empty(), commands.is_empty()) {
        (_, true) if entries.is_empty() => "-".to_owned(),
        (_, true) => entries.join(", "),
        (true, _) => format!("> {}", commands.join(", ")),
        _ => format!("{} > {}", entries.join(", "), commands.join(", ")),
    }
}

/// A fact in a few words.
pub(crate) fn fact(fact: &Fact) -> String {
    match fact {
        Fact::ExecutionStarted(_) => "began".to_owned(),
        Fact::AttemptStarted {
            instance, attempt, ..
        } => format!("{instance} started/{attempt}"),
        Fact::AttemptSucceeded {
            instance, attempt, ..
        } => format!("{instance} ok/{attempt}"),
        Fact::AttemptSpilled {
            instance, attempt, ..
        } => format!("{instance} spilled/{attempt}"),
        Fact::JsonPassed {
            instance, attempt, ..
        } => format!("{instance} passed/{attempt}"),
        Fact::AttemptFailed {
            instance,
            attempt,
            retry_at,
            counts,
            ..
        } => {
            let what = if *counts { "failed" } else { "lost" };
            let again = retry_at.map(|at| format!(" again@{}", at.as_millis()));
            format!("{instance} {what}/{attempt}{}", again.unwrap_or_default())
        }
        Fact::AttemptIndeterminate {
            instance, attempt, ..
        } => {
            format!("{instance} unknown/{attempt}")
        }
        Fact::InstanceSkipped { instance } => format!("{instance} skipped"),
        Fact::ItemsOpened {
            instance,
            count,
            more,
        } => {
            let more = more.as_ref().map(|name| format!(" more {name}"));
            format!("{instance} opened {count}{}", more.unwrap_or_default())
        }
        Fact::ItemsAdded {
            instance,
            count,
            last,
            ..
        } => format!(
            "{instance} added {count}{}",
            if *last { " last" } else { "" }
        ),
        Fact::ItemsEnough { instance, error } => {
            format!(
                "{instance} {}",
                if error.is_some() { "broken" } else { "enough" }
            )
        }
        Fact::ItemsAbsorbed { instance } => format!("{instance} absorbed"),
        Fact::ItemsSettled {
            instance,
            from,
            outcomes,
        } => {
            format!("{instance} settled {from}+{}", outcomes.len())
        }
        Fact::ItemsCompleted { instance, .. } => format!("{instance} complete"),
        Fact::TimerSet { instance, due } => format!("{instance} waits@{}", due.as_millis()),
        Fact::TimerFired { instance, .. } => format!("{instance} fired"),
        Fact::RoundsOpened { instance } => format!("{instance} rounds"),
        Fact::BodyOpened { instance, due, .. } => {
            let due = due.map(|due| format!("@{}", due.as_millis()));
            format!("{instance} in{}", due.unwrap_or_default())
        }
        Fact::BodyTimedOut { instance } => format!("{instance} too long"),
        Fact::HandlerCalled { instance, node } => format!("{instance} calls {node}"),
        Fact::BodyClosed { instance } => format!("{instance} out"),
        Fact::BodyCompleted { instance, .. } => format!("{instance} done"),
        Fact::MilestoneAwaited { instance, reached } => format!("{instance} heeds {reached}"),
        Fact::SlotClaimed { instance, wanted } => format!("{instance} claims {}", wanted.key),
        Fact::SlotGranted { instance } => format!("{instance} granted"),
        Fact::SlotLost { instance } => format!("{instance} lost its slot"),
        Fact::SlotGivenUp { instance, error } => format!("{instance} given up {}", error.code),
        Fact::SignalAwaited {
            instance,
            name,
            due,
        } => {
            let due = due.map(|due| format!("@{}", due.as_millis()));
            format!("{instance} awaits {name}{}", due.unwrap_or_default())
        }
        Fact::SignalReceived(signal) => format!("{}{} came", signal.name, signal.id),
        Fact::SignalRefused { name, id } => format!("{name}{id} refused"),
        Fact::SignalMissed { name, id } => format!("{name}{id} missed"),
        Fact::ApprovalAsked { instance, question } => {
            let due = question.due.map(|due| format!("@{}", due.as_millis()));
            format!("{instance} asks{}", due.unwrap_or_default())
        }
        Fact::VoteCast { instance, vote, .. } => {
            format!("{instance} {} by {}", vote.choice.as_str(), vote.by)
        }
        Fact::VoteRefused {
            instance, by, why, ..
        } => format!("{instance} not by {by}: {why:?}"),
        Fact::EventEmitted { instance, name, .. } => format!("{instance} emitted {name}"),
        Fact::SignalTaken { instance, id, .. } => format!("{instance} took {id}"),
        Fact::SignalSent {
            instance, signal, ..
        } => format!("{instance} sent {}", signal.name),
        Fact::CompensationRegistered { instance, .. } => format!("{instance} undoable"),
        Fact::CompensationStarted {
            instance, attempt, ..
        } => format!("{instance} undo/{attempt}"),
        Fact::CompensationSucceeded { instance, .. } => format!("{instance} undone"),
        Fact::CompensationFailed {
            instance,
            attempt,
            retry_at,
            counts,
            ..
        } => {
            let what = if *counts { "failed" } else { "lost" };
            let again = retry_at.map(|at| format!(" again@{}", at.as_millis()));
            let again = again.unwrap_or_default();
            format!("{instance} undo {what}/{attempt}{again}")
        }
        Fact::ChildStarted {
            instance,
            attempt,
            child,
            detached,
            ..
        } => {
            let what = if *detached { "starts" } else { "calls" };
            format!("{instance} {what} {}/{attempt}", child_name(*child))
        }
        Fact::ChildEnded {
            instance,
            child,
            status,
            ..
        } => {
            format!("{instance} {} {status}", child_name(*child))
        }
        Fact::PartStarted {
            instance,
            from,
            count,
            child,
        } => format!("{instance} part {from}+{count} {}", child_name(*child)),
        Fact::PartEnded {
            instance,
            from,
            child,
            status,
        } => format!("{instance} part {from} {} {status}", child_name(*child)),
        Fact::PauseRequested { .. } => "paused".to_owned(),
        Fact::Resumed => "resumed".to_owned(),
        Fact::CancellationRequested {
            reason: EndReason::Timeout,
        } => "time up".to_owned(),
        Fact::CancellationRequested { .. } => "cancel".to_owned(),
        Fact::StopRequested { instance, .. } => format!("{instance} stops"),
        Fact::NodesCancelled {
            instance, nodes, ..
        } => {
            let nodes: Vec<_> = nodes.iter().map(nebula_core::NodeId::as_str).collect();
            format!("{instance} cancels {}", nodes.join(" "))
        }
        Fact::InstanceCancelled { instance } => format!("{instance} cancelled"),
        Fact::QuitRequested { instance, .. } => format!("{instance} quits"),
        Fact::Migrated { version, .. } => format!("version {version}"),
        Fact::Parked {
            reason: ParkReason::Poison { .. },
        } => "poison".to_owned(),
        Fact::Parked {
            reason: ParkReason::Indeterminate(on),
        } => {
            let on: Vec<_> = on.iter().map(ToString::to_string).collect();
            format!("parked on {}", on.join(" "))
        }
        Fact::Parked {
            reason: ParkReason::Compensation(on),
        } => {
            let on: Vec<_> = on.iter().map(ToString::to_string).collect();
            format!("parked on undoing {}", on.join(" "))
        }
        Fact::Unparked {
            instance, decision, ..
        } => {
            let on = instance
                .as_ref()
                .map_or("-".to_owned(), ToString::to_string);
            let how = match decision {
                UnparkDecision::Succeeded(_) => "ok",
                UnparkDecision::Failed => "failed",
                UnparkDecision::Retry => "retry",
            };
            format!("{on} unparked {how}")
        }
        Fact::ExecutionCompleted { .. } => "COMPLETED".to_owned(),
        Fact::ExecutionFailed { .. } => "FAILED".to_owned(),
        Fact::ExecutionCancelled { .. } => "CANCELLED".to_owned(),
        Fact::ExecutionTimedOut => "TIMED OUT".to_owned(),
        Fact::Spilled { kind, blob } => format!("{kind} lies in {blob}"),
        Fact::BlobsPut {
            instance, blobs, ..
        } => format!("{instance} put {} blobs", blobs.len()),
    }
}

fn command(command: &Command) -> String {
    match command {
        Command::Run {
            instance,
            attempt,
            journal_start,
        } => {
            let first = if *journal_start { "prepare" } else { "run" };
            let attempt = if *attempt == 1 {
                String::new()
            } else {
                format!("/{attempt}")
            };
            format!("{first} {instance}{attempt}")
        }
        Command::Start { instance } => format!("start {instance}"),
        Command::Open { instance } => format!("open {instance}"),
        Command::Collect {
            instance,
            error: None,
        } => format!("collect {instance}"),
        Command::Collect {
            instance,
            error: Some(error),
        } => {
            format!("collect {instance} ({})", error.message)
        }
        Command::Weigh { instance } => format!("weigh {instance}"),
        Command::Enter { instance } => format!("enter {instance}"),
        Command::Catch { instance, failure } => {
            let node = failure.node.as_ref().map_or("-", |node| node.as_str());
            format!("catch {instance} ({node})")
        }
        Command::Fire { instance } => format!("fire {instance}"),
        Command::Take { instance } => format!("take {instance}"),
        Command::Expire { instance } => format!("expire {instance}"),
        Command::Settle { instance } => format!("settle {instance}"),
        Command::Reconcile { instance, attempt } => format!("ask {instance}/{attempt}"),
        Command::Compensate { instance, attempt } => format!("undo {instance}/{attempt}"),
        Command::Abort { instance } => format!("abort {instance}"),
        Command::Cut { instance, most } => format!("cut {instance}+{most}"),
        Command::CancelChild { child } => format!("cancel {}", child_name(*child)),
        Command::Output => "output".to_owned(),
    }
}

fn rest(rig: &Rig) -> String {
    let due = |due: Option<Timestamp>| {
        due.map(|due| format!(" until {}", due.as_millis()))
            .unwrap_or_default()
    };
    match rig.machine.rest() {
        Rest::Busy => "busy".to_owned(),
        Rest::Waiting { due: at } => format!("waiting{}", due(at)),
        Rest::Parked { due: at } => format!("parked{}", due(at)),
        Rest::Paused { due: at } => format!("paused{}", due(at)),
        Rest::Compensating { due: at } => format!("compensating{}", due(at)),
        Rest::Ended(status) => status.to_string(),
    }
}
