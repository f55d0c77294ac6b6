//! What was written once is read for ever; what is damaged is an error, never a panic.

mod rig;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use nebula_action::{ActionError, Capability, ErrorClass, Grants};
use nebula_core::{BlobId, Digest, ExecutionId, NodeId, Priority, TenantId, Timestamp};
use nebula_execution::{
    Again, Choice, CodecError, CompensationInput, EndReason, Entry, ExecutionPlan, Fact, Failure,
    Generation, Given, ItemOutcome, JOURNAL_FORMAT, MAX_VALUE_DEPTH, Machine, NamedSignal,
    ParkReason, PlanCall, PlanError, PlanRateLimit, Question, Refusal, Repeats, Signal,
    SignalError, SlotScope, SlotWanted, SnapshotError, Started, Status, Stored, StoredEntry, Taken,
    UnparkDecision, Vote, WhenLost, decode, encode, is_storable, nests_within,
};
use proptest::prelude::*;
use rig::{execution, id};
use serde_json::{Value, json};

const JOURNAL_V1: &str = include_str!("fixtures/journal-v1.json");
const JOURNAL_V2: &str = include_str!("fixtures/journal-v2.json");
const JOURNAL_V3: &str = include_str!("fixtures/journal-v3.json");
const JOURNAL_V4: &str = include_str!("fixtures/journal-v4.json");
const PLAN_V1: &[u8] = include_bytes!("fixtures/plan-v1.json");
const SNAPSHOT_V3: &[u8] = include_bytes!("fixtures/snapshot-v3.json");
const SNAPSHOT_V2: &[u8] = include_bytes!("fixtures/snapshot-v2.json");
const SNAPSHOT_V4: &[u8] = include_bytes!("fixtures/snapshot-v4.json");
const SNAPSHOT_V5: &[u8] = include_bytes!("fixtures/snapshot-v5.json");
const SNAPSHOT_V5_CALLS: &[u8] = include_bytes!("fixtures/snapshot-v5-calls.json");
const SNAPSHOT_V5_DRAINED: &[u8] = include_bytes!("fixtures/snapshot-v5-drained.json");
const SNAPSHOT_V5_MILESTONE: &[u8] = include_bytes!("fixtures/snapshot-v5-milestone.json");
const SNAPSHOT_V5_SLOTS: &[u8] = include_bytes!("fixtures/snapshot-v5-slots.json");
const SNAPSHOT_V5_UNDO: &[u8] = include_bytes!("fixtures/snapshot-v5-undo.json");
const SNAPSHOT_V5_BODIES: &[u8] = include_bytes!("fixtures/snapshot-v5-bodies.json");
const SNAPSHOT_V6: &[u8] = include_bytes!("fixtures/snapshot-v6.json");
const SNAPSHOT_V7: &[u8] = include_bytes!("fixtures/snapshot-v7.json");
const SNAPSHOT_V8: &[u8] = include_bytes!("fixtures/snapshot-v8.json");
const SNAPSHOT_V1: &[u8] = include_bytes!("fixtures/snapshot-v1.json");

