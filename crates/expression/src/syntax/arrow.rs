//! Arrows: recognising one before it is read, its parameters, its body.

use std::slice;

use super::{
    ast::{Arrow, Expr, ExprKind, Key, Param, Pattern, Span},
    parser::{Few, Parser},
    token::Kind,
};

/// A name and its place.
type Name<'a> = (&'a str, Span);

impl<'a> Parser<'a> {
    /// An arrow, if one starts at the current token.
    pub(super) fn arrow(&mut self) -> Option<&'a Expr<'a>> {
        let start = self.token.span();
        let (params, rest) = match self.token.kind {
            Kind::Name if self.name_then_arrow() => {
                let span = self.token.span();
                let name = self.name();
                self.advance();
                let pattern = Pattern::Name(name, span);
                let default = None;
                let param = Param { pattern, default };
                (slice::from_ref(self.keep(param)), None)
            }
            Kind::LeftParen if self.parens_then_arrow() => {
                self.advance();
                self.params()
            }
            Kind::Name if self.text() == "async" && self.async_arrow() => {
                let hint = "every value is there already: leave `async` and `await` away";
                self.unsupported("UNSUPPORTED_ASYNC", "an async arrow", start, hint);
                self.advance();
                return self.arrow();
            }
            _ => return None,
        };
        if self.token.kind == Kind::FatArrow && self.after_line_end() {
            self.expected("the arrow on the line of its parameters");
        }
        self.eat(Kind::FatArrow);
        let body = if self.token.kind == Kind::LeftBrace {
            self.body()
        } else {
            self.expression()
        };
        let kind = ExprKind::Arrow(self.keep(Arrow { params, rest, body }));
        Some(self.expr(kind, self.since(start)))
    }

    fn rest_of_source(&self, from: usize) -> &str {
        &self.lexer.source[from.min(self.lexer.source.len())..]
    }

    fn name_then_arrow(&self) -> bool {
        // Looking at one byte first spares a copy of the lexer for nearly every name.
        let rest = self.rest_of_source(self.token.end as usize);
        match rest.bytes().find(|b| !b.is_ascii_whitespace()) {
            // Beside `=>` a comment or a space of another alphabet may stand here.
            Some(b'=' | b'/' | 0x0b | 0x80..) => self.lexer.clone().next() == Kind::FatArrow,
            _ => false,
        }
    }

    fn async_arrow(&self) -> bool {
        let mut ahead = self.lexer.clone();
        match ahead.next() {
            Kind::Name => ahead.next() == Kind::FatArrow,
            Kind::LeftParen => arrow_after_parens(self.rest_of_source(ahead.start)),
            _ => false,
        }
    }

    fn parens_then_arrow(&self) -> bool {
        arrow_after_parens(self.rest_of_source(self.token.start as usize))
    }

    fn params(&mut self) -> (&'a [Param<'a>], Option<Pattern<'a>>) {
        let mut params = Few::new();
        loop {
            if self.eat(Kind::RightParen) {
                return (self.keep_all(&params), None);
            }
            if self.eat(Kind::Ellipsis) {
                let rest = self.nested(Self::pattern);
                self.eat(Kind::Comma);
                self.close(Kind::RightParen, ")");
                return (self.keep_all(&params), Some(rest));
            }
            let param = self.param();
            params.push(param);
            if !self.list_goes_on(Kind::RightParen, ")") {
                return (self.keep_all(&params), None);
            }
        }
    }

    fn param(&mut self) -> Param<'a> {
        let pattern = self.nested(Self::pattern);
        let default = self.default_value();
        Param { pattern, default }
    }

    fn default_value(&mut self) -> Option<&'a Expr<'a>> {
        if self.token.kind == Kind::Assign && self.text() == "=" {
            self.advance();
            return Some(self.expression());
        }
        None
    }

    fn binding_name(&mut self) -> Option<Name<'a>> {
        if self.token.kind != Kind::Name {
            self.expected("a name");
            return None;
        }
        let span = self.token.span();
        let name = self.name();
        self.advance();
        Some((name, span))
    }

    pub(super) fn pattern(&mut self) -> Pattern<'a> {
        let start = self.token.span();
        match self.token.kind {
            Kind::LeftBrace => {
                self.advance();
                let (fields, rest) = self.pattern_fields();
                Pattern::Object {
                    fields,
                    rest,
                    span: self.since(start),
                }
            }
            Kind::LeftBracket => {
                self.advance();
                let (items, rest) = self.pattern_items();
                Pattern::Array {
                    items,
                    rest,
                    span: self.since(start),
                }
            }
            _ => match self.binding_name() {
                Some((name, span)) => Pattern::Name(name, span),
                None => Pattern::Error,
            },
        }
    }

    fn pattern_fields(&mut self) -> (&'a [(Key<'a>, Param<'a>)], Option<Name<'a>>) {
        let mut fields = Few::new();
        loop {
            if self.eat(Kind::RightBrace) {
                return (self.keep_all(&fields), None);
            }
            if self.eat(Kind::Ellipsis) {
                let rest = self.binding_name();
                self.close(Kind::RightBrace, "}");
                return (self.keep_all(&fields), rest);
            }
            let span = self.token.span();
            let shorthand = (self.token.kind == Kind::Name).then(|| self.name());
            let key = self.key();
            let param = if self.eat(Kind::Colon) {
                self.param()
            } else {
                let pattern = match shorthand {
                    Some(name) => Pattern::Name(name, span),
                    None => {
                        self.expected("`:` and a name");
                        Pattern::Error
                    }
                };
                Param {
                    pattern,
                    default: self.default_value(),
                }
            };
            fields.push((key, param));
            if !self.list_goes_on(Kind::RightBrace, "}") {
                return (self.keep_all(&fields), None);
            }
        }
    }

    fn pattern_items(&mut self) -> (&'a [Option<Param<'a>>], Option<&'a Pattern<'a>>) {
        let mut items = Few::new();
        loop {
            if self.eat(Kind::RightBracket) {
                return (self.keep_all(&items), None);
            }
            if self.eat(Kind::Comma) {
                items.push(None);
                continue;
            }
            if self.eat(Kind::Ellipsis) {
                let rest = self.nested(Self::pattern);
                self.close(Kind::RightBracket, "]");
                return (self.keep_all(&items), Some(self.keep(rest)));
            }
            let param = self.param();
            items.push(Some(param));
            if !self.list_goes_on(Kind::RightBracket, "]") {
                return (self.keep_all(&items), None);
            }
        }
    }
}

