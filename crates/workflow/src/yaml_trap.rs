//! The traps that YAML sets for expressions: unquoted `{{`, a leading `!` or backtick, and ` #`.

use std::ops::Range;

use crate::{Diagnostic, codes, source::line_around};

/// An expression that YAML reads as something else because it has no quotes.
#[derive(Debug, Clone)]
pub(crate) struct Trap {
    /// The bytes that need quotes.
    pub(crate) value: Range<usize>,
    kind: TrapKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrapKind {
    Braces,
    Bang,
    Backtick,
    Comment,
    Other,
}

impl Trap {
    /// The problem, with the line as it should be.
    pub(crate) fn diagnostic(&self, text: &str) -> Diagnostic {
        let (code, message, hint) = match self.kind {
            TrapKind::Braces => (
                codes::QUOTE_EXPRESSION,
                "YAML reads `{{` without quotes as the beginning of an object",
                "quote the expression",
            ),
            TrapKind::Bang => (
                codes::QUOTE_EXPRESSION,
                "YAML reads a leading `!` as a tag",
                "quote the expression",
            ),
            TrapKind::Backtick => (
                codes::QUOTE_EXPRESSION,
                "YAML allows no value that begins with a backtick",
                "quote the expression",
            ),
            TrapKind::Other => (
                codes::QUOTE_EXPRESSION,
                "YAML cannot read this expression without quotes",
                "quote the expression",
            ),
            TrapKind::Comment => (
                codes::COMMENT_CUT,
                "the ` #` inside this expression begins a comment, so YAML cuts the rest off",
                "quote the value",
            ),
        };
        let line = line_around(text, self.value.start);
        let before = &text[line.start..self.value.start];
        let after = &text[self.value.end..line.end.max(self.value.end)];
        let quoted = quote(&text[self.value.clone()]);
        Diagnostic::error(code, "", message)
            .span(self.value.clone())
            .hint(hint)
            .suggestion(format!("{before}{quoted}{after}"))
    }
}

/// Quotes a text for YAML so that it stays readable.
fn quote(text: &str) -> String {
    if text.contains(['"', '\\']) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        format!("\"{text}\"")
    }
}

/// The trap whose value begins at this byte, if one does.
pub(crate) fn unquoted_at(text: &str, at: usize) -> Option<Trap> {
    let rest = &text[at..];
    let kind = if rest.starts_with("{{") {
        TrapKind::Braces
    } else if rest.starts_with("!$") || rest.starts_with("!(") {
        TrapKind::Bang
    } else if rest.starts_with('`') {
        TrapKind::Backtick
    } else {
        return None;
    };
    let value = extent(text, at);
    (value.len() >= 2).then_some(Trap { value, kind })
}

/// The trap that a plain scalar fell into if it ends inside of an expression and a comment follows.
pub(crate) fn comment_cut(text: &str, scalar: &str, span: &Range<usize>) -> Option<Trap> {
    let rest = &text[span.end..];
    let comment = rest.trim_start_matches([' ', '\t']);
    if comment.len() == rest.len() || !comment.starts_with('#') {
        return None;
    }
    let line = line_around(text, span.end);
    let braces = scalar.rfind("{{");
    let end = if braces.is_some_and(|open| !scalar[open..].contains("}}")) {
        value_end(text, span.start, line.end.max(span.end))
    } else if scalar.starts_with('$')
        && let Some(quote) = open_quote(scalar)
        && text[span.end..line.end].contains(quote)
    {
        // `$json.tag == ' #x'`: YAML's quotes protect a whole value only.
        line.end
    } else {
        return None;
    };
    Some(Trap {
        value: span.start..end,
        kind: TrapKind::Comment,
    })
}

/// The quote that an expression leaves open.
fn open_quote(expression: &str) -> Option<char> {
    expression.chars().fold(None, |open, c| match open {
        Some(quote) if c == quote => None,
        None if matches!(c, '"' | '\'' | '`') => Some(c),
        open => open,
    })
}

/// The trap that made the scanner give up somewhere between two bytes.
pub(crate) fn after_error(text: &str, range: Range<usize>) -> Option<Trap> {
    let first = line_around(text, range.start).start;
    let last = line_around(text, range.end).end;
    let mut line_start = first;
    let mut guess = None;
    for line in text[first..last].split_inclusive('\n') {
        if let Some(trap) = value_starts(line)
            .map(|at| line_start + at)
            .filter(|at| *at >= range.start)
            .find_map(|at| unquoted_at(text, at))
        {
            return Some(trap);
        }
        guess = expression_value(line)
            .map(|value| line_start + value.start..line_start + value.end)
            .or(guess);
        line_start += line.len();
    }
    let value = guess?;
    Some(Trap {
        value,
        kind: TrapKind::Other,
    })
}