/// The entries of the fixture: every fact, with its optional fields and without them.
fn entries() -> Vec<Entry> {
    let at = Timestamp::from_millis;
    let error = |class| ActionError::new("FILE_BUSY", "somebody else has it", class);
    let later = Some(Duration::from_millis(1_500));
    let one: Arc<Value> = Arc::new(json!({ "total": 0.1, "big": 9_007_199_254_740_993_u64 }));
    let null: Arc<Value> = Arc::new(Value::Null);
    let started = |full: bool| {
        Fact::ExecutionStarted(Box::new(Started {
            workflow: "order-intake".parse().unwrap(),
            version: 3,
            plan: Digest::of(b"plan"),
            input: Arc::new(json!({ "customer": "ada" })),
            input_blob: None,
            trigger_blob: None,
            vars: if full {
                json!({ "region": "eu" })
            } else {
                Value::Null
            },
            trigger: if full {
                json!({ "kind": "cron" })
            } else {
                Value::Null
            },
            origin: full.then(|| ExecutionId::from_bytes([9; 16])),
            grants: if full {
                Grants::new([Capability::Blob])
            } else {
                Grants::default()
            },
            folder: full.then(|| PathBuf::from("/srv/orders")),
            parent: None,
            repeats: None,
            trial: None,
            priority: Priority::Normal,
            labels: nebula_core::Labels::default(),
            trace: None,
            blobs: Vec::new(),
            part: None,
        }))
    };
    let only: Taken = Taken::Only(vec!["report".into(), "merge:left".into()]);
    let named = |payload| NamedSignal::new("paid", "order-7", payload).unwrap();
    let facts = vec![
        started(true),
        started(false),
        Fact::AttemptStarted {
            instance: id("pay#2[4]"),
            attempt: 2,
            key: "00112233445566778899aabbccddeeff".to_owned(),
            input: Digest::of(b"input"),
            deadline: at(1_773_480_423_589),
        },
        Fact::AttemptSucceeded {
            instance: id("fetch"),
            attempt: 1,
            output: one.clone(),
            port: "main".into(),
            lineage: None,
            taken: Taken::All,
            micros: 41,
        },
        Fact::AttemptSucceeded {
            instance: id("split#2"),
            attempt: 3,
            output: null.clone(),
            port: "high".into(),
            lineage: Some(vec![2, 0]),
            taken: only.clone(),
            micros: 0,
        },
        Fact::AttemptFailed {
            instance: id("pay"),
            attempt: 1,
            error: error(ErrorClass::Retryable { after: later }),
            retry_at: Some(at(1_773_480_415_089)),
            counts: false,
            taken: Taken::Only(Vec::new()),
        },
        Fact::AttemptFailed {
            instance: id("pay"),
            attempt: 2,
            error: error(ErrorClass::Denied {
                capability: "fs:write:/etc".to_owned(),
            }),
            retry_at: None,
            counts: true,
            taken: Taken::All,
        },
        Fact::AttemptIndeterminate {
            instance: id("pay[0]"),
            attempt: 1,
            error: error(ErrorClass::Unknown),
        },
        Fact::InstanceSkipped {
            instance: id("alarm"),
        },
        Fact::ItemsOpened {
            instance: id("price"),
            count: 3,
            more: None,
        },
        Fact::ItemsSettled {
            instance: id("price"),
            from: 1,
            outcomes: vec![
                ItemOutcome::Ok(one.clone()),
                ItemOutcome::Error(error(ErrorClass::Fatal)),
            ],
        },
        Fact::ItemsCompleted {
            instance: id("price"),
            taken: only.clone(),
        },
        Fact::TimerSet {
            instance: id("pause"),
            due: at(1_773_480_500_000),
        },
        Fact::TimerFired {
            instance: id("pause"),
            taken: Taken::All,
        },
        Fact::CancellationRequested {
            reason: EndReason::Requested("enough".to_owned()),
        },
        Fact::CancellationRequested {
            reason: EndReason::Timeout,
        },
        Fact::StopRequested {
            instance: id("done"),
            output: null.clone(),
        },
        Fact::Parked {
            reason: ParkReason::Indeterminate(vec![id("pay"), id("pay#2[4]")]),
        },
        Fact::Parked {
            reason: ParkReason::Poison { grants: 5 },
        },
        Fact::Unparked {
            instance: Some(id("pay")),
            decision: UnparkDecision::Succeeded(one.clone()),
            taken: only.clone(),
        },
        Fact::Unparked {
            instance: Some(id("pay")),
            decision: UnparkDecision::Failed,
            taken: Taken::All,
        },
        Fact::Unparked {
            instance: None,
            decision: UnparkDecision::Retry,
            taken: Taken::All,
        },
        Fact::ExecutionCompleted {
            output: one.clone(),
        },
        Fact::ExecutionFailed {
            error: Failure {
                error: error(ErrorClass::LimitExceeded),
                node: Some("pay".parse().unwrap()),
            },
        },
        Fact::ExecutionFailed {
            error: Failure {
                error: error(ErrorClass::Cancelled),
                node: None,
            },
        },
        Fact::ExecutionCancelled {
            reason: "enough".to_owned(),
        },
        Fact::ExecutionTimedOut,
        Fact::PauseRequested {
            reason: "an audit".to_owned(),
        },
        Fact::Resumed,
        Fact::SignalAwaited {
            instance: id("paid"),
            name: "paid".into(),
            due: Some(at(1_773_480_500_000)),
        },
        Fact::SignalAwaited {
            instance: id("paid"),
            name: "paid".into(),
            due: None,
        },
        Fact::SignalReceived(named(one)),
        Fact::SignalRefused {
            name: "paid".into(),
            id: "order-8".to_owned(),
        },
        Fact::SignalTaken {
            instance: id("paid"),
            id: "order-7".to_owned(),
            taken: only.clone(),
        },
        Fact::SignalSent {
            instance: id("tell"),
            to: ExecutionId::from_bytes([9; 16]),
            signal: named(null),
            taken: Taken::All,
        },
        Fact::RoundsOpened {
            instance: id("again"),
        },
        Fact::BodyOpened {
            instance: id("again[0]"),
            json: Arc::new(json!({ "n": 1 })),
            blob: None,
            passed: false,
            due: None,
        },
        Fact::BodyOpened {
            instance: id("again[0]/first#2"),
            json: Arc::new(json!(null)),
            blob: None,
            passed: false,
            due: Some(at(1_773_480_500_000)),
        },
        Fact::BodyTimedOut {
            instance: id("first"),
        },
        Fact::HandlerCalled {
            instance: id("attempt"),
            node: NodeId::new("mend").unwrap(),
        },
        Fact::BodyClosed {
            instance: id("again[0]"),
        },
        Fact::BodyCompleted {
            instance: id("again"),
            taken: Taken::All,
        },
        Fact::SignalReceived(named(Arc::default()).transient()),
        Fact::SignalMissed {
            name: "paid".into(),
            id: "order-9".to_owned(),
        },
        Fact::EventEmitted {
            instance: id("tell"),
            name: "shipped".into(),
            payload: Arc::new(json!({ "order": 7 })),
            taken: Taken::All,
        },
        Fact::ApprovalAsked {
            instance: id("sign"),
            question: Box::new(Question {
                title: Some("Pay?".to_owned()),
                artifact: Some(Arc::new(json!({ "order": 7 }))),
                approvers: vec!["ada".to_owned(), "bob".to_owned()],
                quorum: 2,
                rejections: 1,
                due: Some(at(1_773_480_500_000)),
                default: Some(Choice::Reject),
                leaves_deferred: true,
            }),
        },
        Fact::ApprovalAsked {
            instance: id("each[1]/sign"),
            question: Box::new(Question {
                title: None,
                artifact: None,
                approvers: Vec::new(),
                quorum: 1,
                rejections: 1,
                due: None,
                default: None,
                leaves_deferred: false,
            }),
        },
        Fact::VoteCast {
            instance: id("sign"),
            id: "7".to_owned(),
            vote: Vote {
                by: "ada".to_owned(),
                choice: Choice::Approve,
                comment: Some("as agreed".to_owned()),
                seat: Some(0),
                at: at(1_773_480_420_000),
            },
        },
        Fact::VoteCast {
            instance: id("sign"),
            id: "8".to_owned(),
            vote: Vote {
                by: "bob".to_owned(),
                choice: Choice::Defer,
                comment: None,
                seat: None,
                at: at(1_773_480_420_001),
            },
        },
        Fact::VoteRefused {
            instance: id("sign"),
            id: "9".to_owned(),
            by: "eve".to_owned(),
            why: Refusal::NotAnApprover,
        },
        Fact::NodesCancelled {
            instance: id("enough"),
            nodes: ["remind", "bill"]
                .map(|id| NodeId::new(id).unwrap())
                .to_vec(),
            taken: Taken::All,
        },
        Fact::NodesCancelled {
            instance: id("enough#2"),
            nodes: vec![NodeId::new("remind").unwrap()],
            taken: Taken::Only(vec!["z".into()]),
        },
        Fact::InstanceCancelled {
            instance: id("remind"),
        },
        Fact::QuitRequested {
            instance: id("enough"),
            reason: "enough".to_owned(),
        },
        Fact::Migrated {
            version: 4,
            plan: Digest::of(b"plan"),
        },
        Fact::ItemsOpened {
            instance: id("votes"),
            count: 0,
            more: Some("vote".into()),
        },
        Fact::ItemsAdded {
            instance: id("votes"),
            id: "order-8".to_owned(),
            count: 2,
            last: true,
        },
        Fact::ItemsEnough {
            instance: id("votes"),
            error: None,
        },
        Fact::ItemsEnough {
            instance: id("votes#2"),
            error: Some(error(ErrorClass::Fatal)),
        },
        Fact::ItemsAbsorbed {
            instance: id("votes"),
        },
        Fact::CompensationRegistered {
            instance: id("pay"),
            input: CompensationInput::Parameters(Arc::new(json!({ "charge": 7 }))),
        },
        Fact::CompensationRegistered {
            instance: id("orders[3]/book"),
            input: CompensationInput::Error(error(ErrorClass::Fatal)),
        },
        Fact::CompensationStarted {
            instance: id("pay"),
            attempt: 1,
            key: "ffeeddccbbaa99887766554433221100".to_owned(),
            input: Digest::of(b"undo"),
            deadline: at(1_773_480_423_589),
        },
        Fact::CompensationFailed {
            instance: id("pay"),
            attempt: 1,
            error: error(ErrorClass::Timeout),
            retry_at: Some(at(1_773_480_500_000)),
            counts: false,
        },
        Fact::CompensationFailed {
            instance: id("pay"),
            attempt: 2,
            error: error(ErrorClass::Fatal),
            retry_at: None,
            counts: true,
        },
        Fact::CompensationSucceeded {
            instance: id("pay"),
            attempt: 3,
            output: Arc::new(json!({ "refund": 9 })),
            micros: 41,
        },
        Fact::Parked {
            reason: ParkReason::Compensation(vec![id("orders[3]/book")]),
        },
        Fact::SlotClaimed {
            instance: id("till"),
            wanted: SlotWanted {
                key: "mutex/till".into(),
                permits: 1,
                scope: SlotScope::Tenant,
                wait: Duration::from_hours(1),
                timeout: None,
                when_lost: WhenLost::Wait,
            },
        },
        Fact::SlotClaimed {
            instance: id("orders[2]/db"),
            wanted: SlotWanted {
                key: "semaphore/db".into(),
                permits: 3,
                scope: SlotScope::Execution,
                wait: Duration::from_secs(10),
                timeout: Some(Duration::from_mins(1)),
                when_lost: WhenLost::Fail,
            },
        },
        Fact::SlotGranted {
            instance: id("till"),
        },
        Fact::SlotLost {
            instance: id("till"),
        },
        Fact::SlotGivenUp {
            instance: id("till"),
            error: error(ErrorClass::Timeout),
        },
        Fact::MilestoneAwaited {
            instance: id("orders[2]/late"),
            reached: NodeId::new("ordered").unwrap(),
        },
        Fact::JsonPassed {
            instance: id("route"),
            attempt: 1,
            port: "high".into(),
            taken: only,
        },
        Fact::JsonPassed {
            instance: id("archive"),
            attempt: 2,
            port: "main".into(),
            taken: Taken::All,
        },
        Fact::Spilled {
            kind: "attempt_succeeded".into(),
            blob: BlobId::of(b"large"),
        },
        Fact::AttemptSpilled {
            instance: id("fetch"),
            attempt: 2,
            blob: BlobId::of(b"large"),
            port: "main".into(),
            lineage: Some(vec![1, 0]),
            taken: Taken::All,
            micros: 7,
        },
        Fact::BlobsPut {
            instance: id("fetch"),
            attempt: 2,
            blobs: vec![BlobId::of(b"large"), BlobId::of(b"")],
        },
        Fact::PartStarted {
            instance: id("price"),
            from: 1_024,
            count: 512,
            child: ExecutionId::from_bytes([11; 16]),
        },
        Fact::PartEnded {
            instance: id("price"),
            from: 1_024,
            child: ExecutionId::from_bytes([11; 16]),
            status: Status::Completed,
        },
    ];
    let time = |seq: i64| at(1_773_480_413_589 + seq);
    (0..)
        .zip(facts)
        .map(|(seq, fact)| Entry {
            at: time(seq),
            fact,
        })
        .collect()
}

