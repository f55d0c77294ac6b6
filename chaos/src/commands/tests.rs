//! Each lie of the database, of the files or of a command is found by the check that is there for it.

use nebula_testkit::simulation::checks::Check;
use tempfile::TempDir;

use super::*;
use crate::workers::tests::{DAMAGE, DAMAGED, copy_after, sound};

const ITEMS: u64 = 3;

/// One execution of each kind that has done all that it should, outside included.
struct Whole {
    user: User,
    all: BTreeMap<ExecutionId, Became>,
    /// What the commands said.
    said: PathBuf,
    _folder: TempDir,
}

impl Whole {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = User::new(Path::new("nebula"), folder.path()).unwrap();
        let (mut all, mut said) = (BTreeMap::new(), String::new());
        let journals = sound().all.iter().take(FLOWS.len());
        for (number, (id, became)) in (0..).zip(journals) {
            let bytes = if flow(number) == "lines" { 5 } else { 8 };
            let mut became = became.clone();
            became.workflow = flow(number).to_owned();
            became.status = Status::Completed;
            became.input = serde_json::from_str(&input(number, ITEMS)).unwrap();
            became.output = Some(json!([bytes, bytes, bytes]));
            all.insert(*id, became);
            said += &format!("execution {id}\n");
            for item in 100..100 + ITEMS {
                match flow(number) {
                    "lines" => {
                        let lines = "#100\n#101\n#102\n";
                        fs::write(user.out(&format!("{number}.txt")), lines).unwrap();
                    }
                    _ => {
                        let name = format!("{number}-{item}.txt");
                        fs::write(user.out(&name), content(number, item)).unwrap();
                    }
                }
            }
        }
        let log = user.logs.join("1-run-0");
        fs::write(&log, said).unwrap();
        Self {
            user,
            all,
            said: log,
            _folder: folder,
        }
    }

    fn found(&self) -> Vec<String> {
        let (mut audit, mut told) = (Audit::default(), Told::default());
        let sizes = (self.all.len() as u64, ITEMS);
        compare(&self.user, &self.all, sizes, &mut audit, &mut told).unwrap();
        let broken = audit.violations().iter().map(ToString::to_string);
        told.violations.into_iter().chain(broken).collect()
    }

    fn became(&mut self, number: u64) -> &mut Became {
        let mut all = self.all.values_mut();
        all.find(|became| became.input["n"] == number).unwrap()
    }
}

/// Exactly this check finds what a lie changes.
#[track_caller]
fn check(check: Check, lie: impl FnOnce(&mut Whole)) {
    let mut whole = Whole::new();
    assert_eq!(whole.found(), [""; 0]);
    lie(&mut whole);
    let (found, start) = (whole.found(), format!("[{check}]"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(&start), "{start}: {found:#?}");
}

#[test]
fn a_line_or_file_that_is_there_twice_or_never_or_otherwise_is_found() {
    for lines in [
        "#100\n#101\n",
        "#100\n#101\n#102\n#102\n",
        "#100\n#101\n#103\n",
        "#100\n#101\n102\n",
        "",
    ] {
        check(checks::AT_MOST_ONCE, |whole| {
            fs::write(whole.user.out("0.txt"), lines).unwrap();
        });
    }
    for number in [1, 2] {
        let name = format!("{number}-101.txt");
        check(checks::AT_MOST_ONCE, |whole| {
            fs::remove_file(whole.user.out(&name)).unwrap();
        });
        check(checks::AT_MOST_ONCE, |whole| {
            fs::write(whole.user.out(&name), content(number, 102)).unwrap();
        });
    }
}

#[test]
fn another_result_or_status_is_found() {
    check(checks::SAME_RESULT, |whole| {
        whole.became(0).output = Some(json!([5, 5]));
    });
    check(checks::SAME_RESULT, |whole| whole.became(1).output = None);
    check(checks::SAME_RESULT, |whole| {
        whole.became(2).status = Status::Failed;
    });
}

#[test]
fn an_execution_that_nobody_started_or_that_is_there_twice_is_found() {
    let outside = |whole: &Whole, number: u64| {
        for item in 100..100 + ITEMS {
            let name = format!("{number}-{item}.txt");
            fs::write(whole.user.out(&name), content(number, item)).unwrap();
        }
    };
    for number in [1, 3] {
        check(checks::CREATED_ONCE, |whole| {
            outside(whole, number);
            whole.became(2).input["n"] = json!(number);
        });
    }
}

#[test]
fn what_a_command_said_has_begun_and_is_not_there_is_found() {
    check(checks::NOT_LOST, |whole| {
        let nobody = ExecutionId::from_bytes([9; 16]);
        fs::write(&whole.said, format!("execution {nobody}\n")).unwrap();
    });
}

#[test]
fn what_is_left_beside_the_files_is_found() {
    let whole = Whole::new();
    fs::write(whole.user.out("1-100.txt.tmp"), "").unwrap();
    assert_eq!(whole.found(), ["1-100.txt.tmp is left beside the files"]);
}

#[test]
fn a_database_that_is_damaged_or_is_none_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let user = User::new(Path::new("nebula"), folder.path()).unwrap();
    fs::create_dir_all(user.database().parent().unwrap()).unwrap();
    let (_copy, database) = copy_after(DAMAGE);
    fs::copy(database, user.database()).unwrap();
    let mut told = Told::default();
    // Who opens it then finds it damaged, too.
    examine(&user, 0, ITEMS, &mut told).unwrap_err();
    assert_eq!(told.violations, [DAMAGED]);
    fs::write(user.database(), "no database").unwrap();
    let mut told = Told::default();
    examine(&user, 0, ITEMS, &mut told).unwrap_err();
    let said = &told.violations;
    assert!(
        said[0].starts_with("the database cannot be read"),
        "{said:?}"
    );
}
