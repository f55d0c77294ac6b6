//! A naive interpreter of workflows: what an execution must come to, by plain recursion over the
//! definition.
//!
//! It has no journal, no commits, no windows and no plan, and shares nothing with the machine but
//! the language of expressions and the definition itself. A node is computed when everything that
//! leads to it has been; time is a number that each node adds to. What is cut off, by a failure or
//! a race, is taken back afterwards. Start reading at [`interpret`], then `region`.
//!
//! Where two things happen at the same time and the order decides, it says [`Ambiguous`] rather
//! than guess; what may or may not have ended in the very moment of a cut is [`Ended::Unsaid`].

mod body;
mod cut;
mod join;
mod milestone;
mod node;
mod region;
mod values;

use std::collections::BTreeMap;

use nebula_workflow::WorkflowDefinition;
use serde_json::{Map, Value, json};

use self::region::Region;

/// A point in time, in milliseconds after the start.
type Time = u64;

/// Times that lie closer together than this are the same time.
const SAME: Time = 500;

/// Two things happen at the same time, and the definition does not say which is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

type Result<T> = std::result::Result<T, Ambiguous>;

/// How one activation of a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With a result.
    Succeeded,
    /// With an error.
    Failed,
    /// It did not run.
    Skipped,
    /// It was stopped.
    Cancelled,
    /// It was cut off in the moment in which it began or ended: it may have ended in any way, or
    /// not have been there.
    Unsaid,
}

/// What must become of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// What it gives; the code of its failure if it fails.
    pub output: std::result::Result<Value, String>,
    /// How each activation of each node ends, by the text form of its instance.
    pub ended: BTreeMap<String, Ended>,
    /// Paths under which something was cut off: what a stopped node leads to may count as skipped
    /// there, or never have been reached.
    pub cuts: Vec<String>,
}

/// A failure.
#[derive(Debug, Clone, PartialEq)]
struct Failure {
    code: String,
    message: String,
    class: &'static str,
    /// The node that it came from.
    node: String,
}

impl Failure {
    /// As expressions see it.
    fn value(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "class": self.class })
    }
}

/// One activation, with its time.
#[derive(Debug, Clone)]
struct Lived {
    began: Time,
    until: Time,
    ended: Ended,
}

/// Every activation so far, by the text form of its instance.
type Log = BTreeMap<String, Lived>;

/// What the nodes of a region see beside their own inputs.
#[derive(Debug, Clone, Default)]
struct Around {
    /// Before the id of each node: the instance whose body it stands in, and a slash.
    path: String,
    /// Name → value of what is seen everywhere in the region: `item`, `index`, `loop`.
    roots: Map<String, Value>,
    /// What is known of nodes that have ended, by id.
    nodes: Map<String, Value>,
    /// How and when they ended, for those that run once.
    ends: BTreeMap<String, (Time, Ended)>,
}

/// One interpretation.
#[derive(Debug)]
struct Naive<'d> {
    input: &'d Value,
    /// The names of the signals that have been sent before anybody waits, with what they bring.
    signals: &'d BTreeMap<String, Value>,
    log: Log,
    cuts: Vec<String>,
}

/// What must become of an execution of `definition` on `input`, of which all `signals` were sent at
/// its start.
///
/// # Errors
/// [`Ambiguous`]: the definition does not say.
pub fn interpret(
    definition: &WorkflowDefinition,
    input: &Value,
    signals: &BTreeMap<String, Value>,
) -> Result<Expected> {
    let mut naive = Naive {
        input,
        signals,
        log: Log::new(),
        cuts: Vec::new(),
    };
    let region = Region::new(&definition.nodes, &definition.connections);
    let ran = naive.run(&region, &Around::default(), input, 0)?;
    let output = match &ran.failure {
        Some((at, failure)) => {
            naive.cut("", *at, &ran.failed_at);
            Err(failure.code.clone())
        }
        None => Ok(region.output(&ran)),
    };
    let ended = naive.log.into_iter();
    Ok(Expected {
        output,
        cuts: naive.cuts,
        ended: ended.map(|(id, lived)| (id, lived.ended)).collect(),
    })
}