/// Batches that need version 2: each begins an execution which goes over another one again.
fn repetitions() -> Vec<Vec<Entry>> {
    let first = entries().swap_remove(0);
    let Fact::ExecutionStarted(started) = first.fact else {
        panic!("a journal begins with the start");
    };
    let generation = |number| Generation {
        number,
        since: ExecutionId::from_bytes([number as u8; 16]),
        at: Timestamp::from_millis(1_773_480_413_000),
    };
    let hows = [
        (Again::Retry, None, vec![("pay", 2)]),
        (Again::Restart { from: None }, Some(3), vec![]),
        (
            Again::Restart {
                from: Some("fetch".parse().unwrap()),
            },
            None,
            vec![("fetch", 1), ("pay", 2)],
        ),
    ];
    hows.map(|(how, all, nodes)| {
        let nodes = nodes.into_iter();
        let repeats = Repeats {
            of: ExecutionId::from_bytes([8; 16]),
            how,
            copied: 1,
            began: Timestamp::from_millis(1_773_480_000_000),
            all: all.map(generation),
            nodes: nodes
                .map(|(node, number)| (node.parse().unwrap(), generation(number)))
                .collect(),
            undone: Vec::new(),
            children: Vec::new(),
        };
        let mut started = started.clone();
        started.repeats = Some(repeats);
        let fact = Fact::ExecutionStarted(started);
        vec![Entry { at: first.at, fact }, entries().swap_remove(3)]
    })
    .into()
}

