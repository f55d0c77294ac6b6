//! Results and inputs that lie in blobs: when they are read, what of that is in memory, and what happens where
//! they cannot be.

#[path = "spilled/inputs.rs"]
mod inputs;
#[path = "spilled/inside.rs"]
mod inside;
mod world;

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula::{
    Nebula, NebulaBuilder,
    core::{BlobId, ByteSize, Clock, Digest, ExecutionId, MemoryPressure, TenantId, Timestamp},
    engine::{Report, Until},
    execution::{Again, Fact, Status},
    ports::*,
    runtime::WorkerConfig,
};
use nebula_memory::{SpillingRepo, Values};
use nebula_testkit::{
    InlineOffload, MemoryBlobStore, MemorySandbox, MemoryTaskQueue, SeededEntropy,
    blob_store::Damage, effects,
};
use serde_json::json;
use world::{World, in_world, states, tenant, with};

/// More than this many bytes of a result lie in a blob.
const INLINE: ByteSize = ByteSize::bytes(1_000);
const NOTHING_IS_KEPT: ByteSize = ByteSize::bytes(0);

/// Blobs, and which of them were read.
#[derive(Debug)]
struct Counted {
    blobs: Arc<MemoryBlobStore>,
    read: Mutex<Vec<BlobId>>,
    /// How many reads from now on fail, and how.
    fails: Mutex<(u32, Option<ErrorKind>)>,
    /// How many puts from now on are refused, and how many never end.
    refuses: Mutex<u32>,
    hangs: Mutex<u32>,
}

/// Whether it is one of so many that are left.
fn counts_down(left: &Mutex<u32>) -> bool {
    let mut left = left.lock().unwrap();
    let is_one = *left > 0;
    *left -= u32::from(is_one);
    is_one
}

impl Counted {
    fn over(blobs: &Arc<MemoryBlobStore>) -> Arc<Self> {
        Arc::new(Self {
            blobs: blobs.clone(),
            read: Mutex::default(),
            fails: Mutex::default(),
            refuses: Mutex::default(),
            hangs: Mutex::default(),
        })
    }

    fn reads(&self) -> usize {
        self.read.lock().unwrap().len()
    }
}

fn failure(kind: ErrorKind) -> PortError {
    PortError::new(kind, "test", "blobs", "the test wants this call to fail")
}

#[async_trait]
impl BlobStore for Counted {
    async fn put(&self, of: &TenantId, it: BlobStream<'_>, max: ByteSize) -> Result<BlobPut> {
        if counts_down(&self.refuses) {
            return Err(failure(ErrorKind::Unavailable));
        }
        if counts_down(&self.hangs) {
            std::future::pending::<()>().await;
        }
        self.blobs.put(of, it, max).await
    }
    async fn renew(&self, of: &TenantId, id: BlobId) -> Result<BlobRenewed> {
        self.blobs.renew(of, id).await
    }
    async fn get(
        &self,
        of: &TenantId,
        id: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>> {
        self.read.lock().unwrap().push(id);
        let (left, kind) = *self.fails.lock().unwrap();
        if let (Some(left), Some(kind)) = (left.checked_sub(1), kind) {
            *self.fails.lock().unwrap() = (left, Some(kind));
            return Err(failure(kind));
        }
        self.blobs.get(of, id, range).await
    }
    async fn head(&self, of: &TenantId, digest: Digest) -> Result<Option<Blob>> {
        self.blobs.head(of, digest).await
    }
    async fn delete(&self, of: &TenantId, it: Digest, seen: Timestamp) -> Result<BlobDeleted> {
        self.blobs.delete(of, it, seen).await
    }
    async fn list(&self, of: &TenantId, listing: &BlobListing) -> Result<BlobPage> {
        self.blobs.list(of, listing).await
    }
    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        self.blobs.tenants(after, limit).await
    }
}

/// A process whose large results lie in blobs.
fn process(world: &World, blobs: &Arc<Counted>, kept: ByteSize) -> Nebula {
    process_with(world, blobs, kept, WorkerConfig::default())
}

