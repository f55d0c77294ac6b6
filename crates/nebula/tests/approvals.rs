//! Approvals and the tokens that let people vote, over models of every port.

mod world;

use std::{sync::Arc, time::Duration};

use nebula::{
    Nebula,
    core::{Clock, ExecutionId},
    engine::{InstallError, OpenApproval, Report, SeatToken, TokenError, Until, Waiting},
    execution::{Ballot, Choice, Fact, ResumeKey, StartOptions, Status},
    ports::{ErrorKind, ExecutionRepo, Signalled},
    workflow::{Source, parse},
};
use serde_json::{Value, json};
use world::{Death, Saved, World, dies_at_each, in_world, states, tenant, with};

/// The example of the page about control flow, so that what it shows is true.
fn example() -> String {
    let page = include_str!("../../../docs/control-flow.md");
    let mut blocks = page.split("```yaml\n").skip(1);
    let block = blocks.find(|block| block.starts_with("id: pay-if-approved\n"));
    block.unwrap().split("```").next().unwrap().to_owned()
}

/// One question to anybody.
const SIGN: &str = r#"
nodes:
  - { id: sign, action: flow.approval, parameters: { title: "Go on?" } }
  - { id: yes, action: test.keyed, parameters: { label: "{{ $json.by[0] }}" } }
  - { id: no, action: data.set, parameters: { why: "{{ $json.comment }}" } }
connections: [sign.approve -> yes, sign.reject -> no]
output: "{{ $nodes.sign.result.decision }}"
"#;

async fn until(nebula: &Nebula, id: ExecutionId, until: Until) -> Report {
    let report = nebula.engine().outcome(&tenant(), id, until, None).await;
    report.unwrap().unwrap()
}

async fn open(nebula: &Nebula, id: ExecutionId) -> Vec<OpenApproval> {
    let open = nebula.engine().approvals(&tenant(), id).await.unwrap();
    open.unwrap()
}

fn ballot(open: &OpenApproval, by: &str, choice: Choice) -> Ballot {
    Ballot {
        instance: open.instance.clone(),
        round: open.approval.round,
        id: format!("{by} {choice:?}"),
        by: by.to_owned(),
        choice,
        comment: Some(format!("{by} says so")),
        seat: None,
        at: None,
    }
}

async fn vote(nebula: &Nebula, ballot: Ballot, id: ExecutionId) -> Signalled {
    nebula.engine().vote(&tenant(), id, ballot).await.unwrap()
}

/// What the journal says of votes, in order.
async fn votes(world: &World, id: ExecutionId) -> Vec<String> {
    let page = world.executions.journal(&tenant(), id, 1, 1_000).await;
    let entries = page.unwrap().entries.into_iter();
    let said = entries.filter_map(|stored| match stored.entry.fact {
        Fact::VoteCast { vote, .. } => Some(format!("{} {:?}", vote.by, vote.choice)),
        Fact::VoteRefused { by, why, .. } => Some(format!("{by} {why:?}")),
        _ => None,
    });
    said.collect()
}

