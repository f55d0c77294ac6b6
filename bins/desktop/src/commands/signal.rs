//! `nebula executions signal`: something that a node waits for.

use std::{cell::Cell, sync::Arc};

use nebula_core::{Entropy as _, ExecutionId};
use nebula_execution::{Fact, NamedSignal, Signal};
use nebula_ports::Signalled;
use nebula_system::SystemEntropy;
use serde_json::Value;

use crate::{
    arguments::SendSignal,
    commands::saying::Saying,
    console::Console,
    ending,
    failure::{Exit, Failure},
    input,
    session::Session,
};

/// Sends the signal, then drives the execution on unless somebody else does.
pub(crate) async fn run(
    arguments: &SendSignal,
    session: &Session,
    id: ExecutionId,
    console: &Console,
) -> Result<Exit, Failure> {
    let signal = signal(arguments)?;
    let saying = Saying::to(session, id, console).await?;
    let named = Signal::Named(signal.clone());
    match session.reach.signal(id, &named).await? {
        Signalled::Delivered { .. } => {}
        Signalled::Duplicate { .. } => {
            console.note("a signal of this name and id came before; this one has no effect");
            return ending::settled(&saying.before, None, &session.place, console);
        }
        Signalled::Unknown => return Err(session.unknown(id)),
        Signalled::Terminal(status) => {
            let message = format!("{id} has ended: {}", ending::words(status));
            return Err(Failure::invalid("EXECUTION_ENDED", message)
                .advice("`nebula executions list --status waiting` shows what waits"));
        }
    }
    let (refused, missed) = (Cell::new(false), Cell::new(false));
    let said = |fact: &Fact| match fact {
        Fact::SignalReceived(found) => found.name == signal.name && found.id == signal.id,
        Fact::SignalRefused { name, id } => {
            let ours = *name == signal.name && *id == signal.id;
            refused.set(refused.get() || ours);
            ours
        }
        Fact::SignalMissed { name, id } => {
            let ours = *name == signal.name && *id == signal.id;
            missed.set(missed.get() || ours);
            ours
        }
        // While it ends, nobody takes signals any more.
        Fact::CancellationRequested { .. } => true,
        _ => false,
    };
    let answer = || {
        if refused.get() {
            let message = format!("{id} keeps too many signals that no node has taken");
            return Err(Failure::invalid("SIGNALS_FULL", message)
                .advice("send it again once nodes have taken some, with another --id"));
        }
        if missed.get() {
            console.note("nobody waited for this signal when it came, so it is lost");
        }
        Ok(())
    };
    saying.drive_on(said, answer).await
}

fn signal(arguments: &SendSignal) -> Result<NamedSignal, Failure> {
    let payload = match &arguments.payload {
        None => Value::Null,
        Some(text) => input::parse(text, "--payload")?,
    };
    let own = || SystemEntropy.uuid().to_string();
    let id = arguments.dedupe.clone().unwrap_or_else(own);
    let signal = NamedSignal::new(&arguments.name, &id, Arc::new(payload))
        .map_err(|error| Failure::invalid("USAGE", error.to_string()))?;
    Ok(match arguments.keep {
        true => signal,
        false => signal.transient(),
    })
}
