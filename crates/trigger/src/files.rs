//! Triggers that start when files come, change or go, as a definition has them.

use std::{collections::BTreeMap, time::Duration};

use nebula_core::Timestamp;
use serde_json::{Map, Value, json};

use crate::{FieldError, Intake, intake::INTAKE, reader::Reader};

/// The most files that one trigger watches.
pub const MAX_WATCHED: usize = 10_000;
/// The most that one look tells; the next look, at once, tells more.
pub const MAX_FILE_EVENTS: usize = 1_000;
/// How seldom is looked at most.
pub const MAX_LOOK_EVERY: Duration = Duration::from_secs(86_400);
/// How often is looked at most.
const MIN_LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often is looked where nothing is said.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// For how long a file stays as it is before it is told, where nothing is said.
const SETTLE: Duration = Duration::from_secs(2);
/// The longest that it may be asked to.
const MAX_SETTLE: Duration = Duration::from_secs(3_600);
/// The longest path and pattern, in bytes.
const MAX_PATH: usize = 4_096;

const FIELDS: [&str; 6] = ["path", "pattern", "on", "settle", "every", "first"];
const EVENTS: [(&str, FileEvent); 3] = [
    ("created", FileEvent::Created),
    ("changed", FileEvent::Changed),
    ("deleted", FileEvent::Deleted),
];

/// Which files a trigger watches, and what of them it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWatch {
    /// The folder, as it is written; folders in it are not entered.
    pub path: String,
    /// Only names that fit: `*` stands for any characters, `?` for one.
    pub pattern: Option<String>,
    /// What is told.
    pub on: Vec<FileEvent>,
    /// For how long a file stays as it is before it is told: whoever writes it has ended then.
    pub settle: Duration,
    /// How often is looked.
    pub every: Duration,
    /// What becomes of files that are there at the first look.
    pub first: FirstLook,
    /// What it takes of what is told.
    pub intake: Intake,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileEvent {
    /// It has come.
    Created,
    /// Its size or the time of its last change is another one.
    Changed,
    /// It is gone.
    Deleted,
}

/// What becomes of files that are there at the first look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstLook {
    /// They are known, and told of once they change.
    #[default]
    Skip,
    /// They have come.
    Start,
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name in the folder.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, in milliseconds since 1970.
    pub modified: i64,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// What is told, in the order of the names; what is gone first.
    pub items: Vec<Value>,
    /// What tells what is new at the next look; `None` is what it was.
    pub cursor: Option<Value>,
    /// When to look next, if that is sooner than usual.
    pub again: Option<Duration>,
}

/// A file as the cursor has it: its size, when it was changed, and since when it is seen so if it has not
/// been told yet.
type Stamp = (u64, i64, Option<i64>);

impl FileWatch {
    /// Reads the fields of a trigger of the type `file`; `None` for another type.
    ///
    /// | field | |
    /// |---|---|
    /// | `path` | the folder, and needed; a relative path begins at the folder of the server |
    /// | `pattern` | names that fit: `*.csv` |
    /// | `on` | one or more of `created`, `changed`, `deleted`; default `created` |
    /// | `settle` | a span: for how long a file stays as it is before it is told |
    /// | `every` | a span, at least `1s` |
    /// | `first` | `skip` or `start` |
    /// | `filter`, `key`, `debounce`, `batch` | as those of [`Intake`] |
    ///
    /// # Errors
    /// Inside, every [`FieldError`].
    #[must_use]
    pub fn read(kind: &str, fields: &Map<String, Value>) -> Option<Result<Self, Vec<FieldError>>> {
        if kind != "file" {
            return None;
        }
        let mut reader = Reader::new(fields);
        reader.refuse_others(FIELDS.into_iter().chain(INTAKE));
        let path = reader.needed("path", "path: inbox").unwrap_or_default();
        if path.len() > MAX_PATH
            || path.contains('\0')
            || (path.is_empty() && fields.contains_key("path"))
        {
            reader.wrong("path", format!("expected 1 to {MAX_PATH} bytes"));
        }
        let pattern = reader.text("pattern");
        if pattern.is_some_and(|it| it.is_empty() || it.len() > 255 || it.contains('/')) {
            let message = "expected a pattern of names like `*.csv`, of 1 to 255 bytes and without `/`: folders are not entered";
            reader.wrong("pattern", message);
        }
        let every = reader.span("every", MAX_LOOK_EVERY);
        if every.is_some_and(|every| every < MIN_LOOK_EVERY) {
            reader.wrong("every", "it is too short; at least 1s");
        }
        let firsts = [("skip", FirstLook::Skip), ("start", FirstLook::Start)];
        let watch = Self {
            path: path.to_owned(),
            pattern: pattern.map(str::to_owned),
            on: reader.file_events(),
            settle: reader.span("settle", MAX_SETTLE).unwrap_or(SETTLE),
            every: every.unwrap_or(LOOK_EVERY),
            first: reader.choice("first", &firsts),
            intake: Intake::read(&mut reader),
        };
        let errors = reader.errors();
        Some(match errors.is_empty() {
            true => Ok(watch),
            false => Err(errors),
        })
    }

    /// What is watched, in words: another one begins anew.
    #[must_use]
    pub fn pace(&self) -> String {
        let pattern = self.pattern.as_deref().unwrap_or("*");
        format!("files {pattern} in {}", self.path)
    }

