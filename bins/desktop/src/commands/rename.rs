//! `nebula rename`: gives a node another id, in the text of its definition.

use std::fs::{self, OpenOptions};

use nebula_planner::{RenameError, Renamed, rename_node};
use nebula_workflow::{MAX_DEFINITION_BYTES, Source, render};
use serde::Serialize;

use crate::{
    arguments::Rename,
    compose,
    console::{Console, Paint},
    definition::{self, Checked, counted},
    failure::{Exit, Failure},
    input::read_file,
    replace::replace,
    settings::Loaded,
};

/// A byte order mark, which a source does not keep.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// What programs read: `{ "file", "from", "to", "written": true, "places": [{ "line", "column" }] }`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    file: String,
    from: &'a str,
    to: &'a str,
    /// False with `--check`.
    written: bool,
    /// Where the old id stood.
    places: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Place {
    line: usize,
    column: usize,
}

/// Runs `nebula rename`. The file is replaced whole or not at all.
pub(crate) async fn run(
    arguments: &Rename,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let offline = compose::offline(loaded).await?;
    let Rename { file, old, new, .. } = arguments;
    let checked = definition::check(file, (offline.nebula.engine(), loaded), console).await?;
    let renamed = rename_node(&checked.source, offline.nebula.registry(), old, new)
        .map_err(|error| refused(error, arguments, &checked, console))?;
    if arguments.stdout {
        let mark = read_file(&checked.file, MAX_DEFINITION_BYTES as u64)?.starts_with(MARK);
        let mark: &[u8] = if mark { MARK } else { &[] };
        console.bytes(&[mark, renamed.text.as_bytes()].concat())?;
        return Ok(Exit::Completed);
    }
    if !arguments.check {
        write(&checked, &renamed)?;
    }
    say(arguments, &checked.source, &renamed, console)?;
    Ok(Exit::Completed)
}

fn write(checked: &Checked, renamed: &Renamed) -> Result<(), Failure> {
    let path = &checked.file;
    let failed = |error| Failure::file(path, "write", &error);
    // A folder lets files be replaced that may not be written.
    OpenOptions::new().write(true).open(path).map_err(failed)?;
    let like = fs::metadata(path).map_err(failed)?;
    let bytes = read_file(path, MAX_DEFINITION_BYTES as u64)?;
    let (mark, text) = match bytes.strip_prefix(MARK) {
        Some(text) => (MARK, text),
        None => (&[][..], bytes.as_slice()),
    };
    if text != checked.source.text.as_bytes() {
        let message = format!("{} has changed since it was read", path.display());
        return Err(Failure::environment("FILE_CHANGED", message).advice("run the command again"));
    }
    replace(path, &[mark, renamed.text.as_bytes()].concat(), Some(&like)).map_err(failed)
}

fn say(
    arguments: &Rename,
    source: &Source,
    renamed: &Renamed,
    console: &Console,
) -> Result<(), Failure> {
    let file = arguments.file.display();
    let starts = renamed.places.iter().map(|place| place.start);
    let places = source.line_columns(starts);
    if console.json {
        let place = |(line, column)| Place { line, column };
        return console.document(&Document {
            file: file.to_string(),
            from: &arguments.old,
            to: &arguments.new,
            written: !arguments.check,
            places: places.into_iter().map(place).collect(),
        });
    }
    let (old, new) = (&arguments.old, &arguments.new);
    let count = counted(places.len(), "place");
    if !arguments.check {
        let mark = console.out.paint(Paint::Green, "✓");
        return console.line(&format!("{mark} {file}  {old} → {new} ({count})"));
    }
    console.line(&format!("{file}  {old} → {new} would change {count}:"))?;
    for (line, column) in places {
        console.line(&format!("  {file}:{line}:{column}"))?;
    }
    Ok(())
}

fn refused(
    error: RenameError,
    arguments: &Rename,
    checked: &Checked,
    console: &Console,
) -> Failure {
    let file = arguments.file.display();
    let at = |byte: usize| {
        let (line, column) = checked.source.line_column(byte);
        format!("{file}:{line}:{column}")
    };
    let message = error.to_string();
    match error {
        RenameError::UnknownNode { nearest, .. } => {
            let failure = Failure::invalid("RENAME_UNKNOWN_NODE", format!("{message} in {file}"));
            match nearest {
                Some(near) => failure.advice(format!("did you mean `{near}`?")),
                None => failure.advice(format!("`nebula plan {file}` shows the nodes")),
            }
        }
        RenameError::Id(_) => {
            Failure::invalid("RENAME_ID", message).advice("choose an id such as `fetch_2`")
        }
        RenameError::Taken { .. } if arguments.old == arguments.new => Failure::invalid(
            "RENAME_TAKEN",
            format!("the node is named `{}` already", arguments.new),
        )
        .advice("give the old id and then another one"),
        RenameError::Taken { pointer, place, .. } => {
            let at = at(place.start);
            let advice = if pointer.starts_with("/layout/") {
                "`layout` places a node of that name: remove that entry if no node belongs to it"
            } else {
                "choose another id, or rename that node first"
            };
            Failure::invalid("RENAME_TAKEN", format!("{message}: it is at {at}")).advice(advice)
        }
        RenameError::Mention { place, .. } => {
            let at = at(place.start);
            Failure::invalid("RENAME_MENTION", format!("{message}: it is at {at}"))
                .advice("write the id there without escapes, then try again; nothing was changed")
        }
        RenameError::Definition(diagnostics) => {
            let source = &checked.source;
            let located = checked.map.locate_all(&diagnostics, source);
            let drawn = render(&diagnostics, source, &checked.map, console.err.0);
            Failure::invalid(
                "DEFINITION_INVALID",
                format!("{message}; nothing was changed"),
            )
            .diagnostics(located, drawn)
        }
        // Also what later versions add.
        _ => Failure::invalid("RENAME_REFUSED", format!("{message}; nothing was changed"))
            .advice("rename it by hand, and report the definition as a bug"),
    }
}