fn process_with(
    world: &World,
    blobs: &Arc<Counted>,
    kept: ByteSize,
    worker: WorkerConfig,
) -> Nebula {
    let values = Values::new(blobs.clone(), INLINE, kept);
    builder(world, blobs, values, worker).build().unwrap()
}

fn builder(
    world: &World,
    blobs: &Arc<Counted>,
    values: Values,
    worker: WorkerConfig,
) -> NebulaBuilder {
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let repo = SpillingRepo::new(
        world.executions.clone(),
        blobs.clone(),
        clock.clone(),
        INLINE,
    );
    let queue = Arc::new(MemoryTaskQueue::new(clock.clone(), 1_000, 100));
    let sandbox = Arc::new(MemorySandbox::new(clock.clone()));
    Nebula::builder(Arc::new(repo), world.workflows.clone(), queue, sandbox)
        .clock(clock)
        .entropy(Arc::new(SeededEntropy::new(blobs.reads() as u64 + 7)))
        .offload(Arc::new(InlineOffload))
        .actions(effects(&world.ledger, &world.clock))
        .values(values)
        .worker(worker)
}

/// A node that gives about 5 kB.
const BIG: &str = "{ id: big, action: data.set, parameters: { text: \"{{ 'x'.repeat(5000) }}\" } }";

struct Ran {
    report: Report,
    /// How many blobs the worker read; whoever shows the execution reads them as well.
    reads: usize,
    facts: Vec<Fact>,
}

/// Runs a workflow to its end with a worker that keeps so much.
async fn run(world: &World, yaml: &str, kept: ByteSize) -> Ran {
    let blobs = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
    run_over(world, yaml, kept, &blobs).await
}

async fn run_over(world: &World, yaml: &str, kept: ByteSize, all: &Arc<MemoryBlobStore>) -> Ran {
    let blobs = Counted::over(all);
    let (worker, shown) = (
        process(world, &blobs, kept),
        process(world, &Counted::over(all), kept),
    );
    let id = world.begin(&worker, yaml).await;
    let report = with(&worker, world.settled(&shown, id)).await;
    let facts = facts(world, id).await;
    let reads = blobs.reads();
    Ran {
        report,
        reads,
        facts,
    }
}

/// What really stands in a journal.
async fn facts(world: &World, id: ExecutionId) -> Vec<Fact> {
    let page = world.executions.journal(&tenant(), id, 1, 100).await;
    let entries = page.unwrap().entries.into_iter();
    entries.map(|stored| stored.entry.fact).collect()
}

fn spilled(facts: &[Fact]) -> Vec<String> {
    let spilled = facts.iter().filter_map(|fact| match fact {
        Fact::AttemptSpilled { instance, .. } => Some(instance.to_string()),
        _ => None,
    });
    spilled.collect()
}

/// Guard: only what is read of a node's result makes the worker read it; how the node stands does not.
#[test]
fn what_no_expression_needs_is_never_read() {
    in_world(async |world| {
        let yaml = format!(
            "{{ nodes: [{BIG}, {{ id: same, action: data.set, disabled: true }}, {{ id: other, action: data.set, parameters: {{ n: '{{{{ $nodes.big.success ? $nodes.big.attempts : 0 }}}}' }} }}], connections: [big -> same, same -> other], output: '{{{{ $nodes.other.result }}}}' }}"
        );
        let ran = run(&world, &yaml, NOTHING_IS_KEPT).await;
        assert_eq!(
            ran.report.output,
            json!({ "n": 1 }),
            "{:?}",
            ran.report.error
        );
        assert_eq!(spilled(&ran.facts), ["big"]);
        assert_eq!(ran.reads, 0);
        // What is passed on stands in its blob once, and is shown whole.
        let whole = json!({ "text": "x".repeat(5_000) });
        for node in ["big", "same"] {
            assert_eq!(ran.report.nodes[node][0]["output"], whole, "{node}");
        }
    });
}

const READ: &str =
    "{ id: read, action: data.set, parameters: { n: '{{ $nodes.big.result.text.length }}' } }";

