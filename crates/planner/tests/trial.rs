//! Trials: a part of a workflow, or all of it without touching anything.

mod catalog;

use catalog::{actions, plan_of};
use nebula_planner::{
    Answer, Extent, PlanSettings, Planned, Trial, TrialError, Tried, plan, trial,
};
use nebula_workflow::{Connection, NodeDefinition, Source, parse};
use serde_json::{Value, json};

/// Two sources, a switch, a handled failure, and a write.
const ORDER: &str = r#"
input: { type: object }
nodes:
  - { id: config, action: data.set, parameters: { rate: 2 } }
  - { id: fetch, action: test.read, parameters: { path: in.txt } }
  - { id: price, action: data.set, parameters: { n: "{{ $nodes.fetch.result.text }}", r: "{{ $nodes.config.result.rate }}" } }
  - { id: sorry, action: data.set, parameters: { n: 0 } }
  - { id: both, action: data.set, parameters: { n: "{{ $nodes.config.result.rate }}" } }
  - { id: save, action: file.write, parameters: { path: out.txt, content: "{{ $nodes.both.result.n }}" } }
connections:
  - config -> fetch
  - { from: fetch, to: price, condition: "$json.ok" }
  - fetch.error -> sorry
  - price -> both
  - sorry -> both
  - both -> save
output: "{{ $nodes.save.result }}"
"#;

fn node(text: &str) -> nebula_core::NodeId {
    text.parse().unwrap()
}

fn pins(pairs: &[(&str, Value)]) -> std::collections::BTreeMap<nebula_core::NodeId, Value> {
    pairs
        .iter()
        .map(|(id, value)| (node(id), value.clone()))
        .collect()
}

fn tried(yaml: &str, wanted: &Trial) -> Result<Tried, TrialError> {
    let definition = parse(&Source::new("test.yaml", yaml)).definition.unwrap();
    let whole = plan_of(yaml);
    let tried = trial(&definition, &whole, &actions(), wanted)?;
    let Planned { plan, diagnostics } =
        plan(&tried.definition, 0, &actions(), &PlanSettings::default());
    assert!(plan.is_some(), "a trial can be planned: {diagnostics:#?}");
    Ok(tried)
}

/// Nodes, those with a value in brackets; then connections.
fn shown(tried: &Tried) -> String {
    let one = |node: &NodeDefinition| match &node.pin {
        Some(pin) => format!("{}={pin}", node.id),
        None if node.disabled => format!("({})", node.id),
        None => node.id.to_string(),
    };
    let line = |it: &Connection| {
        let port = if it.port == "main" { "" } else { ".port" };
        let condition = it.condition.as_ref().map_or("", |_| "?");
        format!("{}{port}->{}{condition}", it.from, it.to)
    };
    let nodes: Vec<_> = tried.definition.nodes.iter().map(one).collect();
    let lines: Vec<_> = tried.definition.connections.iter().map(line).collect();
    format!("{} | {}", nodes.join(" "), lines.join(" "))
}

#[track_caller]
fn check(wanted: &Trial, expected: &str) -> Tried {
    let tried = tried(ORDER, wanted).unwrap();
    assert_eq!(shown(&tried), expected);
    tried
}

#[test]
fn until_a_node_runs_it_and_what_it_needs() {
    let until = |id: &str, given: &[(&str, Value)]| Trial {
        extent: Extent::Until(node(id)),
        pins: pins(given),
        ..Trial::default()
    };
    let price = check(
        &until("price", &[]),
        "config fetch price | config->fetch fetch->price?",
    );
    // Its failure has nowhere to go, so it is what is seen.
    let fetch = price.definition.node("fetch").unwrap();
    assert_eq!(fetch.on_error, nebula_workflow::OnError::Fail);
    let written = nebula_workflow::to_json(&price.definition);
    assert_eq!(written["output"], "{{ $nodes.price.result }}");
    // What is behind a pin does not run, but for what is read past it.
    check(
        &until("save", &[("both", json!(7))]),
        "both=7 save | both->save",
    );
    check(
        &until("price", &[("fetch", json!({ "ok": true }))]),
        "config fetch={\"ok\":true} price | fetch->price? config->fetch",
    );
    let over = check(
        &until("both", &[("price", json!(1)), ("save", json!(2))]),
        "config fetch price=1 sorry both | config->fetch fetch.port->sorry price->both sorry->both fetch->price",
    );
    assert_eq!(over.unused, [node("save")]);
}

