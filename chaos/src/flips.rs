//! Bytes that change in the database's files: either nothing that is said changes, or a typed error
//! says so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use nebula_testkit::SeededEntropy;

use crate::{
    Failed, Told, Wanted,
    commands::{self, User},
    disk::typed,
    process::until,
    store,
};

#[cfg(test)]
mod tests;

/// How many executions there are before the damage.
const EXECUTIONS: u64 = 3;

/// How many files or lines each of them writes.
const ITEMS: u64 = 8;

/// How many copies are damaged.
const COPIES: u64 = 32;

/// How long is waited for what the killed command is to have written.
const BOUND: Duration = Duration::from_secs(20);

/// Where bytes change.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// The first 100 bytes of the file.
    Header,
    /// Anywhere in the file where something stands.
    Page,
    /// The first 32 bytes of the log.
    LogHeader,
    /// The first half of the log, behind which commits follow.
    Log,
}

const PLACES: &[Place] = &[
    Place::Page,
    Place::Header,
    Place::Page,
    Place::Log,
    Place::Page,
    Place::LogHeader,
];

/// Damages one copy after the other.
pub(crate) fn run(folder: &Path, wanted: &Wanted) -> Result<Told, Failed> {
    let mut told = Told::default();
    let chance = SeededEntropy::new(wanted.seed ^ 0xF0);
    let user = User::new(&wanted.nebula, &folder.join("sound"))?;
    for number in 0..EXECUTIONS {
        let (file, input) = (
            format!("{}.yaml", commands::flow(number)),
            commands::input(number, ITEMS),
        );
        let output = user.nebula(&["run", &file, "--grant-requested", "--input-json", &input])?;
        if output.status.code() != Some(0) {
            told.wrong(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    let ids = store::ids(&user.database())?;
    let clean = fs::read(user.database())?;
    leave_a_log(&user)?;
    let log = fs::read(log_of(&user.database()))?;
    let expected = everything(&user, &ids)?;
    for number in 0..COPIES {
        let place = PLACES[usize::try_from(number)? % PLACES.len()];
        let copy = folder.join(format!("copy-{number}"));
        let mut damaged = (clean.clone(), log.clone());
        let what = damage(place, &mut damaged, &chance);
        examine(&user, &copy, &damaged, (&ids, &expected, &what), &mut told)?;
        told.faults += 1;
    }
    Ok(told)
}

fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Kills a command that has written, so that its log stays.
fn leave_a_log(user: &User) -> Result<(), Failed> {
    let input = commands::input(EXECUTIONS, 300);
    let file = format!("{}.yaml", commands::flow(EXECUTIONS + 1));
    let arguments = ["run", &file, "--grant-requested", "--input-json", &input];
    let mut process = user.begin(&arguments, "left")?;
    let database = user.database();
    let before = store::progress(&database);
    until(BOUND, || store::progress(&database) > before + 20);
    process.kill()?;
    Ok(())
}

/// Changes one bit, and says where.
fn damage(place: Place, (file, log): &mut (Vec<u8>, Vec<u8>), chance: &SeededEntropy) -> String {
    let bytes = match place {
        Place::Header | Place::Page => file,
        Place::LogHeader | Place::Log => log,
    };
    let (from, to) = match place {
        Place::Header => (0, 100),
        Place::Page => (100, bytes.len()),
        Place::LogHeader => (0, 32),
        Place::Log => (32, bytes.len() / 2),
    };
    let span = (to - from) as u64;
    let mut at = from + usize::try_from(chance.below(span)).expect("within the file");
    while matches!(place, Place::Page) && bytes[at] == 0 {
        at = from + usize::try_from(chance.below(span)).expect("within the file");
    }
    let bit = chance.below(8);
    bytes[at] ^= 1 << bit;
    format!("bit {bit} of byte {at} ({place:?})")
}

/// What is said of everything that had ended before.
fn everything(user: &User, ids: &[String]) -> Result<Vec<Output>, Failed> {
    let shown = ids
        .iter()
        .map(|id| user.nebula(&["executions", "show", id]));
    shown.collect()
}

/// Holds what is said over a damaged copy against what is true.
fn examine(
    sound: &User,
    folder: &Path,
    (file, log): &(Vec<u8>, Vec<u8>),
    (ids, expected, what): (&[String], &[Output], &str),
    told: &mut Told,
) -> Result<(), Failed> {
    let user = sound.moved(folder);
    let database = user.database();
    fs::create_dir_all(database.parent().ok_or("a file is in a folder")?)?;
    let holders = database.with_extension("db-holders");
    fs::create_dir_all(holders)?;
    fs::write(&database, file)?;
    fs::write(log_of(&database), log)?;
    for (id, expected) in ids.iter().zip(expected) {
        let output = user.nebula(&["executions", "show", id])?;
        if output.status.code() != Some(0) {
            typed(&output, told, what);
            return damage_is_kept(&database, told, what);
        }
        if output.stdout != expected.stdout {
            told.wrong(format!(
                "{what}: `{id}` is shown otherwise, and nothing says so"
            ));
        }
    }
    let output = user.nebula(&["executions", "list"])?;
    if output.status.code() != Some(0) {
        typed(&output, told, what);
        return damage_is_kept(&database, told, what);
    }
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let listed = listed["executions"].as_array().map_or(0, Vec::len);
    if listed != ids.len() + 1 {
        told.wrong(format!(
            "{what}: {listed} of {} executions are there, and nothing says so",
            ids.len() + 1
        ));
    }
    Ok(())
}

/// Whatever is damaged is there still, in its place or beside it.
fn damage_is_kept(database: &Path, told: &mut Told, what: &str) -> Result<(), Failed> {
    let folder = database.parent().ok_or("a file is in a folder")?;
    let mut kept = false;
    for file in fs::read_dir(folder)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        kept |= name == "nebula.db"
            || name.starts_with("nebula.db.corrupt-") && !name.ends_with("-wal");
    }
    if !kept {
        told.wrong(format!("{what}: the damaged file has gone"));
    }
    Ok(())
}