#[test]
fn the_example_asks_again_when_it_is_deferred_and_takes_two_of_three() {
    in_world(async |world| {
        let nebula = world.process();
        let installed = world.install(&nebula, &example()).await;
        let input = json!({ "amount": 12, "to": "dora", "order": 7 });
        let options = StartOptions::default();
        let id = nebula
            .start(&tenant(), &installed, input, options)
            .await
            .unwrap();
        let talk = async {
            let report = world.waits(&nebula, id).await;
            assert_eq!((report.status, report.leased), (Status::Waiting, false));
            let [
                Waiting::Approval {
                    instance,
                    title,
                    artifact,
                    approvers,
                    quorum: 2,
                    due: Some(_),
                    default: Some(Choice::Reject),
                    ..
                },
            ] = &report.waiting[..]
            else {
                panic!("{:?}", report.waiting);
            };
            assert_eq!(
                (instance.as_str(), title.as_deref()),
                ("sign", Some("Pay 12 to dora?"))
            );
            assert_eq!(
                (artifact, approvers.len()),
                (&Some(json!({ "order": 7 })), 3)
            );
            let first = open(&nebula, id).await.remove(0);
            let _ = vote(&nebula, ballot(&first, "ada", Choice::Approve), id).await;
            let _ = vote(&nebula, ballot(&first, "cleo", Choice::Defer), id).await;
            let second = loop {
                world.clock.sleep(Duration::from_secs(3_600)).await;
                if let Some(open) = open(&nebula, id).await.pop() {
                    break open;
                }
            };
            assert_eq!(second.instance.to_string(), "sign#2");
            // What was said before counts no more, and a vote comes once however often it is sent.
            for who in ["eve", "ada", "ada", "bob"] {
                let _ = vote(&nebula, ballot(&second, who, Choice::Approve), id).await;
            }
            until(&nebula, id, Until::Ended).await
        };
        let report = with(&nebula, talk).await;
        assert_eq!(report.output, json!({ "paid": 12, "by": ["ada", "bob"] }));
        let said = [
            "ada Approve",
            "cleo Defer",
            "eve NotAnApprover",
            "ada Approve",
            "bob Approve",
        ];
        assert_eq!(votes(&world, id).await, said);
        let sign = &report.nodes["sign"];
        assert_eq!(
            (&sign[0]["port"], &sign[0]["output"]["by"]),
            (&json!("defer"), &json!(["cleo"]))
        );
        assert_eq!(sign[1]["output"]["comment"], "bob says so");
    });
}

#[test]
fn an_approval_that_nobody_decides_has_its_default_or_is_an_error() {
    in_world(async |world| {
        let before = world.clock.now();
        let input = json!({ "amount": 12, "to": "dora", "order": 7 });
        let report = world.run(&example(), input).await;
        assert_eq!(report.output, json!({ "why": null }));
        let result = &report.nodes["sign"][0]["output"];
        assert_eq!(
            (&result["decision"], &result["expired"]),
            (&json!("reject"), &json!(true))
        );
        assert!(world.clock.now().since(before) >= Duration::from_secs(3 * 86_400));
        let yaml = "nodes: [ { id: s, action: flow.approval, parameters: { expires: 1h }, retry: { max_attempts: 2, initial: 1s } }, { id: late, action: data.set, parameters: { code: '{{ $json.code }}' } } ]\nconnections: [ s.error -> late ]";
        let before = world.clock.now();
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.output, json!({ "code": "APPROVAL_EXPIRED" }));
        // It was asked twice, each time for an hour.
        assert!(world.clock.now().since(before) >= Duration::from_secs(7_200));
    });
}