#[test]
fn a_node_alone_gets_all_it_needs_from_pins() {
    let only = |id: &str, given: &[(&str, Value)]| Trial {
        extent: Extent::Only(node(id)),
        pins: pins(given),
        ..Trial::default()
    };
    check(
        &only(
            "price",
            &[("fetch", json!("t")), ("config", json!({ "rate": 3 }))],
        ),
        "config={\"rate\":3} fetch=\"t\" price | fetch->price config->fetch",
    );
    // `config` leads to `both` over what is left out: it does so straight.
    check(
        &only(
            "both",
            &[
                ("price", json!(1)),
                ("sorry", json!(2)),
                ("config", json!(3)),
            ],
        ),
        "config=3 price=1 sorry=2 both | price->both sorry->both config->price config->sorry",
    );
    check(&only("config", &[]), "config | ");
    let refused =
        |id: &str, given: &[(&str, Value)]| tried(ORDER, &only(id, given)).unwrap_err().to_string();
    assert_eq!(
        refused("both", &[("sorry", json!(2))]),
        "`both` needs the results of `config`, `price`, which have no pin"
    );
    assert_eq!(refused("prize", &[]), "the workflow has no node `prize`");
    assert_eq!(
        refused("price", &[("nope", json!(1))]),
        "the workflow has no node `nope`"
    );
    assert_eq!(
        refused("price", &[("price", json!(1))]),
        "`price` is to run, and a pin would stand for its result"
    );
    let spare = Trial {
        spare: pins(&[
            ("fetch", json!("s")),
            ("config", json!(1)),
            ("save", json!(2)),
        ]),
        ..only("price", &[("fetch", json!("p"))])
    };
    let both = check(
        &spare,
        "config=1 fetch=\"p\" price | fetch->price config->fetch",
    );
    assert_eq!((both.pinned.len(), both.unused.len()), (2, 0));
}

#[test]
fn a_dry_run_answers_what_touches_the_outside_and_waits_for_nothing() {
    let dry = |given: &[(&str, Value)], spare: &[(&str, Value)]| Trial {
        dry_run: true,
        pins: pins(given),
        spare: pins(spare),
        ..Trial::default()
    };
    let tried = check(
        &dry(&[("fetch", json!({ "text": "x", "ok": true }))], &[]),
        "config fetch={\"text\":\"x\",\"ok\":true} price sorry both save={\"bytes\":9} | \
         config->fetch fetch->price? fetch.port->sorry price->both sorry->both both->save",
    );
    assert_eq!(
        tried.answered,
        [
            (node("fetch"), Answer::Pin),
            (node("save"), Answer::Example)
        ]
    );
    let nothing = check(
        &dry(&[], &[]),
        "config fetch=null price sorry both save={\"bytes\":9} | \
         config->fetch fetch->price? fetch.port->sorry price->both sorry->both both->save",
    );
    assert_eq!(nothing.answered[0], (node("fetch"), Answer::Nothing));
    // A list has one example, and a wait takes no time.
    let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { for: 1h } }, { id: a, action: file.write, for_each: \"[1, 2]\", parameters: { path: x } } ]";
    let listed = self::tried(yaml, &dry(&[], &[])).unwrap();
    assert_eq!(shown(&listed), "(w) a=[{\"bytes\":9}] | w->a");
    assert_eq!(listed.answered[0], (node("w"), Answer::PassedOn));
    let spared = check(
        &dry(
            &[],
            &[
                ("fetch", json!(1)),
                ("save", json!(2)),
                ("config", json!(3)),
            ],
        ),
        "config fetch=1 price sorry both save=2 | \
         config->fetch fetch->price? fetch.port->sorry price->both sorry->both both->save",
    );
    assert_eq!(spared.pinned, [node("fetch"), node("save")]);
    let plan = plan(&spared.definition, 0, &actions(), &PlanSettings::default())
        .plan
        .unwrap();
    assert!(
        plan.nodes
            .iter()
            .all(|node| !node.effect.writes() && node.capabilities.is_empty())
    );
}

