//! A disk that is full, read-only, or fails to synchronise: a typed error, and what was acknowledged
//! is there when the disk is well again.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use nebula_testkit::SeededEntropy;
use serde_json::Value;

use crate::{
    Failed, Told, Wanted,
    commands::{self, User},
    process::words,
    store,
};

/// How many files an execution writes that is to fill a disk.
const MANY: u64 = 400;

/// How many files an execution writes while synchronising fails.
const FEW: u64 = 12;

/// Exit code 3: the environment.
const ENVIRONMENT: i32 = 3;

/// A small file system of its own; it is gone with this value.
struct Disk(PathBuf);

impl Disk {
    fn new(folder: PathBuf, kib: u64) -> Result<Self, Failed> {
        fs::create_dir_all(&folder)?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]);
        done(command.arg(&folder))?;
        Ok(Self(folder))
    }

    fn becomes(&self, options: &str) -> Result<(), Failed> {
        let mut command = Command::new("mount");
        done(
            command
                .args(["-o", &format!("remount,{options}")])
                .arg(&self.0),
        )
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = done(Command::new("umount").arg(&self.0));
    }
}

fn done(command: &mut Command) -> Result<(), Failed> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{}: {said}", command.get_program().display()).into())
}

/// Every fault, where that is allowed here.
pub(crate) fn run(folder: &Path, wanted: &Wanted) -> Result<Told, Failed> {
    let mut told = Told::default();
    let chance = SeededEntropy::new(wanted.seed ^ 0xE0);
    match Disk::new(folder.join("disk"), 700 + chance.below(500)) {
        Ok(disk) => full_and_read_only(&disk, wanted, &mut told)?,
        Err(error) => told.skipped.push(format!(
            "a full disk and a read-only one: no file system can be mounted here ({error})"
        )),
    }
    match strace(&["-qq", "-o", "/dev/null", "true"]).map(|mut command| command.output()) {
        Some(Ok(output)) if output.status.success() => {
            for round in 0..SYNC_ROUNDS {
                let folder = folder.join(format!("sync-{round}"));
                sync_fails(&folder, wanted, (round, &chance), &mut told)?;
            }
        }
        _ => told
            .skipped
            .push("synchronising that fails: strace is not there, or may not trace".to_owned()),
    }
    Ok(told)
}

fn strace(arguments: &[&str]) -> Option<Command> {
    let path = env::var_os("PATH")?;
    let program = env::split_paths(&path).map(|folder| folder.join("strace"));
    let mut command = Command::new(program.into_iter().find(|program| program.is_file())?);
    command.args(arguments);
    Some(command)
}

/// The code of a typed error, which says where it happened and what to do; all else is wrong.
pub(crate) fn typed(output: &Output, told: &mut Told, what: &str) -> Option<String> {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let error = &document["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let (code, message, hint) = (text("code"), text("message"), text("hint"));
    if output.status.code() != Some(ENVIRONMENT) || code.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        let how = words(output.status);
        told.wrong(format!(
            "{what}: {how} and no typed error: {document} {said}"
        ));
        return None;
    }
    if !message.contains("nebula.db") || hint.is_empty() {
        told.wrong(format!(
            "{what}: {code} does not say where, or what to do: {message} ({hint})"
        ));
    }
    Some(code)
}

fn expect(output: &Output, code: &str, told: &mut Told, what: &str) {
    if let Some(found) = typed(output, told, what).filter(|found| found != code) {
        told.wrong(format!("{what}: {found} instead of {code}"));
    }
}

fn start(user: &User, number: u64, items: u64) -> Command {
    let file = format!("{}.yaml", commands::flow(number));
    let input = commands::input(number, items);
    user.command(&["run", &file, "--grant-requested", "--input-json", &input])
}

/// An execution fills its disk; nothing is lost, and it goes on once there is room, and may be written.
fn full_and_read_only(disk: &Disk, wanted: &Wanted, told: &mut Told) -> Result<(), Failed> {
    let mut user = User::new(&wanted.nebula, &disk.0.with_extension("user"))?;
    user.home = disk.0.join("home");
    // Number 1 makes files, which it can tell apart from those of others.
    expect(
        &start(&user, 1, MANY).output()?,
        "STORE_FULL",
        told,
        "a full disk",
    );
    told.faults += 1;
    let before = store::batches(&user.database())?;
    for arguments in [&["executions", "list"][..], &["resume"]] {
        let output = user.nebula(arguments)?;
        if output.status.code() != Some(0) {
            expect(
                &output,
                "STORE_FULL",
                told,
                &format!("{arguments:?} on a full disk"),
            );
        }
    }
    kept(&user.database(), &before, "a full disk", told)?;

    disk.becomes("ro")?;
    told.faults += 1;
    for arguments in [&["executions", "list"][..], &["resume"]] {
        let output = user.nebula(arguments)?;
        expect(
            &output,
            "STORE_READ_ONLY",
            told,
            &format!("{arguments:?} on a read-only disk"),
        );
    }
    let output = start(&user, 2, FEW).output()?;
    expect(
        &output,
        "STORE_READ_ONLY",
        told,
        "a start on a read-only disk",
    );

    disk.becomes("rw,size=64m")?;
    kept(&user.database(), &before, "a read-only disk", told)?;
    commands::finish(&user, told)?;
    kept(&user.database(), &before, "room again", told)?;
    commands::examine(&user, 2, MANY, told)
}