/// A fixture as a store keeps it: the version, then the array without the white space.
fn stored(version: u8, entries: &Value) -> Vec<u8> {
    let mut bytes = vec![version];
    bytes.extend(serde_json::to_vec(entries).unwrap());
    bytes
}

#[test]
fn the_journal_of_version_1_is_read_for_ever() {
    let fixture: Value = serde_json::from_str(JOURNAL_V1).unwrap();
    assert_eq!(decode(&stored(1, &fixture)).unwrap(), entries());
    assert_eq!(encode(&entries()), stored(1, &fixture));
}

/// Guards: each place in which a value may lie in a blob raises the version by itself.
#[test]
fn journals_with_values_in_blobs_everywhere_have_version_4_for_ever() {
    assert_eq!(
        JOURNAL_FORMAT, 4,
        "a new version needs a fixture of its own beside this one"
    );
    let blob = BlobId::of(b"large");
    let stored_blob = || Arc::new(Stored::new(blob));
    let Fact::ExecutionStarted(started) = entries().swap_remove(0).fact else {
        panic!("a journal begins with the start");
    };
    let spilled = |on: &str| Fact::AttemptSpilled {
        instance: id(on),
        attempt: 1,
        blob,
        port: "main".into(),
        lineage: None,
        taken: Taken::All,
        micros: 7,
    };
    let opened = |blob, passed| Fact::BodyOpened {
        instance: id("again[1]"),
        json: Arc::default(),
        blob,
        passed,
        due: None,
    };
    let facts = [
        Fact::ExecutionStarted(Box::new(started.on_blob(blob).triggered_by_blob(blob))),
        spilled("price[3]"),
        spilled("again[0]/first"),
        opened(Some(stored_blob()), false),
        opened(None, true),
        Fact::ChildEnded {
            instance: id("call"),
            child: execution(),
            status: Status::Completed,
            output: None,
            blob: Some(stored_blob()),
            taken: Taken::All,
        },
        Fact::ItemsSettled {
            instance: id("price"),
            from: 4,
            outcomes: vec![
                ItemOutcome::Apart(Given::Blob(stored_blob())),
                ItemOutcome::Ok(Arc::new(json!(1))),
            ],
        },
    ];
    let fixture: Vec<Value> = serde_json::from_str(JOURNAL_V4).unwrap();
    assert_eq!(fixture.len(), facts.len());
    for (fixture, fact) in fixture.iter().zip(facts) {
        let at = Timestamp::from_millis(1_773_480_413_589);
        let entries = vec![Entry { at, fact }];
        assert_eq!(
            encode(&entries),
            stored(4, fixture),
            "{}",
            text_of(&entries)
        );
        assert_eq!(decode(&stored(4, fixture)).unwrap(), entries);
    }
}

/// What a fixture would be.
fn text_of(entries: &[Entry]) -> String {
    serde_json::to_string_pretty(entries).unwrap()
}