/// Guards: a value is read where it is needed, and let go of after; one that is kept is not read.
#[test]
fn what_an_expression_needs_is_read_unless_it_is_kept() {
    in_world(async |world| {
        let yaml = format!(
            "{{ nodes: [{BIG}, {READ}, {{ id: again, action: data.set, parameters: {{ n: '{{{{ $nodes.big.result.text.length + $json.n }}}}' }} }}], connections: [big -> read, read -> again], output: '{{{{ $json }}}}' }}"
        )
        .replace("'{{ $json }}'", "'{{ $nodes.again.result }}'");
        let ran = run(&world, &yaml, NOTHING_IS_KEPT).await;
        assert_eq!(
            ran.report.output,
            json!({ "n": 10_000 }),
            "{:?}",
            ran.report.error
        );
        assert_eq!(ran.reads, 2);
        let ran = run(&world, &yaml, ByteSize::mib(1)).await;
        assert_eq!(ran.report.output, json!({ "n": 10_000 }));
        assert_eq!(ran.reads, 0);
    });
}

/// Guard: the conditions of a node's connections see its result, which is at hand.
#[test]
fn conditions_see_a_result_that_has_just_been_put() {
    in_world(async |world| {
        let yaml = format!(
            "{{ nodes: [{BIG}, {{ id: on, action: data.set, parameters: {{ n: 1 }} }}], connections: [{{ from: big, to: on, condition: '{{{{ $json.text.length === 5000 && $nodes.big.result.text.length === 5000 }}}}' }}], output: '{{{{ $nodes.on.result }}}}' }}"
        );
        let ran = run(&world, &yaml, NOTHING_IS_KEPT).await;
        assert_eq!(
            ran.report.output,
            json!({ "n": 1 }),
            "{:?}",
            ran.report.error
        );
        assert_eq!((ran.reads, spilled(&ran.facts).len()), (0, 1));
    });
}

/// Guard: so does what follows from the end of an attempt that ran beside others.
#[test]
fn conditions_behind_an_attempt_see_what_lies_in_a_blob() {
    in_world(async |world| {
        let yaml = format!(
            "{{ nodes: [{BIG}, {{ id: act, action: test.keyed, parameters: {{ label: act, seconds: 1 }} }}, {{ id: on, action: data.set, parameters: {{ n: 1 }} }}], connections: [big -> act, {{ from: act, to: on, condition: '{{{{ $nodes.big.result.text.length === 5000 }}}}' }}], output: '{{{{ $nodes.on.result }}}}' }}"
        );
        let ran = run(&world, &yaml, NOTHING_IS_KEPT).await;
        let error = ran.report.error;
        assert_eq!(ran.report.output, json!({ "n": 1 }), "{error:?}");
    });
}

/// Guard: what would undo an effect may read what lies in a blob.
#[test]
fn what_undoes_an_effect_sees_what_lies_in_a_blob() {
    in_world(async |world| {
        let act = "{ id: act, action: test.keyed, parameters: { label: act }, compensate: { action: test.keyed, parameters: { label: \"undo {{ $nodes.big.result.text.length }}\" } } }";
        let yaml = format!(
            "{{ nodes: [{BIG}, {act}, {{ id: fails, action: flow.fail, parameters: {{ message: no }} }}], connections: [big -> act, act -> fails] }}"
        );
        let ran = run(&world, &yaml, NOTHING_IS_KEPT).await;
        assert_eq!(ran.report.status, Status::Failed);
        assert_eq!(world.ledger.labels(), ["act", "undo 5000"]);
    });
}

