//! Workflows that start by what others announce: that they have ended, and the events that they emit.

mod world;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use nebula::{
    Nebula,
    core::{ExecutionId, ProjectId, Timestamp, WorkflowId},
    engine::{FireError, MAX_CHAIN},
    execution::{Started, Status},
    ports::*,
};
use serde_json::{Value, json};
use world::{World, config, in_world, live, of, publish, state, tenant};

const MINUTE: Duration = Duration::from_mins(1);

/// Starts the published version, as somebody does who calls.
async fn start(world: &World, nebula: &Nebula, text: &str, input: Value) -> ExecutionId {
    let installed = world.install(nebula, text).await;
    let options = nebula::execution::StartOptions::default();
    let engine = nebula.engine();
    let started = engine
        .start(&tenant(), &installed, input, options, None, None)
        .await;
    started.unwrap().id
}

const SHOP: &str = "id: shop\nnodes: [{ id: pay, action: flow.fail, parameters: { message: no money, code: NO_MONEY } }]";
const ALARM: &str = "id: alarm\ntriggers: [{ id: failed, type: workflow, on: failed }]\nnodes: [{ id: a, action: data.set }]";

/// The example of the page about definitions, so that what it shows is true.
#[test]
fn the_example_listens() {
    in_world(async |world| {
        let page = include_str!("../../../docs/definition.md");
        let mut blocks = page.split("```yaml\n").skip(1);
        let example = blocks.find(|block| block.contains("id: alarm")).unwrap();
        let example = example.split("```").next().unwrap();
        let nebula = world.process();
        publish(&nebula, example).await;
        let failed = start(&world, &nebula, SHOP, Value::Null).await;
        let emits = "id: till\ninput: { type: object }\nnodes: [{ id: a, action: flow.emit, parameters: { event: order.paid, payload: \"{{ $input }}\" } }]";
        for total in [100, 101] {
            let input = json!({ "order": total, "total": total, "customer": "ada" });
            let _ = start(&world, &nebula, emits, input).await;
        }
        live(&world, &nebula, MINUTE).await;
        let mut said = Vec::new();
        for (id, ..) in of(&world, "alarm").await {
            let report = nebula
                .engine()
                .report(&tenant(), id)
                .await
                .unwrap()
                .unwrap();
            said.push(report.output["text"].clone());
        }
        said.sort_by_key(Value::to_string);
        let expected = ["event: 101".to_owned(), format!("workflow: {failed}")];
        assert_eq!(said, expected.map(Value::from));
    });
}

#[test]
fn an_error_workflow_starts_once_for_each_execution_that_failed_and_is_told_of_it() {
    in_world(async |world| {
        let nebula = world.process();
        publish(&nebula, ALARM).await;
        let fine = "id: fine\nnodes: [{ id: a, action: data.set }]";
        let first = start(&world, &nebula, SHOP, Value::Null).await;
        let _ = start(&world, &nebula, fine, Value::Null).await;
        let second = start(&world, &nebula, SHOP, Value::Null).await;
        live(&world, &nebula, MINUTE).await;
        let alarms = of(&world, "alarm").await;
        assert_eq!(alarms.len(), 2, "{alarms:#?}");
        let heard = alarms.iter().map(|it| it.1.input["execution"].clone());
        let heard: BTreeSet<_> = heard.map(|it| it.to_string()).collect();
        let ended = [first, second].map(|it| format!("\"{it}\""));
        assert_eq!(heard, BTreeSet::from(ended));
        for (_, begun, status) in &alarms {
            assert_eq!(*status, Status::Completed);
            let input = &begun.input;
            let error = json!({ "code": "NO_MONEY", "message": "no money", "class": "fatal", "node": "pay" });
            assert_eq!(
                (&input["workflow"], &input["version"]),
                (&json!("shop"), &json!(1))
            );
            assert_eq!(
                (&input["status"], &input["error"]),
                (&json!("failed"), &error)
            );
            assert_eq!(input["output"], Value::Null);
            assert!(input["ended_at"].as_str() >= input["started_at"].as_str());
            let told = &begun.trigger;
            assert_eq!(
                (&told["id"], &told["type"]),
                (&json!("failed"), &json!("workflow"))
            );
            assert_eq!((&told["chain"], &told["error"]), (&json!(1), &error));
        }
        // Nothing comes of it again, in another life either.
        let next = world.process();
        live(&world, &next, MINUTE).await;
        assert_eq!(of(&world, "alarm").await.len(), 2);
        assert_eq!(state(&nebula, "alarm", "failed").await.due, None);
    });
}

