//! The live picture of one execution on a terminal.

use std::{sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nebula_action::Progress;
use nebula_core::{Clock, ExecutionId, Timestamp, duration_text};
use nebula_engine::Report;
use nebula_execution::{ExecutionPlan, InstanceId};
use nebula_telemetry::{Bus, EventKind, ExecutionEvent, Received, Watcher};
use serde_json::Value;

use crate::{
    commands::executions::shortened,
    console::{Colours, Console, Paint},
};

/// The most nodes that are drawn; of a larger workflow those that are at work.
const MAX_ROWS: usize = 20;
/// How often the picture moves by itself.
const TICK: Duration = Duration::from_millis(100);

/// Where a node stands, as far as events tell.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Open,
    Running {
        attempt: u32,
    },
    Retrying {
        attempt: u32,
        at: Timestamp,
    },
    Waiting {
        due: Timestamp,
    },
    Listening {
        name: String,
    },
    Asking,
    Heeding {
        reached: String,
    },
    Queueing {
        key: String,
    },
    Calling {
        workflow: String,
        child: ExecutionId,
    },
    Succeeded,
    Failed,
    Skipped,
    Cancelled,
    Unknown,
    Undoing {
        attempt: u32,
    },
    UndoingAgain {
        attempt: u32,
        at: Timestamp,
    },
    NotUndone,
    Compensated,
}

#[derive(Debug)]
struct Row {
    id: String,
    depth: usize,
    state: State,
    /// Items of a `for_each`: ended and all.
    items: Option<(u32, u32)>,
    /// What its attempt said last.
    said: String,
}

/// What is known of an execution from its events.
#[derive(Debug)]
pub(crate) struct Picture {
    title: String,
    rows: Vec<Row>,
    paused: bool,
    /// From when the picture was made on: nothing that begins after it is missed.
    events: Watcher,
    /// The number of the last entry whose event was said.
    said: u64,
}

impl Picture {
    /// Every node of `plan`, not yet begun, in the order in which they can run.
    pub(crate) fn of_plan(plan: &ExecutionPlan, bus: &Bus) -> Self {
        let waves = crate::waves::Waves::of(plan);
        let rows = waves.order.iter().map(|node| Row {
            id: plan.node(*node).id.to_string(),
            depth: waves.indent[*node as usize].min(8),
            state: State::Open,
            items: None,
            said: String::new(),
        });
        Self {
            title: plan.workflow.to_string(),
            rows: rows.collect(),
            paused: false,
            events: bus.subscribe(),
            said: 0,
        }
    }

    /// Nodes appear as events name them.
    pub(crate) fn of_nodes(title: &str, bus: &Bus) -> Self {
        Self {
            title: title.to_owned(),
            rows: Vec::new(),
            paused: false,
            events: bus.subscribe(),
            said: 0,
        }
    }

    /// The same of an execution that has begun; what it emitted before is not said again.
    pub(crate) fn of_report(before: &Report, bus: &Bus) -> Self {
        let said = before.events.iter().rev().find_map(|it| it["seq"].as_u64());
        Self {
            said: said.unwrap_or(0),
            ..Self::of_nodes(before.workflow.as_str(), bus)
        }
    }

