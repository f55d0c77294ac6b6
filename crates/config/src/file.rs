//! Settings files.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    FilePlace, Problem, Source,
    tree::{Entry, Node, Tree},
};

/// The largest settings file.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// The layer that a file holds; `None` if there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Tree>, Problem> {
    let unreadable = |source| Problem::Unreadable {
        path: path.to_owned(),
        source,
    };
    // What is checked and what is read are the same open file.
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("it is not a regular file")));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o022 != 0 {
            let path = path.to_owned();
            return Err(Problem::WritableByOthers { path, mode });
        }
    }
    let mut text = String::new();
    let taken = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    taken.map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let path = path.to_owned();
        return Err(Problem::TooLarge { path });
    }
    parse(path, &text).map(Some)
}

fn parse(path: &Path, text: &str) -> Result<Tree, Problem> {
    let places = Places {
        path: path.into(),
        text,
    };
    match DeTable::parse(text) {
        Ok(table) => Ok(places.tree(table.span().start, places.table(table.into_inner()))),
        Err(error) => Err(Problem::Syntax {
            place: places.of(error.span().map_or(0, |span| span.start)),
            message: error.message().trim().replace('\n', ", "),
        }),
    }
}

/// Finds lines and columns in a file.
struct Places<'t> {
    path: Arc<Path>,
    text: &'t str,
}

impl Places<'_> {
    fn of(&self, offset: usize) -> FilePlace {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        FilePlace {
            path: Arc::clone(&self.path),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn tree(&self, offset: usize, node: Node) -> Tree {
        Tree {
            source: Source::File(self.of(offset)),
            node,
        }
    }

    fn table(&self, table: DeTable<'_>) -> Node {
        let mut entries = BTreeMap::new();
        for (key, value) in table {
            let place = Source::File(self.of(key.span().start));
            let value = self.value(value);
            entries.insert(key.into_inner().into_owned(), Entry { key: place, value });
        }
        Node::Table(entries)
    }

    fn value(&self, value: Spanned<DeValue<'_>>) -> Tree {
        let start = value.span().start;
        let node = match value.into_inner() {
            DeValue::String(text) => Node::Text(text.into_owned()),
            DeValue::Boolean(flag) => Node::Bool(flag),
            DeValue::Integer(int) => match i128::from_str_radix(int.as_str(), int.radix()) {
                Ok(int) => Node::Int(int),
                Err(_) => Node::Text(int.to_string()),
            },
            DeValue::Float(float) => match float.as_str().parse() {
                Ok(float) => Node::Float(float),
                Err(_) => Node::Text(float.to_string()),
            },
            DeValue::Datetime(time) => Node::Text(time.to_string()),
            DeValue::Array(items) => {
                Node::List(items.into_iter().map(|item| self.value(item)).collect())
            }
            DeValue::Table(table) => self.table(table),
        };
        self.tree(start, node)
    }
}

/// Reads one TOML value, for a list that is written in a variable or flag.
pub(crate) fn inline_list(text: &str, source: &Source) -> Option<Vec<Tree>> {
    let mut list = DeValue::parse(text).ok()?.into_inner();
    list.make_owned();
    let places = Places {
        path: Path::new("").into(),
        text,
    };
    let DeValue::Array(items) = list else {
        return None;
    };
    let mut items: Vec<_> = items.into_iter().map(|item| places.value(item)).collect();
    for item in &mut items {
        item.claim(source);
    }
    Some(items)
}

impl Tree {
    /// Says of the whole tree that it comes from `source`.
    fn claim(&mut self, source: &Source) {
        self.source = source.clone();
        match &mut self.node {
            Node::List(items) => items.iter_mut().for_each(|item| item.claim(source)),
            Node::Table(entries) => {
                for entry in entries.values_mut() {
                    entry.key = source.clone();
                    entry.value.claim(source);
                }
            }
            _ => {}
        }
    }
}