#[test]
fn an_error_workflow_that_fails_itself_comes_to_an_end() {
    in_world(async |world| {
        let nebula = world.process();
        // By itself, and by a workflow that it calls.
        let alarm = "id: alarm\ntriggers: [{ id: t, type: workflow, on: [failed, timed_out] }]\nnodes: [{ id: a, action: flow.call, parameters: { workflow: shop } }]";
        publish(&nebula, SHOP).await;
        publish(&nebula, alarm).await;
        let _ = start(&world, &nebula, SHOP, Value::Null).await;
        live(&world, &nebula, MINUTE * 5).await;
        let alarms = of(&world, "alarm").await;
        assert_eq!(u64::try_from(alarms.len()).unwrap(), MAX_CHAIN);
        assert!(alarms.iter().all(|it| it.2 == Status::Failed));
        let chains: Vec<_> = alarms
            .iter()
            .map(|it| it.1.trigger["chain"].clone())
            .collect();
        assert_eq!(chains, (1..=MAX_CHAIN).map(Value::from).collect::<Vec<_>>());
        let left_out = state(&nebula, "alarm", "t").await.left_out.unwrap();
        let last = alarms.last().unwrap().0.to_string();
        assert!(left_out.why.contains(&last), "{left_out:?}");
    });
}

#[test]
fn the_end_of_a_child_is_the_business_of_its_caller() {
    in_world(async |world| {
        let nebula = world.process();
        publish(&nebula, SHOP).await;
        publish(&nebula, ALARM).await;
        let caught = "id: caught\nnodes: [{ id: a, action: flow.call, parameters: { workflow: shop }, on_error: continue }]";
        let detached = "id: detached\nnodes: [{ id: a, action: flow.call, parameters: { workflow: shop, wait: false } }]";
        let _ = start(&world, &nebula, caught, Value::Null).await;
        live(&world, &nebula, MINUTE).await;
        assert_eq!(of(&world, "alarm").await.len(), 0);
        let _ = start(&world, &nebula, detached, Value::Null).await;
        live(&world, &nebula, MINUTE).await;
        assert_eq!(of(&world, "alarm").await.len(), 1);
    });
}

const EMITS: &str = r#"
id: shop
input: { type: object }
nodes: [{ id: tell, action: flow.emit, parameters: { event: order.paid, payload: { customer: "{{ $input.customer }}", n: "{{ $input.n }}" } } }]
"#;

#[test]
fn an_event_starts_those_that_listen_if_they_take_it() {
    in_world(async |world| {
        let nebula = world.process();
        for (id, more) in [
            ("all", ""),
            (
                "large",
                "filter: $trigger.payload.n > 1, input: { who: \"{{ $trigger.payload.customer }} of {{ $trigger.workflow }}\" }, ",
            ),
            ("elsewhere", "workflows: [store], "),
        ] {
            let text = format!(
                "id: {id}\ntriggers: [{{ id: t, {more}type: event, event: order.paid }}, {{ id: u, type: event, event: order.pai }}]\nnodes: [{{ id: a, action: data.set }}]"
            );
            publish(&nebula, &text).await;
        }
        let mut emitted = Vec::new();
        for n in 1..=3 {
            let input = json!({ "customer": "ada", "n": n });
            emitted.push(start(&world, &nebula, EMITS, input).await);
            live(&world, &nebula, MINUTE).await;
        }
        let all = of(&world, "all").await;
        assert_eq!(all.len(), 3);
        for (n, (_, begun, _)) in (1..).zip(&all) {
            assert_eq!(*begun.input, json!({ "customer": "ada", "n": n }));
            let told = &begun.trigger;
            assert_eq!(told["event"], "order.paid");
            let id = format!("{}/", emitted[n - 1]);
            assert!(
                told["event_id"].as_str().unwrap().starts_with(&id),
                "{told}"
            );
            assert_eq!(
                (&told["instance"], &told["payload"]["n"]),
                (&json!("tell"), &json!(n))
            );
        }
        let large = of(&world, "large").await;
        assert_eq!(large.len(), 2);
        assert_eq!(*large[0].1.input, json!({ "who": "ada of shop" }));
        assert_eq!(of(&world, "elsewhere").await.len(), 0);
    });
}

