//! `cargo xtask cron`: generated cron expressions here and in two other implementations.
//!
//! `cronsim` of Python and `croner` of Node.js answer each case; where those two agree, our schedule has
//! to agree as well. Both lie in a folder of their own below the target folder, brought by pip and npm.
//! The crate below our schedule and the second one have one author; the first one has another.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
};

use nebula_core::Timestamp;
use nebula_trigger::Schedule;
use serde_json::{Value, json};

use crate::{
    expr_fuzz::cases_and_seed,
    stage::{Outcome, passes, root, shout},
};

const CRONSIM: &str = "2.8";
/// The zones of the system differ from machine to machine.
const TZDATA: &str = "2026.6";
const CRONER: &str = "11.0.1";

/// Cases where nothing else is said.
const CASES: u64 = 3_000;
/// How many occurrences of each case are compared.
const OCCURRENCES: usize = 12;
/// Of so many cases in a hundred the others must have agreed, or little has been compared.
const AGREED_PERCENT: usize = 80;

/// Zones of all kinds: whole hours, half an hour, at midnight, south of the equator, the other way round.
const ZONES: [&str; 14] = [
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Santiago",
    "America/Havana",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
];

pub(crate) fn run(rest: &[&str]) -> ExitCode {
    let Some((cases, seed)) = cases_and_seed(rest, CASES) else {
        shout("usage: cargo xtask cron [--cases N] [--seed S]");
        return ExitCode::from(2);
    };
    match (is_there() || fetch()) && compared(cases, seed) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

pub(crate) fn stage() -> Outcome {
    if !is_there() {
        shout("the other implementations of cron are not there. `cargo xtask cron` fetches them.");
        return Outcome::Skipped;
    }
    match compared(CASES, 1) {
        true => Outcome::Ok,
        false => Outcome::Failed,
    }
}

fn folder() -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(format!("tmp/cron-{CRONSIM}-{CRONER}-{TZDATA}"))
}

/// Whether the pinned versions are there.
pub(crate) fn is_there() -> bool {
    folder().join("done").is_file()
}

/// Brings them; says why it could not.
pub(crate) fn fetch() -> bool {
    let folder = folder();
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"])
        .arg(&folder)
        .args([format!("cronsim=={CRONSIM}"), format!("tzdata=={TZDATA}")]);
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-save", "--prefix"])
        .arg(&folder)
        .arg(format!("croner@{CRONER}"));
    passes(pip) == Outcome::Ok
        && passes(npm) == Outcome::Ok
        && fs::write(folder.join("done"), "").is_ok()
}

/// One question to all three.
#[derive(Debug)]
struct Case {
    expression: String,
    zone: &'static str,
    /// Whole seconds since 1970.
    after: i64,
}

/// What somebody answers: occurrences in whole seconds, or that it is no expression.
type Answer = Option<Vec<i64>>;

fn compared(cases: u64, seed: u64) -> bool {
    let mut chance = Chance(seed);
    let cases: Vec<Case> = (0..cases).map(|_| chance.case()).collect();
    let (python, node) = match (python(&cases), node(&cases)) {
        (Ok(python), Ok(node)) => (python, node),
        (Err(error), _) | (_, Err(error)) => {
            shout(&format!("{}: {error}", folder().display()));
            return false;
        }
    };
    let (mut agreed, mut different) = (0, 0);
    for (case, (python, node)) in cases.iter().zip(python.into_iter().zip(node)) {
        if python != node {
            continue;
        }
        agreed += 1;
        let ours = ours(case);
        if ours != python {
            different += 1;
            println!("   {case:?}\n      here   {ours:?}\n      there  {python:?}");
        }
    }
    let enough = agreed * 100 >= cases.len() * AGREED_PERCENT;
    println!(
        "   {} expressions: the others agree about {agreed}, and {different} of these are different here",
        cases.len()
    );
    if !enough {
        shout(&format!("less than {AGREED_PERCENT} % were compared"));
    }
    different == 0 && enough
}

fn ours(case: &Case) -> Answer {
    let schedule = Schedule::cron(&case.expression, case.zone).ok()?;
    let occurrences = schedule.occurrences(Timestamp::from_millis(case.after * 1_000));
    let seconds = occurrences.map(|occurrence| occurrence.as_millis() / 1_000);
    Some(seconds.take(OCCURRENCES).collect())
}

fn python(cases: &[Case]) -> io::Result<Vec<Answer>> {
    let script = written("ask.py", include_str!("cron/ask.py"))?;
    let mut command = Command::new("python3");
    command
        .arg(script)
        .env("PYTHONPATH", folder())
        // The zones that came along, not those of the system.
        .env("PYTHONTZPATH", "");
    answers(command, cases)
}

