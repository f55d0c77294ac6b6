//! Kills `nebula run` and `nebula resume`, several at a time over one database, and holds what they
//! did against the files that they wrote.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nebula_core::ExecutionId;
use nebula_execution::Status;
use nebula_testkit::{
    SeededEntropy,
    simulation::{Audit, checks},
};
use serde_json::{Value, json};

use crate::{
    Failed, Told, Wanted,
    process::{Process, words},
    store::{self, Became},
};

#[cfg(test)]
mod tests;

/// How many commands there are at a time.
const COMMANDS: usize = 3;

/// How many executions may be open before nothing but `resume` is called.
const OPEN: u64 = 5;

/// How many files or lines each execution writes.
const ITEMS: u64 = 30;

/// How long leases last here.
const LEASE: Duration = Duration::from_millis(1_200);

/// How long is waited at most for the moment that the seed chose.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often what is left is gone on with and decided at most.
const ROUNDS: usize = 20;

/// How a file comes about, and what its effect class is.
const FLOWS: &[(&str, &str)] = &[
    ("lines", "append"),
    ("made", "create"),
    ("kept", "overwrite"),
];

/// A person with a home and a folder of workflows.
#[derive(Debug)]
pub(crate) struct User {
    nebula: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) work: PathBuf,
    logs: PathBuf,
}

impl User {
    pub(crate) fn new(nebula: &Path, folder: &Path) -> Result<Self, Failed> {
        let user = Self {
            nebula: nebula.to_owned(),
            home: folder.join("home"),
            work: folder.join("work"),
            logs: folder.join("logs"),
        };
        for folder in [&user.home, &user.logs, &user.work.join("out")] {
            fs::create_dir_all(folder)?;
        }
        for (flow, mode) in FLOWS {
            fs::write(user.work.join(format!("{flow}.yaml")), text(flow, mode))?;
        }
        Ok(user)
    }

    /// The same person at another home.
    pub(crate) fn moved(&self, folder: &Path) -> Self {
        Self {
            nebula: self.nebula.clone(),
            home: folder.join("home"),
            work: self.work.clone(),
            logs: self.logs.clone(),
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home.join("data/nebula.db")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.nebula);
        command.args(arguments);
        self.at_home(&mut command);
        command
    }

    /// Lets a command run as this person's.
    pub(crate) fn at_home(&self, command: &mut Command) {
        command
            .current_dir(&self.work)
            .env_clear()
            .env("NEBULA_HOME", &self.home)
            .env("NEBULA_WORKER__LEASE_TTL", "1200ms")
            .env("NEBULA_WORKER__LEASE_MARGIN", "300ms")
            .env("NEBULA_ENGINE__ATTEMPT_TIMEOUT", "3s")
            .stdin(Stdio::null());
    }

    pub(crate) fn nebula(&self, arguments: &[&str]) -> Result<Output, Failed> {
        Ok(self.command(arguments).output()?)
    }

    pub(crate) fn begin(&self, arguments: &[&str], name: &str) -> Result<Process, Failed> {
        Ok(Process::start(self.command(arguments), &self.logs, name)?)
    }

    /// The documents that a command gives, one a line or one in all.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value, Failed> {
        let output = self.nebula(arguments)?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("nebula {}: {error}: {said}", arguments.join(" ")).into()
        })
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.work.join("out").join(name)
    }
}