#[test]
fn what_has_one_key_runs_one_after_the_other_in_its_order() {
    in_world(async |world| {
        let nebula = world.process();
        let text = "id: serial\ntriggers: [{ id: t, type: event, event: order.paid, key: $trigger.payload.customer }]\nnodes: [{ id: a, action: flow.wait, parameters: { for: 10m } }]";
        publish(&nebula, text).await;
        for n in 0..6 {
            let customer = ["ada", "bob"][n % 2];
            let _ = start(
                &world,
                &nebula,
                EMITS,
                json!({ "customer": customer, "n": n }),
            )
            .await;
            live(&world, &nebula, MINUTE).await;
        }
        let running = |all: &[(ExecutionId, Started, Status)], who: &str| {
            let own = all.iter().filter(|it| it.1.input["customer"] == who);
            own.map(|it| it.2).collect::<Vec<_>>()
        };
        let (waits, queued, done) = (Status::Waiting, Status::Queued, Status::Completed);
        let all = of(&world, "serial").await;
        assert_eq!(running(&all, "ada"), [waits, queued, queued]);
        assert_eq!(running(&all, "bob"), [waits, queued, queued]);
        live(&world, &nebula, MINUTE * 30).await;
        assert_eq!(running(&of(&world, "serial").await, "bob"), [done; 3]);
    });
}

#[test]
fn what_is_not_admitted_waits_and_starts_when_there_is_room() {
    in_world(async |world| {
        let nebula = world.process();
        let text = "id: narrow\nadmission: { concurrency: 1, when_full: refuse }\ntriggers: [{ id: t, type: event, event: order.paid }]\nnodes: [{ id: a, action: flow.wait, parameters: { for: 10m } }]";
        publish(&nebula, text).await;
        for n in 0..3 {
            let _ = start(&world, &nebula, EMITS, json!({ "customer": "ada", "n": n })).await;
        }
        live(&world, &nebula, MINUTE * 5).await;
        assert_eq!(of(&world, "narrow").await.len(), 1);
        live(&world, &nebula, MINUTE * 30).await;
        let all = of(&world, "narrow").await;
        let order: Vec<_> = all.iter().map(|it| it.1.input["n"].clone()).collect();
        assert_eq!(order, [0, 1, 2].map(Value::from));
        assert_eq!(state(&nebula, "narrow", "t").await.left_out, None);
    });
}

#[test]
fn what_cannot_start_is_left_out_and_what_follows_starts() {
    in_world(async |world| {
        let nebula = world.process();
        let text = "id: picky\ninput: { type: object, properties: { n: { type: integer, maximum: 1 } } }\ntriggers: [{ id: t, type: event, event: order.paid }]\nnodes: [{ id: a, action: data.set }]";
        publish(&nebula, text).await;
        for n in [5, 1] {
            let _ = start(&world, &nebula, EMITS, json!({ "customer": "ada", "n": n })).await;
            live(&world, &nebula, MINUTE).await;
            let left_out = state(&nebula, "picky", "t").await.left_out;
            assert_eq!(left_out.is_some(), n == 5, "{left_out:?}");
        }
        let all = of(&world, "picky").await;
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].1.input["n"], 1);
    });
}

#[test]
fn a_paused_trigger_keeps_what_it_hears_and_starts_nothing_by_hand() {
    in_world(async |world| {
        let nebula = world.process();
        publish(&nebula, ALARM).await;
        let (engine, alarm, failed) = (
            nebula.engine(),
            "alarm".parse().unwrap(),
            "failed".parse().unwrap(),
        );
        let _ = engine
            .pause_trigger(&tenant(), &alarm, &failed, true)
            .await
            .unwrap();
        let _ = start(&world, &nebula, SHOP, Value::Null).await;
        live(&world, &nebula, MINUTE).await;
        assert_eq!(of(&world, "alarm").await.len(), 0);
        // Another version keeps it, too.
        publish(&nebula, &ALARM.replace("id: a,", "id: b,")).await;
        let by_hand = engine
            .fire_trigger(&tenant(), &alarm, &failed, &config())
            .await;
        assert!(matches!(by_hand, Err(FireError::Listens)), "{by_hand:?}");
        let _ = engine
            .pause_trigger(&tenant(), &alarm, &failed, false)
            .await
            .unwrap();
        live(&world, &nebula, MINUTE).await;
        assert_eq!(of(&world, "alarm").await.len(), 1);
    });
}

#[test]
fn nothing_is_heard_across_projects() {
    in_world(async |world| {
        let nebula = world.process();
        publish(&nebula, ALARM).await;
        publish(&nebula, SHOP).await;
        let (alarm, shop): (WorkflowId, WorkflowId) =
            ("alarm".parse().unwrap(), "shop".parse().unwrap());
        let north = ProjectId::new("north").unwrap();
        let repo = &world.workflows;
        for (moved, of_both) in [(&shop, 0), (&alarm, 1)] {
            assert!(repo.move_to(&tenant(), moved, Some(&north)).await.unwrap());
            let _ = start(&world, &nebula, SHOP, Value::Null).await;
            live(&world, &nebula, MINUTE).await;
            assert_eq!(of(&world, "alarm").await.len(), of_both);
        }
    });
}

