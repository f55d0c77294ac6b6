//! Inputs that lie in blobs: put with what begins, read when an expression needs them.

use nebula::execution::{StartOptions, Started};
use nebula_memory::{Collector, Grace};

use super::*;

/// An input of about 5 kB.
fn input() -> serde_json::Value {
    json!({ "text": "x".repeat(5_000), "of": "ada" })
}

/// What an execution began with, as its journal has it.
fn begun(facts: &[Fact]) -> &Started {
    match facts {
        [Fact::ExecutionStarted(started), ..] => started,
        _ => panic!("{facts:?}"),
    }
}

/// An execution on a large input, and all that it takes to look at it.
struct Large {
    all: Arc<MemoryBlobStore>,
    blobs: Arc<Counted>,
    id: ExecutionId,
}

impl Large {
    /// Creates an execution; nobody drives it yet.
    async fn create(world: &World, yaml: &str) -> Self {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let creator = process(world, &Counted::over(&all), NOTHING_IS_KEPT);
        let installed = world.install(&creator, yaml).await;
        let (tenant, options) = (tenant(), StartOptions::default());
        let engine = creator.engine();
        let started = engine.start(&tenant, &installed, input(), options, None, None);
        let id = started.await.unwrap().id;
        let blobs = Counted::over(&all);
        Self { all, blobs, id }
    }

    /// Another process drives it until it has ended, or needs somebody.
    async fn drive(&self, world: &World) -> Report {
        let shown = process(world, &Counted::over(&self.all), NOTHING_IS_KEPT);
        let worker = process(world, &self.blobs, NOTHING_IS_KEPT);
        let _ = shown.engine().wake(&tenant(), self.id).await;
        let _ = worker.engine().wake(&tenant(), self.id).await;
        with(&worker, world.settled(&shown, self.id)).await
    }

    async fn blob(&self, world: &World) -> BlobId {
        let facts = facts(world, self.id).await;
        let stored = begun(&facts).input_blob.as_ref();
        stored.expect("the input lies in a blob").blob()
    }
}

async fn driven(world: &World, yaml: &str) -> (Large, Report) {
    let large = Large::create(world, yaml).await;
    let report = large.drive(world).await;
    (large, report)
}

const LENGTH: &str =
    "{ id: read, action: data.set, parameters: { n: '{{ $input.text.length }}' } }";

/// Guards: the journal has the name of a large input and its digest; a small one stays in it.
#[test]
fn a_large_input_lies_in_a_blob() {
    in_world(async |world| {
        let large = Large::create(&world, "nodes: [{ id: a, action: data.set }]").await;
        let facts = facts(&world, large.id).await;
        let started = begun(&facts);
        assert_eq!(*started.input, json!(Digest::of_json(&input()).to_string()));
        let blob = large.blob(&world).await;
        assert_eq!(blob, BlobId::of(input().to_string().as_bytes()));
        let read = large.all.get_bytes(&tenant(), blob).await.unwrap().unwrap();
        assert_eq!(read, input().to_string().as_bytes());
    });
    in_world(async |world| {
        let blobs = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let nebula = process(&world, &Counted::over(&blobs), NOTHING_IS_KEPT);
        let id = world
            .begin(&nebula, "nodes: [{ id: a, action: data.set }]")
            .await;
        let small = facts(&world, id).await;
        assert_eq!(
            (&begun(&small).input_blob, &*begun(&small).input),
            (&None, &json!(null))
        );
    });
}

/// Guard: nobody reads an input that no expression looks at.
#[test]
fn an_input_that_nothing_needs_is_never_read() {
    in_world(async |world| {
        let yaml = "{ nodes: [{ id: a, action: data.set, parameters: { n: 1 } }], output: '{{ $nodes.a.result }}' }";
        let (large, report) = driven(&world, yaml).await;
        assert_eq!((report.output, large.blobs.reads()), (json!({ "n": 1 }), 0));
    });
}

