//! Text to tokens, one at a time, as the parser asks.
//!
//! Whether `/` divides or starts a pattern, and where a template goes on after `}`, only the
//! parser knows; so it drives.

use super::{ast::Span, name, token::Kind};
use crate::{ExpressionError, Phase, guard};

#[derive(Debug, Clone)]
pub(super) struct Lexer<'s> {
    pub(super) source: &'s str,
    /// Where the last token began.
    pub(super) start: usize,
    /// Where it ended, and the next one is looked for.
    pub(super) pos: usize,
    pub(super) errors: Vec<ExpressionError>,
    /// Where the complaint begins that the text ends in a template or a comment, which more text
    /// could close.
    pub(super) open: Option<usize>,
}

/// How a chunk of a template ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkEnd {
    /// At `${`.
    Value,
    /// At the closing back-tick.
    Close,
    /// At the end of the text; reported.
    Missing,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self {
            source,
            start: 0,
            pos: 0,
            errors: Vec::new(),
            open: None,
        }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.source
            .as_bytes()
            .get(self.pos + ahead)
            .copied()
            .unwrap_or(0)
    }

    pub(super) fn slice(&self, span: Span) -> &'s str {
        &self.source[span.start as usize..span.end as usize]
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        span: Span,
        hint: Option<String>,
    ) {
        if guard::lets_pass(code) {
            return;
        }
        self.errors.push(ExpressionError {
            code,
            phase: Phase::Syntax,
            message: message.into(),
            start: span.start as usize,
            end: span.end as usize,
            hint,
        });
    }

    fn span_from(&self, start: usize) -> Span {
        Span {
            start: cut(start),
            end: cut(self.pos),
        }
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) {
        loop {
            match self.byte(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.pos += 1,
                b'/' if self.byte(1) == b'/' => {
                    let rest = &self.source[self.pos..];
                    let line_end = |c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
                    self.pos += rest.find(line_end).unwrap_or(rest.len());
                }
                b'/' if self.byte(1) == b'*' => {
                    let start = self.pos;
                    match self.source[start + 2..].find("*/") {
                        Some(len) => self.pos = start + 2 + len + 2,
                        None => {
                            self.pos = self.source.len();
                            self.open = Some(start);
                            let span = self.span_from(start);
                            let hint = Some("close it with `*/`".into());
                            self.error("SYNTAX_UNCLOSED", "the comment has no end", span, hint);
                        }
                    }
                }
                0x80.. => match self.source[self.pos..].chars().next() {
                    Some(c) if is_js_space(c) => self.pos += c.len_utf8(),
                    _ => return,
                },
                _ => return,
            }
        }
    }

    /// The next token, where an operand may not start a pattern.
    pub(super) fn next(&mut self) -> Kind {
        self.skip_blank();
        self.start = self.pos;
        match self.byte(0) {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => self.name(),
            b'0'..=b'9' => self.number(),
            b'.' if self.byte(1).is_ascii_digit() => self.number(),
            quote @ (b'"' | b'\'') => self.string(quote),
            b'`' => {
                self.pos += 1;
                Kind::Backtick
            }
            b'\\' if name::length(&self.source[self.start..]) > 0 => self.name(),
            b if b.is_ascii_punctuation() => self.punctuation(),
            _ => match self.source[self.start..].chars().next() {
                None => Kind::Eof,
                Some(c) if c.is_alphabetic() => self.name(),
                Some(c) => self.bad(c),
            },
        }
    }

    fn name(&mut self) -> Kind {
        let rest = &self.source[self.start..];
        self.pos += name::plain_length(rest).unwrap_or_else(|| name::length(rest));
        Kind::Name
    }

    /// Takes everything that a mistyped number would contain, so one mistake is one error.
    fn number(&mut self) -> Kind {
        let radix_prefix =
            self.byte(0) == b'0' && matches!(self.byte(1) | 0x20, b'x' | b'o' | b'b');
        let mut seen_dot = false;
        loop {
            let b = self.byte(0);
            let exponent = !radix_prefix && matches!(b, b'e' | b'E');
            if exponent && matches!(self.byte(1), b'+' | b'-') {
                seen_dot = true;
                self.pos += 2;
            } else if b == b'.' && !seen_dot && !radix_prefix {
                seen_dot = true;
                self.pos += 1;
            } else if b.is_ascii_alphanumeric() || b == b'_' {
                // After an exponent a dot is a member access on the number.
                seen_dot |= exponent;
                self.pos += 1;
            } else {
                return Kind::Number;
            }
        }
    }

    fn string(&mut self, quote: u8) -> Kind {
        self.pos += 1;
        loop {
            match self.byte(0) {
                b'\\' => {
                    self.pos += 1;
                    self.pos += self.source[self.pos..]
                        .chars()
                        .next()
                        .map_or(0, char::len_utf8);
                }
                b if b == quote => {
                    self.pos += 1;
                    return Kind::Str;
                }
                b'\n' | b'\r' => break,
                _ if self.pos >= self.source.len() => break,
                _ => self.pos += 1,
            }
        }
        let span = self.span_from(self.start);
        let hint = Some(format!("close it with {}", char::from(quote)));
        self.error("SYNTAX_UNCLOSED", "the string has no end", span, hint);
        Kind::Bad
    }

    /// Reads template text up to `${` or the closing back-tick; the span is of the raw text.
    pub(super) fn chunk(&mut self) -> (Span, ChunkEnd) {
        let start = self.pos;
        loop {
            match self.byte(0) {
                b'\\' => {
                    self.pos += 1;
                    self.pos += self.source[self.pos..]
                        .chars()
                        .next()
                        .map_or(0, char::len_utf8);
                }
                b'`' => {
                    let span = self.span_from(start);
                    self.pos += 1;
                    return (span, ChunkEnd::Close);
                }
                b'$' if self.byte(1) == b'{' => {
                    let span = self.span_from(start);
                    self.pos += 2;
                    return (span, ChunkEnd::Value);
                }
                _ if self.pos >= self.source.len() => {
                    let span = self.span_from(start);
                    self.open = Some(start);
                    let hint = Some("close it with a back-tick".into());
                    self.error("SYNTAX_UNCLOSED", "the template has no end", span, hint);
                    return (span, ChunkEnd::Missing);
                }
                _ => self.pos += 1,
            }
        }
    }

    /// Reads a pattern literal whose `/` is the token that starts at `start`: the places of the
    /// pattern and of its flags.
    pub(super) fn pattern(&mut self, start: u32) -> Option<(Span, Span)> {
        let start = start as usize;
        self.pos = start + 1;
        let mut in_class = false;
        loop {
            let next = self.source[self.pos..].chars().next();
            match next {
                None | Some('\n' | '\r' | '\u{2028}' | '\u{2029}') => break,
                Some('\\') => {
                    self.pos += 1;
                    let escaped = self.source[self.pos..].chars().next();
                    // A line end closes nothing, also behind a backslash.
                    self.pos += escaped
                        .filter(|c| !matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}'))
                        .map_or(0, char::len_utf8);
                }
                Some('/') if !in_class => {
                    let pattern = self.span_from(start + 1);
                    self.pos += 1;
                    let flags = self.pos;
                    self.pos += name::length(&self.source[flags..]);
                    self.pos += self.source[self.pos..]
                        .bytes()
                        .take_while(u8::is_ascii_alphanumeric)
                        .count();
                    return Some((pattern, self.span_from(flags)));
                }
                Some(c) => {
                    in_class = (in_class || c == '[') && c != ']';
                    self.pos += c.len_utf8();
                }
            }
        }
        let span = self.span_from(start);
        let hint = Some("close it with `/`; within it a slash is written `\\/`".into());
        let message = "the regular expression has no end";
        self.error("SYNTAX_UNCLOSED", message, span, hint);
        None
    }

    fn bad(&mut self, c: char) -> Kind {
        self.pos += c.len_utf8();
        let span = self.span_from(self.start);
        let hint = look_alike(c).map(|plain| format!("write `{plain}`"));
        let message = format!("the character U+{:04X} starts nothing here", u32::from(c));
        self.error("SYNTAX_CHARACTER", message, span, hint);
        Kind::Bad
    }

    /// The longest token that starts with this character.
    fn punctuation(&mut self) -> Kind {
        let ahead = [self.byte(0), self.byte(1), self.byte(2), self.byte(3)];
        let (len, kind) = match ahead {
            [b'(', ..] => (1, Kind::LeftParen),
            [b')', ..] => (1, Kind::RightParen),
            [b'[', ..] => (1, Kind::LeftBracket),
            [b']', ..] => (1, Kind::RightBracket),
            [b'{', ..] => (1, Kind::LeftBrace),
            [b'}', ..] => (1, Kind::RightBrace),
            [b',', ..] => (1, Kind::Comma),
            [b':', ..] => (1, Kind::Colon),
            [b';', ..] => (1, Kind::Semicolon),
            [b'~', ..] => (1, Kind::Tilde),
            [b'.', b'.', b'.', _] => (3, Kind::Ellipsis),
            [b'.', ..] => (1, Kind::Dot),
            [b'?', b'?', b'=', _] => (3, Kind::Assign),
            [b'?', b'?', ..] => (2, Kind::Coalesce),
            // `a?.5:1` is a ternary, not an optional member.
            [b'?', b'.', b'0'..=b'9', _] => (1, Kind::Question),
            [b'?', b'.', ..] => (2, Kind::QuestionDot),
            [b'?', ..] => (1, Kind::Question),
            [b'=', b'=', b'=', _] => (3, Kind::StrictEqual),
            [b'=', b'=', ..] => (2, Kind::Equal),
            [b'=', b'>', ..] => (2, Kind::FatArrow),
            [b'=', ..] => (1, Kind::Assign),
            [b'!', b'=', b'=', _] => (3, Kind::StrictNotEqual),
            [b'!', b'=', ..] => (2, Kind::NotEqual),
            [b'!', ..] => (1, Kind::Bang),
            [b'<', b'<', b'=', _] => (3, Kind::Assign),
            [b'<', b'<', ..] => (2, Kind::ShiftLeft),
            [b'<', b'=', ..] => (2, Kind::LessEqual),
            [b'<', ..] => (1, Kind::Less),
            [b'>', b'>', b'>', b'='] => (4, Kind::Assign),
            [b'>', b'>', b'>', _] => (3, Kind::ShiftRightZero),
            [b'>', b'>', b'=', _] => (3, Kind::Assign),
            [b'>', b'>', ..] => (2, Kind::ShiftRight),
            [b'>', b'=', ..] => (2, Kind::GreaterEqual),
            [b'>', ..] => (1, Kind::Greater),
            [b'&', b'&', b'=', _] | [b'|', b'|', b'=', _] => (3, Kind::Assign),
            [b'&', b'&', ..] => (2, Kind::AndAnd),
            [b'|', b'|', ..] => (2, Kind::OrOr),
            [b'*', b'*', b'=', _] => (3, Kind::Assign),
            [b'*', b'*', ..] => (2, Kind::StarStar),
            [b'+', b'+', ..] | [b'-', b'-', ..] => (2, Kind::Step),
            [
                b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'|' | b'^',
                b'=',
                ..,
            ] => (2, Kind::Assign),
            [b'+', ..] => (1, Kind::Plus),
            [b'-', ..] => (1, Kind::Minus),
            [b'*', ..] => (1, Kind::Star),
            [b'/', ..] => (1, Kind::Slash),
            [b'%', ..] => (1, Kind::Percent),
            [b'&', ..] => (1, Kind::And),
            [b'|', ..] => (1, Kind::Or),
            [b'^', ..] => (1, Kind::Caret),
            [other, ..] => return self.bad(char::from(other)),
        };
        self.pos += len;
        kind
    }
}

/// A place in the source; one of more than 4 GiB is cut there, however large its limit.
pub(super) fn cut(pos: usize) -> u32 {
    u32::try_from(pos).unwrap_or(u32::MAX)
}

/// White space and line ends as ECMA-262 has them.
pub(crate) fn is_js_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{3000}'
                | '\u{feff}'
    )
}

/// What a word processor or a foreign keyboard puts in place of a plain character.
fn look_alike(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{2032}' => "'",
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' | '\u{2033}' => "\"",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
        '\u{d7}' => "*",
        '\u{f7}' | '\u{2044}' | '\u{2215}' => "/",
        '\u{2026}' => "...",
        '\u{2264}' => "<=",
        '\u{2265}' => ">=",
        '\u{2260}' => "!=",
        '\u{ff08}' => "(",
        '\u{ff09}' => ")",
        _ => return None,
    })
}
