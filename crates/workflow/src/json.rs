//! Reads JSON (RFC 8259) into a tree with places. YAML's reader would take more than JSON allows.

use std::ops::Range;

use indexmap::IndexMap;
use serde_json::Number;

use crate::{
    Diagnostic, codes,
    limits::{MAX_DEPTH, MAX_VALUES},
    problems::{Problems, shown},
    tree::{Entry, Kind, Piece, Text, Tree},
};

/// What the reader found; `None` if the text is not JSON, which is reported.
pub(crate) fn read(text: &str, problems: &mut Problems) -> Option<Tree> {
    let mut reader = Reader {
        text,
        at: 0,
        values: 0,
        problems,
    };
    let result = reader.document();
    match result {
        Ok(tree) => tree,
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

/// The first problem ends reading: what follows could mean anything.
type Read<T> = Result<T, Box<Diagnostic>>;

struct Reader<'t, 'p> {
    text: &'t str,
    at: usize,
    values: usize,
    problems: &'p mut Problems,
}

impl Reader<'_, '_> {
    fn document(&mut self) -> Read<Option<Tree>> {
        self.space();
        if self.at == self.text.len() {
            return Ok(None);
        }
        let tree = self.value(0)?;
        self.space();
        if self.at < self.text.len() {
            return Err(self.problem("something follows the end of the definition", "remove it"));
        }
        Ok(Some(tree))
    }

    fn value(&mut self, depth: usize) -> Read<Tree> {
        self.values += 1;
        let here = self.at..self.at + self.peek().map_or(0, char::len_utf8);
        if self.values > MAX_VALUES {
            let message = format!("the definition has more than {MAX_VALUES} values");
            let problem = Diagnostic::error(codes::TOO_MANY_VALUES, "", message);
            return Err(Box::new(problem.span(here)));
        }
        if depth > MAX_DEPTH {
            let message = format!("lists and objects are nested deeper than {MAX_DEPTH}");
            let problem = Diagnostic::error(codes::TOO_DEEP, "", message);
            return Err(Box::new(problem.span(here)));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Kind::Text(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some('a'..='z') => self.word()?,
            Some('\'') => {
                return Err(self.problem("a string begins with `\"`", "use double quotes"));
            }
            Some(_) => {
                return Err(self.problem("a value must stand here", "see the line above too"));
            }
            None => return Err(self.problem("the text ends where a value must stand", CLOSE)),
        };
        Ok(Tree {
            kind,
            span: start..self.at,
        })
    }

    fn object(&mut self, depth: usize) -> Read<Kind> {
        let mut entries: IndexMap<String, Entry> = IndexMap::new();
        self.at += 1;
        self.space();
        if self.take('}') {
            return Ok(Kind::Object(entries));
        }
        loop {
            let start = self.at;
            if self.peek() != Some('"') {
                return Err(self.problem("a key in double quotes must stand here", COMMA));
            }
            let name = self.string()?.value;
            let key = start..self.at;
            self.space();
            if !self.take(':') {
                return Err(self.problem("a `:` must stand here", "write `\"key\": value`"));
            }
            self.space();
            let value = self.value(depth + 1)?;
            match entries.get(&name) {
                None => {
                    entries.insert(name, Entry { key, value });
                }
                Some(first) => {
                    let message = format!("the key `{}` is there twice", shown(&name));
                    let problem = Diagnostic::error(codes::DUPLICATE_KEY, "", message)
                        .span(key)
                        .related_span(first.key.clone(), "first here");
                    self.problems.push(problem);
                }
            }
            self.space();
            if self.take('}') {
                return Ok(Kind::Object(entries));
            }
            if !self.take(',') {
                return Err(self.problem("a `,` or `}` must stand here", CLOSE));
            }
            self.space();
        }
    }

    fn list(&mut self, depth: usize) -> Read<Kind> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.take(']') {
            return Ok(Kind::List(items));
        }
        loop {
            if self.peek() == Some(']') {
                return Err(self.problem("a value must stand here", COMMA));
            }
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take(']') {
                return Ok(Kind::List(items));
            }
            if !self.take(',') {
                return Err(self.problem("a `,` or `]` must stand here", CLOSE));
            }
            self.space();
        }
    }

    fn word(&mut self) -> Read<Kind> {
        let rest = &self.text[self.at..];
        let len = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let kind = match &rest[..len] {
            "null" => Kind::Null,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            _ => return Err(self.problem("a value must stand here", "quote it if it is text")),
        };
        self.at += len;
        Ok(kind)
    }

    fn number(&mut self) -> Read<Kind> {
        let rest = &self.text[self.at..];
        let len = rest
            .find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'))
            .unwrap_or(rest.len());
        let text = &rest[..len];
        let span = self.at..self.at + len;
        let Ok(number) = serde_json::from_str::<Number>(text) else {
            let message = format!("`{}` is no JSON number", shown(text));
            let problem = Diagnostic::error(codes::SYNTAX, "", message).span(span);
            return Err(Box::new(problem.hint("quote it if it is text")));
        };
        // Digits beyond 64 bits would silently be rounded.
        let whole = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if whole && number.is_f64() && text != "-0" {
            let message = format!("the number {} is too large", shown(text));
            let problem = Diagnostic::error(codes::NUMBER, "", message).span(span);
            self.problems
                .push(problem.hint("quote it to keep it as text"));
        }
        // serde_json reads fractions fast and off by the last bit; what is written must read back.
        let exact = text.parse().ok().filter(|_| number.is_f64());
        self.at += len;
        Ok(Kind::Number(
            exact.and_then(Number::from_f64).unwrap_or(number),
        ))
    }

    fn string(&mut self) -> Read<Text> {
        let open = self.at;
        self.at += 1;
        let mut text = Text {
            value: String::new(),
            pieces: Vec::new(),
            plain: false,
        };
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .find(|c: char| matches!(c, '"' | '\\') || c < ' ')
                .unwrap_or(rest.len());
            if plain > 0 {
                text.pieces
                    .push(Piece::same(text.value.len(), self.at, plain));
                text.value.push_str(&rest[..plain]);
                self.at += plain;
            }
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    if text.value.is_empty() {
                        text.pieces.push(Piece::same(0, open + 1, 0));
                    }
                    return Ok(text);
                }
                Some('\\') => {
                    let source = self.at;
                    let c = self.escape()?;
                    text.pieces.push(Piece {
                        at: text.value.len(),
                        len: c.len_utf8(),
                        source,
                        written: self.at - source,
                    });
                    text.value.push(c);
                }
                Some(_) => {
                    return Err(self.problem(
                        "a string has no line ends and control characters",
                        "write `\\n` for a line end, and close the string with `\"`",
                    ));
                }
                None => {
                    self.at = open;
                    return Err(self.problem("this string has no end", "close it with `\"`"));
                }
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        let start = self.at;
        self.at += 1;
        let c = match self.peek() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                self.at += 1;
                return self.unicode(start);
            }
            _ => {
                self.at = start;
                return Err(self.problem("JSON has no such escape", "write `\\\\` for a backslash"));
            }
        };
        self.at += 1;
        Ok(c)
    }

    /// `\uXXXX`, or two of them that are one character beyond 16 bits.
    fn unicode(&mut self, start: usize) -> Read<char> {
        let first = self.hex();
        let code = match first {
            Some(high @ 0xd800..=0xdbff) if self.text[self.at..].starts_with("\\u") => {
                self.at += 2;
                self.hex()
                    .filter(|low| (0xdc00..=0xdfff).contains(low))
                    .map(|low| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            }
            code => code,
        };
        code.and_then(char::from_u32).ok_or_else(|| {
            self.at = start;
            self.problem(
                "this `\\u` is no character",
                "write four hex digits, and both halves of a surrogate pair",
            )
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn problem(&self, message: &str, hint: &str) -> Box<Diagnostic> {
        let rest = &self.text[self.at..];
        let hint = if rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#') {
            "JSON has no comments; use YAML or the field `notes`"
        } else {
            hint
        };
        let end = self.at + self.peek().map_or(0, char::len_utf8);
        let span: Range<usize> = self.at..end;
        let message = format!("this is not JSON: {message}");
        Box::new(
            Diagnostic::error(codes::SYNTAX, "", message)
                .span(span)
                .hint(hint),
        )
    }
}

const COMMA: &str = "remove a `,` before a closing bracket; quote every key";
const CLOSE: &str = "check that every bracket is closed and that `,` stands between values";