/// Guard: whatever looks at the input gets it, wherever it stands, and lets go of it after.
#[test]
fn an_input_in_a_blob_is_an_input_as_any_other() {
    let read = |of: &str| {
        format!("{{ id: read, action: data.set, parameters: {{ n: '{{{{ {of} }}}}' }} }}")
    };
    let output = "output: '{{ $nodes.read.result.n }}'";
    let body = "body: { nodes: [{ id: b, action: data.set, parameters: { n: '{{ $input.text.length }}' } }] }";
    let act = "{ id: act, action: test.keyed, parameters: { label: \"{{ $input.of }}\" } }";
    let cases = [
        (
            format!("nodes: [{}], {output}", read("$input.text.length")),
            1,
        ),
        // A node that nothing leads to begins with the input.
        (
            format!("nodes: [{}], {output}", read("$json.text.length")),
            1,
        ),
        (
            "nodes: [{ id: a, action: data.set }], output: '{{ $input.text.length }}'".to_owned(),
            1,
        ),
        (
            format!(
                "nodes: [{{ id: a, action: data.set }}, {}], connections: [{{ from: a, to: read, condition: '{{{{ $input.of === \"ada\" }}}}' }}], {output}",
                read("5000")
            ),
            1,
        ),
        (
            format!(
                "nodes: [{{ id: all, action: flow.for_each, parameters: {{ items: [1, 2] }}, {body} }}, {}], connections: [all -> read], {output}",
                read("$json[1].n")
            ),
            2,
        ),
        (
            format!(
                "nodes: [{{ id: all, action: data.set, for_each: '{{{{ [1, 2] }}}}', parameters: {{ n: '{{{{ $input.text.length }}}}' }} }}, {}], connections: [all -> read], {output}",
                read("$json[1].n")
            ),
            1,
        ),
        // What is passed on is the input's blob.
        (
            format!(
                "nodes: [{{ id: same, action: data.set, disabled: true }}, {}], connections: [same -> read], {output}",
                read("$json.text.length")
            ),
            1,
        ),
        (
            format!(
                "nodes: [{act}, {}], connections: [act -> read], {output}",
                read("$input.text.length")
            ),
            2,
        ),
    ];
    for (yaml, reads) in cases {
        in_world(async |world| {
            let (large, report) = driven(&world, &format!("{{ {yaml} }}")).await;
            assert_eq!(report.output, json!(5_000), "{yaml}: {:?}", report.error);
            assert!(
                large.blobs.reads() >= 1 && large.blobs.reads() <= reads,
                "{yaml}: {}",
                large.blobs.reads()
            );
        });
    }
}

/// Guard: what would undo an effect may read the input.
#[test]
fn what_undoes_an_effect_sees_an_input_in_a_blob() {
    in_world(async |world| {
        let act = "{ id: act, action: test.keyed, parameters: { label: act }, compensate: { action: test.keyed, parameters: { label: \"undo {{ $input.text.length }}\" } } }";
        let yaml = format!(
            "{{ nodes: [{act}, {{ id: fails, action: flow.fail, parameters: {{ message: no }} }}], connections: [act -> fails] }}"
        );
        let (_, report) = driven(&world, &yaml).await;
        assert_eq!(report.status, Status::Failed);
        assert_eq!(world.ledger.labels(), ["act", "undo 5000"]);
    });
}

/// Guard: what is missing is the error of the node that needs it, and names the blob.
#[test]
fn a_node_that_needs_a_lost_input_fails() {
    in_world(async |world| {
        let yaml = format!(
            "{{ nodes: [{LENGTH}, {{ id: beside, action: data.set, parameters: {{ n: 2 }} }}] }}"
        );
        let large = Large::create(&world, &yaml).await;
        let blob = large.blob(&world).await;
        let there = large
            .all
            .head(&tenant(), blob.digest)
            .await
            .unwrap()
            .unwrap();
        let tenant = tenant();
        let deleted = large.all.delete(&tenant, blob.digest, there.renewed_at);
        assert_eq!(deleted.await.unwrap(), BlobDeleted::Deleted);
        let report = large.drive(&world).await;
        let error = report.error.as_ref().expect("nobody has the input");
        assert_eq!(error.code, "VALUE_UNREADABLE");
        assert!(
            error.message.contains(&blob.to_string()),
            "{}",
            error.message
        );
        assert!(
            states(&report).contains("read:failed"),
            "{}",
            states(&report)
        );
    });
}

/// Guard: an execution that begins with its first step names its input as well.
#[test]
fn who_starts_and_waits_puts_a_large_input_too() {
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let blobs = Counted::over(&all);
        let nebula = process(&world, &blobs, ByteSize::mib(1));
        let yaml = format!("{{ nodes: [{LENGTH}], output: '{{{{ $nodes.read.result.n }}}}' }}");
        let installed = world.install(&nebula, &yaml).await;
        let tenant = tenant();
        let executed = nebula.execute(&tenant, &installed, input(), StartOptions::default());
        let (id, end) = with(&nebula, executed).await.unwrap();
        assert_eq!(end.output.as_deref(), Some(&json!(5_000)));
        let facts = facts(&world, id).await;
        assert!(begun(&facts).input_blob.is_some());
        // What was put just now was kept.
        assert_eq!(blobs.reads(), 0);
    });
}

/// Guard: a child has its input in a blob of its own.
#[test]
fn a_called_workflow_reads_its_input_from_its_blob() {
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let blobs = Counted::over(&all);
        let nebula = process(&world, &blobs, NOTHING_IS_KEPT);
        let callee = format!(
            "{{ id: callee, nodes: [{LENGTH}], output: '{{{{ $nodes.read.result.n }}}}' }}"
        );
        let _ = world.install(&nebula, &callee).await;
        let yaml = "{ id: caller, nodes: [{ id: calls, action: flow.call, parameters: { workflow: callee, input: { text: \"{{ 'x'.repeat(5000) }}\" } } }], output: '{{ $nodes.calls.result }}' }";
        let id = world.begin(&nebula, yaml).await;
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.output, json!(5_000), "{:?}", report.error);
        let child = facts(&world, id)
            .await
            .into_iter()
            .find_map(|fact| match fact {
                Fact::ChildStarted { child, .. } => Some(child),
                _ => None,
            });
        let facts = facts(&world, child.expect("it called")).await;
        assert!(begun(&facts).input_blob.is_some(), "{facts:?}");
    });
}

