//! One step, and the node that does it.

use nebula_core::parse_duration;
use nebula_workflow::{Diagnostic, Origin, nearest};
use serde_json::{Map, Value, json};

use crate::{
    codes,
    expression::{Names, OF_INPUT},
    reader::{Fields, Problems, choice, listed, shown, text, wrong_type},
    runbook::Runbook,
};

/// The program that the action `docker` runs where `program` says nothing.
pub const DEFAULT_DOCKER: &str = "/usr/bin/docker";

/// The longest id of a step, in bytes.
const MAX_STEP_ID: usize = 48;

/// What stands before the ids of the nodes that no step wrote.
pub(crate) const OWN: &str = "runbook_";

const FIELDS: &[&str] = &[
    "name",
    "id",
    "action",
    "params",
    "condition",
    "requires",
    "credentials",
    "timeout",
    "retry",
];

/// The actions that only runbooks have.
const SHORT: &[&str] = &["docker", "health_check", "log", "notify", "wait"];

/// The control actions that a step can be: what has one way out, and no body.
const CONTROL: &[&str] = &["flow.call", "flow.emit", "flow.signal", "flow.wait"];

/// What is copied into the parameters of `health.check` as it is.
const CHECKS: &[&str] = &[
    "url",
    "expected_status",
    "contains",
    "query",
    "tcp",
    "program",
    "sql",
    "args",
    "expected_exit",
    "max_latency",
    "timeout",
];

/// A step that was read.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    /// Whether it looks how the service is, so that "not well" is its failure.
    pub(crate) looks: bool,
    /// Whether it only tells somebody, which heals nothing.
    pub(crate) tells: bool,
    /// Whether it may be left out.
    pub(crate) conditional: bool,
    pub(crate) node: Value,
}

impl Step {
    /// Whether it failed, as an expression of a workflow.
    pub(crate) fn failed(&self) -> String {
        let id = &self.id;
        if self.looks {
            format!("($nodes.{id}?.error != null || $nodes.{id}?.result?.healthy === false)")
        } else {
            format!("($nodes.{id}?.error != null)")
        }
    }

    /// Whether it did what it is for.
    pub(crate) fn succeeded(&self) -> String {
        let id = &self.id;
        if self.looks {
            format!("($nodes.{id}?.result?.healthy === true)")
        } else {
            format!("($nodes.{id}?.success === true)")
        }
    }
}

/// What a step becomes.
struct Made {
    action: String,
    parameters: Value,
    looks: bool,
    tells: bool,
}