/// Guard: what goes through a list in parts reads the list of its first round, and all that came back.
#[test]
fn a_list_in_a_blob_goes_on_in_parts() {
    let yaml = "
nodes:
  - { id: big, action: data.set, parameters: { list: \"{{ ['a', 'b', 'c'].map(it => it.repeat(900)) }}\" } }
  - { id: parts, action: flow.batches, parameters: { items: '{{ $nodes.big.result.list }}', size: 2 } }
  - { id: back, action: data.set, parameters: { list: '{{ $json }}', text: \"{{ 'x'.repeat(2000) }}\" } }
connections: [big -> parts, parts.loop -> back, { from: back, to: parts, loop: true }]
output: '{{ $nodes.parts.result.map(it => it.list.length + it.text.length) }}'
";
    in_world(async |world| {
        let ran = run(&world, yaml, NOTHING_IS_KEPT).await;
        let error = ran.report.error;
        assert_eq!(ran.report.output, json!([2_002, 2_001]), "{error:?}");
        assert_eq!(spilled(&ran.facts)[..3], ["big", "back", "back#2"]);
    });
}

/// Guard: whatever gets a value that lies in a blob goes on as where nothing lies in blobs.
#[test]
fn a_value_in_a_blob_is_a_value_as_any_other() {
    let list = "{ id: big, action: data.set, parameters: { list: \"{{ ['a', 'b', 'c'].map(it => it.repeat(900)) }}\" } }";
    let lengths = "{ id: a, action: data.set, parameters: { n: '{{ $json.list[1].length }}' } }";
    let of_list = "parameters: { items: '{{ $json.list }}' }";
    let body = format!("body: {{ nodes: [{lengths}] }}");
    let cases = [
        format!(
            "{{ id: next, action: flow.for_each, {of_list}, {} }}",
            body.replace("$json.list[1]", "$item")
        ),
        format!("{{ id: next, action: flow.try, {body} }}"),
        format!("{{ id: next, action: flow.parallel, {body} }}"),
        format!("{{ id: next, action: flow.mutex, parameters: {{ name: k }}, {body} }}"),
        format!("{{ id: next, action: flow.loop, parameters: {{ times: 2 }}, {body} }}"),
        "{ id: next, action: data.set, for_each: '{{ $nodes.big.result.list }}', parameters: { n: '{{ $item.length }}' } }".to_owned(),
        "{ id: next, action: flow.wait, parameters: { for: 1h } }".to_owned(),
        "{ id: next, action: flow.merge_tokens, parameters: { count: 1 } }".to_owned(),
        "{ id: next, action: flow.emit, parameters: { event: told, payload: '{{ $json.list.length }}' } }".to_owned(),
        "{ id: next, action: data.set, when: '{{ $json.list.length > 5 }}' }".to_owned(),
        "{ id: next, action: data.set, parameters: { all: '{{ $inputs.main.length }}', first: '{{ $inputs.main[0].list[0].length }}' } }".to_owned(),
        "{ id: next, action: data.set, disabled: true }".to_owned(),
    ];
    for next in cases {
        let yaml = format!(
            "{{ nodes: [{list}, {next}, {{ id: last, action: data.set, parameters: {{ was: '{{{{ $json }}}}', list: '{{{{ $nodes.big.result.list.length }}}}' }} }}], connections: [big -> next, next -> last] }}"
        );
        let plain = in_world(async |world| world.run(&yaml, json!(null)).await);
        for kept in [NOTHING_IS_KEPT, ByteSize::mib(1)] {
            let ran = in_world(async |world| run(&world, &yaml, kept).await);
            assert_eq!(
                ran.report.output, plain.output,
                "{next}: {:?}",
                ran.report.error
            );
            assert_eq!(states(&ran.report), states(&plain), "{next}");
            assert_eq!(spilled(&ran.facts)[0], "big", "{next}");
        }
    }
}

/// A workflow that waits between what gives a value and what reads it; beside that something goes on.
fn waits(read: &str) -> String {
    format!(
        "{{ nodes: [{BIG}, {{ id: pause, action: flow.wait, parameters: {{ for: 1h }} }}, {read}, {{ id: beside, action: data.set, parameters: {{ n: 2 }} }}], connections: [big -> pause, pause -> read, pause -> beside], output: \"{{{{ $nodes.read?.result ?? 'none' }}}}\" }}"
    )
}

/// Runs it in two processes: to the pause, and from there, after `between`.
async fn resumed(
    world: &World,
    yaml: &str,
    between: impl AsyncFnOnce(&MemoryBlobStore, BlobId, &Counted),
) -> Ran {
    let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
    let first = process(world, &Counted::over(&all), ByteSize::mib(1));
    let id = world.begin(&first, yaml).await;
    with(&first, world.waits(&first, id)).await;
    drop(first);
    let named = facts(world, id)
        .await
        .into_iter()
        .find_map(|fact| match fact {
            Fact::AttemptSpilled { blob, .. } => Some(blob),
            _ => None,
        });
    let blobs = Counted::over(&all);
    between(&all, named.expect("it lies in a blob"), &blobs).await;
    let second = process(world, &blobs, NOTHING_IS_KEPT);
    let shown = process(world, &Counted::over(&all), NOTHING_IS_KEPT);
    let report = with(&second, world.settled(&shown, id)).await;
    let (reads, facts) = (blobs.reads(), facts(world, id).await);
    Ran {
        report,
        reads,
        facts,
    }
}

/// Guard: who goes on with an execution reads what it needs, and no more.
#[test]
fn the_next_holder_reads_what_it_needs() {
    in_world(async |world| {
        let ran = resumed(&world, &waits(READ), async |_, _, _| ()).await;
        assert_eq!(
            ran.report.output,
            json!({ "n": 5_000 }),
            "{:?}",
            ran.report.error
        );
        assert_eq!(ran.reads, 1);
    });
}

/// Guard: a blob that is missing or damaged is the error of the node that needs it, and names the blob.
#[test]
fn a_value_that_cannot_be_read_fails_the_node_that_needs_it() {
    for damage in [None, Some(Damage::Flip(100)), Some(Damage::Cut(10))] {
        in_world(async |world| {
            let read = READ.replace("action: data.set", "action: data.set, on_error: continue");
            let mut name = None;
            let ran = resumed(&world, &waits(&read), async |all, blob, _| {
                name = Some(blob.digest.to_string());
                match damage {
                    Some(damage) => all.damage(&tenant(), blob.digest, damage),
                    None => {
                        let there = all.head(&tenant(), blob.digest).await.unwrap().unwrap();
                        let _ = all.delete(&tenant(), blob.digest, there.renewed_at).await;
                    }
                }
            })
            .await;
            assert_eq!(
                ran.report.status,
                Status::Completed,
                "{:?}",
                ran.report.error
            );
            let shown = &ran.report.nodes["read"][0];
            assert_eq!(shown["status"], "failed", "{shown}");
            assert_eq!(shown["error"]["code"], "VALUE_UNREADABLE", "{shown}");
            let message = shown["error"]["message"].as_str().unwrap();
            assert!(message.contains(&name.unwrap()), "{message}");
            // The others go on, and whoever looks is told as well.
            assert_eq!(ran.report.nodes["beside"][0]["output"], json!({ "n": 2 }));
            let unreadable = &ran.report.nodes["big"][0]["output_unreadable"];
            assert!(unreadable.is_string(), "{unreadable}");
        });
    }
}

/// Guards: whatever reads a value, goes over it or gathers it fails as that node, and nothing panics.
#[test]
fn every_kind_of_node_fails_where_a_value_cannot_be_read() {
    let body = "body: { nodes: [{ id: a, action: data.set, parameters: { n: '{{ $json.text.length }}' } }] }";
    let kinds = [
        format!("action: flow.parallel, {body}"),
        format!("action: flow.try, {body}"),
        format!("action: flow.for_each, {body}"),
        format!("action: flow.loop, parameters: {{ times: 2 }}, {body}"),
        format!("action: flow.mutex, parameters: {{ name: k }}, {body}"),
        "action: data.set, for_each: '{{ $nodes.big.result.text.split(1) }}'".to_owned(),
        "action: data.set, when: '{{ $json.text.length > 5 }}'".to_owned(),
        "action: data.set, parameters: { all: '{{ $inputs.main.length }}' }".to_owned(),
        "action: flow.if, parameters: { condition: '{{ $json.text.length > 5 }}' }".to_owned(),
        "action: flow.merge_tokens, parameters: { count: 1 }".to_owned(),
        "action: flow.emit, parameters: { event: told, payload: '{{ $json }}' }".to_owned(),
    ];
    for kind in kinds {
        in_world(async |world| {
            let yaml = waits(&format!("{{ id: read, {kind}, on_error: continue }}"));
            let ran = resumed(&world, &yaml, async |all, blob, _| {
                all.damage(&tenant(), blob.digest, Damage::Flip(100));
            })
            .await;
            let shown = &ran.report.nodes["read"][0];
            assert_eq!(
                shown["error"]["code"], "VALUE_UNREADABLE",
                "{kind}: {shown}"
            );
            assert_eq!(
                ran.report.status,
                Status::Completed,
                "{kind}: {:?}",
                ran.report.error
            );
        });
    }
}

/// Guard: an output that cannot be read fails its execution.
#[test]
fn an_output_that_cannot_be_read_fails_its_execution() {
    in_world(async |world| {
        let pause = "{ id: pause, action: flow.wait, parameters: { for: 1h } }";
        let other = ", { id: other, action: data.set, parameters: { n: 1 } }";
        let expression = ", output: \"{{ $nodes.big.result.text }}\"";
        for (more, output) in [("", ""), (other, ""), ("", expression)] {
            let yaml =
                format!("{{ nodes: [{BIG}, {pause}{more}], connections: [big -> pause]{output} }}");
            let ran = resumed(&world, &yaml, async |all, blob, _| {
                all.damage(&tenant(), blob.digest, Damage::Flip(100));
            })
            .await;
            let error = ran.report.error.expect("it cannot be read");
            assert_eq!(
                error.code, "VALUE_UNREADABLE",
                "{more}{output}: {}",
                error.message
            );
        }
    });
}

/// Guard: what follows from the end of a called execution is read before that is taken in.
#[test]
fn conditions_behind_a_call_see_what_lies_in_a_blob() {
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let nebula = process(&world, &Counted::over(&all), NOTHING_IS_KEPT);
        let callee =
            "{ id: callee, nodes: [{ id: a, action: flow.wait, parameters: { for: 1h } }] }";
        let _ = world.install(&nebula, callee).await;
        let yaml = format!(
            "{{ id: caller, nodes: [{BIG}, {{ id: calls, action: flow.call, parameters: {{ workflow: callee }} }}, {{ id: on, action: data.set, parameters: {{ n: 1 }} }}], connections: [big -> calls, {{ from: calls, to: on, condition: '{{{{ $nodes.big.result.text.length === 5000 }}}}' }}], output: '{{{{ $nodes.on.result }}}}' }}"
        );
        let id = world.begin(&nebula, &yaml).await;
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.output, json!({ "n": 1 }), "{:?}", report.error);
    });
}

/// Guards: a store of blobs that is away for a moment, or sends wrong bytes once, fails nobody.
#[test]
fn a_read_that_fails_is_tried_again() {
    // To give the execution back each time would make poison of it.
    for (kind, times) in [(ErrorKind::Unavailable, 8), (ErrorKind::Corrupt, 4)] {
        in_world(async |world| {
            let ran = resumed(&world, &waits(READ), async |_, _, blobs| {
                *blobs.fails.lock().unwrap() = (times, Some(kind));
            })
            .await;
            assert_eq!(
                ran.report.output,
                json!({ "n": 5_000 }),
                "{:?}",
                ran.report.error
            );
            assert_eq!(ran.reads, times as usize + 1);
        });
    }
}

/// Guard: a result that cannot be put by itself is one in the journal, whose store puts it.
#[test]
fn a_result_that_cannot_be_put_goes_with_its_entry() {
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let blobs = Counted::over(&all);
        *blobs.refuses.lock().unwrap() = 1;
        let nebula = process(&world, &blobs, NOTHING_IS_KEPT);
        let yaml = format!(
            "{{ nodes: [{BIG}, {READ}], connections: [big -> read], output: '{{{{ $nodes.read.result }}}}' }}"
        );
        let id = world.begin(&nebula, &yaml).await;
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.output, json!({ "n": 5_000 }), "{:?}", report.error);
        let facts = facts(&world, id).await;
        let whole = |fact: &&Fact| matches!(fact, Fact::Spilled { kind, .. } if kind == "attempt_succeeded");
        let whole = facts.iter().filter(whole).count();
        assert_eq!((spilled(&facts).len(), whole), (0, 1));
    });
}

