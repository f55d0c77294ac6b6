//! What consists of several nodes, or asks about others.

use serde_json::{Value, json};

use super::Maker;

type Chain<'c> = (&'c mut Vec<Value>, &'c mut Vec<Value>);

impl Maker<'_> {
    /// A loop of connections that go back: it counts, something happens outside, and it comes round.
    pub(super) fn again(
        &mut self,
        node: &mut Value,
        entry: &str,
        (nodes, connections): Chain<'_>,
    ) -> Vec<&'static str> {
        let (middle, last) = (self.id(), self.id());
        node["action"] = json!("data.set");
        node["parameters"] =
            json!({ "v": format!("{{{{ ($nodes.{last}?.result?.v ?? 0) + 1 }}}}") });
        nodes.push(node.clone());
        let mut inner = json!({ "id": middle });
        self.effect(&mut inner, "$json.v", false);
        nodes.push(inner);
        nodes.push(json!({
            "id": last,
            "action": "data.set",
            "parameters": { "v": format!("{{{{ $nodes.{entry}.result.v }}}}") },
        }));
        let rounds = 2 + self.chance.below(3);
        connections.extend([
            json!({ "from": entry, "to": middle }),
            json!({ "from": middle, "to": last }),
            json!({ "from": last, "to": entry, "loop": true, "condition": format!("$json.v < {rounds}"), "max_rounds": 20 }),
        ]);
        vec!["main"]
    }

    /// Goes through a list in parts; something happens outside with each.
    pub(super) fn batches(
        &mut self,
        node: &mut Value,
        entry: &str,
        sum: &str,
        (nodes, connections): Chain<'_>,
    ) -> Vec<&'static str> {
        let inner = self.id();
        node["action"] = json!("flow.batches");
        node["parameters"] = json!({
            "items": format!("{{{{ [1, 2, 3, 4, 5].map(k => k + {sum}) }}}}"),
            "size": 1 + self.chance.below(3),
        });
        let mut part = json!({ "id": inner });
        self.effect(&mut part, "$json[0]", false);
        // The node by which it is left stands last.
        nodes.push(part);
        nodes.push(node.clone());
        connections.extend([
            json!({ "from": entry, "port": "loop", "to": inner }),
            json!({ "from": inner, "to": entry, "loop": true }),
        ]);
        vec!["done"]
    }

    /// What takes its time, so that others wait for the lock of its body when it is lost: effects, one
    /// after the other.
    pub(super) fn one_by_one(&mut self) -> Value {
        let (mut nodes, mut connections) = (Vec::<Value>::new(), Vec::new());
        for _ in 0..2 + self.chance.below(2) {
            let id = self.id();
            let came = nodes.last().and_then(|last| last["id"].as_str());
            let sum = self.sum(came.as_slice());
            connections.extend(came.map(|came| json!({ "from": came, "to": id })));
            let mut node = json!({ "id": id });
            self.effect(&mut node, &sum, false);
            node["parameters"]["millis"] = json!(*self.chance.pick(&[300, 1_500, 5_000]));
            nodes.push(node);
        }
        json!({ "nodes": nodes, "connections": connections })
    }

    /// Several tokens, with each of which the same happens outside, and one again.
    pub(super) fn tokens(
        &mut self,
        node: &mut Value,
        entry: &str,
        (nodes, connections): Chain<'_>,
    ) -> Vec<&'static str> {
        let (middle, last) = (self.id(), self.id());
        let count = 2 + self.chance.below(2);
        node["action"] = json!("flow.split_tokens");
        node["parameters"] = json!({ "count": count });
        nodes.push(node.clone());
        let mut inner = json!({ "id": middle });
        self.effect(&mut inner, "1", false);
        nodes.push(inner);
        nodes.push(json!({
            "id": last,
            "action": "flow.merge_tokens",
            "parameters": { "count": count },
        }));
        connections.extend([
            json!({ "from": entry, "to": middle }),
            json!({ "from": middle, "to": last }),
        ]);
        vec!["main"]
    }

    /// Lets through only while a state lasts that nodes before it make.
    pub(super) fn milestone(&mut self, node: &mut Value, askable: &[String]) {
        node["action"] = json!("flow.milestone");
        node["parameters"] = json!({});
        let reached = self.chance.pick(askable);
        node["parameters"]["reached"] = json!(reached);
        let until = self.chance.pick(askable);
        if until != reached && self.chance.chance(40) {
            node["parameters"]["until"] = json!(until);
            // Which of the two comes first is chance.
            self.decided = false;
        }
    }

    /// A list may be complete before all of its items have run.
    pub(super) fn completes(&mut self, node: &mut Value) {
        if !self.chance.chance(15) {
            return;
        }
        node["complete_when"] = match self.chance.chance(50) {
            true => json!(1 + self.chance.below(2)),
            false => json!("$json.done >= 2"),
        };
        let absorbs = self.chance.chance(50);
        node["rest"] = json!(if absorbs { "absorb" } else { "cancel" });
        // Which items have ended by then is chance, even one at a time: while a person is asked about
        // one, others run.
        self.decided = false;
    }

    /// Whether the flows of this world have more of this body than others.
    pub(super) fn is_theme(&self, action: &str) -> bool {
        matches!(self.theme, Some(super::Kind::Body(body)) if body == action)
    }
}