#[test]
fn this_build_writes_values_in_blobs_everywhere_into_snapshots_of_version_8() {
    let plan = rig::plan("l, m, e; l loop { a }; m both { b, c }; e each { d }");
    let mut lived = rig::Rig::new(plan.clone());
    for step in [
        "begin",
        "l rounds",
        "l[0] with x",
        "l[0]/a ok-spilled",
        "m in",
        "m/b ok-spilled",
        "m/c ok",
        "e open 2",
        "e[0] with y",
        "e[0]/d ok-spilled",
    ] {
        rig::script::take(&mut lived, step);
    }
    let written: Value = serde_json::from_slice(&lived.machine.snapshot()).unwrap();
    let fixture: Value = serde_json::from_slice(SNAPSHOT_V8).unwrap();
    assert_eq!(written, fixture, "{written:#}");
    let read = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V8).unwrap();
    assert_eq!(read.state(), lived.machine.state());
    assert_eq!(read.state().stored().len(), 3);
}

#[test]
fn journals_whose_input_lies_in_a_blob_have_version_3_for_ever() {
    let spilled = |mut first: Entry| {
        let Fact::ExecutionStarted(started) = first.fact else {
            panic!("a journal begins with the start");
        };
        first.fact = Fact::ExecutionStarted(Box::new(started.on_blob(BlobId::of(b"large"))));
        vec![first]
    };
    // Also where it goes over another execution again, and without anything that may be absent.
    let batches = [
        spilled(repetitions().swap_remove(0).swap_remove(0)),
        spilled(entries().swap_remove(1)),
    ];
    let fixture: Vec<Value> = serde_json::from_str(JOURNAL_V3).unwrap();
    assert_eq!(fixture.len(), batches.len());
    for (fixture, entries) in fixture.iter().zip(batches) {
        assert_eq!(decode(&stored(3, fixture)).unwrap(), entries);
        assert_eq!(encode(&entries), stored(3, fixture));
    }
}

#[test]
fn journals_that_repeat_an_execution_have_version_2_for_ever() {
    let fixture: Vec<Value> = serde_json::from_str(JOURNAL_V2).unwrap();
    assert_eq!(fixture.len(), repetitions().len());
    for (fixture, entries) in fixture.iter().zip(repetitions()) {
        assert_eq!(decode(&stored(2, fixture)).unwrap(), entries);
        assert_eq!(encode(&entries), stored(2, fixture));
    }
}

#[test]
fn the_fixture_holds_every_fact() {
    let written: Vec<Value> = serde_json::from_str(JOURNAL_V1).unwrap();
    let names: BTreeSet<String> = written
        .iter()
        .map(|entry| match &entry["f"] {
            Value::String(name) => name.clone(),
            fact => fact.as_object().unwrap().keys().next().unwrap().clone(),
        })
        .collect();
    // `Fact` cannot list its variants; whoever adds one raises this number and the fixture.
    assert_eq!(names.len(), 59, "{names:?}");
}

#[test]
fn a_stored_plan_of_version_1_is_read_for_ever() {
    let plan = ExecutionPlan::decode(PLAN_V1).unwrap();
    let ids: Vec<_> = plan.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["fetch", "price", "report"]);
    assert_eq!(
        plan.nodes[1].for_each.as_ref().unwrap().source(),
        "$nodes.fetch.result.items"
    );
    assert_eq!(
        plan.connections[0].condition.as_ref().unwrap().source(),
        "$json.ok"
    );
    assert_eq!(plan.timeout, Some(Duration::from_secs(3600)));
    let written: Value = serde_json::from_slice(&plan.encode().0).unwrap();
    assert_eq!(written, serde_json::from_slice::<Value>(PLAN_V1).unwrap());
}

#[test]
fn a_node_that_is_pinned_to_null_stays_pinned() {
    let mut node = rig::node("a");
    node.pin = Some(Value::Null);
    let plan = ExecutionPlan::new(rig::plan_of(vec![node], Vec::new())).unwrap();
    assert_eq!(ExecutionPlan::decode(&plan.encode().0).unwrap(), plan);
}

#[test]
fn a_plan_has_the_version_that_its_readers_must_know() {
    let format = |text: &str| rig::plan(text).format;
    assert_eq!((format("a -> b"), format("p; p both { a }")), (1, 2));
    for text in [
        "a -> b; a: emit",
        "a; a: approval",
        "k, a; k: cancel",
        "a -> b; b: first-of 1",
        "p; p both { m }; m mutex { a }",
    ] {
        assert_eq!(format(text), 3);
    }
    for text in ["p; p both { a }", "a -> b; a: emit"] {
        let plan = rig::plan(text);
        assert_eq!(ExecutionPlan::decode(&plan.encode().0).unwrap(), *plan);
    }
    assert_eq!(
        (format("a; a: items"), format("a; a: items, weighs")),
        (1, 3)
    );
    assert_eq!(format("a; a: items, distribute"), 5);
    assert_eq!(format("a -> b; a: undo write"), 3);
    let undone = rig::plan("a -> b; a: undo once, undoasks");
    assert_eq!(ExecutionPlan::decode(&undone.encode().0).unwrap(), *undone);
    assert_eq!(format("t; t try { a }; t: unwinds"), 3);
    let mut parts = rig::plan_of(vec![rig::node("a")], Vec::new());
    parts.rate_limit = Some(PlanRateLimit {
        limit: 1,
        per: Duration::from_secs(60),
        burst: 1,
        key: None,
        queue: 0,
    });
    let rated = ExecutionPlan::new(parts.clone()).unwrap();
    assert_eq!(rated.format, 3);
    assert_eq!(ExecutionPlan::decode(&rated.encode().0).unwrap(), rated);
    parts.rate_limit = None;
    parts.calls = vec![PlanCall {
        node: 0,
        workflow: "callee".parse().unwrap(),
        callee: None,
    }];
    parts.nodes[0].kind = nebula_action::ActionKind::Control(nebula_action::ControlKind::Call);
    assert_eq!(ExecutionPlan::new(parts.clone()).unwrap().format, 3);
    parts.calls[0].node = 1;
    assert!(ExecutionPlan::new(parts).is_err());
}