/// Guard: whoever is cancelled does not wait for a store of blobs.
#[test]
fn a_cancelled_attempt_waits_for_no_blob() {
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let blobs = Counted::over(&all);
        *blobs.hangs.lock().unwrap() = 1;
        let nebula = process(&world, &blobs, NOTHING_IS_KEPT);
        let label = "x".repeat(5_000);
        let yaml = format!(
            "nodes: [{{ id: big, action: test.keyed, parameters: {{ label: {label} }} }}, {{ id: next, action: data.set }}]"
        );
        let id = world.begin(&nebula, &yaml).await;
        let ended = with(&nebula, async {
            world.clock.sleep(Duration::from_secs(1)).await;
            let cancelled = nebula.engine().cancel(&tenant(), id, "enough".into()).await;
            let _ = cancelled.unwrap();
            let soon = Some(Duration::from_secs(5));
            let engine = nebula.engine();
            engine.outcome(&tenant(), id, Until::Ended, soon).await
        })
        .await;
        assert_eq!(ended.unwrap().unwrap().status, Status::Cancelled);
        // It happened, and the journal says so.
        assert_eq!(world.ledger.labels().len(), 1);
        let facts = facts(&world, id).await;
        assert!(
            facts
                .iter()
                .any(|fact| matches!(fact, Fact::Spilled { .. })),
            "{facts:?}"
        );
    });
}