/// Whether `=>` follows the parenthesis that closes the one at the start of `text`.
///
/// Looks at bytes, over strings, comments and pattern literals.
fn arrow_after_parens(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut open, mut i) = (0_usize, 0_usize);
    // The last byte that is no blank: behind an operand `/` divides.
    let mut last = b'(';
    // How many were open where each template around opened its `${`.
    let mut templates = Vec::new();
    while let Some(b) = bytes.get(i) {
        i += 1;
        let before = last;
        if !b.is_ascii_whitespace() {
            last = *b;
        }
        let mut in_template = false;
        match b {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => {
                open -= 1;
                if open == 0 {
                    break;
                }
                if templates.last() == Some(&open) {
                    templates.pop();
                    in_template = true;
                }
            }
            b'`' => in_template = true,
            b'"' | b'\'' => {
                while let Some(c) = bytes.get(i) {
                    i += 1 + usize::from(*c == b'\\');
                    if c == b {
                        break;
                    }
                }
            }
            b'/' if matches!(bytes.get(i), Some(b'/')) => {
                let line_end = |c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
                let rest = text.get(i..).unwrap_or_default();
                i += rest.find(line_end).unwrap_or(rest.len());
            }
            b'/' if matches!(bytes.get(i), Some(b'*')) => {
                i += text
                    .get(i..)
                    .and_then(|rest| rest.find("*/"))
                    .map_or(0, |len| len + 2);
                last = before;
            }
            b'/' if !matches!(before, b')' | b']' | b'}' | b'"' | b'\'' | b'`')
                && (!is_word(before) || ends_in_operator(&bytes[..i - 1])) =>
            {
                i += pattern_length(&bytes[i..]);
            }
            _ => {}
        }
        if in_template {
            i += template_length(&bytes[i..]);
            last = bytes[i - 1];
            if last == b'{' {
                templates.push(open);
                open += 1;
            }
        }
    }
    open == 0
        && text
            .get(i..)
            .is_some_and(|rest| rest.trim_start().starts_with("=>"))
}

/// Bytes of a template's text, with the mark that ends it or the `${` that interrupts it.
fn template_length(bytes: &[u8]) -> usize {
    let mut i = 0;
    while let Some(b) = bytes.get(i) {
        i += 1;
        match b {
            b'\\' => i += 1,
            b'`' => break,
            b'$' if bytes.get(i) == Some(&b'{') => return i + 1,
            _ => {}
        }
    }
    i.min(bytes.len())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

/// Whether the last word is one that an operand follows, so that `/` behind it begins a pattern.
fn ends_in_operator(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 6] = [b"else", b"in", b"instanceof", b"return", b"typeof", b"void"];
    let text = text.trim_ascii_end();
    let len = text.iter().rev().take_while(|byte| is_word(**byte)).count();
    let (before, word) = text.split_at(text.len() - len);
    WORDS.contains(&word) && before.trim_ascii_end().last() != Some(&b'.')
}

/// Bytes of a pattern behind its opening `/`, with the closing one; of none 0.
fn pattern_length(bytes: &[u8]) -> usize {
    let (mut i, mut in_class) = (0, false);
    while let Some(b) = bytes.get(i) {
        i += 1;
        match b {
            b'\\' => i += 1,
            b'/' if !in_class => return i,
            b'\n' | b'\r' => return 0,
            b'[' => in_class = true,
            b']' => in_class = false,
            _ => {}
        }
    }
    0
}