    fn row(&mut self, instance: &InstanceId) -> &mut Row {
        let id = instance.node.as_str();
        let at = self.rows.iter().position(|row| row.id == id);
        let at = at.unwrap_or_else(|| {
            self.rows.push(Row {
                id: id.to_owned(),
                depth: 0,
                state: State::Open,
                items: None,
                said: String::new(),
            });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    fn apply(&mut self, kind: &EventKind) {
        let (instance, state) = match kind {
            EventKind::NodeStarted { instance, attempt } => {
                (instance, State::Running { attempt: *attempt })
            }
            EventKind::NodeProgress {
                instance,
                attempt,
                progress,
            } => {
                self.row(instance).said = said(progress);
                (instance, State::Running { attempt: *attempt })
            }
            EventKind::NodeSucceeded { instance } | EventKind::Emitted { instance, .. } => {
                (instance, State::Succeeded)
            }
            EventKind::NodeFailed { instance, .. } => (instance, State::Failed),
            EventKind::NodeRetrying {
                instance,
                attempt,
                retry_at,
                ..
            } => {
                let (attempt, at) = (*attempt, *retry_at);
                (instance, State::Retrying { attempt, at })
            }
            EventKind::CompensationStarted { instance, attempt } => {
                (instance, State::Undoing { attempt: *attempt })
            }
            EventKind::NodeCompensated { instance } => (instance, State::Compensated),
            EventKind::CompensationFailed {
                instance,
                attempt,
                retry_at,
                ..
            } => {
                let attempt = *attempt;
                let state = retry_at.map(|at| State::UndoingAgain { attempt, at });
                (instance, state.unwrap_or(State::NotUndone))
            }
            EventKind::NodeSkipped { instance } => (instance, State::Skipped),
            EventKind::NodeCancelled { instance } => (instance, State::Cancelled),
            EventKind::NodesCancelled { instance, nodes } => {
                for row in &mut self.rows {
                    let named = nodes.iter().any(|node| node.as_str() == row.id);
                    let waits = matches!(
                        row.state,
                        State::Open
                            | State::Retrying { .. }
                            | State::Waiting { .. }
                            | State::Listening { .. }
                    );
                    if named && waits {
                        row.state = State::Cancelled;
                    }
                }
                (instance, State::Succeeded)
            }
            EventKind::NodeIndeterminate { instance, .. } => (instance, State::Unknown),
            EventKind::NodeWaiting { instance, due } => (instance, State::Waiting { due: *due }),
            EventKind::NodeListening { instance, name, .. } => {
                let name = name.clone();
                (instance, State::Listening { name })
            }
            EventKind::NodeAsking { instance, .. } => (instance, State::Asking),
            EventKind::NodeCalling {
                instance,
                workflow,
                child,
            } => {
                let (workflow, child) = (workflow.to_string(), *child);
                (instance, State::Calling { workflow, child })
            }
            EventKind::NodeHeeding { instance, reached } => {
                let reached = reached.to_string();
                (instance, State::Heeding { reached })
            }
            EventKind::NodeQueueing { instance, key } => {
                let key = key.clone();
                (instance, State::Queueing { key })
            }
            EventKind::SlotGranted { instance } => (instance, State::Running { attempt: 1 }),
            EventKind::ItemsOpened { instance, total } => {
                self.row(instance).items = Some((0, *total));
                (instance, State::Running { attempt: 1 })
            }
            EventKind::ItemsAdded { instance, more } => {
                if let Some((_, total)) = &mut self.row(instance).items {
                    *total += more;
                }
                return;
            }
            EventKind::ItemsSettled { instance, done } => {
                if let Some((ended, _)) = &mut self.row(instance).items {
                    *ended += done;
                }
                return;
            }
            EventKind::BodyClosed { instance } if instance.item.is_some() => {
                if let Some((ended, _)) = &mut self.row(instance).items {
                    *ended += 1;
                }
                return;
            }
            EventKind::Paused | EventKind::Resumed => {
                self.paused = *kind == EventKind::Paused;
                return;
            }
            _ => return,
        };
        // An item's own end is not its node's.
        if instance.item.is_none() {
            let row = self.row(instance);
            if !matches!(state, State::Running { .. }) {
                row.said.clear();
            }
            row.state = state;
        }
    }

    /// The lines to draw at `now`.
    fn draw(&self, now: Timestamp, elapsed: Duration, colours: Colours) -> String {
        let ended = |row: &&Row| {
            matches!(
                row.state,
                State::Succeeded
                    | State::Failed
                    | State::Skipped
                    | State::Cancelled
                    | State::Compensated
            )
        };
        let done = self.rows.iter().filter(ended).count();
        let mut text = format!(
            "{}  {done} of {}  {}",
            self.title,
            crate::definition::counted(self.rows.len(), "node"),
            colours.paint(Paint::Dim, seconds(elapsed)),
        );
        if self.paused {
            text.push_str("  ");
            text.push_str(&colours.paint(Paint::Yellow, "paused"));
        }
        let all = self.rows.len() <= MAX_ROWS;
        let shown = self.rows.iter().filter(|row| {
            let quiet = matches!(
                row.state,
                State::Open | State::Succeeded | State::Skipped | State::Cancelled
            );
            all || !quiet
        });
        for row in shown.take(MAX_ROWS) {
            text.push('\n');
            text.push_str(&row.draw(now, colours, all));
        }
        text
    }
}

impl Row {
    fn draw(&self, now: Timestamp, colours: Colours, indent: bool) -> String {
        let until = |at: Timestamp| {
            let left = at.since(now);
            duration_text(Duration::from_secs(left.as_secs() + 1))
        };
        let (mark, paint, mut detail) = match &self.state {
            State::Open => ("·", Paint::Dim, String::new()),
            State::Running { attempt: 1 } => ("▶", Paint::Cyan, "running".to_owned()),
            State::Running { attempt } => ("▶", Paint::Cyan, format!("running, attempt {attempt}")),
            State::Retrying { attempt, at } => {
                let detail = format!("attempt {attempt} failed, again in {}", until(*at));
                ("↻", Paint::Yellow, detail)
            }
            State::Waiting { due } => ("◔", Paint::Yellow, format!("waits {}", until(*due))),
            State::Listening { name } => ("◔", Paint::Yellow, format!("waits for signal `{name}`")),
            State::Asking => ("◔", Paint::Yellow, "waits for people to decide".to_owned()),
            State::Calling { workflow, child } => (
                "▷",
                Paint::Cyan,
                format!("calls {workflow}, execution {child}"),
            ),
            State::Heeding { reached } => {
                let what = format!("waits until `{reached}` succeeds");
                ("◔", Paint::Yellow, what)
            }
            State::Queueing { key } => ("◔", Paint::Yellow, format!("waits for `{key}`")),
            State::Succeeded => ("✓", Paint::Green, String::new()),
            State::Failed => ("✗", Paint::Red, "failed".to_owned()),
            State::Skipped => ("○", Paint::Dim, "skipped".to_owned()),
            State::Cancelled => ("○", Paint::Dim, "cancelled".to_owned()),
            State::Undoing { attempt: 1 } => ("↶", Paint::Cyan, "is being undone".to_owned()),
            State::Undoing { attempt } => {
                let detail = format!("is being undone, attempt {attempt}");
                ("↶", Paint::Cyan, detail)
            }
            State::UndoingAgain { attempt, at } => {
                let detail = format!(
                    "attempt {attempt} to undo it failed, again in {}",
                    until(*at)
                );
                ("↶", Paint::Yellow, detail)
            }
            State::NotUndone => ("?", Paint::Yellow, "could not be undone".to_owned()),
            State::Compensated => ("↶", Paint::Green, "compensated".to_owned()),
            State::Unknown => (
                "?",
                Paint::Yellow,
                "nobody knows whether it happened".to_owned(),
            ),
        };
        if !self.said.is_empty() && matches!(self.state, State::Running { .. }) {
            detail = format!("{}  {detail}", self.said);
        }
        if let Some((ended, total)) = self.items {
            detail = format!("{ended} of {total} items  {detail}");
        }
        let indent = "  ".repeat(if indent { self.depth } else { 0 });
        let mark = colours.paint(paint, mark);
        let detail = colours.paint(Paint::Dim, detail.trim_end());
        format!("  {indent}{mark} {}  {detail}", self.id)
            .trim_end()
            .to_owned()
    }
}

/// `3 of 10 pages`, `3 entries`, `page 3`.
fn said(progress: &Progress) -> String {
    let count = match (progress.done, progress.total) {
        (Some(done), Some(total)) => format!("{done} of {total}"),
        (Some(done), None) => done.to_string(),
        (None, Some(total)) => format!("of {total}"),
        (None, None) => String::new(),
    };
    let text = format!("{count} {}", progress.note);
    // It is drawn as it is: what a terminal would obey is taken out.
    text.trim().replace(char::is_control, " ")
}

/// `40 ms`, `12.0 s`, `3m5s`.
pub(crate) fn seconds(elapsed: Duration) -> String {
    if elapsed < Duration::from_millis(950) {
        format!("{} ms", elapsed.as_millis())
    } else if elapsed < Duration::from_secs(60) {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else {
        duration_text(Duration::from_secs(elapsed.as_secs()))
    }
}

/// The line for something that the workflow emitted.
fn emitted_line(name: &str, payload: &Value) -> String {
    match payload {
        Value::Null => format!("event {name}"),
        payload => format!("event {name}  {}", shortened(&payload.to_string())),
    }
}

/// The line for this event, if it is one that the workflow emitted and that was not said.
fn emitted(picture: &mut Picture, event: &ExecutionEvent) -> Option<String> {
    match &event.kind {
        EventKind::Emitted { name, payload, .. } if event.seq > picture.said => {
            picture.said = event.seq;
            Some(emitted_line(name, payload))
        }
        _ => None,
    }
}

/// Says what the workflow emits, where no picture can be drawn.
async fn say(picture: &mut Picture, execution: ExecutionId, console: Console) {
    while let Some(received) = picture.events.next().await {
        if let Received::Event(event) = received
            && event.execution == execution
            && let Some(line) = emitted(picture, &event)
        {
            console.note(&line);
        }
    }
    std::future::pending::<()>().await;
}

/// Says what the workflow emitted and the bus had not brought when the execution came to rest: the
/// report is the truth.
pub(crate) fn say_rest(picture: &Picture, report: &Report, console: &Console) {
    for event in &report.events {
        if event["seq"].as_u64().is_some_and(|seq| seq > picture.said) {
            let name = event["event"].as_str().unwrap_or_default();
            console.note(&emitted_line(name, &event["payload"]));
        }
    }
}

/// Keeps the picture of `execution` moving until the future is dropped, which leaves the terminal
/// clean. What the workflow emits is said above it, and stays.
pub(crate) async fn show(
    picture: &mut Picture,
    execution: ExecutionId,
    clock: Arc<dyn Clock>,
    console: Console,
) {
    if !console.live {
        return say(picture, execution, console).await;
    }
    picture.title = format!(
        "{}  {}",
        console.err.paint(Paint::Bold, &picture.title),
        console.err.paint(Paint::Dim, execution.to_string())
    );
    let begun = clock.monotonic();
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template("{msg}").expect("the template has one known key"));
    let clear = ClearOnDrop(bar);
    loop {
        let drawn = picture.draw(clock.now(), clock.monotonic() - begun, console.err);
        clear.0.set_message(drawn);
        clear.0.tick();
        let next = clock.sleep(TICK);
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                () = &mut next => break,
                event = picture.events.next() => match event {
                    Some(Received::Event(event)) if event.execution == execution => {
                        if let Some(line) = emitted(picture, &event) {
                            clear.0.println(line);
                        }
                        picture.apply(&event.kind);
                    }
                    Some(_) => {}
                    None => return std::future::pending().await,
                },
            }
        }
    }
}

/// Takes the picture off the terminal, however its future ends.
struct ClearOnDrop(ProgressBar);

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_move_the_picture() {
        let mut picture = Picture::of_nodes("w", &Bus::new(1));
        let instance = |text: &str| text.parse::<InstanceId>().unwrap();
        picture.apply(&EventKind::NodeStarted {
            instance: instance("a"),
            attempt: 1,
        });
        picture.apply(&EventKind::ItemsOpened {
            instance: instance("b"),
            total: 3,
        });
        picture.apply(&EventKind::ItemsSettled {
            instance: instance("b"),
            done: 2,
        });
        picture.apply(&EventKind::NodeProgress {
            instance: instance("a"),
            attempt: 1,
            progress: Progress::of(3, 10).note("pages\u{1b}[2J"),
        });
        assert_eq!(
            picture.draw(Timestamp::from_millis(0), Duration::ZERO, Colours(false)),
            "w  0 of 2 nodes  0 ms\n  ▶ a  3 of 10 pages [2J  running\n  ▶ b  2 of 3 items  running"
        );
        picture.apply(&EventKind::NodeSucceeded {
            instance: instance("a"),
        });
        let drawn = picture.draw(
            Timestamp::from_millis(0),
            Duration::from_millis(1_240),
            Colours(false),
        );
        assert_eq!(
            drawn,
            "w  1 of 2 nodes  1.2 s\n  ✓ a\n  ▶ b  2 of 3 items  running"
        );
        let head = |picture: &Picture| {
            let drawn = picture.draw(Timestamp::from_millis(0), Duration::ZERO, Colours(false));
            drawn.lines().next().unwrap().to_owned()
        };
        for (event, row) in [
            (
                EventKind::CompensationStarted {
                    instance: instance("a"),
                    attempt: 1,
                },
                "  ↶ a  is being undone",
            ),
            (
                EventKind::CompensationFailed {
                    instance: instance("a"),
                    attempt: 1,
                    error: nebula_action::ActionError::fatal("X", "x"),
                    retry_at: None,
                },
                "  ? a  could not be undone",
            ),
            (
                EventKind::NodeCompensated {
                    instance: instance("a"),
                },
                "  ↶ a  compensated",
            ),
        ] {
            picture.apply(&event);
            let drawn = picture.draw(Timestamp::from_millis(0), Duration::ZERO, Colours(false));
            assert_eq!(drawn.lines().nth(1), Some(row));
        }
        picture.apply(&EventKind::Paused);
        assert_eq!(head(&picture), "w  1 of 2 nodes  0 ms  paused");
        picture.apply(&EventKind::Resumed);
        assert_eq!(head(&picture), "w  1 of 2 nodes  0 ms");
    }
}
