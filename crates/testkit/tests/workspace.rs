//! Architecture tests: the dependency rules of ARCHITECTURE.md, checked on every `cargo test`.
//!
//! A crate states its ring in `[package.metadata.nebula] ring = "…"`; [`SEES`] says which rings it may
//! depend on. An edge that the table forbids fails here with the offending line, before review.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Ring → rings that it may name in `[dependencies]` and `[build-dependencies]`.
const SEES: &[(&str, &[&str])] = &[
    ("base", &["base"]),
    ("model", &["base", "model"]),
    ("ports", &["base", "model"]),
    ("driver", &["base", "model", "ports"]),
    ("machinery", &["base", "model", "ports", "machinery"]),
    ("edge", &["base", "model", "ports", "machinery", "edge"]),
    (
        "bin",
        &[
            "base",
            "model",
            "ports",
            "machinery",
            "edge",
            "driver",
            "bin",
        ],
    ),
    (
        "dev",
        &[
            "base",
            "model",
            "ports",
            "machinery",
            "edge",
            "driver",
            "dev",
        ],
    ),
];

/// Siblings that meet only at the ports.
const NEVER: &[(&str, &str)] = &[
    ("nebula-engine", "nebula-runtime"),
    ("nebula-runtime", "nebula-engine"),
];

/// Folder → rings that may live there.
const LIVES: &[(&str, &[&str])] = &[
    (
        "crates/",
        &["base", "model", "ports", "machinery", "edge", "dev"],
    ),
    ("drivers/", &["driver"]),
    ("bins/", &["bin"]),
    ("examples/", &["dev"]),
    ("benches", &["dev"]),
    ("fuzz", &["dev"]),
    ("chaos", &["dev"]),
];

/// Preset → packages that must not be compiled into it: heavy ones, and what it is not to do.
const ABSENT: &[(&str, &[&str])] = &[
    (
        "nebula-desktop",
        &[
            "nebula-storage-postgres",
            "nebula-queue-postgres",
            "nebula-queue-redis",
            "redis",
            "aws-sdk-s3",
            "wasmtime",
            "nebula-testkit",
            "nebula-fleet",
        ],
    ),
    // It drives executions: nobody asks it over an API, and it reads, plans and starts nothing.
    (
        "nebula-worker",
        &[
            "axum",
            "utoipa",
            "nebula",
            "nebula-api",
            "nebula-serve",
            "nebula-engine",
            "nebula-planner",
            "nebula-identity",
            "nebula-oidc",
            "nebula-trigger-mqtt",
            "nebula-trigger-redis",
            "nebula-testkit",
        ],
    ),
    // It runs no action.
    (
        "nebula-control-plane",
        &[
            "nebula-sandbox-inprocess",
            "nebula-sandbox-process",
            "wasmtime",
            "nebula-testkit",
        ],
    ),
    ("nebula-server", &["nebula-testkit"]),
];

/// What no model crate compiles: they hold values and pure functions, and do no I/O.
const OUTSIDE: &[&str] = &[
    "rusqlite",
    "reqwest",
    "axum",
    "clap",
    "cap-std",
    "tracing-subscriber",
];

/// File names that say nothing.
const NAMELESS: &[&str] = &["utils", "util", "common", "helpers", "types", "misc"];

#[test]
fn dependencies_point_inward() {
    let packages = packages();
    let rings: BTreeMap<_, _> = packages
        .iter()
        .map(|package| (text(package, "name"), ring(package)))
        .collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let (name, from) = (text(package, "name"), ring(package));
        let sees = lookup(SEES, from);
        for dependency in list(package, "dependencies") {
            let to_name = text(dependency, "name");
            let Some(to) = rings.get(to_name) else {
                continue;
            };
            // Tests may look anywhere but at a driver or a binary; those of a binary look at drivers, too.
            let test = dependency["kind"] == "dev";
            let allowed = sees.contains(to) || (test && !matches!(*to, "driver" | "bin"));
            let sibling = NEVER.contains(&(name, to_name));
            if !allowed || (sibling && !test) {
                wrong.push(format!("{name} ({from}) → {to_name} ({to})"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "dependencies against the direction:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_package_lives_where_its_ring_says() {
    for package in packages() {
        let folder = folder(&package);
        let home = LIVES.iter().find(|(place, _)| folder.starts_with(place));
        let (_, rings) = home.unwrap_or_else(|| panic!("{folder}: no folder of the fixed tree"));
        assert!(
            rings.contains(&ring(&package)),
            "{folder}: ring {}",
            ring(&package)
        );
    }
}

#[test]
fn every_package_inherits_lints_and_documents_itself() {
    for package in packages() {
        let manifest = fs::read_to_string(text(&package, "manifest_path")).unwrap();
        let name = text(&package, "name");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name}: inherit the lints"
        );
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            assert!(
                manifest.contains(&format!("{key}.workspace = true")),
                "{name}: inherit `{key}`"
            );
        }
        assert!(
            !package["description"].is_null(),
            "{name}: say in the manifest what it is for"
        );
        for target in list(&package, "targets") {
            let kind = &target["kind"][0];
            if kind == "lib" || kind == "bin" || kind == "proc-macro" {
                let source = fs::read_to_string(text(target, "src_path")).unwrap();
                assert!(
                    source.starts_with("//!"),
                    "{}: open with `//!`",
                    target["src_path"]
                );
            }
        }
        if ring(&package) == "driver" {
            let readme = root().join(folder(&package)).join("README.md");
            assert!(
                readme.exists(),
                "{}: say what was tested and where the limits are",
                readme.display()
            );
        }
    }
}

#[test]
fn every_module_opens_with_its_purpose_and_has_a_name() {
    for package in packages() {
        for file in sources(&root().join(folder(&package)).join("src")) {
            let source = fs::read_to_string(&file).unwrap();
            assert!(
                source.starts_with("//!"),
                "{}: open with `//!`",
                file.display()
            );
            let name = file.file_stem().unwrap().to_str().unwrap();
            assert!(
                !NAMELESS.contains(&name),
                "{}: name it after what is in it",
                file.display()
            );
        }
    }
}

#[test]
fn architecture_md_names_every_package() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for package in packages() {
        let folder = folder(&package);
        assert!(
            map.contains(&format!("`{folder}`")),
            "ARCHITECTURE.md: say what `{folder}` is for"
        );
    }
}

