//! A naive interpreter of workflows: what an execution must come to, by plain recursion over the
//! definition.
//!
//! It has no journal, no commits, no windows and no plan, and shares nothing with the machine but
//! the language of expressions and the definition itself. A node is computed when everything that
//! leads to it has been; time is a number that each node adds to. What is cut off, by a failure or
//! a race, is taken back afterwards. What nodes do to others that were computed before them (giving
//! them up, holding a slot) is learnt in one pass and heeded in the next, until nothing new is learnt.
//! Start reading at [`interpret`], then `region`.
//!
//! Where two things happen at the same time and the order decides, it says [`Ambiguous`] rather
//! than guess; what may or may not have ended in the very moment of a cut is [`Ended::Unsaid`].

mod body;
mod cut;
mod items;
mod join;
mod known;
mod milestone;
mod node;
mod region;
mod values;

use std::collections::BTreeMap;

use nebula_workflow::WorkflowDefinition;
use serde_json::{Map, Value, json};

use self::{
    known::{Claim, GivesUp, Known},
    region::Region,
};

/// A point in time, in milliseconds after the start.
type Time = u64;

/// Times that lie closer together than this are the same time.
const SAME: Time = 500;

/// Two things happen at the same time, and the definition does not say which is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

/// How many passes there are at most: each settles at least the earliest of what was not known.
const MOST_PASSES: usize = 64;

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

/// How an execution ends that does not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It fails, with this code.
    Failed(String),
    /// A node of it cancels it.
    Cancelled,
}

/// What is outside of an execution.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// The names of the signals that have been sent before anybody waits, with what they bring.
    pub signals: BTreeMap<String, Value>,
    /// What people decide, by the id of the approval.
    pub decisions: BTreeMap<String, String>,
    /// The workflows that can be called, by their ids.
    pub workflows: BTreeMap<String, WorkflowDefinition>,
}

/// What must become of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// What it gives, or why it does not.
    pub output: std::result::Result<Value, Stopped>,
    /// The effects that are undone, by instance, with the time at which each was there, in
    /// milliseconds after the start: the newest is undone first.
    pub undone: BTreeMap<String, u64>,
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
    /// Whether its success has an effect that can be undone.
    undoable: bool,
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
    /// The instances of the nodes beside it and around it, by id.
    instances: BTreeMap<String, String>,
}

/// One pass of an interpretation.
#[derive(Debug)]
struct Naive<'d> {
    input: &'d Value,
    outside: &'d Outside,
    /// What was learnt in the pass before.
    known: &'d Known,
    log: Log,
    cuts: Vec<String>,
    gives_up: Vec<GivesUp>,
    claims: Vec<Claim>,
}

/// An execution as a whole.
#[derive(Debug)]
struct Whole {
    /// When it ends.
    at: Time,
    /// What it gives; `None` inside is that it was cancelled.
    output: std::result::Result<Value, Option<Failure>>,
    log: Log,
    cuts: Vec<String>,
}

/// What must become of an execution of `definition` on `input`.
///
/// # Errors
/// [`Ambiguous`]: the definition does not say.
pub fn interpret(
    definition: &WorkflowDefinition,
    input: &Value,
    outside: &Outside,
) -> Result<Expected> {
    let whole = whole(definition, input, outside)?;
    let undone = whole.log.iter().filter(|(_, lived)| {
        whole.output.is_err() && lived.undoable && lived.ended == Ended::Succeeded
    });
    Ok(Expected {
        undone: undone
            .map(|(id, lived)| (id.clone(), lived.until))
            .collect(),
        output: whole.output.map_err(|failure| match failure {
            Some(failure) => Stopped::Failed(failure.code),
            None => Stopped::Cancelled,
        }),
        cuts: whole.cuts,
        ended: whole
            .log
            .into_iter()
            .map(|(id, lived)| (id, lived.ended))
            .collect(),
    })
}

/// Interprets until a pass teaches nothing new.
fn whole(definition: &WorkflowDefinition, input: &Value, outside: &Outside) -> Result<Whole> {
    let region = Region::new(&definition.nodes, &definition.connections);
    let mut known = Known::default();
    for _ in 0..MOST_PASSES {
        let mut naive = Naive {
            input,
            outside,
            known: &known,
            log: Log::new(),
            cuts: Vec::new(),
            gives_up: Vec::new(),
            claims: Vec::new(),
        };
        let ran = naive.run(&region, &Around::default(), input, 0)?;
        let (mut at, mut output) = match &ran.failure {
            Some((at, failure)) => {
                naive.cut("", *at, &ran.failed_at);
                (*at, Err(Some(failure.clone())))
            }
            None => (ran.over, Ok(region.output(&ran))),
        };
        if let Some((quit, by)) = naive.quits()? {
            if quit.abs_diff(at) < SAME {
                return Err(Ambiguous);
            }
            naive.cut("", quit, &[by]);
            (at, output) = (quit, Err(None));
        }
        let learnt = naive.learnt()?;
        let (log, cuts) = (naive.log, naive.cuts);
        if learnt == known {
            return Ok(Whole {
                at,
                output,
                log,
                cuts,
            });
        }
        known = learnt;
    }
    Err(Ambiguous)
}