#[test]
fn a_token_casts_one_vote_for_whom_it_is_and_only_its_hash_is_stored() {
    in_world(async |world| {
        let yaml = "nodes: [ { id: sign, action: flow.approval, parameters: { approvers: [ada, bob], quorum: 2, expires: 1d } } ]";
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        let talk = async {
            world.waits(&nebula, id).await;
            let engine = nebula.engine();
            let tokens = async || engine.resume_tokens(&tenant(), id).await.unwrap();
            let [ada, bob]: [SeatToken; 2] = tokens().await.try_into().unwrap();
            assert_eq!(
                (ada.seat.who.as_deref(), bob.seat.who.as_deref()),
                (Some("ada"), Some("bob"))
            );
            // They can be had again, and another installation makes others.
            assert_eq!(tokens().await[0], ada);
            let place = (0, 0);
            let other = ResumeKey::new([8; 32]).token(&tenant(), id, &ada.instance, place);
            let wrong = engine.redeem(&tenant(), &other).await.unwrap_err();
            assert!(matches!(wrong, TokenError::Invalid), "{wrong}");

            let redeemed = engine.redeem(&tenant(), &ada.token).await.unwrap();
            assert_eq!((redeemed.open.execution, &redeemed.seat), (id, &ada.seat));
            let by_token = Ballot {
                seat: Some(ada.seat.number),
                ..ballot(&redeemed.open, "ada", Choice::Approve)
            };
            let sent = vote(&nebula, by_token.clone(), id).await;
            assert_eq!(sent, Signalled::Delivered { seq: 1 });
            assert_eq!(
                vote(&nebula, by_token, id).await,
                Signalled::Duplicate { seq: 1 }
            );
            while world.waits(&nebula, id).await.status == Status::Waiting
                && open(&nebula, id).await[0].approval.votes.is_empty()
            {
                world.clock.sleep(Duration::from_secs(1)).await;
            }
            let used = engine.redeem(&tenant(), &ada.token).await.unwrap_err();
            assert!(matches!(used, TokenError::Invalid), "{used}");
            assert!(engine.redeem(&tenant(), &bob.token).await.is_ok());
            let report = until(&nebula, id, Until::Ended).await;
            assert_eq!(report.error.unwrap().code, "APPROVAL_EXPIRED");
            let late = engine.redeem(&tenant(), &bob.token).await.unwrap_err();
            assert!(matches!(late, TokenError::Invalid), "{late}");
            [ada.token.reveal(), bob.token.reveal()]
        };
        let tokens = with(&nebula, talk).await;
        let page = world
            .executions
            .journal(&tenant(), id, 1, 1_000)
            .await
            .unwrap();
        let journal = format!("{page:?}");
        for token in tokens {
            assert!(!journal.contains(&token));
        }
    });
}

#[test]
fn an_engine_without_a_key_asks_and_has_no_tokens() {
    in_world(async |world| {
        let nebula = world
            .builder()
            .clock(Arc::new(world.clock.clone()))
            .build()
            .unwrap();
        let id = world
            .begin(&nebula, "nodes: [ { id: s, action: flow.approval } ]")
            .await;
        let talk = async {
            world.waits(&nebula, id).await;
            let none = nebula
                .engine()
                .resume_tokens(&tenant(), id)
                .await
                .unwrap_err();
            assert!(matches!(none, TokenError::NoKey), "{none}");
            let open = open(&nebula, id).await.remove(0);
            let nobody = Ballot {
                by: " ".to_owned(),
                ..ballot(&open, "", Choice::Approve)
            };
            let refused = nebula
                .engine()
                .vote(&tenant(), id, nobody)
                .await
                .unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Invalid);
            let _ = vote(&nebula, ballot(&open, "ada", Choice::Reject), id).await;
            until(&nebula, id, Until::Ended).await
        };
        let report = with(&nebula, talk).await;
        assert_eq!(report.output["decision"], "reject");
    });
}

#[test]
fn each_run_of_a_body_asks_for_itself() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - id: each
    action: flow.for_each
    parameters: { items: [a, b, c] }
    body:
      nodes:
        - { id: sign, action: flow.approval, parameters: { title: "{{ $item }}" } }
        - { id: done, action: data.set, join: any, parameters: { item: "{{ $item }}", said: "{{ $nodes.sign.result.decision }}" } }
      connections: [sign.approve -> done, sign.reject -> done]
output: "{{ $nodes.each.result.map(r => r.item + ' ' + r.said) }}"
"#;
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        let talk = async {
            world.waits(&nebula, id).await;
            let open = open(&nebula, id).await;
            let names: Vec<_> = open.iter().map(|it| it.instance.to_string()).collect();
            assert_eq!(names, ["each[0]/sign", "each[1]/sign", "each[2]/sign"]);
            for (open, choice) in open
                .iter()
                .zip([Choice::Reject, Choice::Approve, Choice::Reject])
            {
                let _ = vote(&nebula, ballot(open, "ada", choice), id).await;
            }
            until(&nebula, id, Until::Ended).await
        };
        let report = with(&nebula, talk).await;
        assert_eq!(report.output, json!(["a reject", "b approve", "c reject"]));
    });
}