fn text(flow: &str, mode: &str) -> String {
    let (path, content) = match flow {
        "lines" => ("out/{{ $input.n }}.txt", "#{{ $item }}\\n"),
        _ => (
            "out/{{ $input.n }}-{{ $item }}.txt",
            "{{ $item }} of {{ $input.n % 10 }}",
        ),
    };
    format!(
        "id: {flow}
nodes:
  - id: write
    action: file.write
    for_each: \"$input.items\"
    concurrency: 3
    requires: [\"fs:write:out\"]
    parameters: {{ path: \"{path}\", mode: {mode}, content: \"{content}\" }}
output: \"{{{{ $nodes.write.result.map(r => r.bytes) }}}}\"
"
    )
}

/// Which workflow an execution is of.
pub(crate) fn flow(number: u64) -> &'static str {
    let (flow, _) = FLOWS[usize::try_from(number).expect("a small number") % FLOWS.len()];
    flow
}

/// What an execution is given.
pub(crate) fn input(number: u64, items: u64) -> String {
    let items: Vec<_> = (100..100 + items).collect();
    json!({ "n": number, "items": items }).to_string()
}

/// Kills commands as often as is wanted.
pub(crate) fn run(folder: &Path, wanted: &Wanted, kills: u64) -> Result<Told, Failed> {
    let (user, mut told) = (User::new(&wanted.nebula, folder)?, Told::default());
    let chance = SeededEntropy::new(wanted.seed ^ 0xC0);
    let mut herd = Herd {
        user: &user,
        live: Vec::new(),
        begun: 0,
        starts: 0,
    };
    let mut number = 0;
    while told.kills < kills {
        number += 1;
        let (more, late) = (
            1 + chance.below(40),
            Duration::from_micros(chance.below(9_000)),
        );
        let stops = wanted.stops && chance.chance(15);
        let (past, dies) = (
            Duration::from_millis(150 + chance.below(400)),
            chance.chance(30),
        );
        let at = usize::try_from(chance.below(COMMANDS as u64))?;
        let steps = store::progress(&user.database()) + more;
        let there = || store::progress(&user.database()) >= steps;
        herd.keep_busy(PATIENCE, there, &chance, &mut told)?;
        thread::sleep(late);
        let mut victim = herd.live.swap_remove(at % herd.live.len());
        let (name, micros) = (victim.name.clone(), late.as_micros());
        if stops {
            println!(
                "   {number}: {name} stopped after {steps} steps and {micros} µs, for {past:?} past its lease"
            );
            told.stops += 1;
            victim.signal("STOP")?;
            herd.keep_busy(LEASE + past, || false, &chance, &mut told)?;
            if !dies {
                victim.signal("CONT")?;
                herd.live.push(victim);
                continue;
            }
        } else {
            println!("   {number}: {name} killed after {steps} steps and {micros} µs");
        }
        told.kills += 1;
        victim.kill()?;
    }
    for mut live in std::mem::take(&mut herd.live) {
        live.kill()?;
        told.kills += 1;
    }
    let starts = herd.starts;
    finish(&user, &mut told)?;
    examine(&user, starts, ITEMS, &mut told)?;
    Ok(told)
}

/// Commands that work side by side.
struct Herd<'u> {
    user: &'u User,
    live: Vec<Process>,
    begun: u64,
    starts: u64,
}

impl Herd<'_> {
    /// Lets so many commands run until something holds, but no longer than `span`; new ones begin in
    /// the place of those that end.
    fn keep_busy(
        &mut self,
        span: Duration,
        holds: impl Fn() -> bool,
        chance: &SeededEntropy,
        told: &mut Told,
    ) -> Result<(), Failed> {
        let end = Instant::now() + span;
        loop {
            for live in &mut self.live {
                let Some(status) = live.ended() else { continue };
                // Completed, failed, or parked: all else is no end of an undamaged world.
                if !matches!(status.code(), Some(0 | 4)) {
                    let (name, how) = (&live.name, words(status));
                    let said = fs::read_to_string(&live.said)?;
                    told.wrong(format!("{name} ended with {how}: {said}"));
                }
            }
            self.live.retain_mut(|live| live.ended().is_none());
            while self.live.len() < COMMANDS {
                self.add(chance)?;
            }
            if Instant::now() >= end || holds() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn add(&mut self, chance: &SeededEntropy) -> Result<(), Failed> {
        let open = store::open(&self.user.database()).unwrap_or(0);
        self.begun += 1;
        let resumes = open >= OPEN || (open > 0 && chance.chance(35));
        let process = if resumes {
            let name = format!("{}-resume", self.begun);
            self.user.begin(&["resume"], &name)?
        } else {
            let number = self.starts;
            self.starts += 1;
            let (file, input) = (format!("{}.yaml", flow(number)), input(number, ITEMS));
            let arguments = ["run", &file, "--grant-requested", "--input-json", &input];
            let name = format!("{}-run-{number}", self.begun);
            self.user.begin(&arguments, &name)?
        };
        self.live.push(process);
        Ok(())
    }
}

/// Goes on with everything, and decides like a person who looks at the files.
pub(crate) fn finish(user: &User, told: &mut Told) -> Result<(), Failed> {
    for _ in 0..ROUNDS {
        let output = user.nebula(&["resume"])?;
        if !matches!(output.status.code(), Some(0 | 1 | 4)) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            told.wrong(format!(
                "resume ended with {}: {said}",
                words(output.status)
            ));
            return Ok(());
        }
        if store::open(&user.database()) == Some(0) {
            return Ok(());
        }
        let listed = user.json(&[
            "executions",
            "list",
            "--status",
            "parked",
            "--limit",
            "1000",
        ])?;
        for parked in listed["executions"].as_array().into_iter().flatten() {
            decide(user, parked["execution"].as_str().unwrap_or_default(), told)?;
        }
    }
    told.wrong(format!("something is still open after {ROUNDS} rounds"));
    Ok(())
}

fn decide(user: &User, id: &str, told: &mut Told) -> Result<(), Failed> {
    let shown = user.json(&["executions", "show", id])?;
    for waiting in shown["waiting"].as_array().into_iter().flatten() {
        let instance = waiting["instance"].as_str().unwrap_or_default();
        let mut arguments = vec!["executions", "unpark", id];
        let item = instance
            .strip_prefix("write[")
            .and_then(|rest| rest.strip_suffix(']'))
            .and_then(|item| item.parse::<u64>().ok());
        match (waiting["for"].as_str(), item) {
            (Some("poison"), _) => arguments.extend(["--as", "retry"]),
            (Some("decision"), Some(item)) => {
                arguments.extend(["--node", instance, "--as"]);
                match look(user, number_of(user, id)?, 100 + item)? {
                    Some(output) => arguments.extend(["succeeded", "--output", output]),
                    None => arguments.push("retry"),
                }
            }
            _ => told.wrong(format!("{id} waits for {waiting}, which nobody asked for")),
        }
        let output = user.nebula(&arguments)?;
        if !matches!(output.status.code(), Some(0 | 4)) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            told.wrong(format!("nebula {}: {said}", arguments.join(" ")));
        }
    }
    Ok(())
}

