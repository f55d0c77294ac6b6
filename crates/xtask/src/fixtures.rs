//! `cargo xtask fixtures --write NAME`: a database as this version of the program leaves it, with
//! executions in every state, for the tests of all later versions.
//!
//! The workflows lie beside the databases, in `drivers/storage-sqlite/tests/compat`; the first lines of
//! each say how its execution is to be left. The program itself writes the database, and is killed where
//! it says so; what an older one does not know is left out, and said.

use std::{
    fs,
    io::{self, Error, ErrorKind},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::stage::cargo;

/// Where workflows and databases lie, below the workspace.
const FOLDER: &str = "drivers/storage-sqlite/tests/compat";

/// How long an execution may take until it can be left.
const BOUND: Duration = Duration::from_secs(120);

/// How long a command may wait for what comes of it.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often a process is killed until an effect of it is in doubt.
const MAX_KILLS: usize = 50;

const USAGE: &str = "cargo xtask fixtures --write NAME [--binary PATH]: the database of one version for the tests of all";

pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let written = match *arguments {
        ["--write", name] => build().and_then(|binary| write(name, &binary, false)),
        ["--write", name, "--binary", path] => {
            fs::canonicalize(path).and_then(|binary| write(name, &binary, true))
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match written {
        Ok(path) => {
            println!("{}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the program and says where it is.
fn build() -> io::Result<PathBuf> {
    let built = cargo("build -p nebula-desktop --message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()?;
    let messages = String::from_utf8_lossy(&built.stdout);
    let mut messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let binary = messages.find_map(|it| {
        let named = it["target"]["name"] == "nebula";
        let path = it["executable"].as_str().filter(|_| named)?;
        Some(PathBuf::from(path))
    });
    binary.ok_or_else(|| Error::other("the program could not be built"))
}

/// Writes the database `name`; an older program may know less.
fn write(name: &str, binary: &Path, older: bool) -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(FOLDER);
    let target = folder.join(name).with_extension("db");
    if target.exists() {
        let exists = "is there already: a database that was written once never changes";
        return Err(Error::other(format!("{} {exists}", target.display())));
    }
    let work = std::env::temp_dir().join(format!("nebula-fixture-{}", std::process::id()));
    fs::create_dir_all(&work)?;
    let author = Author {
        binary: binary.to_owned(),
        work: work.clone(),
    };
    let mut cases = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "yaml") {
            cases.push(Case::read(&path)?);
        }
    }
    // What others call is there first.
    cases.sort_by_key(|case| (case.told("leave") != Some("saved"), case.name.clone()));
    for case in &cases {
        fs::write(work.join(case.file()), &case.text)?;
        let file = case.file();
        // What calls others is known to the database alone.
        let known = author.says(&["validate", &file])?.is_some()
            || author.says(&["workflows", "push", &file])?.is_some();
        if !known && older {
            println!("{}: not known to this version", case.name);
            continue;
        }
        author.leave(case)?;
        println!("{}: left", case.name);
    }
    match author.credentials()? {
        true => println!("credentials: left"),
        false if older => println!("credentials: not known to this version"),
        false => return Err(Error::other("no credential could be added")),
    }
    // Whoever closes the database last puts everything into its one file.
    author.ask(&["executions", "list"])?;
    let log = fs::metadata(author.beside("-wal")).map_or(0, |log| log.len());
    if log > 0 {
        return Err(Error::other("the database was not closed"));
    }
    fs::copy(author.beside(""), &target)?;
    fs::remove_dir_all(&work)?;
    Ok(target)
}

/// A workflow, and how its execution is left.
struct Case {
    name: String,
    text: String,
}

impl Case {
    fn read(path: &Path) -> io::Result<Self> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            name: name.into_owned(),
            text: fs::read_to_string(path)?,
        })
    }

    fn file(&self) -> String {
        format!("{}.yaml", self.name)
    }

    /// What its first lines say of `what`.
    fn told(&self, what: &str) -> Option<&str> {
        let mut lines = self.text.lines().map_while(|line| line.strip_prefix("# "));
        lines.find_map(|line| line.strip_prefix(what)?.strip_prefix(": "))
    }
}

/// Whoever writes the database: the program of one version, in a folder of its own.
struct Author {
    binary: PathBuf,
    work: PathBuf,
}

impl Author {
    fn beside(&self, suffix: &str) -> PathBuf {
        self.work.join(format!("fixture.db{suffix}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(&self.work)
            .env_clear()
            .env("NEBULA_HOME", self.work.join("home"))
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        if arguments[0] != "validate" {
            command.args(["--db", "fixture.db"]);
        }
        command
    }

    /// What a command that may fail says on standard output, if it does not.
    fn says(&self, arguments: &[&str]) -> io::Result<Option<Value>> {
        let output = self.command(arguments).output()?;
        // 4: it waits, which is what most are to do.
        let waits = output.status.code() == Some(4) && arguments[0] != "validate";
        let fine = output.status.success() || waits;
        Ok(fine.then(|| serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)))
    }

    /// The same of one that must not fail.
    fn ask(&self, arguments: &[&str]) -> io::Result<Value> {
        let said = self.says(arguments)?;
        said.ok_or_else(|| Error::other(format!("`nebula {}` failed", arguments.join(" "))))
    }

    /// The newest execution of a workflow: its id and its row in the listing.
    fn newest(&self, of: &str) -> io::Result<Option<(String, Value)>> {
        if !self.beside("").exists() {
            return Ok(None);
        }
        let Some(listed) = self.says(&["executions", "list"])? else {
            return Ok(None);
        };
        let rows = listed["executions"].as_array().into_iter().flatten();
        let mut rows = rows.filter(|row| row["workflow"] == of);
        Ok(rows.next().map(|row| {
            let id = row["execution"].as_str().unwrap_or_default();
            (id.to_owned(), row.clone())
        }))
    }

    /// Leaves a credential with two versions and a use, and one that was removed, under a master key
    /// that was rotated; whether the program knows any.
    fn credentials(&self) -> io::Result<bool> {
        fs::write(self.work.join("token.txt"), "a token of no service")?;
        let add = |id| {
            let kind = ["credentials", "add", id, "--type", "bearer"];
            let from = ["--from", "token.txt", "--hosts", "api.example"];
            self.says(&[&kind[..], &from[..]].concat())
        };
        if add("shop")?.is_none() {
            return Ok(false);
        }
        add("gone")?;
        self.ask(&["credentials", "rotate", "shop", "--hosts", "shop.example"])?;
        self.ask(&["credentials", "rm", "gone"])?;
        self.ask(&["credentials", "rotate", "--keys"])?;
        Ok(true)
    }

    /// Brings the executions of a case to where they are to be left.
    fn leave(&self, case: &Case) -> io::Result<()> {
        let leave = case.told("leave").unwrap_or("waiting");
        if leave == "saved" {
            self.ask(&["workflows", "push", &case.file()])?;
            return Ok(());
        }
        let starts = case.told("starts").map_or(Ok(1), str::parse::<usize>);
        let starts = starts.map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        for start in 1..=starts {
            match leave.split_once(" after ") {
                Some((state, lines)) => {
                    let lines = lines.parse();
                    let lines = lines.map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
                    self.kill_in_the_middle(case, lines, state == "parked")?;
                }
                // Whoever comes before the last one begins.
                None if start < starts && leave == "queued" => self.rest(case, start, "")?,
                None => self.rest(case, start, leave)?,
            }
        }
        for line in case.text.lines().map_while(|line| line.strip_prefix("# ")) {
            if let (Some(command), Some((id, _))) =
                (line.strip_prefix("do: "), self.newest(&case.name)?)
            {
                let command = command.replace("ID", &id);
                self.bid(&command.split(' ').collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }

    /// Gives a command, and kills it if it waits for what comes of it.
    fn bid(&self, arguments: &[&str]) -> io::Result<()> {
        let mut child = self.begin(arguments)?;
        let begun = Instant::now();
        while child.try_wait()?.is_none() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        child.kill()?;
        let status = child.wait()?;
        match status.code() {
            None | Some(0 | 4) => Ok(()),
            Some(code) => {
                let command = arguments.join(" ");
                Err(Error::other(format!(
                    "`nebula {command}` ended with {code}"
                )))
            }
        }
    }

    /// Runs it until it has ended or rests in the given state, and kills what still waits for it.
    fn rest(&self, case: &Case, start: usize, state: &str) -> io::Result<()> {
        let before = self.newest(&case.name)?.map(|(id, _)| id);
        let file = case.file();
        let mut child = self.begin(&["run", &file, "--grant-requested"])?;
        let begun = Instant::now();
        loop {
            let ended = child.try_wait()?.is_some();
            if let Some((id, row)) = self.newest(&case.name)?
                && before.as_ref() != Some(&id)
                && (ended || row["leased"] == false)
            {
                let status = row["status"].as_str().unwrap_or_default();
                let there = match state {
                    "ended" => ended,
                    "" => ended || status == "waiting",
                    state => state == status,
                };
                if there {
                    break;
                }
            }
            if begun.elapsed() > BOUND {
                let of = format!("{} ({start}) is not {state}", case.name);
                return Err(Error::other(of));
            }
            thread::sleep(Duration::from_millis(100));
        }
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Kills it as soon as it has written so many lines; until it is parked, if that is asked for.
    fn kill_in_the_middle(&self, case: &Case, lines: usize, parked: bool) -> io::Result<()> {
        let (file, ledger) = (case.file(), self.work.join("lines.txt"));
        for _ in 0..MAX_KILLS {
            let _ = fs::remove_file(&ledger);
            let mut child = self.begin(&["run", &file, "--grant-requested"])?;
            let begun = Instant::now();
            let written = || fs::read_to_string(&ledger).map_or(0, |text| text.lines().count());
            while written() < lines {
                if begun.elapsed() > BOUND || child.try_wait()?.is_some() {
                    let of = format!("{} has not written {lines} lines", case.name);
                    return Err(Error::other(of));
                }
                thread::sleep(Duration::from_millis(1));
            }
            child.kill()?;
            child.wait()?;
            let Some((id, _)) = self.newest(&case.name)? else {
                return Err(Error::other(format!("{} is not there", case.name)));
            };
            if !parked {
                return Ok(());
            }
            if self.ask(&["resume", &id])?["status"] == "parked" {
                return Ok(());
            }
        }
        Err(Error::other(format!("{} is never parked", case.name)))
    }

    fn begin(&self, arguments: &[&str]) -> io::Result<Child> {
        self.command(arguments).stdout(Stdio::null()).spawn()
    }
}
