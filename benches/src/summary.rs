//! The results that are kept and compared: `summary.json`.
//!
//! `{ "W1": { "http_64": { "executions_per_s": 5000.0, … }, … }, … }`: the workload, how it was put on,
//! and the figures by name. Absolute rates are for the record; what is compared are those of
//! [`COMPARED`], which hang less on the machine.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::Table;

/// Figures by name.
pub type Figures = BTreeMap<String, f64>;

/// How much worse a figure may be than the baseline's, as a part of it.
pub const TOLERANCE: f64 = 0.15;

/// What is compared, and whether more of it is better.
pub const COMPARED: [(&str, bool); 4] = [
    ("floor_ratio", true),
    ("cpu_ms_per_execution", false),
    ("commits_per_execution", false),
    ("bytes_written_per_execution", false),
];

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

    /// Writes it, for people too.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text)
    }

    /// What became worse than in `baseline` by more than [`TOLERANCE`], and what is there no more.
    #[must_use]
    pub fn worse_than(&self, baseline: &Self) -> Vec<String> {
        let mut worse = Vec::new();
        for (work, way, name, was) in baseline.figures() {
            let Some((_, more_is_better)) = COMPARED.iter().find(|(compared, _)| *compared == name)
            else {
                continue;
            };
            let is = self.0.get(work).and_then(|ways| ways.get(way)?.get(name));
            match is {
                None => worse.push(format!(
                    "{work} {way} {name}: {was:.3} before, and not measured now"
                )),
                Some(is) => {
                    let bound = match more_is_better {
                        true => was * (1.0 - TOLERANCE),
                        false => was * (1.0 + TOLERANCE),
                    };
                    if (*is < bound) == *more_is_better && *is != bound {
                        worse.push(format!("{work} {way} {name}: {was:.3} before, {is:.3} now"));
                    }
                }
            }
        }
        worse
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

    /// A Markdown table: a row for each way, a column for each figure.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut columns: Vec<&str> = Vec::new();
        for (.., name, _) in self.figures() {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        let mut table = Table::new(["what"].into_iter().chain(columns.iter().copied()));
        for (work, ways) in &self.0 {
            for (way, figures) in ways {
                let cell =
                    |name: &&str| figures.get(*name).map_or_else(String::new, |it| shown(*it));
                let cells: Vec<_> = columns.iter().map(cell).collect();
                let name = format!("{work} {way}");
                table.row(
                    [name.as_str()]
                        .into_iter()
                        .chain(cells.iter().map(String::as_str)),
                );
            }
        }
        table
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

    fn summary(ratio: f64, cpu: f64, rate: f64) -> Summary {
        let mut summary = Summary::default();
        summary.set(
            "W1",
            "embedded_64",
            [
                ("floor_ratio", ratio),
                ("cpu_ms_per_execution", cpu),
                ("executions_per_s", rate),
            ],
        );
        summary
    }

    #[test]
    fn a_ratio_that_fell_and_a_cost_that_rose_are_worse() {
        let before = summary(0.5, 0.1, 9_000.0);
        assert_eq!(before.worse_than(&before), [""; 0]);
        assert_eq!(summary(0.9, 0.01, 1.0).worse_than(&before), [""; 0]);
        assert_eq!(summary(0.43, 0.114, 1.0).worse_than(&before), [""; 0]);
        assert_eq!(summary(0.42, 0.116, 1.0).worse_than(&before).len(), 2);
        let gone = Summary::default().worse_than(&before);
        assert_eq!(gone.len(), 2, "{gone:?}");
    }

    #[test]
    fn a_summary_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench/summary.json");
        let written = summary(0.5, 0.1, 9_000.0);
        written.write(&path).unwrap();
        assert_eq!(Summary::read(&path).unwrap(), written);
        assert!(written.table().to_string().contains("| W1 embedded_64 |"));
    }
}
