//! What languages write differently: names, the order of fields, what stands between them.
//!
//! Does not know: dates, numbers, the machine.
//!
//! The tables are texts of our own, one per language: a line is keys, a tab, a pattern (or names,
//! with `|` between). The letters of a pattern are those of Unicode's CLDR. A pattern for fields of
//! widths that have no line of their own is that of the plain widths, with the asked ones put in.

mod zone_name;

use std::{collections::HashMap, sync::LazyLock};

pub(crate) use zone_name::{long as zone_long, offset as zone_offset, short as zone_short};

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

/// The tags of each language, of which all regions write everything alike. One that is missing
/// writes something else, and is not offered rather than written wrong.
const TAGS: [(Locale, &str); 7] = [
    (Locale::En, "en en-US en-AS en-GU en-PH en-PR en-UM en-VI"),
    (Locale::EnGb, "en-GB"),
    (Locale::De, "de de-DE de-BE de-LU"),
    (
        Locale::Fr,
        "fr fr-FR fr-BF fr-BI fr-BJ fr-BL fr-CD fr-CF fr-CG fr-CI fr-GA fr-GF fr-GN fr-GP fr-GQ \
         fr-HT fr-KM fr-MC fr-MF fr-MG fr-ML fr-MQ fr-MU fr-NC fr-NE fr-PF fr-PM fr-RE fr-RW \
         fr-SC fr-SN fr-TG fr-WF fr-YT",
    ),
    (Locale::Es, "es es-ES es-EA es-IC"),
    (Locale::Ja, "ja ja-JP"),
    (Locale::Zh, "zh zh-CN zh-Hans zh-Hans-CN"),
];

/// Why there is no language for a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLocale {
    /// It is no tag.
    NoTag,
    /// It has no table.
    NotOffered,
}

/// A piece of a date or a number that is written, and the name of what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

impl Part {
    pub(crate) fn of(kind: &'static str, text: &str) -> Self {
        let text = text.to_owned();
        Self { kind, text }
    }
}

type Table = HashMap<&'static str, &'static str>;

static TABLES: [LazyLock<Table>; 7] = [
    LazyLock::new(|| read([include_str!("en.txt"), include_str!("en.numbers.txt")])),
    LazyLock::new(|| read([include_str!("en-GB.txt"), include_str!("en-GB.numbers.txt")])),
    LazyLock::new(|| read([include_str!("de.txt"), include_str!("de.numbers.txt")])),
    LazyLock::new(|| read([include_str!("fr.txt"), include_str!("fr.numbers.txt")])),
    LazyLock::new(|| read([include_str!("es.txt"), include_str!("es.numbers.txt")])),
    LazyLock::new(|| read([include_str!("ja.txt"), include_str!("ja.numbers.txt")])),
    LazyLock::new(|| read([include_str!("zh.txt"), include_str!("zh.numbers.txt")])),
];

fn read(texts: [&'static str; 2]) -> Table {
    let lines = texts.into_iter().flat_map(str::lines);
    let lines = lines.filter_map(|line| line.split_once('\t'));
    lines
        .flat_map(|(keys, pattern)| keys.split(' ').map(move |key| (key, pattern)))
        .collect()
}

impl Locale {
    /// The language of a tag, and the tag in its usual letters.
    pub(crate) fn tagged(tag: &str) -> Result<(Self, &'static str), NoLocale> {
        let known = TAGS.iter().flat_map(|(locale, tags)| {
            let tags = tags.split(' ');
            tags.map(move |tag| (*locale, tag))
        });
        let mut known = known.filter(|(_, known)| known.eq_ignore_ascii_case(tag));
        match known.next() {
            Some(found) => Ok(found),
            None if is_tag(tag) => Err(NoLocale::NotOffered),
            None => Err(NoLocale::NoTag),
        }
    }

    pub(crate) fn find(tag: &str) -> Result<Self, NoLocale> {
        Self::tagged(tag).map(|(locale, _)| locale)
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

    /// The keys of all its lines, in no order.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'static str> {
        TABLES[self as usize].keys().copied()
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

/// Whether a text has the form of a language's tag.
fn is_tag(tag: &str) -> bool {
    let language = tag.split('-').next().unwrap_or_default();
    let letters = language.bytes().all(|b| b.is_ascii_alphabetic());
    let fits = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    matches!(language.len(), 2 | 3 | 5..=8) && letters && tag.split('-').all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_its_names_and_styles() {
        for (locale, tag) in [
            (Locale::En, "en"),
            (Locale::EnGb, "en-GB"),
            (Locale::De, "de-de"),
            (Locale::Fr, "fr"),
            (Locale::Es, "es-ES"),
            (Locale::Ja, "ja"),
            (Locale::Zh, "zh-Hans-CN"),
        ] {
            assert_eq!(Locale::find(tag), Ok(locale));
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
        assert_eq!(Locale::find("de-AT"), Err(NoLocale::NotOffered));
        assert_eq!(Locale::find("it"), Err(NoLocale::NotOffered));
        assert_eq!(Locale::find("no tag"), Err(NoLocale::NoTag));
    }
}