#[test]
fn bodies_are_answered_too_and_run_only_with_their_node() {
    let yaml = r#"
nodes:
  - { id: rate, action: data.set, parameters: { n: 2 } }
  - { id: list, action: data.set, parameters: { items: [1] } }
  - id: each
    action: flow.for_each
    body:
      nodes:
        - { id: write, action: file.write, parameters: { path: x, content: "{{ $nodes.rate.result.n }}" } }
"#;
    let dry = Trial {
        dry_run: true,
        ..Trial::default()
    };
    let answered = tried(yaml, &dry).unwrap();
    assert_eq!(answered.answered, [(node("write"), Answer::Example)]);
    let body = answered
        .definition
        .node("each")
        .unwrap()
        .body
        .as_ref()
        .unwrap();
    assert_eq!(body.nodes[0].pin, Some(json!({ "bytes": 9 })));
    // What its body reads is needed.
    let only = |id: &str| Trial {
        extent: Extent::Only(node(id)),
        ..Trial::default()
    };
    assert_eq!(
        tried(yaml, &only("each")).unwrap_err(),
        TrialError::Missing {
            node: node("each"),
            missing: vec![node("list"), node("rate")],
        }
    );
    let inside = TrialError::InBody {
        node: node("write"),
    };
    assert_eq!(tried(yaml, &only("write")).unwrap_err(), inside);
}

#[test]
fn a_loop_runs_whole_before_what_follows_it_and_a_part_of_it_once() {
    let yaml = "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set }, { id: z, action: data.set }]\nconnections: [a -> b -> c, { from: c, to: a, loop: true }, b -> z]";
    let until = |id: &str| {
        let extent = Extent::Until(node(id));
        let wanted = Trial {
            extent,
            ..Trial::default()
        };
        shown(&tried(yaml, &wanted).unwrap())
    };
    assert_eq!(until("z"), "a b c z | a->b b->c c->a b->z");
    assert_eq!(until("b"), "a b | a->b");
}

#[test]
fn a_dry_run_undoes_nothing() {
    let yaml = r#"nodes:
  - { id: a, action: data.set, compensate: { action: file.write, parameters: { path: x } } }
  - { id: p, action: flow.parallel, body: { nodes: [{ id: b, action: file.write, parameters: { path: x }, compensate: { action: file.write, parameters: { path: y } } }] } }
"#;
    let dry = Trial {
        dry_run: true,
        ..Trial::default()
    };
    let tried = tried(yaml, &dry).unwrap();
    let nodes = &tried.definition.nodes;
    assert!(nodes[0].compensate.is_none());
    assert!(
        nodes[1].body.as_ref().unwrap().nodes[0]
            .compensate
            .is_none()
    );
    let wet = self::tried(yaml, &Trial::default()).unwrap();
    assert!(wet.definition.nodes[0].compensate.is_some());
}

#[test]
fn what_begins_a_milestone_belongs_to_it_and_what_ends_it_does_not() {
    let yaml = r#"
nodes:
  - { id: ordered, action: data.set, parameters: { n: 1 } }
  - { id: shipped, action: flow.wait, parameters: { for: 2d } }
  - { id: in_time, action: flow.milestone, parameters: { reached: ordered, until: shipped } }
  - { id: change, action: data.set, parameters: { n: 2 } }
connections: [ordered -> shipped, in_time -> change]
"#;
    let until = |extent: Extent, dry_run: bool| Trial {
        extent,
        dry_run,
        ..Trial::default()
    };
    let part = tried(yaml, &until(Extent::Until(node("change")), false)).unwrap();
    assert_eq!(shown(&part), "ordered in_time change | in_time->change");
    let written = nebula_workflow::to_json(&part.definition);
    assert_eq!(
        written["nodes"][1]["parameters"],
        json!({ "reached": "ordered" })
    );
    let alone = tried(yaml, &until(Extent::Only(node("in_time")), false)).unwrap_err();
    assert_eq!(
        alone.to_string(),
        "`in_time` needs the results of `ordered`, which have no pin"
    );
    let dry = tried(yaml, &until(Extent::All, true)).unwrap();
    assert_eq!(
        shown(&dry),
        "ordered (shipped) (in_time) change | ordered->shipped in_time->change"
    );
}