/// Guards: which slot an execution takes and what its nodes may touch follow from an input in a blob as
/// from any other, for whoever drives it later, too.
#[test]
fn turns_and_grants_follow_from_an_input_in_a_blob() {
    let yaml = "{ admission: { concurrency: 1, key: $input.of }, nodes: [{ id: wait, action: flow.wait, parameters: { for: 1h } }, { id: acts, action: test.read, requires: ['fs:read:/{{ $input.of }}'], parameters: { label: acts } }, { id: read, action: data.set, parameters: { n: '{{ $input.text.length }}' } }], connections: [wait -> acts, acts -> read], output: '{{ $nodes.read.result.n }}' }";
    in_world(async |world| {
        let (_, report) = driven(&world, yaml).await;
        assert_eq!(report.output, json!(5_000), "{:?}", report.error);
    });
}

/// Guards: a retry names the input of the first execution, whose age begins anew, and reads nothing of
/// it; a collector leaves it while a journal names it.
#[test]
fn a_retry_goes_over_the_same_input() {
    in_world(async |world| {
        let yaml = format!(
            "{{ nodes: [{LENGTH}, {{ id: fails, action: flow.fail, parameters: {{ message: no }} }}], connections: [read -> fails] }}"
        );
        let (large, report) = driven(&world, &yaml).await;
        assert_eq!(report.status, Status::Failed);
        let blob = large.blob(&world).await;
        let before = large
            .all
            .head(&tenant(), blob.digest)
            .await
            .unwrap()
            .unwrap();
        world.clock.advance(Duration::from_hours(30));
        let grace = Grace::default();
        let clock = Arc::new(world.clock.clone());
        let collector = Collector::new(world.executions.clone(), large.all.clone(), clock, grace);
        let collected = collector.collect(&tenant()).await.unwrap();
        assert!(collected.old > 0 && collected.deleted == 0, "{collected:?}");

        let blobs = Counted::over(&large.all);
        let nebula = process(&world, &blobs, NOTHING_IS_KEPT);
        let again = nebula
            .engine()
            .again(&tenant(), large.id, Again::Retry, None)
            .await;
        let again = again.unwrap().id;
        let facts = facts(&world, again).await;
        assert_eq!(
            begun(&facts).input_blob.as_ref().map(|it| it.blob()),
            Some(blob)
        );
        assert_eq!(blobs.reads(), 0);
        let after = large
            .all
            .head(&tenant(), blob.digest)
            .await
            .unwrap()
            .unwrap();
        assert!(after.renewed_at > before.renewed_at);
    });
}

/// Guard: an input that cannot be put stays in the journal.
#[test]
fn an_input_that_cannot_be_put_stays_in_the_journal() {
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let blobs = Counted::over(&all);
        *blobs.refuses.lock().unwrap() = 1;
        let nebula = process(&world, &blobs, NOTHING_IS_KEPT);
        let yaml = format!("{{ nodes: [{LENGTH}], output: '{{{{ $nodes.read.result.n }}}}' }}");
        let installed = world.install(&nebula, &yaml).await;
        let options = StartOptions::default();
        let id = nebula
            .start(&tenant(), &installed, input(), options)
            .await
            .unwrap();
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.output, json!(5_000), "{:?}", report.error);
        let facts = facts(&world, id).await;
        assert_eq!(
            (&begun(&facts).input_blob, &*begun(&facts).input),
            (&None, &input())
        );
    });
}

/// Guard: whether another version takes the input is asked of the input, not of its digest.
#[test]
fn a_migration_checks_an_input_in_a_blob() {
    let flow = |schema: &str| {
        format!(
            "{{ id: flow, input: {schema}, nodes: [{{ id: wait, action: flow.wait, parameters: {{ for: 1h }} }}, {LENGTH}], connections: [wait -> read], output: '{{{{ $nodes.read.result.n }}}}' }}"
        )
    };
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let nebula = process(&world, &Counted::over(&all), NOTHING_IS_KEPT);
        let installed = world.install(&nebula, &flow("{ type: object }")).await;
        let options = StartOptions::default();
        let id = nebula
            .start(&tenant(), &installed, input(), options)
            .await
            .unwrap();
        with(&nebula, world.waits(&nebula, id)).await;
        let refused = world
            .install(&nebula, &flow("{ type: object, required: [other] }"))
            .await;
        let taken = world
            .install(&nebula, &flow("{ type: object, required: [text] }"))
            .await;
        let engine = nebula.engine();
        let migrated = engine
            .migrate(&tenant(), id, refused.plan.version, false)
            .await;
        let error = migrated.unwrap_err().to_string();
        assert!(error.contains("other"), "{error}");
        let migrated = engine
            .migrate(&tenant(), id, taken.plan.version, false)
            .await;
        assert_eq!(migrated.unwrap().to, taken.plan.version);
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.output, json!(5_000), "{:?}", report.error);
    });
}