#[test]
fn a_snapshot_of_version_1_is_read_for_ever() {
    let plan = Arc::new(ExecutionPlan::decode(PLAN_V1).unwrap());
    let machine = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V1).unwrap();
    let state = machine.state();
    assert_eq!(
        state.activations(0)[0].output.as_deref(),
        Some(&json!({ "ok": true, "items": [1, 2] }))
    );
    let items = state.activations(1)[0].items.as_ref().unwrap();
    assert_eq!(
        (items.count, items.settled, items.open[&1].attempts),
        (2, 1, 1)
    );
}

#[test]
fn a_snapshot_of_version_2_is_read_for_ever() {
    let plan = Arc::new(ExecutionPlan::decode(PLAN_V1).unwrap());
    let machine = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V2).unwrap();
    assert!(machine.state().is_paused());
    assert_eq!(machine.state().signal("paid").unwrap().id, "order-7");
}

#[test]
fn a_snapshot_of_version_3_is_read_for_ever() {
    let plan = Arc::new(ExecutionPlan::decode(PLAN_V1).unwrap());
    let machine = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V3).unwrap();
    let repeats = machine.state().started().unwrap().repeats.clone();
    assert_eq!(repeats.unwrap().generation(&id("price")).unwrap().number, 1);
}

#[test]
fn this_build_writes_snapshots_of_version_5() {
    let plan = rig::plan("a -> p -> z; p both { b -> e }; e each { c }");
    let machine =
        Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V5_BODIES).unwrap();
    let written: Value = serde_json::from_slice(&machine.snapshot()).unwrap();
    let fixture: Value = serde_json::from_slice(SNAPSHOT_V5_BODIES).unwrap();
    assert_eq!(written, fixture);
}

#[test]
fn a_snapshot_of_version_4_is_read_for_ever() {
    let plan = rig::plan("a -> p -> z; p both { b -> e }; e each { c }");
    let machine = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V4).unwrap();
    let mut open = machine.state().all().filter(|(_, it)| !it.has_ended());
    assert!(open.all(|(_, it)| !it.given_up));
}

#[test]
fn a_snapshot_of_version_5_has_what_is_open() {
    let plan = rig::plan("a -> p -> z; p both { b -> e }; e each { c }");
    let machine =
        Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V5_BODIES).unwrap();
    let (state, plan) = (machine.state(), machine.plan());
    let open = state.all().filter(|(_, it)| !it.has_ended());
    let ids: Vec<_> = open
        .map(|(at, _)| state.instance(plan, at.whole()).to_string())
        .collect();
    assert_eq!(ids, ["p", "p/e", "p/e[0]/c", "p/e[1]/c"]);
    let same = Machine::restore(
        plan.clone(),
        TenantId::local(),
        execution(),
        SNAPSHOT_V5_BODIES,
    )
    .unwrap();
    assert_eq!(state, same.state());
}

#[test]
fn this_build_writes_names_of_blobs_into_snapshots_of_version_6() {
    let plan = rig::plan("a -> b -> c");
    let mut lived = rig::Rig::new(plan.clone());
    for step in ["begin", "a ok-spilled", "b ok-passes"] {
        rig::script::take(&mut lived, step);
    }
    let written: Value = serde_json::from_slice(&lived.machine.snapshot()).unwrap();
    let fixture: Value = serde_json::from_slice(SNAPSHOT_V6).unwrap();
    assert_eq!(written, fixture, "{written:#}");
    let read = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V6).unwrap();
    assert_eq!(read.state(), lived.machine.state());
    assert_eq!(read.state().stored().len(), 2);
    // Where nothing lies in a blob, older builds can go on.
    let plain = rig::Rig::new(rig::plan("a -> b"));
    let plain: Value = serde_json::from_slice(&plain.machine.snapshot()).unwrap();
    assert_eq!(
        (&written["format"], &plain["format"]),
        (&json!(6), &json!(5))
    );
}

#[test]
fn this_build_writes_the_name_of_an_input_into_snapshots_of_version_7() {
    let plan = rig::plan("a -> b");
    let mut entry = rig::Rig::new(plan.clone()).journal.swap_remove(0);
    if let Fact::ExecutionStarted(started) = &mut entry.fact {
        **started = (**started).clone().on_blob(BlobId::of(b"large"));
    }
    let (seq, epoch) = (1, 1);
    let first = StoredEntry { seq, epoch, entry };
    let mut lived = Machine::new(plan.clone(), TenantId::local(), execution());
    lived.apply(&first);
    let written: Value = serde_json::from_slice(&lived.snapshot()).unwrap();
    let fixture: Value = serde_json::from_slice(SNAPSHOT_V7).unwrap();
    assert_eq!(written, fixture, "{written:#}");
    let read = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V7).unwrap();
    assert_eq!(read.state(), lived.state());
    assert!(read.state().names_blobs());
}

