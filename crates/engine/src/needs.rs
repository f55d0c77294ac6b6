//! What somebody is told of an execution that needs a person.

use nebula_execution::{Fact, InstanceId, ParkReason};
use serde_json::{Value, json};

/// The input of whoever is told of an execution: which one it is, and these fields.
pub(crate) fn fields_of(told: &Value, own: &[&str]) -> Value {
    let whose = ["workflow", "version", "execution"];
    let part = |name: &&str| ((*name).to_owned(), told[*name].clone());
    Value::Object(whose.iter().chain(own).map(part).collect())
}

/// What a person is needed for.
pub(crate) fn needs(fact: &Fact) -> Value {
    let nodes = |all: &[InstanceId]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    match fact {
        Fact::Parked { reason } => match reason {
            ParkReason::Indeterminate(all) => {
                json!({ "decision": "indeterminate", "nodes": nodes(all) })
            }
            ParkReason::Compensation(all) => {
                json!({ "decision": "compensation", "nodes": nodes(all) })
            }
            ParkReason::Poison { grants } => json!({ "decision": "poison", "grants": grants }),
        },
        Fact::ApprovalAsked { instance, question } => json!({
            "decision": "approval",
            "nodes": [instance.to_string()],
            "title": question.title,
            "approvers": question.approvers,
            "quorum": question.quorum,
            "due": question.due.map(|due| due.to_string()),
        }),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reason: ParkReason, expected: &Value) {
        assert_eq!(needs(&Fact::Parked { reason }), *expected);
    }

    #[test]
    fn what_is_to_be_decided_is_said_with_its_nodes() {
        let nodes = || vec!["pay".parse().unwrap(), "orders[3]/ship#2".parse().unwrap()];
        let said =
            |decision: &str| json!({ "decision": decision, "nodes": ["pay", "orders[3]/ship#2"] });
        check(ParkReason::Indeterminate(nodes()), &said("indeterminate"));
        check(ParkReason::Compensation(nodes()), &said("compensation"));
        let poison = json!({ "decision": "poison", "grants": 10 });
        check(ParkReason::Poison { grants: 10 }, &poison);
    }
}