#[test]
fn a_vote_that_came_in_time_counts_however_late_it_is_read() {
    in_world(async |world| {
        let yaml = "nodes: [ { id: sign, action: flow.approval, parameters: { expires: 1h, default: reject } } ]\noutput: '{{ $nodes.sign.result.by }}'";
        let run = async |wait: u64| {
            let first = world.process();
            let id = world.begin(&first, yaml).await;
            with(&first, world.waits(&first, id)).await;
            // Nobody drives it now.
            world.clock.advance(Duration::from_secs(wait));
            let asked = open(&first, id).await.remove(0);
            let _ = vote(&first, ballot(&asked, "ada", Choice::Approve), id).await;
            world.clock.advance(Duration::from_secs(7_200));
            let second = world.process();
            with(&second, until(&second, id, Until::Ended)).await.output
        };
        assert_eq!(run(60).await, json!(["ada"]));
        assert_eq!(run(3_601).await, json!([]));
    });
}

#[test]
fn a_vote_counts_once_whatever_dies_when() {
    let saved = Saved::new(&[SIGN]);
    let live = |death: Death| {
        saved.in_world(async |world| {
            let act = async |nebula: &Nebula| {
                let input = Value::Null;
                let id = world.taken_up(nebula, &saved.installed, input).await;
                let decide = async {
                    world.waits(nebula, id).await;
                    if let Some(open) = open(nebula, id).await.pop() {
                        let _ = vote(nebula, ballot(&open, "ada", Choice::Approve), id).await;
                    }
                    until(nebula, id, Until::Ended).await
                };
                with(nebula, decide).await
            };
            let (report, calls) = world.through(death, act).await;
            let mut keys = world.ledger.keys("ada");
            keys.dedup();
            let ended = format!("{} {}", report.output, states(&report));
            let said = votes(&world, report.execution).await;
            ((ended, keys.len(), said), calls)
        })
    };
    let ended = r#""approve" sign:succeeded yes:succeeded no:skipped"#;
    let said = vec!["ada Approve".to_owned()];
    dies_at_each(1, &(ended.to_owned(), 1, said), live);
}

#[test]
fn what_could_never_be_decided_is_refused_before_anything_runs() {
    in_world(async |world| {
        let nebula = world.process();
        let refused = async |parameters: &str| {
            let yaml =
                format!("nodes: [ {{ id: s, action: flow.approval, parameters: {parameters} }} ]");
            let definition = parse(&Source::new("flow.yaml", &yaml)).definition.unwrap();
            match nebula.engine().install(&tenant(), &definition).await {
                Ok(_) => None,
                Err(InstallError::Diagnostics(problems)) => {
                    Some(format!("{} {}", problems[0].code, problems[0].pointer))
                }
                Err(other) => panic!("{other:?}"),
            }
        };
        for parameters in [
            "{}",
            "{ approvers: [ada, bob], quorum: 2, title: '{{ $input.t }}', expires: 1h, default: defer }",
            "{ approvers: '{{ $input.who }}', quorum: 2 }",
        ] {
            assert_eq!(refused(parameters).await, None, "{parameters}");
        }
        for (parameters, place) in [
            ("{ approvers: [ada], quorum: 2 }", "/quorum"),
            (
                "{ approvers: [ada, bob], quorum: 2, rejections: 2, title: '{{ $input.t }}' }",
                "/rejections",
            ),
            ("{ approvers: [ada, ada] }", "/approvers"),
            ("{ quorum: 0 }", "/quorum"),
            ("{ expires: soon }", "/expires"),
            ("{ expires: 1h, default: maybe }", "/default"),
            ("{ qorum: 2 }", "/qorum"),
        ] {
            let expected = format!("PLAN_PARAMETER /nodes/0/parameters{place}");
            assert_eq!(refused(parameters).await, Some(expected), "{parameters}");
        }
        // Where that is known only at run time, the node fails.
        let yaml = "nodes: [ { id: s, action: flow.approval, parameters: { approvers: '{{ [1, 2].map(n => \"ada\") }}' } } ]";
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.error.unwrap().code, "PARAMETER_INVALID");
    });
}