#[test]
fn what_is_debounced_starts_one_execution_with_the_last() {
    in_world(async |world| {
        let nebula = world.process();
        let text = "id: calm\ntriggers: [{ id: t, type: event, event: order.paid, key: $trigger.payload.customer, debounce: 5m }]\nnodes: [{ id: a, action: data.set }]";
        publish(&nebula, text).await;
        for n in 0..6 {
            let customer = ["ada", "bob"][n % 2];
            let input = json!({ "customer": customer, "n": n });
            let _ = start(&world, &nebula, EMITS, input).await;
            live(&world, &nebula, MINUTE).await;
        }
        assert_eq!(of(&world, "calm").await.len(), 0);
        // Another life waits no longer.
        let nebula = world.process();
        live(&world, &nebula, MINUTE * 6).await;
        let all = of(&world, "calm").await;
        let inputs: Vec<_> = all.iter().map(|it| (*it.1.input).clone()).collect();
        let last = |customer: &str, n: i32| json!({ "customer": customer, "n": n });
        assert_eq!(inputs, [last("ada", 4), last("bob", 5)]);
        assert!(all.iter().all(|it| it.1.trigger["count"] == 3), "{all:#?}");
        assert_eq!(state(&nebula, "calm", "t").await.due, None);
    });
}

#[test]
fn a_batch_starts_one_execution_with_all_of_them() {
    in_world(async |world| {
        let nebula = world.process();
        let text = "id: heaps\ntriggers: [{ id: t, type: event, event: order.paid, filter: $trigger.payload.n != 1, batch: { size: 3, wait: 5m } }]\nnodes: [{ id: a, action: data.set }]";
        publish(&nebula, text).await;
        for n in 0..6 {
            let input = json!({ "customer": "ada", "n": n });
            let _ = start(&world, &nebula, EMITS, input).await;
        }
        live(&world, &nebula, MINUTE).await;
        assert_eq!(of(&world, "heaps").await.len(), 1);
        live(&world, &nebula, MINUTE * 6).await;
        let all = of(&world, "heaps").await;
        let ns = all.iter().map(|it| {
            let each = it.1.input.as_array().unwrap();
            each.iter().map(|it| it["n"].clone()).collect::<Vec<_>>()
        });
        let ns: Vec<_> = ns.collect();
        assert_eq!(json!(ns), json!([[0, 2, 3], [4, 5]]));
        let items = all[1].1.trigger["items"].as_array().unwrap();
        assert_eq!((items.len(), &items[1]["payload"]["n"]), (2, &json!(5)));
        assert_eq!(all[1].1.trigger["count"], 2);
    });
}

/// A folder that holds what a test puts there.
#[derive(Debug)]
struct Folder(Mutex<std::result::Result<Vec<FoundFile>, String>>);

impl Folder {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Ok(Vec::new()))))
    }

    fn holds(&self, files: &[(&str, u64)]) {
        let one = |(name, size): &(&str, u64)| FoundFile {
            name: (*name).to_owned(),
            size: *size,
            modified: Timestamp::from_millis(1),
        };
        *self.0.lock().unwrap() = Ok(files.iter().map(one).collect());
    }

    fn fails(&self, why: &str) {
        *self.0.lock().unwrap() = Err(why.to_owned());
    }
}

#[async_trait::async_trait]
impl FolderReader for Folder {
    async fn files(&self, folder: &Path, _: Option<&str>, _: usize) -> Result<Vec<FoundFile>> {
        assert_eq!(folder, config().folder.join("inbox"));
        let found = self.0.lock().unwrap().clone();
        found.map_err(|why| PortError::new(ErrorKind::Unavailable, "test", "read a folder", why))
    }
}

/// A process that looks at this folder.
fn watching(world: &World, folder: &Arc<Folder>) -> Nebula {
    let builder = world.builder_here();
    builder.folders(folder.clone()).build().unwrap()
}

const FILES: &str = "id: take\ntriggers: [{ id: t, type: file, path: inbox, on: [created, changed], first: start, settle: 30s, every: 1m }]\nnodes: [{ id: a, action: data.set }]";

