//! An action that logs without end: neighbours go on, and what is kept of it has a bound.
//!
//! Standard error belongs to a whole process, so the test starts this program once more, with a pipe
//! as standard error that nobody reads until the flood is over.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the test is two programs, which speak by a variable and a pipe"
)]

mod world;

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use nebula::{
    action::{
        Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
    },
    execution::Status,
    telemetry::{LogFormat, LogOptions, init_logging},
};
use nebula_system::SystemClock;
use nebula_testkit::{InlineOffload, SeededEntropy, effects};
use serde_json::{Value, json};
use world::{in_world, with};

/// Tells the program that it is the one that floods.
const FLOODS: &str = "NEBULA_TEST_FLOODS";

/// Lines that one attempt logs: far more than a pipe and the room for waiting lines take together.
const LINES: u32 = 300_000;

/// The most of them that may reach the stream: what a place may log at once, and so many a second for
/// as long as all of it may take.
const MOST: usize = 1_000;

/// What the other program says when everything has ended.
const OVER: &str = "the flood is over";

/// How long that may take.
const BOUND: Duration = Duration::from_secs(60);

/// Logs all its lines and then says that it is done.
#[derive(Debug)]
struct Noisy(ActionMetadata);

#[async_trait]
impl Action for Noisy {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(&self, _: &ActionContext, _: Value) -> Result<ActionResult, ActionError> {
        for line in 0..LINES {
            tracing::warn!(line, "a line of the flood {}", "~".repeat(100));
            if line % 1_000 == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(ActionResult::output(json!(LINES)))
    }
}

#[test]
fn a_flood_of_log_lines_holds_up_nobody() {
    if env::var_os(FLOODS).is_some() {
        return flood();
    }
    let mut other = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_flood_of_log_lines_holds_up_nobody"])
        .arg("--nocapture")
        .env(FLOODS, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (out, mut err) = (other.stdout.take().unwrap(), other.stderr.take().unwrap());
    let (over, is_over) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        for line in BufReader::new(out).lines() {
            let line = line.unwrap();
            if line.contains(OVER) {
                over.send(()).unwrap();
            }
            said.push(line);
        }
        said
    });
    let is_over = is_over.recv_timeout(BOUND);
    if is_over.is_err() {
        other.kill().unwrap();
    }
    let mut lines = String::new();
    err.read_to_string(&mut lines).unwrap();
    let status = other.wait().unwrap();
    let said = reader.join().unwrap();
    assert!(is_over.is_ok() && status.success(), "{status}: {said:#?}");
    let lines = lines.matches("a line of the flood").count();
    assert!((1..=MOST).contains(&lines), "{lines} lines");
}

/// What the other program does: neighbours of the flood end before it does.
fn flood() {
    let options = LogOptions {
        filter: "warn".to_owned(),
        format: LogFormat::Text,
        colour: false,
    };
    let logging = init_logging(&options, Arc::new(SystemClock::default())).unwrap();
    in_world(async |world| {
        let metadata = ActionMetadata::new("test.noisy", (1, 0), Effect::Fixed(EffectClass::Pure));
        let noisy: Arc<dyn Action> = Arc::new(Noisy(metadata));
        let nebula = world
            .builder()
            .clock(Arc::new(world.clock.clone()))
            .entropy(Arc::new(SeededEntropy::new(1)))
            .offload(Arc::new(InlineOffload))
            .actions(effects(&world.ledger, &world.clock))
            .actions([noisy])
            .build()
            .unwrap();
        let noisy = "id: noisy\nnodes: [ { id: a, action: test.noisy } ]";
        let noisy = world.begin(&nebula, noisy).await;
        let brief = "id: brief\nnodes: [ { id: a, action: test.keyed, parameters: { label: brief, seconds: 1 } } ]";
        let brief = world.install(&nebula, brief).await;
        let mut others = Vec::new();
        for _ in 0..10 {
            others.push(world.start(&nebula, &brief).await);
        }
        with(&nebula, async {
            others.push(noisy);
            for id in others {
                let report = world.settled(&nebula, id).await;
                assert_eq!(report.status, Status::Completed, "{report:?}");
            }
        })
        .await;
    });
    println!("{OVER}");
    drop(logging);
}
