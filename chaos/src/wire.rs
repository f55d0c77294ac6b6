//! What workers and the outside say to each other: one question and one answer, a line of JSON each,
//! over a connection of its own.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use nebula_action::EffectClass;
use nebula_core::{Digest, ExecutionId, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A write that reaches the outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Effect {
    pub(crate) execution: ExecutionId,
    pub(crate) node: NodeId,
    pub(crate) attempt: u32,
    pub(crate) key: String,
    pub(crate) class: EffectClass,
    /// The digest of the parameters, as the journal has it.
    pub(crate) input: Digest,
    /// Which piece of work it is, whoever does it and however often.
    pub(crate) label: String,
    /// What its result follows from.
    pub(crate) value: i64,
    /// How many tries under its key are refused before one is let through.
    pub(crate) fails: u64,
}

/// What a worker says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Do this.
    Effect(Effect),
    /// What became of this key?
    Known { key: String },
    /// Is there something to start? The number is that of the process.
    Next { process: u32 },
    /// It was accepted.
    Accepted { number: u64, id: ExecutionId },
}

/// What the outside answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It was done, now or before; this is what it gave.
    Done(Value),
    /// Not this time; nothing was done.
    Refused,
    /// Start this.
    Start {
        number: u64,
        workflow: String,
        input: Value,
    },
    Nothing,
}

/// Asks, and waits for the answer.
pub(crate) fn ask(socket: &Path, question: &Ask) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    send(&mut stream, question)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Writes one line.
pub(crate) fn send(stream: &mut UnixStream, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    stream.write_all(&line)
}
