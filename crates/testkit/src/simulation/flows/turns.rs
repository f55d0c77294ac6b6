//! When executions of a flow may begin, and to which later version they may be moved.

use serde_json::{Value, json};

use super::Maker;

impl Maker<'_> {
    /// How many executions run at a time, how often they begin, and how urgent they are.
    pub(super) fn turns(&mut self, definition: &mut Value) {
        let chance = self.chance;
        // What is called waits, whatever is said here.
        let when_full = |refuse: u64| match self.caller && chance.chance(refuse) {
            true => "refuse",
            false => "queue",
        };
        if chance.chance(15) {
            definition["admission"] =
                json!({ "concurrency": 1 + chance.below(2), "when_full": when_full(30) });
            if self.caller && chance.chance(10) {
                definition["admission"]["when_full"] = json!("cancel_oldest");
                // Who is cancelled, and when, is chance.
                self.decided = false;
            }
        }
        let cancels = definition["admission"]["when_full"] == "cancel_oldest";
        if chance.chance(12) {
            let per = chance.pick(&["2s", "5s", "20s"]);
            let when_full = if cancels { "refuse" } else { when_full(40) };
            definition["rate_limit"] = json!({
                "limit": 1 + chance.below(4), "per": per, "burst": 1 + chance.below(2), "when_full": when_full,
            });
        }
        if chance.chance(30) {
            definition["priority"] = json!(*chance.pick(&["lowest", "low", "high", "highest"]));
        }
    }

    /// A version with one node more, which the output does not show.
    pub(super) fn later(&self, definition: &Value) -> Value {
        let chance = self.chance;
        let mut later = definition.clone();
        let added =
            json!({ "id": "added", "action": "data.set", "parameters": { "v": "{{ $input.n }}" } });
        let ids = runs_once(definition);
        if let Value::Array(connections) = &mut later["connections"]
            && !ids.is_empty()
            && chance.chance(50)
        {
            connections.push(json!({ "from": chance.pick(&ids), "to": "added" }));
        }
        if let Value::Array(nodes) = &mut later["nodes"] {
            nodes.push(added);
        }
        later
    }
}

/// The nodes that are left by `main`, with one token.
fn runs_once(definition: &Value) -> Vec<&Value> {
    let list = |name: &str| definition[name].as_array().into_iter().flatten();
    let splits = |id: &Value| {
        let mut nodes = list("nodes");
        nodes.any(|node| node["id"] == *id && node["action"] == "flow.split_tokens")
    };
    let plain = list("nodes").filter(|node| {
        let action = node["action"].as_str().unwrap_or_default();
        let is_plain = action == "data.set" || action.starts_with("sim.");
        let mut to = list("connections").filter(|connection| connection["to"] == node["id"]);
        is_plain && !to.any(|connection| splits(&connection["from"]))
    });
    plain.map(|node| &node["id"]).collect()
}
