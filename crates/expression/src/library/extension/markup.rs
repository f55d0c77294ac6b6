//! Removing the marks of HTML and Markdown from a text.

use super::{Args, Outcome, changed};
use crate::{machine::Machine, value::Val};

/// Without what stands between `<` and the next `>`.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]);
    }
    out.push_str(rest);
    out
}

/// Removes HTML tags; an unclosed one takes the rest of the text with it.
pub(super) fn remove_tags<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    changed(m, this, 1, without_tags)
}

/// Removes the marks of headings, lists, quotes, rules, code, emphasis, links (their text stays)
/// and images (which go), and HTML tags.
pub(super) fn remove_markdown<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    changed(m, this, 3, |text| {
        let mut lines = Vec::new();
        for line in text.split('\n') {
            if let Some(line) = block(line) {
                lines.push(inline(line));
            }
        }
        lines.join("\n")
    })
}

/// A line without the mark that it begins with; nothing for a line that is only a mark.
fn block(line: &str) -> Option<&str> {
    let bare = line.trim();
    if bare.starts_with("```") || bare.starts_with("~~~") {
        return None;
    }
    let rule = |mark: char| bare.len() >= 3 && bare.chars().all(|c| c == mark || c == ' ');
    if !bare.is_empty() && ['-', '=', '*', '_'].into_iter().any(rule) {
        return None;
    }
    let mut line = line;
    while let Some(quoted) = line.trim_start().strip_prefix('>') {
        line = quoted.strip_prefix(' ').unwrap_or(quoted);
    }
    let start = line.trim_start();
    let hashes = start.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&hashes) && start[hashes..].starts_with([' ', '\t']) {
        return Some(start[hashes..].trim().trim_end_matches('#').trim_end());
    }
    for mark in ['-', '*', '+'] {
        if let Some(item) = start.strip_prefix(mark)
            && item.starts_with([' ', '\t'])
        {
            return Some(item.trim_start());
        }
    }
    let digits = start.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=9).contains(&digits)
        && let Some(item) = start[digits..].strip_prefix(['.', ')'])
        && item.starts_with([' ', '\t'])
    {
        return Some(item.trim_start());
    }
    Some(line)
}

/// A line without links, images, emphasis, code marks and tags.
fn inline(line: &str) -> String {
    let line = without_links(line);
    let line = if line.contains('<') {
        without_tags(&line)
    } else {
        line
    };
    let mut out = String::with_capacity(line.len());
    let mut before = ' ';
    let mut rest = line.as_str();
    while let Some(c) = rest.chars().next() {
        let run = rest.chars().take_while(|other| *other == c).count();
        let len = run * c.len_utf8();
        let after = rest[len..].chars().next().unwrap_or(' ');
        // A mark touches a word on one side; `a * b` and `snake_case` hold none.
        let touches = before.is_whitespace() != after.is_whitespace()
            || !before.is_alphanumeric() && !before.is_whitespace()
            || !after.is_alphanumeric() && !after.is_whitespace();
        let inside = before.is_alphanumeric() && after.is_alphanumeric();
        let mark = match c {
            '`' => true,
            '~' => run == 2,
            '*' => run <= 3 && (touches || inside && run > 1),
            '_' => run <= 3 && touches && !inside,
            _ => false,
        };
        if c == '\\' && after.is_ascii_punctuation() && run == 1 {
            out.push(after);
            rest = &rest[len + 1..];
            before = after;
            continue;
        }
        if !mark {
            out.push_str(&rest[..len]);
            before = c;
        }
        rest = &rest[len..];
    }
    out
}

/// `[text](address)` and `[text][name]` become `text`; with `!` before them they go.
fn without_links(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('[') {
        let inner = &rest[at + 1..];
        let link = inner
            .find([']', '['])
            .filter(|end| inner[*end..].starts_with(']'));
        let target = link.and_then(|end| {
            let target = &inner[end + 1..];
            let close = match target.chars().next() {
                Some('(') => ')',
                Some('[') => ']',
                _ => return None,
            };
            // Like the text, it ends before the next bracket opens: so all is looked at once.
            let len = target[1..].find([close, '['])?;
            let ends = target[1 + len..].starts_with(close);
            ends.then_some((end, end + 1 + 1 + len + 1))
        });
        let Some((text, whole)) = target else {
            out.push_str(&rest[..=at]);
            rest = inner;
            continue;
        };
        if let Some(before) = rest[..at].strip_suffix('!') {
            out.push_str(before);
        } else {
            out.push_str(&rest[..at]);
            out.push_str(&inner[..text]);
        }
        rest = &inner[whole..];
    }
    out.push_str(rest);
    out
}
