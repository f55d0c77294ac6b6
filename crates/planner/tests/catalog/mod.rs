//! A small catalog of actions, and plans of terse YAML.
#![allow(dead_code, reason = "each test file uses a part of it")]

use nebula_action::{
    ActionKind, ActionMetadata, CapabilityRule, Catalog, CatalogMiss, ControlKind, CredentialSlot,
    Effect, EffectClass, ExpressionMark, FileAccess, InterfaceVersion, Ports, RetryPolicy,
    VersionWanted,
};
use nebula_core::ActionId;
use nebula_execution::ExecutionPlan;
use nebula_planner::{PlanSettings, Planned, plan};
use nebula_workflow::{Source, parse};
use serde_json::json;

/// Actions of every shape, in several versions.
pub(crate) struct Actions(Vec<ActionMetadata>);

impl Catalog for Actions {
    fn find(&self, id: &ActionId, wanted: VersionWanted) -> Result<&ActionMetadata, CatalogMiss> {
        let known: Vec<_> = self.0.iter().filter(|it| it.id == *id).collect();
        if known.is_empty() {
            return Err(CatalogMiss::Id);
        }
        let fits = |it: &&&ActionMetadata| {
            wanted.major.is_none_or(|major| it.version.major == major)
                && wanted.minor.is_none_or(|minor| it.version.minor >= minor)
        };
        let newest = known.iter().filter(fits).max_by_key(|it| it.version);
        let versions = || {
            known
                .iter()
                .map(|it| it.version)
                .collect::<Vec<InterfaceVersion>>()
        };
        newest
            .copied()
            .ok_or_else(|| CatalogMiss::Version(versions()))
    }

    fn ids(&self) -> Vec<&ActionId> {
        self.0.iter().map(|it| &it.id).collect()
    }
}

pub(crate) fn actions() -> Actions {
    let fixed = Effect::Fixed;
    let mark = |path: &str, deferred| ExpressionMark {
        path: path.to_owned(),
        deferred,
    };
    let write = |version| {
        let mut write = ActionMetadata::new(
            "file.write",
            version,
            Effect::ByParameter {
                parameter: "mode".to_owned(),
                cases: vec![
                    (json!("overwrite"), EffectClass::Idempotent),
                    (json!("append"), EffectClass::AtMostOnce),
                ],
                absent: EffectClass::Idempotent,
            },
        );
        write.parameters = json!({
            "type": "object",
            "required": ["path"],
            "properties": {
                "path": { "type": "string" },
                "content": { "type": "string" },
                "mode": { "enum": ["overwrite", "append"] },
            },
            "additionalProperties": false,
        });
        let (access, parameter) = (FileAccess::Write, "path".to_owned());
        write.capabilities = vec![CapabilityRule::File { access, parameter }];
        write.timeout = Some(std::time::Duration::from_secs(20));
        write.reconciles = true;
        let example =
            json!({ "title": "a line", "parameters": { "path": "x" }, "output": { "bytes": 9 } });
        write.examples = vec![serde_json::from_value(example).unwrap()];
        write
    };
    let mut repeats = write((1, 0));
    repeats.id = ActionId::new("test.again").unwrap();
    repeats.retry = Some(RetryPolicy {
        max_attempts: 5,
        ..RetryPolicy::default()
    });
    let mut filter = ActionMetadata::new("data.filter", (1, 0), fixed(EffectClass::Pure));
    filter.expressions = vec![mark("condition", true)];
    filter.defaults = json!({ "items": "{{ $json }}" });
    let mut merge = ActionMetadata::new("data.merge", (1, 0), fixed(EffectClass::Pure));
    merge.inputs = vec!["left".to_owned(), "right".to_owned()];
    let mut broken = ActionMetadata::new("test.broken", (1, 0), fixed(EffectClass::Pure));
    broken.parameters = json!({ "type": 5 });
    let control = |id: &str, kind| {
        let mut control = ActionMetadata::new(id, (1, 0), fixed(EffectClass::Pure));
        control.kind = ActionKind::Control(kind);
        control
    };
    let mut switch = control("flow.switch", ControlKind::Switch);
    switch.expressions = vec![mark("cases/*", true)];
    switch.ports = Ports::KeysOf {
        parameter: "cases".to_owned(),
        otherwise: "default".to_owned(),
    };
    let mut branch = control("flow.if", ControlKind::If);
    branch.expressions = vec![mark("condition", false)];
    branch.ports = Ports::Fixed(vec!["true".to_owned(), "false".to_owned()]);
    let mut batches = control("flow.batches", ControlKind::Batches);
    batches.ports = Ports::Fixed(vec!["loop".to_owned(), "done".to_owned()]);
    let mut again = control("flow.loop", ControlKind::Loop);
    again.expressions = vec![mark("while", true), mark("until", true)];
    let mut attempt = control("flow.try", ControlKind::Try);
    attempt.expressions = vec![mark("catch/*", true)];
    let slot = |name: &str, types: &[&str], required| CredentialSlot {
        name: name.to_owned(),
        types: types.iter().map(|it| (*it).to_owned()).collect(),
        required,
    };
    let mut order = ActionMetadata::new("shop.order", (1, 0), fixed(EffectClass::Keyed));
    order.credentials = vec![
        slot("auth", &["bearer", "basic"], true),
        slot("log", &["custom"], false),
    ];
    Actions(vec![
        order,
        control("flow.parallel", ControlKind::Parallel),
        control("flow.for_each", ControlKind::ForEach),
        batches,
        control("flow.mutex", ControlKind::Mutex),
        control("flow.milestone", ControlKind::Milestone),
        control("flow.stop", ControlKind::Stop),
        control("flow.respond", ControlKind::Respond),
        control("flow.semaphore", ControlKind::Semaphore),
        again,
        attempt,
        ActionMetadata::new("data.set", (1, 0), fixed(EffectClass::Pure)),
        ActionMetadata::new("data.set", (1, 3), fixed(EffectClass::Pure)),
        ActionMetadata::new("data.set", (2, 0), fixed(EffectClass::Pure)),
        write((1, 0)),
        repeats,
        ActionMetadata::new("test.read", (1, 0), fixed(EffectClass::Read)),
        filter,
        merge,
        broken,
        switch,
        branch,
        control("flow.wait", ControlKind::Wait),
        control("flow.cancel", ControlKind::Cancel),
        control("flow.split_tokens", ControlKind::SplitTokens),
        control("flow.merge_tokens", ControlKind::MergeTokens),
        control("flow.call", ControlKind::Call),
        control("flow.approval", ControlKind::Approval),
    ])
}

/// Plans a workflow; its definition must have no problem of its own.
pub(crate) fn planned(yaml: &str, settings: &PlanSettings) -> Planned {
    let parsed = parse(&Source::new("test.yaml", yaml));
    let definition = parsed.definition;
    let definition = definition.unwrap_or_else(|| panic!("{yaml}\n{:#?}", parsed.diagnostics));
    plan(&definition, 1, &actions(), settings)
}

/// The plan of a workflow without problems.
pub(crate) fn plan_of(yaml: &str) -> ExecutionPlan {
    let planned = planned(yaml, &PlanSettings::default());
    let problems = planned.diagnostics;
    planned
        .plan
        .unwrap_or_else(|| panic!("{yaml}\n{problems:#?}"))
}
