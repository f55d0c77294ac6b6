//! The official test suite of JSON Schema, draft 2020-12.
//!
//! `cargo xtask schema-suite` fetches it (it is in no repository of ours); without it the test says
//! so and passes, and with `NEBULA_REQUIRE_BACKENDS=1` it fails. The suite's required tests run with
//! `format` as a note, which the draft's default is; its optional tests of formats with formats
//! checked, which ours is. Documents that the suite expects under `http://localhost:1234/` are given
//! beside the schema; nothing is fetched.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nebula_validator::{Formats, SchemaOptions};
use serde_json::Value;

/// Where xtask puts it.
const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/json-schema-suite");

/// What differs, each for a reason: file, beginning of "case: test" (all if empty), why.
const DIFFERENT: &[(&str, &str, &str)] = &[];

#[derive(Default)]
struct Count {
    run: usize,
    wrong: Vec<String>,
    /// How often each line of [`DIFFERENT`] was needed.
    different: Vec<usize>,
}

#[test]
fn the_official_suite_passes() {
    let root = Path::new(FOLDER);
    if !root.join("tests/draft2020-12").is_dir() {
        return skip();
    }
    let mut documents = Vec::new();
    remotes(&root.join("remotes"), &root.join("remotes"), &mut documents);
    let mut count = Count {
        different: vec![0; DIFFERENT.len()],
        ..Count::default()
    };
    let tests = root.join("tests/draft2020-12");
    run(&tests, &tests, &documents, Formats::Noted, &mut count);
    let required = count.run;
    run(
        &tests.join("optional"),
        &tests,
        &documents,
        Formats::Noted,
        &mut count,
    );
    run(
        &tests.join("optional/format"),
        &tests,
        &documents,
        Formats::Checked,
        &mut count,
    );
    #[expect(clippy::print_stderr, reason = "how much ran is the result")]
    {
        let different: usize = count.different.iter().sum();
        eprintln!(
            "{required} required and {} optional tests, {different} of them different",
            count.run - required
        );
    }
    assert!(required > 1_200, "only {required} required tests");
    assert!(
        count.run - required > 400,
        "only {} optional tests",
        count.run - required
    );
    assert!(
        count.wrong.is_empty(),
        "{} are wrong:\n{}",
        count.wrong.len(),
        count.wrong.join("\n")
    );
    let needless: Vec<_> = DIFFERENT
        .iter()
        .zip(&count.different)
        .filter_map(|(line, needed)| (*needed == 0).then_some(line))
        .collect();
    assert!(
        needless.is_empty(),
        "these do not differ any more: {needless:?}"
    );
}

fn run(
    folder: &Path,
    tests: &Path,
    documents: &[(String, Value)],
    formats: Formats,
    count: &mut Count,
) {
    for path in files(folder) {
        let name = path.strip_prefix(tests).unwrap().display().to_string();
        // The one optional file that is about checking formats is not in their folder.
        let formats = if name == "optional/format-assertion.json" {
            Formats::Checked
        } else {
            formats
        };
        for case in read(&path).as_array().unwrap() {
            let options = documents.iter().fold(
                SchemaOptions::default().formats(formats),
                |options, (uri, document)| options.document(uri, document),
            );
            let schema = options.compile(&case["schema"]);
            for test in case["tests"].as_array().unwrap() {
                count.run += 1;
                let title = format!(
                    "{}: {}",
                    case["description"].as_str().unwrap(),
                    test["description"].as_str().unwrap()
                );
                let valid = test["valid"].as_bool().unwrap();
                let found = match &schema {
                    Ok(schema) if valid == schema.check(&test["data"]).is_empty() => {
                        // Looking for what is wrong agrees with asking whether all is right.
                        let known = schema.check_known::<&str>(&test["data"], &[]);
                        (known.is_empty() != valid).then(|| format!("two answers: {known:?}"))
                    }
                    Ok(_) => Some(format!("must be valid: {valid}")),
                    Err(error) => Some(error.to_string()),
                };
                let Some(found) = found else { continue };
                let line = DIFFERENT
                    .iter()
                    .position(|(file, start, _)| name == *file && title.starts_with(start));
                match line {
                    Some(line) => count.different[line] += 1,
                    None => count.wrong.push(format!("{name}: {title}: {found}")),
                }
            }
        }
    }
}

/// The documents of the suite's server, but those of other drafts.
fn remotes(folder: &Path, root: &Path, documents: &mut Vec<(String, Value)>) {
    for path in entries(folder) {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if path.is_dir() {
            let other = name.starts_with("draft")
                && !name.starts_with("draft2020-12")
                && !name.starts_with("draft2019-09");
            if !other {
                remotes(&path, root, documents);
            }
        } else if name.ends_with(".json") {
            documents.push((format!("http://localhost:1234/{name}"), read(&path)));
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let is_file = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    entries(folder).into_iter().filter(is_file).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn skip() {
    #[expect(clippy::disallowed_methods, reason = "tests read what CI demands")]
    let required = std::env::var("NEBULA_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
    let missing = format!(
        "the JSON Schema test suite is not in {FOLDER}; `cargo xtask schema-suite` fetches it"
    );
    assert!(!required, "{missing}");
    #[expect(clippy::print_stderr, reason = "a skip must be seen")]
    {
        eprintln!("SKIPPED: {missing}");
    }
}