#[test]
fn this_build_writes_milestones_into_snapshots_of_version_5() {
    let plan = rig::plan("a, m -> x; m: milestone a/-");
    let mut lived = rig::Rig::new(plan.clone());
    for step in ["begin", "m heeds"] {
        rig::script::take(&mut lived, step);
    }
    let fixture: Value = serde_json::from_slice(SNAPSHOT_V5_MILESTONE).unwrap();
    let written: Value = serde_json::from_slice(&lived.machine.snapshot()).unwrap();
    assert_eq!(written, fixture, "{written:#}");
    let read = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V5_MILESTONE);
    assert_eq!(read.unwrap().state(), lived.machine.state());
}

#[test]
fn this_build_writes_interrupted_attempts_into_snapshots_of_version_5() {
    let plan = rig::plan("a; a: write");
    let mut lived = rig::Rig::new(plan.clone());
    for step in ["begin", "a start", "a cancelled", "a start", "a cancelled"] {
        rig::script::take(&mut lived, step);
    }
    let fixture: Value = serde_json::from_slice(SNAPSHOT_V5_DRAINED).unwrap();
    let written: Value = serde_json::from_slice(&lived.machine.snapshot()).unwrap();
    assert_eq!(written, fixture, "{written:#}");
    let read = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V5_DRAINED);
    let read = read.unwrap();
    assert_eq!(read.state(), lived.machine.state());
    let drained: Vec<_> = read.state().all().map(|(_, it)| it.drained).collect();
    assert_eq!(drained, [2]);
}

#[test]
fn this_build_writes_calls_into_snapshots_of_version_5() {
    let plan = rig::plan("a -> p -> z; p both { b -> e }; e each { c }");
    let machine =
        Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V5_CALLS).unwrap();
    let children = machine.state().all().filter_map(|(_, it)| it.child);
    assert_eq!(children.count(), 1);
}

#[test]
fn this_build_writes_slots_into_snapshots_of_version_5() {
    let plan = rig::plan("a -> p -> z; p both { b -> m }; m mutex { c }");
    let machine =
        Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V5_SLOTS).unwrap();
    let (state, plan) = (machine.state(), machine.plan());
    let open = state.all().filter(|(_, it)| !it.has_ended());
    let ids: Vec<_> = open
        .map(|(at, _)| state.instance(plan, at.whole()).to_string())
        .collect();
    assert_eq!(ids, ["p", "p/m", "p/m/c"]);
    let slots: Vec<_> = machine.slots().into_iter().map(|slot| slot.owner).collect();
    assert_eq!(slots, ["p/m~1"]);
    let written: Value = serde_json::from_slice(&machine.snapshot()).unwrap();
    let fixture: Value = serde_json::from_slice(SNAPSHOT_V5_SLOTS).unwrap();
    assert_eq!(written, fixture);
}

#[test]
fn this_build_writes_approvals_into_snapshots_of_version_5() {
    let mut rig = rig::Rig::new(rig::plan("a -> b, w; a: approval; w: wait"));
    for step in [
        "begin",
        "a asks of ada+bob quorum 2 due 500 default reject",
        "w awaits go",
        "pause",
        "transient go 1",
        "vote a ada approve",
        "vote a bob defer",
    ] {
        rig::script::take(&mut rig, step);
    }
    let written: Value = serde_json::from_slice(&rig.machine.snapshot()).unwrap();
    let fixture: Value = serde_json::from_slice(SNAPSHOT_V5).unwrap();
    assert_eq!(written, fixture, "{written:#}");
    let plan = rig.plan.clone();
    let machine = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V5).unwrap();
    assert_eq!(machine.state(), rig.machine.state());
}

#[test]
fn this_build_writes_what_has_to_be_undone_into_snapshots_of_version_5() {
    let plan = rig::plan("a -> b -> c -> d; a: undo write; b: undo write; c: undo once");
    let machine = Machine::restore(plan, TenantId::local(), execution(), SNAPSHOT_V5_UNDO).unwrap();
    let known = machine.state().compensations();
    let open: Vec<_> = known
        .open()
        .iter()
        .map(|it| it.instance.to_string())
        .collect();
    let given_up: Vec<_> = known.settled().iter().map(|it| it.given_up).collect();
    assert_eq!(
        (open, given_up),
        (vec!["a".to_owned(), "b".to_owned()], vec![true])
    );
    assert_eq!(known.open()[1].due, Some(Timestamp::from_millis(100)));
    assert!(machine.state().is_compensating());
    let written: Value = serde_json::from_slice(&machine.snapshot()).unwrap();
    let fixture: Value = serde_json::from_slice(SNAPSHOT_V5_UNDO).unwrap();
    assert_eq!(written, fixture);
}

#[test]
fn a_newer_format_and_damage_are_told_apart() {
    assert!(matches!(decode(b""), Err(CodecError::Empty)));
    assert!(matches!(
        decode(b"\x05[]"),
        Err(CodecError::Format { found: 5 })
    ));
    assert!(matches!(decode(b"\x01[{"), Err(CodecError::Damaged(_))));
    assert!(matches!(
        decode(b"\x01[{\"t\":0,\"f\":\"dance\"}]"),
        Err(CodecError::Damaged(_))
    ));
    assert!(matches!(
        ExecutionPlan::decode(b"{\"format\":7}"),
        Err(PlanError::Format { found: 7 })
    ));
    assert!(matches!(
        ExecutionPlan::decode(b"{\"format\":1}"),
        Err(PlanError::Damaged(_))
    ));
    let plan = rig::plan("a -> b");
    let restore = |bytes: &[u8]| {
        Machine::restore(plan.clone(), TenantId::local(), execution(), bytes).unwrap_err()
    };
    assert!(matches!(
        restore(b"{\"format\":9}"),
        SnapshotError::Format { found: 9 }
    ));
    assert!(matches!(
        restore(b"{\"format\":3}"),
        SnapshotError::Damaged(_)
    ));
    assert!(matches!(restore(SNAPSHOT_V1), SnapshotError::OtherPlan));
}

