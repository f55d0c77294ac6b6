//! Keeps `docs/expressions.md` true: what the tables and the sources hold stands there.

use std::{collections::BTreeSet, fs, path::Path};

use super::{RECEIVERS, Receiver, extension, functions};
use crate::words::{self, WordKind};

const START: &str = "<!-- library -->\n";
const END: &str = "<!-- /library -->\n";

fn page() -> (std::path::PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/expressions.md");
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

fn word(receiver: Receiver) -> String {
    format!("{receiver:?}").to_lowercase()
}

fn listed<'n>(title: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    format!("- {title}: {}\n", names.join(", "))
}

/// What stands between the marks.
fn library() -> String {
    let mut out = String::new();
    for (receiver, table) in RECEIVERS {
        let names = table.iter().map(|row| row.name);
        out += &listed(&format!("{} methods", word(*receiver)), names);
    }
    let names: BTreeSet<String> = words::library()
        .filter(|(name, _)| !name.starts_with('$'))
        .map(|(name, kind)| match kind {
            WordKind::Class => format!("new {name}"),
            _ => name.to_owned(),
        })
        .collect();
    let space = |name: &str| {
        let (space, _) = name.split_once('.')?;
        (!space.contains(' ')).then(|| space.to_owned())
    };
    let spaces: BTreeSet<String> = names.iter().filter_map(|name| space(name)).collect();
    for wanted in spaces {
        let names = names
            .iter()
            .filter(|name| space(name).as_ref() == Some(&wanted));
        out += &listed(&wanted, names.map(String::as_str));
    }
    let alone = names.iter().filter(|name| space(name).is_none());
    out + &listed("alone", alone.map(String::as_str))
}

#[test]
fn the_page_lists_the_library() {
    let (path, page) = page();
    let (before, rest) = page.split_once(START).unwrap();
    let (there, after) = rest.split_once(END).unwrap();
    let library = library();
    if there != library {
        fs::write(&path, [before, START, &library, END, after].concat()).unwrap();
        panic!("docs/expressions.md was out of date; it has been written anew: commit it");
    }
}

#[test]
fn the_page_explains_every_method_beside_javascripts() {
    let (_, page) = page();
    for (receiver, _) in RECEIVERS {
        for row in extension::table(*receiver) {
            let start = format!("| {} | `{}(", word(*receiver), row.name);
            assert!(
                page.contains(&start),
                "docs/expressions.md needs a line {start}…"
            );
        }
    }
    for name in functions::function_names().filter(|name| name.starts_with('$')) {
        let start = format!("`{name}(");
        assert!(
            page.contains(&start),
            "docs/expressions.md says nothing about {name}"
        );
    }
}

fn sources(folder: &Path, out: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.file_name().is_none_or(|name| name != "page.rs") {
            out.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_page_explains_every_code_and_no_other() {
    const KINDS: [&str; 6] = [
        "SYNTAX_",
        "UNSUPPORTED_",
        "NAME_",
        "PATH_",
        "TYPE_",
        "LIMIT_",
    ];
    let code = |text: &str| {
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let kind = KINDS
            .iter()
            .any(|kind| text.len() > kind.len() && text.starts_with(kind));
        kind && !text.ends_with('_') && text.chars().all(plain)
    };
    let quoted = |text: &str, quote: char| -> BTreeSet<String> {
        let parts = text.split(quote).filter(|part| code(part));
        parts.map(str::to_owned).collect()
    };
    let mut source = String::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut source,
    );
    let (_, page) = page();
    let (ours, told) = (quoted(&source, '"'), quoted(&page, '`'));
    let missing: Vec<_> = ours.symmetric_difference(&told).collect();
    assert!(
        missing.is_empty(),
        "docs/expressions.md and the sources differ: {missing:?}"
    );
}