/// Guard: what nobody could read back is not put.
#[test]
fn a_large_result_that_nests_too_deep_is_an_error_of_its_node() {
    in_world(async |world| {
        let yaml = r#"nodes: [{ id: a, action: data.set, parameters: { x: "{{ JSON.parse('['.repeat(101) + ']'.repeat(101)) }}", text: "{{ 'x'.repeat(5000) }}" } }]"#;
        let ran = run(&world, yaml, NOTHING_IS_KEPT).await;
        let error = ran.report.error.expect("no blob holds it");
        assert_eq!(error.code, "OUTPUT_TOO_DEEP", "{}", error.message);
    });
}

/// Says what it is told to.
#[derive(Debug, Default)]
struct Told(AtomicBool);

impl MemoryPressure for Told {
    fn is_short(&self) -> bool {
        self.0.load(SeqCst)
    }
}

/// Guards: what is only kept makes room for what executions hold, and for others that need memory.
#[test]
fn what_is_only_kept_makes_room() {
    let kept = |memory: ByteSize, short: bool| {
        in_world(async |world| {
            let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
            let blobs = Counted::over(&all);
            let values = Values::new(blobs.clone(), INLINE, ByteSize::mib(1));
            let config = WorkerConfig {
                memory,
                ..WorkerConfig::default()
            };
            let worker = builder(&world, &blobs, values.clone(), config);
            let told = Arc::new(Told::default());
            let worker = worker.memory_pressure(told.clone()).build().unwrap();
            let shown = process(&world, &Counted::over(&all), NOTHING_IS_KEPT);
            let id = world.begin(&worker, &format!("nodes: [{BIG}]")).await;
            let _ = with(&worker, world.settled(&shown, id)).await;
            told.0.store(short, SeqCst);
            // The next one has the worker look.
            let id = world
                .begin(&worker, "nodes: [{ id: a, action: data.set }]")
                .await;
            let _ = with(&worker, world.settled(&shown, id)).await;
            values.bytes()
        })
    };
    assert!(kept(ByteSize::mib(1), false) > 5_000);
    assert!(kept(ByteSize::kib(4), false) <= 4 << 10);
    assert_eq!(kept(ByteSize::mib(1), true), 0);
}