/// Reads the step at `index`; the ids of all steps are settled before.
pub(crate) fn read(
    value: &Value,
    index: usize,
    (runbook, before): (&Runbook<'_>, &[Step]),
    origins: &mut Vec<Origin>,
    problems: &mut Problems,
) -> Option<Step> {
    let pointer = format!("/steps/{index}");
    let fields = Fields::object(value, pointer, ("a step", FIELDS), problems)?;
    let made = format!("/nodes/{index}");
    let names = Names {
        service: OF_INPUT,
        before,
        later: &runbook.ids,
    };
    let id = runbook.ids[index].clone();
    let at = |name: &str| format!("{}/{name}", fields.pointer);
    origins.push(Origin::new(made.as_str(), fields.pointer.as_str()));
    let written_id = if fields.get("id").is_some() {
        "id"
    } else {
        "name"
    };
    origins.push(Origin::new(format!("{made}/id"), at(written_id)));
    origins.push(Origin::new(format!("{made}/when"), at("condition")));
    origins.push(Origin::new(format!("{made}/parameters"), at("params")));

    let mut node = Map::new();
    node.insert("id".into(), id.as_str().into());
    if let Some((name, _)) = fields.get("name") {
        node.insert("name".into(), name.clone());
    }
    let condition = fields.get("condition").map(|(value, written)| {
        names.condition(
            (value, &written, &format!("{made}/when")),
            origins,
            problems,
        )
    });
    let conditional = condition.is_some();
    if let Some(Some(condition)) = condition {
        node.insert("when".into(), condition.into());
    }
    let action = Act {
        fields: &fields,
        names: &names,
        made: &made,
        runbook,
        index,
    };
    let done = action.make(origins, problems);
    for name in ["requires", "credentials", "timeout", "retry"] {
        if let Some((value, written)) = fields.get(name) {
            let made = format!("{made}/{name}");
            if let Some(value) = names.params((value, &written, &made), origins, problems) {
                node.insert(name.into(), value);
            }
        }
    }
    let done = done?;
    node.insert("action".into(), done.action.into());
    node.insert("parameters".into(), done.parameters);
    node.insert("on_error".into(), "continue".into());
    Some(Step {
        id,
        looks: done.looks,
        tells: done.tells,
        conditional,
        node: node.into(),
    })
}

/// The id of a step: what it says, or its name as one.
pub(crate) fn id(value: &Value, index: usize, problems: &mut Problems) -> Option<String> {
    let pointer = format!("/steps/{index}");
    let fields = value.as_object()?;
    if let Some(id) = fields.get("id").filter(|id| !id.is_null()) {
        let pointer = format!("{pointer}/id");
        let id = text(id, &pointer, problems)?;
        let starts = id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let fits = starts
            && id.len() <= MAX_STEP_ID
            && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !fits {
            let message = format!("`{}` is no id of a step", shown(id));
            let hint = format!(
                "it has up to {MAX_STEP_ID} letters, digits and `_`, and begins with none of the digits"
            );
            problems.error(codes::VALUE, &pointer, message, &hint);
            return None;
        }
        return reserved(id, &pointer, problems);
    }
    let Some(name) = fields.get("name").filter(|name| !name.is_null()) else {
        let message = "a step needs `name`".to_owned();
        let hint = "write what it does: name: Restart the shop";
        problems.error(codes::MISSING_FIELD, &pointer, message, hint);
        return None;
    };
    let pointer = format!("{pointer}/name");
    let id = slug(text(name, &pointer, problems)?);
    if id.is_empty() {
        let message = "this name has no letter or digit that an id could have".to_owned();
        let hint = "add an id of letters, digits and `_`: id: restart";
        problems.error(codes::VALUE, &pointer, message, hint);
        return None;
    }
    reserved(&id, &pointer, problems)
}

fn reserved(id: &str, pointer: &str, problems: &mut Problems) -> Option<String> {
    if id.starts_with(OWN) {
        let message = format!("the id `{id}` begins with `{OWN}`, as the ids do that runbooks add");
        problems.error(
            codes::VALUE,
            pointer,
            message,
            "give it another name, or an `id`",
        );
        return None;
    }
    Some(id.to_owned())
}

/// `Check health` → `check_health`.
pub(crate) fn slug(name: &str) -> String {
    let mut id = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            id.push(c.to_ascii_lowercase());
        } else if !id.is_empty() && !id.ends_with('_') {
            id.push('_');
        }
    }
    id.truncate(MAX_STEP_ID);
    let id = id.trim_end_matches('_');
    if id.starts_with(|c: char| c.is_ascii_digit()) {
        let mut id = format!("step_{id}");
        id.truncate(MAX_STEP_ID);
        return id;
    }
    id.to_owned()
}

/// The action of a step, and what it needs to know.
struct Act<'a> {
    fields: &'a Fields<'a>,
    names: &'a Names<'a>,
    made: &'a str,
    runbook: &'a Runbook<'a>,
    index: usize,
}