#[test]
fn every_library_is_used() {
    let packages = packages();
    for package in &packages {
        let (name, ring) = (text(package, "name"), ring(package));
        if matches!(ring, "bin" | "dev") {
            continue;
        }
        let uses = |other: &&Value| {
            let mut dependencies = list(other, "dependencies").iter();
            dependencies
                .any(|dependency| text(dependency, "name") == name && dependency["kind"].is_null())
        };
        assert!(
            packages.iter().any(|other| uses(&other)),
            "{name}: no package uses it; merge it or delete it"
        );
    }
}

#[test]
fn only_the_composition_root_names_a_driver() {
    let packages = packages();
    let drivers = packages.iter().filter(|package| ring(package) == "driver");
    let crates: Vec<_> = drivers
        .map(|package| text(package, "name").replace('-', "_"))
        .collect();
    for package in packages
        .iter()
        .filter(|package| !matches!(ring(package), "driver"))
    {
        let folder = folder(package);
        if !folder.starts_with("crates/") && !folder.starts_with("bins/") {
            continue;
        }
        for file in sources(&root().join(folder).join("src")) {
            if ring(package) == "bin" && file.ends_with("src/compose.rs") {
                continue;
            }
            let source = fs::read_to_string(&file).unwrap();
            let named = crates
                .iter()
                .find(|driver| source.contains(driver.as_str()));
            assert!(
                named.is_none(),
                "{} names {}",
                file.display(),
                named.unwrap()
            );
        }
    }
}

#[test]
fn presets_leave_heavy_drivers_out() {
    for (preset, absent) in ABSENT {
        for package in compiled(preset) {
            assert!(
                !absent.contains(&package.as_str()),
                "{preset} compiles {package}"
            );
        }
    }
}

/// What a feature chooses is left out without it.
#[test]
fn a_program_of_a_fleet_is_built_with_the_drivers_that_it_is_to_have() {
    const CHOSEN: &[(&str, &[&str])] = &[
        (
            "postgres",
            &["nebula-storage-postgres", "nebula-queue-postgres"],
        ),
        ("redis", &["nebula-queue-redis", "redis"]),
    ];
    for program in ["nebula-server", "nebula-worker", "nebula-control-plane"] {
        for (feature, drivers) in CHOSEN {
            let with = compiled_with(program, &["--no-default-features", "--features", feature]);
            for (other, theirs) in CHOSEN {
                for driver in *theirs {
                    let is_there = with.iter().any(|package| package == driver);
                    assert_eq!(
                        is_there,
                        other == feature,
                        "{program} with {feature}: {driver}"
                    );
                }
                let all = compiled(program);
                let missing = drivers
                    .iter()
                    .find(|it| !all.iter().any(|there| there == *it));
                assert_eq!(missing, None, "{program}");
            }
        }
    }
}

#[test]
fn models_do_no_io() {
    for package in packages().iter().filter(|package| ring(package) == "model") {
        for other in compiled(text(package, "name")) {
            assert!(
                !OUTSIDE.contains(&other.as_str()),
                "{} compiles {other}",
                package["name"]
            );
        }
    }
}

/// The packages that are compiled into `package`, without those of its tests.
fn compiled(package: &str) -> Vec<String> {
    compiled_with(package, &[])
}

/// The same with these features.
fn compiled_with(package: &str, features: &[&str]) -> Vec<String> {
    let asked = [
        "tree", "-p", package, "-e", "normal", "--prefix", "none", "-f", "{p}",
    ];
    let tree = cargo(&[&asked, features].concat());
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

fn packages() -> Vec<Value> {
    let out = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&out).unwrap();
    list(&metadata, "packages").clone()
}

fn ring(package: &Value) -> &str {
    package["metadata"]["nebula"]["ring"]
        .as_str()
        .unwrap_or_else(|| panic!("{}: state a ring", package["name"]))
}

/// Where a package is, below the root.
fn folder(package: &Value) -> &str {
    let folder = text(package, "manifest_path").trim_end_matches("/Cargo.toml");
    folder
        .strip_prefix(root().to_str().unwrap())
        .unwrap()
        .trim_start_matches('/')
}

/// Every Rust file below `folder`, in order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn cargo(args: &[&str]) -> String {
    let run = Command::new(env!("CARGO"))
        .args(args)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output();
    let out = run.unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}

/// The string under `key`; cargo always writes the keys used here.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap()
}

fn lookup<'a>(table: &'a [(&str, &'a [&'a str])], key: &str) -> &'a [&'a str] {
    let row = table.iter().find(|(ring, _)| *ring == key);
    row.unwrap_or_else(|| panic!("unknown ring {key}")).1
}