/// What was in the journals is in them still, as it was.
fn kept(
    database: &Path,
    before: &BTreeMap<(i64, i64), Vec<u8>>,
    what: &str,
    told: &mut Told,
) -> Result<(), Failed> {
    let now = store::batches(database)?;
    let lost = before
        .iter()
        .filter(|(place, batch)| now.get(*place) != Some(*batch));
    match lost.count() {
        0 => {}
        lost => told.wrong(format!("{what}: {lost} of {} steps are lost", before.len())),
    }
    if before.is_empty() {
        told.wrong(format!("{what}: nothing had been written"));
    }
    Ok(())
}

/// How many executions are run while a sync fails.
const SYNC_ROUNDS: u64 = 8;

/// The n-th sync of the database fails, or all from then on; later nothing does.
fn sync_fails(
    folder: &Path,
    wanted: &Wanted,
    (round, chance): (u64, &SeededEntropy),
    told: &mut Told,
) -> Result<(), Failed> {
    let user = User::new(&wanted.nebula, folder)?;
    let on = chance.chance(50);
    // There are more than that of each thread that writes, whatever commits share.
    let nth = 1 + chance.below(if on { 5 } else { 14 });
    let number = 1 + round % 2;
    let inject = format!(
        "inject=fdatasync:error=EIO:when={nth}{}",
        if on { "+" } else { "" }
    );
    let arguments = [
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        &inject,
    ];
    let mut command = strace(&arguments).ok_or("strace has gone")?;
    let traced = start(&user, number, FEW);
    command.arg(traced.get_program()).args(traced.get_args());
    user.at_home(&mut command);
    let output = command.output()?;
    told.faults += 1;
    let what = format!(
        "sync {nth}{} fails",
        if on { " and each after it" } else { "" }
    );
    if output.status.code() != Some(0) {
        expect(&output, "STORE_UNAVAILABLE", told, &what);
    } else if on {
        told.wrong(format!("{what}: it completed all the same"));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let accepted = said
        .lines()
        .find_map(|line| line.strip_prefix("execution "));
    commands::finish(&user, told)?;
    let listed = user.json(&["executions", "list"])?;
    let listed = listed["executions"].as_array().cloned().unwrap_or_default();
    let there = |id: &str| listed.iter().any(|it| it["execution"] == id);
    if let Some(id) = accepted.filter(|id| !there(id)) {
        told.wrong(format!("{what}: {id} was accepted and is lost"));
    }
    commands::examine(&user, number + 1, FEW, told)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus};

    use serde_json::json;

    use super::*;

    fn output(code: i32, document: &Value) -> Output {
        Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: document.to_string().into_bytes(),
            stderr: Vec::new(),
        }
    }

    /// What is wrong with it, where a full disk is expected.
    #[track_caller]
    fn check(code: i32, document: &Value, wrong: &[&str]) {
        let mut told = Told::default();
        expect(&output(code, document), "STORE_FULL", &mut told, "full");
        let found = &told.violations;
        let starts = |(found, wrong): (&String, &&str)| found.starts_with(wrong);
        assert_eq!(found.len(), wrong.len(), "{found:?}");
        assert!(found.iter().zip(wrong).all(starts), "{found:?}");
    }

    #[test]
    fn an_error_says_what_where_and_what_to_do() {
        let error = |code: &str, message: &str, hint: &str| json!({ "error": { "code": code, "message": message, "hint": hint } });
        let full = error("STORE_FULL", "nebula.db: no room", "make room");
        check(3, &full, &[]);
        check(1, &full, &["full: exit code 1 and no typed error"]);
        check(0, &json!({}), &["full: exit code 0 and no typed error"]);
        check(3, &json!({}), &["full: exit code 3 and no typed error"]);
        let nowhere = error("STORE_FULL", "no room", "make room");
        check(3, &nowhere, &["full: STORE_FULL does not say where"]);
        let helpless = error("STORE_FULL", "nebula.db: no room", "");
        check(3, &helpless, &["full: STORE_FULL does not say where"]);
        let other = error("STORE_CORRUPT", "nebula.db: damaged", "restore it");
        check(3, &other, &["full: STORE_CORRUPT instead of STORE_FULL"]);
    }

    #[test]
    fn steps_that_were_lost_or_changed_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("nebula.db");
        let connection = rusqlite::Connection::open(&database).unwrap();
        let sql = "CREATE TABLE journal (execution, first_seq, entries);
            CREATE VIEW batches AS SELECT * FROM journal;
            INSERT INTO journal VALUES (1, 1, x'01'), (1, 2, x'02'), (1, 4, x'04')";
        connection.execute_batch(sql).unwrap();
        let before = store::batches(&database).unwrap();
        let found = |before: &_| {
            let mut told = Told::default();
            kept(&database, before, "full", &mut told).unwrap();
            told.violations
        };
        assert_eq!(found(&before), [""; 0]);
        let nothing = found(&BTreeMap::new());
        assert_eq!(nothing, ["full: nothing had been written"]);
        let sql = "DELETE FROM journal WHERE first_seq = 2; UPDATE journal SET entries = x'05' WHERE first_seq = 4";
        connection.execute_batch(sql).unwrap();
        assert_eq!(found(&before), ["full: 2 of 3 steps are lost"]);
    }
}