/// Guards: what lies in a blob counts only while it is needed; and then it does.
#[test]
fn values_in_blobs_count_while_they_are_needed() {
    let big = |id: &str| {
        BIG.replace("id: big", &format!("id: {id}"))
            .replace("'x'.repeat(5000)", &format!("'{id}'.repeat(500000)"))
    };
    let count = |of: &str| {
        format!("{{ id: count, action: data.set, parameters: {{ n: '{{{{ {of} }}}}' }} }}")
    };
    let run = |of: &str| {
        let yaml = format!(
            "{{ nodes: [{}, {}, {}, {}], connections: [a -> b, b -> c, c -> count], output: '{{{{ $nodes.count.result }}}}' }}",
            big("a"),
            big("b"),
            big("c"),
            count(of)
        );
        in_world(async |world| {
            let blobs = Counted::over(&Arc::new(MemoryBlobStore::new(Arc::new(
                world.clock.clone(),
            ))));
            let config = WorkerConfig {
                execution_memory: ByteSize::mib(1),
                ..WorkerConfig::default()
            };
            let nebula = process_with(&world, &blobs, NOTHING_IS_KEPT, config);
            let id = world.begin(&nebula, &yaml).await;
            world.finish(&nebula, id).await
        })
    };
    // What a list keeps for its items makes room for what goes on beside it.
    let beside = in_world(async |world| {
        let list = "{ id: list, action: test.keyed, for_each: '{{ [1, 2] }}', concurrency: 1, parameters: { label: '{{ $nodes.a.result.text.length }}', seconds: 5 } }";
        let yaml = format!(
            "{{ nodes: [{}, {}, {}, {list}, {}, {{ id: pause, action: test.keyed, parameters: {{ label: pause, seconds: 2 }} }}, {{ id: last, action: data.set, parameters: {{ n: '{{{{ $nodes.c.result.text.length }}}}' }} }}], connections: [a -> b, b -> c, c -> list, c -> pause, pause -> count, count -> last], output: '{{{{ $nodes.last.result }}}}' }}",
            big("a"),
            big("b"),
            big("c"),
            count("$nodes.b.result.text.length"),
        );
        let blobs = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let config = WorkerConfig {
            execution_memory: ByteSize::mib(1),
            ..WorkerConfig::default()
        };
        let nebula = process_with(&world, &Counted::over(&blobs), NOTHING_IS_KEPT, config);
        let id = world.begin(&nebula, &yaml).await;
        world.finish(&nebula, id).await
    });
    assert_eq!(beside.output, json!({ "n": 500_000 }), "{:?}", beside.error);
    let report = run("$nodes.a.result.text.length + $nodes.b.result.text.length");
    assert_eq!(
        report.output,
        json!({ "n": 1_000_000 }),
        "{:?}",
        report.error
    );
    let report = run(
        "$nodes.a.result.text.length + $nodes.b.result.text.length + $nodes.c.result.text.length",
    );
    let error = report.error.expect("three of them are too many");
    assert!(
        error.message.contains("the limit is 1 MiB"),
        "{}",
        error.message
    );
}