/// What a write gave, if it is there. A file that was cut off is taken away, so that it can be made.
fn look(user: &User, number: u64, item: u64) -> Result<Option<&'static str>, Failed> {
    if flow(number) == "lines" {
        let line = format!("#{item}");
        let file = fs::read_to_string(user.out(&format!("{number}.txt"))).unwrap_or_default();
        let there = file.lines().any(|other| other == line);
        return Ok(there.then_some("{\"bytes\":5}"));
    }
    let path = user.out(&format!("{number}-{item}.txt"));
    match fs::read_to_string(&path) {
        Ok(text) if text == content(number, item) => return Ok(Some("{\"bytes\":8}")),
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    Ok(None)
}

fn content(number: u64, item: u64) -> String {
    format!("{item} of {}", number % 10)
}

/// Which of all an execution is, as its input says.
fn number_of(user: &User, id: &str) -> Result<u64, Failed> {
    let all = store::read(&user.database(), &mut Audit::default())?;
    let found = all.iter().find(|(other, _)| other.to_string() == id);
    let number = found.and_then(|(_, became)| became.input["n"].as_u64());
    number.ok_or_else(|| format!("{id} has no number").into())
}

/// Holds database and files against each other.
pub(crate) fn examine(user: &User, starts: u64, items: u64, told: &mut Told) -> Result<(), Failed> {
    match store::integrity(&user.database()) {
        Ok(said) if said == "ok" => {}
        Ok(said) => told.wrong(format!("the database is damaged: {said}")),
        Err(error) => told.wrong(format!("the database cannot be read: {error}")),
    }
    let mut audit = Audit::default();
    let all = store::read(&user.database(), &mut audit)?;
    compare(user, &all, (starts, items), &mut audit, told)?;
    told.executions += all.len() as u64;
    told.count(all.values().flat_map(|became| &became.entries));
    told.violations
        .extend(audit.violations().iter().map(ToString::to_string));
    Ok(())
}

