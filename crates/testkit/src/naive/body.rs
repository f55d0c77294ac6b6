//! Actions with a body.

use nebula_workflow::{NodeDefinition, OnError};
use serde_json::{Map, Value, json};

use super::{
    Ambiguous, Around, Failure, Naive, Result, SAME, Time,
    items::{Many, Through},
    node::{enough, failure, given, main, span, window},
    region::{Done, Ran, Region},
    values,
};

/// How a run of a body ended, and when.
pub(super) type Outcome = (Time, std::result::Result<Value, Failure>);

impl Naive<'_> {
    /// What a node gives that has a body.
    pub(super) fn body(
        &mut self,
        node: &NodeDefinition,
        around: &Around,
        instance: &str,
        (json, seen): (&Value, &Value),
        at: Time,
    ) -> Result<Done> {
        let body = node.body.as_ref().expect("the caller has looked");
        let region = Region::new(&body.nodes, &body.connections);
        let given = match given(node, seen) {
            Ok(given) => given,
            Err(failure) => return Ok(Done::new(at, Err(failure))),
        };
        let once = Around {
            path: format!("{instance}/"),
            ..around.clone()
        };
        let mut over = None;
        let (at, ended) = match node.action.id.as_str() {
            "flow.for_each" => {
                let many = self.for_each(node, around, instance, (&given, json, seen), at)?;
                over = Some(many.over);
                (many.at, many.list)
            }
            "flow.mutex" | "flow.semaphore" => match self.turn(node, &given, instance, at)? {
                Err(late) => (late, Err(failure("LOCK_TIMEOUT", "timeout"))),
                Ok(at) => {
                    let due = span(&given, "timeout").map(|span| at + span);
                    let ran = self.run(&region, &once, json, at)?;
                    self.bounded(&region, &ran, &once.path, due)?
                }
            },
            "flow.loop" => self.looped(node, around, instance, (&given, json, seen), at)?,
            "flow.race" => self.race(&region, &once, (&given, json), at)?,
            "flow.parallel" => {
                let due = span(&given, "timeout").map(|span| at + span);
                let ran = self.run(&region, &once, json, at)?;
                self.bounded(&region, &ran, &once.path, due)?
            }
            "flow.try" => self.tried(&region, &once, (&given, json, seen), at)?,
            other => panic!("the interpreter does not know `{other}`"),
        };
        // What fails outside is the node that has the body.
        let ended = ended.map(main).map_err(|failure| Failure {
            node: node.id.to_string(),
            ..failure
        });
        Ok(Done {
            over: over.unwrap_or(at),
            ..Done::new(at, ended)
        })
    }

    /// The outcome of a run, which ends at `due` at the latest; takes back what was cut off.
    fn bounded(
        &mut self,
        region: &Region<'_>,
        ran: &Ran,
        path: &str,
        due: Option<Time>,
    ) -> Result<Outcome> {
        let ends = ran.failure.as_ref().map_or(ran.over, |(at, _)| *at);
        if let Some(due) = due.filter(|due| *due < ends + SAME) {
            if due + SAME > ends {
                return Err(Ambiguous);
            }
            self.cut(path, due, &[]);
            return Ok((due, Err(failure("BODY_TIMEOUT", "timeout"))));
        }
        match &ran.failure {
            Some((at, failure)) => {
                self.cut(path, *at, &ran.failed_at);
                Ok((*at, Err(failure.clone())))
            }
            None => Ok((ran.over, Ok(region.output(ran)))),
        }
    }

    fn for_each(
        &mut self,
        node: &NodeDefinition,
        around: &Around,
        instance: &str,
        (given, json, seen): (&Map<String, Value>, &Value, &Value),
        at: Time,
    ) -> Result<Many> {
        let body = node.body.as_ref().expect("the caller has looked");
        let region = Region::new(&body.nodes, &body.connections);
        let list = match given.get("range") {
            Some(range) => range_of(range),
            None => {
                let list = given.get("items").unwrap_or(json);
                list.as_array().cloned().unwrap_or_default()
            }
        };
        let asks = |progress: &Value| values::of_progress(node, seen, progress);
        let through = Through {
            count: list.len(),
            window: window(node, list.len()),
            goes_on: node.on_error == OnError::Continue,
            enough: enough(node, &asks),
            path: format!("{instance}["),
        };
        self.many(&through, at, |naive, index, at| {
            let mut around = around.clone();
            around.path = format!("{instance}[{index}]/");
            around.roots.insert("item".to_owned(), list[index].clone());
            around.roots.insert("index".to_owned(), json!(index));
            let ran = naive.run(&region, &around, &list[index], at)?;
            naive.bounded(&region, &ran, &around.path, None)
        })
    }

    fn looped(
        &mut self,
        node: &NodeDefinition,
        around: &Around,
        instance: &str,
        (given, json, seen): (&Map<String, Value>, &Value, &Value),
        mut at: Time,
    ) -> Result<Outcome> {
        let body = node.body.as_ref().expect("the caller has looked");
        let region = Region::new(&body.nodes, &body.connections);
        let mut last: Option<Value> = None;
        let asks = |key: &str, index: u64, last: &Option<Value>| {
            let mut seen = seen.clone();
            seen["loop"] = round(index, last);
            let condition = given.get(key)?.as_str()?;
            Some(values::holds(condition, &seen))
        };
        for index in 0.. {
            let times = given.get("times").and_then(Value::as_u64);
            if times.is_some_and(|times| index >= times) {
                break;
            }
            let ended = index
                .checked_sub(1)
                .and_then(|ended| asks("until", ended, &last));
            match (ended, asks("while", index, &last)) {
                (Some(Err(failure)), _) | (_, Some(Err(failure))) => {
                    return Ok((at, Err(failure)));
                }
                (Some(Ok(true)), _) | (_, Some(Ok(false))) => break,
                _ => {}
            }
            if index > 0 {
                at += span(given, "delay").unwrap_or(0);
            }
            let mut around = around.clone();
            around.path = format!("{instance}[{index}]/");
            around.roots.insert("loop".to_owned(), round(index, &last));
            let json = last.as_ref().unwrap_or(json);
            let ran = self.run(&region, &around, json, at)?;
            let (ended, result) = self.bounded(&region, &ran, &around.path, None)?;
            at = ended;
            match result {
                Ok(value) => last = Some(value),
                Err(failure) => return Ok((at, Err(failure))),
            }
        }
        Ok((at, Ok(last.unwrap_or_default())))
    }

    fn race(
        &mut self,
        region: &Region<'_>,
        around: &Around,
        (given, json): (&Map<String, Value>, &Value),
        at: Time,
    ) -> Result<Outcome> {
        let due = span(given, "timeout").map(|span| at + span);
        let ran = self.run(region, around, json, at)?;
        let Some(first) = ran.first.clone() else {
            return self.bounded(region, &ran, &around.path, due);
        };
        let others = [due, ran.failure.as_ref().map(|(at, _)| *at)];
        let others: Vec<Time> = others.into_iter().flatten().collect();
        if ran.tied || others.iter().any(|at| at.abs_diff(first.at) < SAME) {
            return Err(Ambiguous);
        }
        if others.iter().any(|at| *at < first.at) {
            return self.bounded(region, &ran, &around.path, due);
        }
        self.cut(&around.path, first.at, &[first.instance]);
        let result = json!({ "winner": first.node, "result": first.value });
        Ok((first.at, Ok(result)))
    }

    fn tried(
        &mut self,
        region: &Region<'_>,
        around: &Around,
        (given, json, seen): (&Map<String, Value>, &Value, &Value),
        at: Time,
    ) -> Result<Outcome> {
        let due = span(given, "timeout").map(|span| at + span);
        let none = Map::new();
        let catch = given
            .get("catch")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        let last = given.get("finally").and_then(Value::as_str);
        let handlers = catch.keys().map(String::as_str).chain(last);
        let held: Vec<_> = handlers.map(|handler| region.behind(handler)).collect();
        let plain = region.only(|id| !held.iter().any(|held| held.contains(id)));
        let ran = self.run(&plain, around, json, at)?;
        let mut outcome = self.bounded(&plain, &ran, &around.path, due)?;
        let timed_out = due.is_some_and(|due| outcome.1.is_err() && outcome.0 == due);
        if let (at, Err(failure)) = &outcome {
            let mut asked = seen.clone();
            asked["json"] = caught(failure);
            let holds = |condition: &Value| {
                values::holds(condition.as_str().unwrap_or_default(), &asked) == Ok(true)
            };
            let handler = catch.iter().find(|(_, condition)| holds(condition));
            let due = due.filter(|_| failure.code != "BODY_TIMEOUT");
            if let Some((handler, _)) = handler {
                let behind = region.behind(handler);
                let part = region.only(|id| behind.contains(id));
                let (json, at) = (caught(failure), *at);
                let ran = self.run(&part, around, &json, at)?;
                outcome = self.handled(&part, &ran, around, due)?;
            }
        }
        if let Some(last) = last {
            let behind = region.behind(last);
            let part = region.only(|id| behind.contains(id));
            let json = match &outcome.1 {
                Ok(_) => json.clone(),
                Err(failure) => caught(failure),
            };
            let ran = self.run(&part, around, &json, outcome.0)?;
            // The time of the body counts for it as well, and is up once.
            let up = |failure: &Failure| failure.code == "BODY_TIMEOUT";
            let due = due.filter(|_| !timed_out && !outcome.1.as_ref().is_err_and(up));
            let (at, ended) = self.handled(&part, &ran, around, due)?;
            outcome = (at, ended.and(outcome.1));
        }
        Ok(outcome)
    }

    /// The outcome of a handler; what ran before it has ended already, and is not taken back.
    fn handled(
        &mut self,
        part: &Region<'_>,
        ran: &Ran,
        around: &Around,
        due: Option<Time>,
    ) -> Result<Outcome> {
        let names = |id: &str| part.nodes.iter().any(|node| node.id.as_str() == id);
        let first = |id: &String| {
            let inner = &id[around.path.len().min(id.len())..];
            names(inner.split(['/', '[', '#']).next().unwrap_or_default())
        };
        let others = |id: &String| !(id.starts_with(&around.path) && first(id));
        let before: Vec<_> = self.log.keys().filter(|id| others(id)).cloned().collect();
        let before: Vec<_> = before
            .into_iter()
            .map(|id| (self.log[&id].clone(), id))
            .collect();
        let outcome = self.bounded(part, ran, &around.path, due)?;
        self.log
            .extend(before.into_iter().map(|(lived, id)| (id, lived)));
        Ok(outcome)
    }
}

/// A failure as its handler sees it.
fn caught(failure: &Failure) -> Value {
    let mut value = failure.value();
    value["node"] = Value::from(failure.node.as_str());
    value
}

fn round(index: u64, last: &Option<Value>) -> Value {
    match last {
        Some(last) => json!({ "index": index, "last": last }),
        None => json!({ "index": index }),
    }
}

fn range_of(range: &Value) -> Vec<Value> {
    let number = |key: &str| range.get(key).and_then(Value::as_i64);
    let (from, to) = (number("from").unwrap_or(0), number("to").unwrap_or(0));
    let step = number("step").unwrap_or(1);
    let mut numbers = Vec::new();
    let mut next = from;
    while if step > 0 { next < to } else { next > to } {
        numbers.push(json!(next));
        next += step;
    }
    numbers
}