/// Guard: a retry has what succeeded by its name, whose age begins anew with it.
#[test]
fn a_retry_names_what_the_first_execution_has_put() {
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let yaml = format!(
            "{{ nodes: [{BIG}, {{ id: fails, action: flow.fail, parameters: {{ message: no }} }}], connections: [big -> fails] }}"
        );
        let ran = run_over(&world, &yaml, NOTHING_IS_KEPT, &all).await;
        assert_eq!(ran.report.status, Status::Failed);
        let Some(Fact::AttemptSpilled { blob, .. }) = ran
            .facts
            .iter()
            .find(|fact| matches!(fact, Fact::AttemptSpilled { .. }))
        else {
            panic!("{:?}", ran.facts)
        };
        let before = all.head(&tenant(), blob.digest).await.unwrap().unwrap();
        world.clock.advance(Duration::from_hours(30));
        let blobs = Counted::over(&all);
        let nebula = process(&world, &blobs, NOTHING_IS_KEPT);
        let again = nebula
            .engine()
            .again(&tenant(), ran.report.execution, Again::Retry, None)
            .await
            .unwrap();
        let copied = facts(&world, again.id).await;
        assert_eq!(spilled(&copied), ["big"]);
        assert_eq!(blobs.reads(), 0);
        let after = all.head(&tenant(), blob.digest).await.unwrap().unwrap();
        assert!(after.renewed_at > before.renewed_at);
    });
}
