//! The results that are kept and compared: `summary.json`.
//!
//! `{ "W1": { "http_64": { "executions_per_s": 5000.0, … }, … }, … }`: the workload, how it was put on,
//! and the figures by name. `cargo xtask bench` knows which of them are compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::Table;

/// Figures by name.
pub type Figures = BTreeMap<String, f64>;

/// All figures of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Summary(BTreeMap<String, BTreeMap<String, Figures>>);

impl Summary {
    /// Sets the figures of a workload that was put on in one way.
    pub fn set<'a>(
        &mut self,
        work: &str,
        way: &str,
        figures: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        let figures = figures
            .into_iter()
            .map(|(name, figure)| (name.to_owned(), figure));
        let ways = self.0.entry(work.to_owned()).or_default();
        ways.entry(way.to_owned()).or_default().extend(figures);
    }

    /// Reads a summary.
    ///
    /// # Errors
    /// The file is not there, or is no summary.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// Adds these figures to what stands in the file at `path`, if there is one, and writes them as
    /// Markdown beside it.
    ///
    /// # Errors
    /// Those of the file system, and what is there is no summary.
    pub fn add_to(&self, path: &Path) -> io::Result<()> {
        let mut all = match Self::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            read => read?,
        };
        for (work, way, name, figure) in self.figures() {
            all.set(work, way, [(name, figure)]);
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut text = serde_json::to_string_pretty(&all)?;
        text.push('\n');
        fs::write(path, text)?;
        fs::write(path.with_extension("md"), all.to_string())
    }

    fn figures(&self) -> impl Iterator<Item = (&str, &str, &str, f64)> {
        self.0.iter().flat_map(|(work, ways)| {
            ways.iter().flat_map(move |(way, figures)| {
                let named = figures.iter();
                named.map(move |(name, figure)| {
                    (work.as_str(), way.as_str(), name.as_str(), *figure)
                })
            })
        })
    }
}

/// A Markdown table for each workload, with a row for each way and a column for each figure.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (work, ways) in &self.0 {
            let columns: BTreeSet<_> = ways.values().flat_map(BTreeMap::keys).collect();
            let head = [work.as_str()].into_iter();
            let mut table = Table::new(head.chain(columns.iter().map(|it| it.as_str())));
            for (way, figures) in ways {
                let cell =
                    |name: &&String| figures.get(*name).map_or_else(String::new, |it| shown(*it));
                let cells: Vec<_> = columns.iter().map(cell).collect();
                let way = [way.as_str()].into_iter();
                table.row(way.chain(cells.iter().map(String::as_str)));
            }
            writeln!(f, "{table}")?;
        }
        Ok(())
    }
}

/// A figure with three digits that matter.
fn shown(figure: f64) -> String {
    match figure {
        _ if figure >= 100.0 => format!("{figure:.0}"),
        _ if figure >= 10.0 => format!("{figure:.1}"),
        _ if figure >= 1.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_added_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench/summary.json");
        let mut first = Summary::default();
        first.set("W1", "embedded_64", [("floor_ratio", 0.5), ("p50_ms", 1.0)]);
        first.add_to(&path).unwrap();
        assert_eq!(Summary::read(&path).unwrap(), first);
        let mut second = Summary::default();
        second.set("W1", "embedded_64", [("p50_ms", 2.0)]);
        second.set("W6", "range", [("seconds", 123.4)]);
        second.add_to(&path).unwrap();
        first.set("W1", "embedded_64", [("p50_ms", 2.0)]);
        first.set("W6", "range", [("seconds", 123.4)]);
        assert_eq!(Summary::read(&path).unwrap(), first);
        let shown = fs::read_to_string(path.with_extension("md")).unwrap();
        assert!(
            shown.contains("| embedded_64 |       0.500 |   2.00 |"),
            "{shown}"
        );
        fs::write(&path, "no summary").unwrap();
        assert!(second.add_to(&path).is_err());
    }
}