impl Act<'_> {
    fn make(&self, origins: &mut Vec<Origin>, problems: &mut Problems) -> Option<Made> {
        let (action, at) = self
            .fields
            .text("action", "action: health_check", problems)?;
        origins.push(Origin::new(format!("{}/action", self.made), at.as_str()));
        match action {
            "log" => self.log(origins, problems),
            "wait" => self.wait(origins, problems),
            "docker" => self.docker(origins, problems),
            "health_check" => self.health_check(origins, problems),
            "notify" => self.notify(origins, problems),
            other => self.other(other, &at, origins, problems),
        }
    }

    /// The fields of `params`, of which these are known.
    fn params(
        &self,
        what: &'static str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Fields<'_>> {
        let (value, pointer) = self.fields.needed(
            "params",
            &format!("params with {}", listed(known)),
            problems,
        )?;
        Fields::object(value, pointer, (what, known), problems)
    }

    /// A value of `params` that stands in the parameter at `below`.
    fn value(
        &self,
        (value, written): (&Value, &str),
        below: &str,
        (origins, problems): (&mut Vec<Origin>, &mut Problems),
    ) -> Option<Value> {
        let made = format!("{}/parameters/{below}", self.made);
        origins.push(Origin::new(made.as_str(), written));
        self.names
            .params((value, written, &made), origins, problems)
    }

    /// A text of `params` that stands in the parameter at `below`.
    fn text(
        &self,
        params: &Fields<'_>,
        (name, example): (&str, &str),
        below: &str,
        (origins, problems): (&mut Vec<Origin>, &mut Problems),
    ) -> Option<Value> {
        let (text, written) = params.text(name, example, problems)?;
        self.value((&Value::from(text), &written), below, (origins, problems))
    }

    /// The first one opens the incident of the service, the others note something of it.
    fn log(&self, origins: &mut Vec<Origin>, problems: &mut Problems) -> Option<Made> {
        const LEVELS: &[&str] = &["debug", "info", "warn", "warning", "error", "critical"];
        let params = self.params("what `log` takes", &["level", "message"], problems)?;
        let level = match params.get("level") {
            Some((value, pointer)) => choice(value, &pointer, LEVELS, problems),
            None => Some("info"),
        };
        let opens = self.runbook.first_log == Some(self.index);
        let below = if opens { "title" } else { "text" };
        let example = ("message", "message: \"{{ service.name }} is not well\"");
        let message = self.text(&params, example, below, (origins, problems));
        let severity = match level? {
            "debug" | "info" => "info",
            "warn" | "warning" => "warning",
            _ => "critical",
        };
        let (action, parameters) = if opens {
            let parameters = json!({
                "key": self.runbook.key(),
                "service": SERVICE_NAME,
                "title": message?,
                "severity": severity,
            });
            ("incident.open", parameters)
        } else {
            (
                "incident.note",
                json!({ "key": self.runbook.key(), "text": message? }),
            )
        };
        Some(Made {
            action: action.into(),
            parameters,
            looks: false,
            tells: true,
        })
    }

    fn wait(&self, origins: &mut Vec<Origin>, problems: &mut Problems) -> Option<Made> {
        let params = self.params("what `wait` takes", &["duration"], problems)?;
        let (value, pointer) = params.needed("duration", "duration: 30s", problems)?;
        let Some(span) = value.as_str() else {
            wrong_type("a span of time such as `30s`", value, &pointer, problems);
            return None;
        };
        if let (false, Err(error)) = (span.contains("{{"), parse_duration(span)) {
            problems.error(
                codes::VALUE,
                &pointer,
                error.to_string(),
                "write such as `30s` or `5m`",
            );
            return None;
        }
        let span = self.value((value, &pointer), "for", (origins, problems))?;
        let parameters = json!({ "for": span });
        Some(Made {
            action: "flow.wait".into(),
            parameters,
            looks: false,
            tells: true,
        })
    }

    /// Only what comes to the same when it is done twice, since an engine may die while it is done.
    fn docker(&self, origins: &mut Vec<Origin>, problems: &mut Problems) -> Option<Made> {
        const COMMANDS: &[&str] = &["restart", "start", "stop"];
        let known = &["command", "container", "program"];
        let params = self.params("what `docker` takes", known, problems)?;
        let command = params.needed("command", "command: restart", problems);
        let command =
            command.and_then(|(value, pointer)| choice(value, &pointer, COMMANDS, problems));
        let example = ("container", "container: \"{{ service.container_id }}\"");
        let container = self.text(&params, example, "args/2", (origins, problems));
        let program = match params.get("program") {
            Some((value, written)) => {
                self.value((value, &written), "program", (origins, problems))?
            }
            None => DEFAULT_DOCKER.into(),
        };
        let args = json!([command?, "--", container?]);
        let parameters = json!({ "program": program, "args": args, "effect": "idempotent" });
        Some(Made {
            action: "process.run".into(),
            parameters,
            looks: false,
            tells: false,
        })
    }

    fn health_check(&self, origins: &mut Vec<Origin>, problems: &mut Problems) -> Option<Made> {
        let params = self.params("what `health_check` takes", CHECKS, problems)?;
        let mut parameters = Map::new();
        let mut whole = true;
        for name in CHECKS {
            let Some((value, written)) = params.get(name) else {
                continue;
            };
            // An expression of its own, over the answer.
            if *name == "query" {
                parameters.insert((*name).into(), value.clone());
                continue;
            }
            let is_one = *name == "expected_status" && !value.is_array();
            let below = if is_one { "expected_status/0" } else { name };
            let value = self.value((value, &written), below, (origins, problems));
            whole &= value.is_some();
            if let Some(value) = value {
                let value = if is_one { json!([value]) } else { value };
                parameters.insert((*name).into(), value);
            }
        }
        self.reachable(&params, problems);
        let made = Made {
            action: "health.check".into(),
            parameters: parameters.into(),
            looks: true,
            tells: false,
        };
        whole.then_some(made)
    }

    /// What is computed implies no capability, and would be denied when it is too late.
    fn reachable(&self, params: &Fields<'_>, problems: &mut Problems) {
        for name in ["url", "tcp", "program"] {
            let Some((Value::String(text), written)) = params.get(name) else {
                continue;
            };
            let authority = match name {
                "url" => text.splitn(4, '/').take(3).collect::<Vec<_>>().join("/"),
                _ => text.clone(),
            };
            if authority.contains("{{") && self.fields.get("requires").is_none() {
                let message = "this address is computed, and the step asks for no capability";
                let hint = match name {
                    "program" => "add such as: requires: [\"process:/usr/bin/true\"]",
                    _ => "add such as: requires: [\"net:shop.example:443\"]",
                };
                let problem = Diagnostic::warning(codes::CAPABILITY, written, message);
                problems.push(problem.hint(hint));
            }
        }
    }

    fn notify(&self, origins: &mut Vec<Origin>, problems: &mut Problems) -> Option<Made> {
        let params = self.params("what `notify` takes", &["channel", "message"], problems)?;
        let channel = params.text("channel", "channel: ops", problems);
        let channel = channel.and_then(|(name, pointer)| channel_of(name, &pointer, problems));
        let example = ("message", "message: \"{{ service.name }} is down\"");
        let message = self.text(&params, example, "payload/message", (origins, problems));
        let parameters = self.runbook.told(channel?, &message?);
        Some(Made {
            action: "flow.emit".into(),
            parameters,
            looks: false,
            tells: true,
        })
    }

    /// Any action of a workflow.
    fn other(
        &self,
        action: &str,
        at: &str,
        origins: &mut Vec<Origin>,
        problems: &mut Problems,
    ) -> Option<Made> {
        let id = action.split('@').next().unwrap_or(action);
        if !id.contains('.') {
            let message = format!("runbooks have no action `{}`", shown(action));
            let problem = Diagnostic::error(codes::ACTION, at, message);
            let near = nearest(action, SHORT.iter().copied());
            problems.push(match near {
                Some(_) => problem.did_you_mean(near),
                None => problem.hint(format!(
                    "write one of {}, or an action of `nebula actions list`, such as `http.request`",
                    listed(SHORT)
                )),
            });
            return None;
        }
        if id.starts_with("flow.") && !CONTROL.contains(&id) {
            let message = format!("a step cannot be `{}`", shown(id));
            let hint = format!(
                "of the control actions, steps can be {}; write a workflow for others, and call it",
                listed(CONTROL)
            );
            problems.error(codes::ACTION, at, message, &hint);
            return None;
        }
        let parameters = match self.fields.get("params") {
            Some((value @ Value::Object(_), written)) => {
                let made = format!("{}/parameters", self.made);
                self.names
                    .params((value, &written, &made), origins, problems)?
            }
            Some((value, written)) => {
                wrong_type("an object", value, &written, problems);
                return None;
            }
            None => json!({}),
        };
        Some(Made {
            action: action.to_owned(),
            parameters,
            looks: id == "health.check",
            tells: CONTROL.contains(&id) && id != "flow.call" || id.starts_with("incident."),
        })
    }
}

/// The name of the service, as a workflow writes it.
pub(crate) const SERVICE_NAME: &str = "{{ $input.service.name }}";

/// A channel: the rest of an event's name.
pub(crate) fn channel_of<'v>(
    name: &'v str,
    pointer: &str,
    problems: &mut Problems,
) -> Option<&'v str> {
    let fits = name.len() <= MAX_CHANNEL
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !fits {
        let message = format!("`{}` is no name of a channel", shown(name));
        let hint = format!(
            "it has up to {MAX_CHANNEL} letters, digits, `_`, `-` and `.`: workflows listen to the event `notify.<channel>`"
        );
        problems.error(codes::VALUE, pointer, message, &hint);
    }
    fits.then_some(name)
}

/// The longest name of a channel: the event's name has up to 64 bytes.
const MAX_CHANNEL: usize = 40;

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn a_name_becomes_an_id() {
        let check = |name: &str, id: &str| assert_eq!(slug(name), id, "{name}");
        check("Check health", "check_health");
        check("  Try (again) – twice!", "try_again_twice");
        check("2nd try", "step_2nd_try");
        check("…", "");
        check(&"x".repeat(80), &"x".repeat(48));
    }
}
