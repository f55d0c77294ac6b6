//! Names: which characters they have, and the escapes that may stand for them.

use bumpalo::{Bump, collections::String as ArenaString};

use super::{literal, parser::Parser};

/// Words that name nothing, also if they are written with escapes.
const RESERVED: &[&str] = &[
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "import",
    "in",
    "instanceof",
    "new",
    "null",
    "return",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
];

/// Whether a word can name no value.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// The bytes that a name may have without being decoded; nearly every name has no others.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut b = 0;
    while b < plain.len() {
        let c = b as u8;
        plain[b] = c.is_ascii_alphanumeric() || c == b'_' || c == b'$';
        b += 1;
    }
    plain
};

/// Length in bytes of the name that `text` starts with, whose first character is known to begin
/// one; `None` if the name must be decoded.
pub(super) fn plain_length(text: &str) -> Option<usize> {
    let mut bytes = text.bytes();
    match bytes.position(|b| !PLAIN[usize::from(b)]) {
        None => Some(text.len()),
        Some(end) => {
            let b = text.as_bytes()[end];
            (b.is_ascii() && b != b'\\').then_some(end)
        }
    }
}

/// Length in bytes of the name that `text` starts with; 0 if it starts with none.
pub(super) fn length(text: &str) -> usize {
    let mut len = 0;
    while let Some(c) = text[len..].chars().next() {
        let (c, bytes) = match c {
            '\\' => match escape(&text[len..]) {
                Some(found) => found,
                None => break,
            },
            c => (c, c.len_utf8()),
        };
        let fits = match c {
            '_' | '$' => true,
            '\u{200c}' | '\u{200d}' => len > 0,
            c if len == 0 => c.is_alphabetic(),
            c => c.is_alphanumeric(),
        };
        if !fits {
            break;
        }
        len += bytes;
    }
    len
}

/// The character of the escape at the start of `text`, and how many bytes it takes.
fn escape(text: &str) -> Option<(char, usize)> {
    let (code, len) = literal::unicode(text.strip_prefix("\\u")?)?;
    Some((char::from_u32(code)?, len + 2))
}

/// The name that is written so.
fn unescaped<'a>(text: &str, arena: &'a Bump) -> &'a str {
    let mut name = ArenaString::with_capacity_in(text.len(), arena);
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        name.push_str(&rest[..at]);
        let Some((c, len)) = escape(&rest[at..]) else {
            break;
        };
        name.push(c);
        rest = &rest[at + len..];
    }
    name.push_str(rest);
    name.into_bump_str()
}

impl<'a> Parser<'a> {
    /// The name that the current token is; any word, if it is the key of something.
    pub(super) fn name(&self) -> &'a str {
        let text = self.text();
        if text.contains('\\') {
            unescaped(text, self.arena)
        } else {
            text
        }
    }

    /// Whether the current token is a reserved word that an escape hides.
    pub(super) fn hides_reserved_word(&self) -> bool {
        self.text().contains('\\') && is_reserved(self.name())
    }
}