    /// What a look at `now` tells that has found these files, of at most [`MAX_WATCHED`]; `cursor` is that
    /// of the look before.
    ///
    /// A file is told once it has stayed as it is for [`FileWatch::settle`], also over a restart; what is
    /// gone is told at once. What a file was between two looks nobody knows.
    #[must_use]
    pub fn compare(&self, cursor: Option<&Value>, found: &[Found], now: Timestamp) -> Sight {
        let before = cursor.map(known);
        let first = before.is_none();
        let before = before.unwrap_or_default();
        let (mut after, mut items) = (BTreeMap::new(), Vec::new());
        let mut again: Option<Duration> = None;
        let names: std::collections::BTreeSet<_> =
            found.iter().map(|it| it.name.as_str()).collect();
        for (name, (size, modified, since)) in &before.told {
            if names.contains(name.as_str()) {
                continue;
            }
            let tells = since.is_none() && self.on.contains(&FileEvent::Deleted);
            if tells && items.len() >= MAX_FILE_EVENTS {
                again = Some(Duration::ZERO);
                after.insert(name.clone(), (*size, *modified, *since));
            } else if tells {
                items.push(self.told("deleted", name, *size, *modified));
            }
        }
        let (mut pending, mut found): (BTreeMap<String, Stamp>, Vec<_>) =
            (BTreeMap::new(), found.iter().collect());
        found.sort_by(|one, other| one.name.cmp(&other.name));
        for file in found {
            let stamp = (file.size, file.modified);
            let same = |it: &&Stamp| (it.0, it.1) == stamp;
            let told = before.told.get(&file.name);
            if first && self.first == FirstLook::Skip || told.filter(same).is_some() {
                after.insert(file.name.clone(), (file.size, file.modified, None));
                continue;
            }
            let seen = before.pending.get(&file.name).filter(same);
            // A clock that went back lets it settle anew.
            let since = seen.and_then(|it| it.2).unwrap_or(i64::MAX);
            let since = since.min(now.as_millis());
            let waits = now.as_millis().saturating_sub(since);
            let settle = i64::try_from(self.settle.as_millis()).unwrap_or(i64::MAX);
            let event = match told {
                Some(_) => FileEvent::Changed,
                None => FileEvent::Created,
            };
            let tells = self.on.contains(&event);
            let late = tells && items.len() >= MAX_FILE_EVENTS;
            if waits < settle || late {
                // What was told of it before stays known, so that it has changed and not come.
                if let Some(told) = told {
                    after.insert(file.name.clone(), *told);
                }
                pending.insert(file.name.clone(), (file.size, file.modified, Some(since)));
                let rest = u64::try_from(settle.saturating_sub(waits)).unwrap_or(0);
                let rest = Duration::from_millis(if late { 0 } else { rest });
                again = Some(again.map_or(rest, |it| it.min(rest)));
                continue;
            }
            if tells {
                let word = if event == FileEvent::Changed {
                    "changed"
                } else {
                    "created"
                };
                items.push(self.told(word, &file.name, file.size, file.modified));
            }
            after.insert(file.name.clone(), (file.size, file.modified, None));
        }
        let after = Cursor {
            told: after,
            pending,
        };
        Sight {
            items,
            cursor: (first || after != before).then(|| after.written()),
            again,
        }
    }

    fn told(&self, event: &str, name: &str, size: u64, modified: i64) -> Value {
        let folder = self.path.trim_end_matches('/');
        json!({
            "event": event,
            "path": format!("{folder}/{name}"),
            "name": name,
            "size": size,
            "modified_at": Timestamp::from_millis(modified).to_string(),
        })
    }
}

/// The files of a cursor.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cursor {
    /// Those that were told, or need not be.
    told: BTreeMap<String, Stamp>,
    /// Those that are not told yet.
    pending: BTreeMap<String, Stamp>,
}

impl Cursor {
    fn written(&self) -> Value {
        let files = |all: &BTreeMap<String, Stamp>| -> Map<String, Value> {
            let one = |(name, (size, modified, since)): (&String, &Stamp)| {
                let stamp = match since {
                    None => json!([size, modified]),
                    Some(since) => json!([size, modified, since]),
                };
                (name.clone(), stamp)
            };
            all.iter().map(one).collect()
        };
        json!({ "files": files(&self.told), "pending": files(&self.pending) })
    }
}

/// What a cursor says; what cannot be read in it is not known.
fn known(cursor: &Value) -> Cursor {
    let files = |field: &str| -> BTreeMap<String, Stamp> {
        let all = cursor[field].as_object().into_iter().flatten();
        all.filter_map(|(name, stamp)| {
            let stamp = (stamp[0].as_u64()?, stamp[1].as_i64()?, stamp[2].as_i64());
            Some((name.clone(), stamp))
        })
        .collect()
    };
    Cursor {
        told: files("files"),
        pending: files("pending"),
    }
}

impl Reader<'_> {
    fn file_events(&mut self) -> Vec<FileEvent> {
        let written = match self.get("on") {
            None => return vec![FileEvent::Created],
            Some(Value::String(one)) => vec![one.as_str()],
            Some(_) => self.list("on"),
        };
        let mut found = Vec::new();
        for text in written {
            match EVENTS.iter().find(|(word, _)| *word == text) {
                Some((_, event)) if !found.contains(event) => found.push(*event),
                Some(_) => {}
                None => {
                    let text: String = text.chars().take(40).collect();
                    self.wrong(
                        "on",
                        format!("`{text}` is none of created, changed, deleted"),
                    );
                }
            }
        }
        found
    }
}