/// Where values begin on a line: after `key: `, `- `, and after the signs of flow collections.
fn value_starts(line: &str) -> impl Iterator<Item = usize> {
    let mut may_begin = true;
    let mut quote = None;
    let mut before = ' ';
    line.char_indices().filter_map(move |(at, c)| {
        let spaced = before.is_whitespace();
        let last = std::mem::replace(&mut before, c);
        if let Some(open) = quote {
            if c == open {
                quote = None;
            }
            return None;
        }
        match c {
            ' ' | '\t' => {
                may_begin |= matches!(last, ':' | '-');
                None
            }
            '"' | '\'' if may_begin => {
                quote = Some(c);
                may_begin = false;
                None
            }
            '#' if spaced => None,
            _ => {
                let begins = may_begin;
                may_begin = matches!(c, '[' | '{' | ',') || (c == '-' && begins);
                begins.then_some(at)
            }
        }
    })
}

/// The value of a block line `key: value` or `- value` that looks like an expression.
fn expression_value(line: &str) -> Option<Range<usize>> {
    let mut at = line.len() - line.trim_start().len();
    while line[at..].starts_with("- ") {
        at += 2;
        at += line[at..].len() - line[at..].trim_start().len();
    }
    let name = line[at..]
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        .count();
    if name > 0 && line[at + name..].starts_with(": ") {
        at += name + 2;
        at += line[at..].len() - line[at..].trim_start().len();
    }
    let value = line[at..].trim_end();
    let telling = value.contains("{{") || value.contains('$');
    let structure = value.starts_with(['{', '[', '|', '>', '#', '&']);
    let quoted = ['"', '\'']
        .iter()
        .any(|quote| value.len() > 1 && value.starts_with(*quote) && value.ends_with(*quote));
    (telling && !structure && !quoted && value.len() >= 2).then(|| at..at + value.len())
}

/// How far a value without quotes reaches: in a flow collection up to the next `,` or closing
/// bracket of the collection, else to the end of the line or to a comment.
fn extent(text: &str, at: usize) -> Range<usize> {
    let line = line_around(text, at);
    let line_end = line.end.max(at);
    let end = if in_flow(&text[line.start..at]) {
        flow_end(&text[at..line_end], true)
            .or_else(|| flow_end(&text[at..line_end], false))
            .map_or(line_end, |len| at + len)
    } else {
        value_end(text, at, line_end)
    };
    let value = text[at..end].trim_end();
    // A line of a flow collection that spans several lines.
    let value = value.strip_suffix(',').unwrap_or(value);
    at..at + value.trim_end().len()
}

/// Where the value ends on a line: before a comment that follows the last `}}`.
fn value_end(text: &str, at: usize, line_end: usize) -> usize {
    let value = &text[at..line_end];
    let from = value.rfind("}}").map_or(0, |close| close + 2);
    let len = match value[from..].find(" #") {
        Some(comment) if from > 0 || !value.contains("{{") => from + comment,
        _ => value.len(),
    };
    at + value[..len].trim_end().len()
}

fn in_flow(before: &str) -> bool {
    let mut depth = 0_usize;
    let mut quote = None;
    for c in before.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth > 0
}

/// The length up to the sign that ends a value in a flow collection; `None` if nothing ends it.
fn flow_end(value: &str, quotes: bool) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, c) in value.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') if quotes => quote = Some(c),
            (None, '{' | '[' | '(') => depth += 1,
            (None, ',' | '}' | ']') if depth == 0 => return Some(at),
            (None, '}' | ']' | ')') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    None
}

/// Replaces a value by a quoted text of the same length, so that every other place stays the same.
pub(crate) fn mend(text: &mut String, value: &Range<usize>) {
    let mut mended = String::with_capacity(value.len());
    for c in text[value.clone()].chars() {
        match c {
            '"' => mended.push('\''),
            '\\' => mended.push('/'),
            '{' => mended.push('('),
            '}' => mended.push(')'),
            c => mended.push(c),
        }
    }
    let last = mended.chars().next_back().map_or(1, char::len_utf8);
    mended.truncate(mended.len() - last);
    mended.push_str(&"_".repeat(last - 1));
    mended.push('"');
    let first = mended.chars().next().map_or(1, char::len_utf8);
    mended.replace_range(..first, &format!("\"{}", "_".repeat(first - 1)));
    text.replace_range(value.clone(), &mended);
}