#[test]
fn a_plan_that_contradicts_itself_is_refused() {
    let check = |change: fn(&mut Value), expected: &str| {
        let mut plan: Value = serde_json::from_slice(PLAN_V1).unwrap();
        change(&mut plan);
        let error = ExecutionPlan::decode(&serde_json::to_vec(&plan).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the plan contradicts itself: {expected}")
        );
    };
    check(
        |plan| plan["connections"][0]["to"] = json!(9),
        "a connection leads to a node that is not there",
    );
    check(
        |plan| plan["output"] = json!({ "node": 9 }),
        "the output names a node that is not there",
    );
    check(
        |plan| plan["concurrency"] = json!(0),
        "a concurrency is zero",
    );
    check(
        |plan| plan["nodes"][1]["id"] = json!("fetch"),
        "two nodes have the same id",
    );
    check(
        |plan| plan["connections"][1]["to"] = json!(0),
        "nodes wait for each other",
    );
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inside, _| json!([inside]))
}

#[test]
fn depth_counts_lists_and_objects() {
    assert!(nests_within(&json!(1), 0) && !nests_within(&json!([]), 0));
    assert!(nests_within(&json!([[1]]), 2) && !nests_within(&json!([{ "a": {} }]), 2));
}

#[test]
fn what_is_as_deep_as_allowed_reads_back_from_journal_and_snapshot() {
    let deep = nested(MAX_VALUE_DEPTH);
    assert!(is_storable(&deep) && !is_storable(&nested(MAX_VALUE_DEPTH + 1)));
    let output = Arc::new(deep.clone());
    let settled = Fact::ItemsSettled {
        instance: id("a"),
        from: 0,
        outcomes: vec![ItemOutcome::Ok(output)],
    };
    let entry = Entry {
        at: rig::START,
        fact: settled,
    };
    assert_eq!(
        decode(&encode(std::slice::from_ref(&entry))).unwrap(),
        [entry]
    );
    let (kind, payload) = (
        "unpark",
        json!({ "instance": "a", "decision": { "succeeded": deep } }),
    );
    assert!(Signal::from_inbox(kind, &payload).is_ok());
    let payload = json!({ "decision": { "succeeded": nested(MAX_VALUE_DEPTH + 1) } });
    assert!(matches!(
        Signal::from_inbox(kind, &payload),
        Err(SignalError::Payload { .. })
    ));
}

/// JSON as actions may give it: with numbers to the last bit.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inside| {
        prop_oneof![
            proptest::collection::vec(inside.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,4}", inside), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_output_reads_back_to_the_last_bit(output in values(), at in 0..4_000_000_000_000_i64) {
        let fact = Fact::ExecutionCompleted { output: Arc::new(output) };
        let entry = Entry { at: Timestamp::from_millis(at), fact };
        prop_assert_eq!(decode(&encode(std::slice::from_ref(&entry))).unwrap(), vec![entry]);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = ExecutionPlan::decode(&bytes);
        let _ = Machine::restore(rig::plan("a"), TenantId::local(), execution(), &bytes);
    }

    #[test]
    fn damage_anywhere_is_an_error_or_other_entries(at in any::<u16>(), with in any::<u8>(), cut in any::<bool>()) {
        for mut bytes in [stored(1, &serde_json::from_str(JOURNAL_V1).unwrap()), PLAN_V1.to_vec(), SNAPSHOT_V1.to_vec()] {
            let at = usize::from(at) % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] = with }
            if cut {
                prop_assert!(decode(&bytes).is_err());
            }
            let _ = decode(&bytes);
            let _ = ExecutionPlan::decode(&bytes);
            let _ = Machine::restore(rig::plan("a"), TenantId::local(), execution(), &bytes);
        }
    }

    #[test]
    fn no_text_panics_as_an_instance(text in "[a-z0-9#\\[\\]+-]{0,12}") {
        if let Ok(instance) = text.parse::<nebula_execution::InstanceId>() {
            let again = instance.to_string().parse::<nebula_execution::InstanceId>();
            prop_assert_eq!(again.unwrap(), instance);
        }
    }
}

/// Labels are an optional field: what is written without them reads as before.
#[test]
fn labels_stand_in_the_first_entry() {
    let mut entries = vec![entries().swap_remove(0)];
    let plain = encode(&entries);
    let Fact::ExecutionStarted(started) = &mut entries[0].fact else {
        panic!("the first fact is a start");
    };
    started.labels = "order=4711".parse().unwrap();
    let labelled = encode(&entries);
    assert_eq!(plain[0], labelled[0]);
    assert_eq!(decode(&labelled).unwrap(), entries);
    let text = |bytes: &[u8]| String::from_utf8(bytes[1..].to_vec()).unwrap();
    let labels = r#","labels":{"order":"4711"}"#;
    assert_eq!(text(&labelled).replace(labels, ""), text(&plain));
}