/// Holds what is in the database against the files and what the commands said.
fn compare(
    user: &User,
    all: &BTreeMap<ExecutionId, Became>,
    (starts, items): (u64, u64),
    audit: &mut Audit,
    told: &mut Told,
) -> Result<(), Failed> {
    let mut numbers = BTreeSet::new();
    for (id, became) in all {
        let number = became.input["n"].as_u64().unwrap_or(u64::MAX);
        if !numbers.insert(number) || number >= starts {
            audit.complain(checks::CREATED_ONCE, format!("{id}: number {number}"));
        }
        let (expected, found) = outside(user, &became.workflow, number, items);
        if expected != found {
            let what = format!("{id} of {}: {found:?} outside", became.workflow);
            audit.complain(checks::AT_MOST_ONCE, what);
        }
        told.effects += found.values().map(|(times, _)| times).sum::<u64>();
        let bytes = if became.workflow == "lines" { 5 } else { 8 };
        let output = json!(vec![bytes; usize::try_from(items)?]);
        let result = (became.status, became.output.as_ref());
        if result != (Status::Completed, Some(&output)) {
            let what = format!("{id} of {}: {result:?}", became.workflow);
            audit.complain(checks::SAME_RESULT, what);
        }
    }
    for id in accepted(user)? {
        if !all.keys().any(|other| other.to_string() == id) {
            audit.complain(checks::NOT_LOST, id);
        }
    }
    for file in fs::read_dir(user.work.join("out"))? {
        let name = file?.file_name();
        if name.to_string_lossy().ends_with(".tmp") {
            told.wrong(format!("{} is left beside the files", name.display()));
        }
    }
    Ok(())
}

/// What should be outside of one execution, and what is: how often, and with which content.
type Outside = BTreeMap<u64, (u64, String)>;

fn outside(user: &User, workflow: &str, number: u64, items: u64) -> (Outside, Outside) {
    let all = 100..100 + items;
    if workflow == "lines" {
        let expected = all.map(|item| (item, (1, format!("#{item}"))));
        let file = fs::read_to_string(user.out(&format!("{number}.txt"))).unwrap_or_default();
        let mut found = Outside::new();
        for line in file.lines() {
            let item = line.trim_start_matches('#').parse().unwrap_or(0);
            found.entry(item).or_insert((0, line.to_owned())).0 += 1;
        }
        return (expected.collect(), found);
    }
    let found = all.clone().filter_map(|item| {
        let file = fs::read_to_string(user.out(&format!("{number}-{item}.txt"))).ok()?;
        Some((item, (1, file)))
    });
    let found = found.collect();
    (
        all.map(|item| (item, (1, content(number, item)))).collect(),
        found,
    )
}

/// The executions of which a command said that they have begun.
fn accepted(user: &User) -> Result<Vec<String>, Failed> {
    let mut ids = Vec::new();
    for file in fs::read_dir(&user.logs)? {
        let text = fs::read_to_string(file?.path())?;
        let said = text
            .lines()
            .filter_map(|line| line.strip_prefix("execution "));
        ids.extend(said.map(str::to_owned));
    }
    Ok(ids)
}