fn node(cases: &[Case]) -> io::Result<Vec<Answer>> {
    let script = written("ask.mjs", include_str!("cron/ask.mjs"))?;
    let mut command = Command::new("node");
    command
        .arg(script)
        .arg(folder().join("node_modules/croner/dist/croner.js"));
    answers(command, cases)
}

fn written(name: &str, script: &str) -> io::Result<PathBuf> {
    let path = Path::join(&folder(), name);
    fs::write(&path, script)?;
    Ok(path)
}

/// Asks about every case, a line each way.
fn answers(mut command: Command, cases: &[Case]) -> io::Result<Vec<Answer>> {
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut asked = process.stdin.take().expect("standard input is piped");
    let lines: String = cases
        .iter()
        .map(|case| {
            let Case {
                expression,
                zone,
                after,
            } = case;
            json!({ "expression": expression, "zone": zone, "after": after, "count": OCCURRENCES })
                .to_string()
                + "\n"
        })
        .collect();
    let asking = thread::spawn(move || asked.write_all(lines.as_bytes()));
    let output = process.wait_with_output()?;
    asking.join().expect("writing does not panic")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<Answer> = text.lines().map(answer).collect::<Result<_, _>>()?;
    match output.status.success() && answers.len() == cases.len() {
        true => Ok(answers),
        false => Err(io::Error::other(format!("{command:?} has not answered"))),
    }
}

fn answer(line: &str) -> io::Result<Answer> {
    match serde_json::from_str(line)? {
        Value::Null => Ok(None),
        occurrences => Ok(Some(serde_json::from_value(occurrences)?)),
    }
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let at = self.below(all.len() as u64);
        all[usize::try_from(at).expect("it is an index")]
    }

    /// From 2020 to 2037, in half of the cases shortly before clocks change in many zones.
    fn case(&mut self) -> Case {
        let year = 1_577_836_800 + self.below(17) * 31_557_600;
        let day = match self.below(4) {
            0 => 78 + self.below(14),
            1 => 291 + self.below(20),
            _ => self.below(366),
        };
        let after = year + day * 86_400 + self.below(86_400);
        Case {
            expression: self.expression(),
            zone: self.of(&ZONES),
            after: i64::try_from(after).expect("it is in this century"),
        }
    }

    fn expression(&mut self) -> String {
        let minute = self.field(0, 59, 3);
        let hour = self.field(0, 23, 3);
        let day = match self.below(12) {
            0 => "L".to_owned(),
            1 => format!("{}W", 1 + self.below(28)),
            2..=4 => self.field(1, 31, 1),
            _ => "*".to_owned(),
        };
        let month = match self.below(6) {
            0 => self
                .of(&["JAN", "MAR", "OCT", "JUN-AUG", "NOV,FEB", "SEP"])
                .to_owned(),
            1 => self.field(1, 12, 1),
            _ => "*".to_owned(),
        };
        let weekday = match self.below(12) {
            0 => self
                .of(&["MON-FRI", "SUN", "SAT,SUN", "TUE", "FRI"])
                .to_owned(),
            1 => format!("{}#{}", self.below(7), 1 + self.below(4)),
            2 => format!("{}L", self.below(7)),
            3 | 4 => self.field(0, 7, 1),
            _ => "*".to_owned(),
        };
        let rest = format!("{minute} {hour} {day} {month} {weekday}");
        match self.below(8) {
            0 => format!("{} {rest}", self.field(0, 59, 4)),
            _ => rest,
        }
    }

    /// A star, a step, a value, a range, or a list; a value the more often the larger `fixed` is.
    fn field(&mut self, first: u64, last: u64, fixed: u64) -> String {
        let span = last - first + 1;
        let one = |chance: &mut Self| first + chance.below(span);
        match self.below(5 + fixed) {
            0 => "*".to_owned(),
            1 => format!("*/{}", 1 + self.below(span / 2)),
            2 => {
                let (a, b) = (one(self), one(self));
                format!("{}-{}", a.min(b), a.max(b))
            }
            3 => {
                let (a, b) = (one(self), one(self));
                let step = 1 + self.below(span / 2);
                format!("{}-{}/{step}", a.min(b), a.max(b))
            }
            4 => {
                let (a, b, c) = (one(self), one(self), one(self));
                format!("{a},{b},{}-{}", b.min(c), b.max(c))
            }
            _ => one(self).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn a_seed_makes_the_same_cases() {
        let cases = |seed| {
            let mut chance = Chance(seed);
            let all = (0..50).map(|_| format!("{:?}", chance.case()));
            all.collect::<Vec<_>>()
        };
        assert_eq!(cases(1), cases(1));
        assert_ne!(cases(1), cases(2));
    }
}