#[test]
fn files_start_an_execution_each_also_those_that_come_while_nobody_looks() {
    in_world(async |world| {
        let folder = Folder::new();
        folder.holds(&[("a", 1)]);
        let nebula = watching(&world, &folder);
        publish(&nebula, FILES).await;
        live(&world, &nebula, MINUTE * 2).await;
        // In any order: ids of one moment have none.
        let names = async || -> BTreeSet<String> {
            let all = of(&world, "take").await.into_iter();
            all.map(|it| it.1.input)
                .map(|input| format!("{} {}", input["event"], input["path"]).replace('"', ""))
                .collect()
        };
        assert_eq!(
            names().await,
            BTreeSet::from(["created inbox/a".to_owned()])
        );
        folder.holds(&[("a", 2), ("b", 1)]);
        world.clock.advance(MINUTE * 60);
        let nebula = watching(&world, &folder);
        live(&world, &nebula, MINUTE * 2).await;
        let all = ["created inbox/a", "changed inbox/a", "created inbox/b"];
        let all = BTreeSet::from(all.map(str::to_owned));
        assert_eq!(names().await, all);
        // Another version goes on where this one was.
        publish(&nebula, &FILES.replace("id: a,", "id: b,")).await;
        live(&world, &nebula, MINUTE * 5).await;
        assert_eq!(names().await, all);
        let taken = of(&world, "take").await;
        assert_eq!(taken.len(), 3);
        let told = taken.iter().find(|it| it.1.input["name"] == "b");
        let told = &told.unwrap().1.trigger;
        assert_eq!(
            (&told["id"], &told["type"], &told["name"], &told["size"]),
            (&json!("t"), &json!("file"), &json!("b"), &json!(1))
        );
        let (take, t) = ("take".parse().unwrap(), "t".parse().unwrap());
        let engine = nebula.engine();
        let by_hand = engine.fire_trigger(&tenant(), &take, &t, &config()).await;
        assert!(matches!(by_hand, Err(FireError::Watches)), "{by_hand:?}");
    });
}

#[test]
fn a_folder_that_cannot_be_read_is_shown_and_looked_at_again() {
    in_world(async |world| {
        let folder = Folder::new();
        folder.fails("inbox: it is not there");
        let nebula = watching(&world, &folder);
        publish(&nebula, FILES).await;
        live(&world, &nebula, MINUTE * 3).await;
        let left_out = state(&nebula, "take", "t").await.left_out.unwrap();
        assert_eq!(left_out.why, "could not look: inbox: it is not there");
        // Since the first time, however often it fails.
        let first = left_out.at;
        live(&world, &nebula, MINUTE * 3).await;
        let left_out = state(&nebula, "take", "t").await.left_out.unwrap();
        assert_eq!(left_out.at, first);
        folder.holds(&[]);
        live(&world, &nebula, MINUTE * 2).await;
        assert_eq!(state(&nebula, "take", "t").await.left_out, None);
        folder.holds(&[("a", 1)]);
        live(&world, &nebula, MINUTE * 3).await;
        assert_eq!(of(&world, "take").await.len(), 1);
    });
}

/// A look goes on while what was found waits to be gathered.
#[test]
fn files_are_gathered_too() {
    in_world(async |world| {
        let folder = Folder::new();
        folder.holds(&[("a", 1)]);
        let nebula = watching(&world, &folder);
        let text = FILES.replace("type: file,", "type: file, batch: { size: 3, wait: 1h },");
        publish(&nebula, &text).await;
        live(&world, &nebula, MINUTE * 5).await;
        folder.holds(&[("a", 1), ("b", 1)]);
        live(&world, &nebula, MINUTE * 5).await;
        assert_eq!(of(&world, "take").await.len(), 0);
        folder.holds(&[("a", 1), ("b", 1), ("c", 1)]);
        live(&world, &nebula, MINUTE * 5).await;
        let all = of(&world, "take").await;
        let names = all[0].1.input.as_array().unwrap().iter();
        let names: Vec<_> = names.map(|it| it["name"].clone()).collect();
        assert_eq!((all.len(), json!(names)), (1, json!(["a", "b", "c"])));
    });
}

/// Not only when it is looked again anyway.
#[test]
fn a_file_is_taken_as_soon_as_it_has_settled() {
    in_world(async |world| {
        let folder = Folder::new();
        folder.holds(&[("a", 1)]);
        let nebula = watching(&world, &folder);
        publish(&nebula, &FILES.replace("every: 1m", "every: 1h")).await;
        live(&world, &nebula, MINUTE).await;
        assert_eq!(of(&world, "take").await.len(), 1);
    });
}
