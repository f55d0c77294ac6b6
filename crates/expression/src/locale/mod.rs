//! What languages write differently: names, the order of fields, what stands between them.
//!
//! Does not know: dates, numbers, the machine.
//!
//! The tables are texts of our own, one per language: a line is keys, a tab, a pattern (or names,
//! with `|` between). The letters of a pattern are those of Unicode's CLDR. A pattern for fields of
//! widths that have no line of their own is that of the plain widths, with the asked ones put in.

mod zone_name;

use std::{collections::HashMap, sync::LazyLock};

pub(crate) use zone_name::{long as zone_long, short as zone_short};

/// A language that dates and numbers can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locale {
    En,
    EnGb,
    De,
    Fr,
    Es,
    Ja,
    Zh,
}

type Table = HashMap<&'static str, &'static str>;

static TABLES: [LazyLock<Table>; 7] = [
    LazyLock::new(|| read(include_str!("en.txt"))),
    LazyLock::new(|| read(include_str!("en-GB.txt"))),
    LazyLock::new(|| read(include_str!("de.txt"))),
    LazyLock::new(|| read(include_str!("fr.txt"))),
    LazyLock::new(|| read(include_str!("es.txt"))),
    LazyLock::new(|| read(include_str!("ja.txt"))),
    LazyLock::new(|| read(include_str!("zh.txt"))),
];

fn read(text: &'static str) -> Table {
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines
        .flat_map(|(keys, pattern)| keys.split(' ').map(move |key| (key, pattern)))
        .collect()
}

impl Locale {
    /// The language of a tag: its region counts for English only. English, as in America, stands
    /// for what is not known. `None` if it is no tag.
    pub(crate) fn find(tag: &str) -> Option<Self> {
        let mut parts = tag.split('-');
        let language = parts.next().unwrap_or_default().to_ascii_lowercase();
        let fits = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        let letters = language.bytes().all(|b| b.is_ascii_alphabetic());
        if !(2..=8).contains(&language.len()) || !letters || !tag.split('-').all(fits) {
            return None;
        }
        Some(match language.as_str() {
            "en" => match parts.find(|part| part.len() == 2) {
                Some(region) if is_british(region) => Locale::EnGb,
                _ => Locale::En,
            },
            "de" => Locale::De,
            "fr" => Locale::Fr,
            "es" => Locale::Es,
            "ja" => Locale::Ja,
            "zh" => Locale::Zh,
            _ => Locale::En,
        })
    }

    pub(crate) fn tag(self) -> &'static str {
        match self {
            Locale::En => "en-US",
            Locale::EnGb => "en-GB",
            Locale::De => "de",
            Locale::Fr => "fr",
            Locale::Es => "es",
            Locale::Ja => "ja",
            Locale::Zh => "zh",
        }
    }

    pub(crate) fn is_english(self) -> bool {
        matches!(self, Locale::En | Locale::EnGb)
    }

    /// The line of that key.
    pub(crate) fn line(self, key: &str) -> Option<&'static str> {
        TABLES[self as usize].get(key).copied()
    }

    /// The names that a letter of a pattern stands for: `MMM`, `LLLL` (standing alone), `EEE`,
    /// `cccc` (standing alone), `a`.
    pub(crate) fn names(self, letters: &str) -> impl Iterator<Item = &'static str> + Clone {
        let key = format!("names-{letters}");
        let line = self.line(&key).or_else(|| {
            // Most languages have one form only.
            let joined = key.replace('L', "M").replace('c', "E");
            self.line(&joined)
        });
        line.unwrap_or_default().split('|')
    }

    pub(crate) fn name(self, letters: &str, index: i64) -> &'static str {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.names(letters).nth(index).unwrap_or_default()
    }

    /// Whether clocks go to twelve.
    pub(crate) fn twelve_hours(self) -> bool {
        self.line("cycle") == Some("h")
    }

    /// On which day weeks start, and how many days of the year the first needs.
    pub(crate) fn week(self) -> (i64, i64) {
        match self {
            Locale::En | Locale::Ja => (7, 1),
            Locale::Zh => (1, 1),
            Locale::EnGb | Locale::De | Locale::Fr | Locale::Es => (1, 4),
        }
    }
}

/// English that is written as in Britain: day, month, year.
fn is_british(region: &str) -> bool {
    const REGIONS: [&str; 6] = ["GB", "AU", "IE", "IN", "NZ", "ZA"];
    REGIONS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_its_names_and_styles() {
        for (locale, tag) in [
            (Locale::En, "en"),
            (Locale::EnGb, "en-GB"),
            (Locale::De, "de-AT"),
            (Locale::Fr, "fr"),
            (Locale::Es, "es-MX"),
            (Locale::Ja, "ja"),
            (Locale::Zh, "zh-Hans-CN"),
        ] {
            assert_eq!(Locale::find(tag), Some(locale));
            for letters in ["MMM", "MMMM", "MMMMM", "LLL", "LLLL", "LLLLL"] {
                assert_eq!(locale.names(letters).count(), 12, "{tag} {letters}");
            }
            for letters in ["EEE", "EEEE", "EEEEE", "ccc", "cccc", "ccccc"] {
                assert_eq!(locale.names(letters).count(), 7, "{tag} {letters}");
            }
            for style in ["full", "long", "medium", "short"] {
                for kind in ["date", "time", "glue"] {
                    assert!(locale.line(&format!("{kind}-{style}")).is_some(), "{tag}");
                }
            }
        }
        assert_eq!(Locale::find("tlh"), Some(Locale::En));
        assert_eq!(Locale::find("no tag"), None);
    }
}
