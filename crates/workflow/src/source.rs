//! The text of a definition, and how bytes become lines and columns.

use std::ops::Range;

/// How a definition is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, core schema.
    Yaml,
    /// JSON (RFC 8259).
    Json,
}

/// A definition as text, with the name that diagnostics show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name or path; gives the default of `id`.
    pub name: String,
    /// The whole text, without a byte order mark.
    pub text: String,
    /// How it is written.
    pub format: Format,
}

impl Source {
    /// Takes a text whose format follows from the name's extension (`.json`, `.yaml`, `.yml`), else
    /// from its first character: `{` or `[` is JSON. A byte order mark is cut off.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let (name, mut text) = (name.into(), text.into());
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let extension = file_name(&name)
            .rsplit_once('.')
            .map(|(_, extension)| extension);
        let format = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Format::Json,
            Some("yaml" | "yml") => Format::Yaml,
            _ => {
                let first = text.trim_start_matches([' ', '\t', '\r', '\n']);
                if first.starts_with(['{', '[']) {
                    Format::Json
                } else {
                    Format::Yaml
                }
            }
        };
        Self { name, text, format }
    }

    /// The default of `id`: the file's name without folders and extensions, as a slug.
    #[must_use]
    pub fn slug(&self) -> String {
        let name = file_name(&self.name);
        let stem = [".yaml", ".yml", ".json"]
            .iter()
            .find_map(|extension| {
                let cut = name.len().checked_sub(extension.len())?;
                let tail = name.get(cut..)?;
                tail.eq_ignore_ascii_case(extension).then(|| &name[..cut])
            })
            .unwrap_or(name);
        let mut slug = String::new();
        for c in stem.chars() {
            if c.is_ascii_alphanumeric() || (matches!(c, '_' | '.') && !slug.is_empty()) {
                slug.push(c.to_ascii_lowercase());
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        slug.truncate(nebula_core::MAX_ID_LEN);
        slug.trim_end_matches(['-', '.', '_']).to_owned()
    }

    /// Line and column of a byte, both from 1; columns count characters.
    #[must_use]
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        Lines::new(&self.text).line_column(byte)
    }

    /// The same for many bytes, for which the lines are looked for once.
    #[must_use]
    pub fn line_columns(&self, bytes: impl IntoIterator<Item = usize>) -> Vec<(usize, usize)> {
        let lines = Lines::new(&self.text);
        let bytes = bytes.into_iter();
        bytes.map(|byte| lines.line_column(byte)).collect()
    }
}

/// Where the lines of a text begin, for finding many places in it.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        Self { text, starts }
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub(crate) fn line_column(&self, byte: usize) -> (usize, usize) {
        let byte = floor_boundary(self.text, byte);
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts[line - 1];
        (line, self.text[start..byte].chars().count() + 1)
    }
}

/// The bytes of the line that holds `byte`, without its line end.
pub(crate) fn line_around(text: &str, byte: usize) -> Range<usize> {
    let byte = floor_boundary(text, byte);
    let start = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    let end = text[byte..].find('\n').map_or(text.len(), |at| byte + at);
    let end = if text[start..end].ends_with('\r') {
        end - 1
    } else {
        end
    };
    start..end
}

/// The last part of a path, whichever way its slashes lean.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The nearest character boundary at or before `byte`.
pub(crate) fn floor_boundary(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_from_the_name_or_the_text() {
        let check = |name: &str, text: &str, expected| {
            assert_eq!(Source::new(name, text).format, expected, "{name}");
        };
        check("a.json", "nodes: []", Format::Json);
        check("dir.json/a.yml", "{}", Format::Yaml);
        check("A.YAML", "{}", Format::Yaml);
        check("-", "\u{feff} {}", Format::Json);
        check("-", "nodes: []", Format::Yaml);
    }

    #[test]
    fn the_id_is_the_file_name_as_a_slug() {
        let check = |name: &str, expected: &str| {
            assert_eq!(Source::new(name, "").slug(), expected, "{name}");
        };
        check("flows/Order intake.yaml", "order-intake");
        check(r"C:\flows\a.b.json", "a.b");
        check("übung--1.yml", "bung-1");
        check("…", "");
        check(".yaml", "");
        check(&"x".repeat(300), &"x".repeat(128));
    }

    #[test]
    fn columns_count_characters_from_one() {
        let source = Source::new("a", "\u{feff}äb\r\ncd");
        assert_eq!(source.text, "äb\r\ncd");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(1), (1, 1));
        assert_eq!(source.line_column(2), (1, 2));
        assert_eq!(source.line_column(5), (2, 1));
        assert_eq!(source.line_column(99), (2, 3));
        assert_eq!(source.line_columns([2, 5]), [(1, 2), (2, 1)]);
        assert_eq!(line_around(&source.text, 6), 5..7);
        assert_eq!(line_around(&source.text, 1), 0..3);
    }
}
