//! Where the characters of a YAML scalar stand in the source, behind escapes, folded lines and
//! the indentation of blocks too.

use std::ops::Range;

use saphyr_parser::ScalarStyle;

use crate::tree::Piece;

/// The parts of a scalar with their places. None at all if the source does not read as the value,
/// so that no place is told wrongly.
pub(crate) fn pieces(
    source: &str,
    value: &str,
    style: ScalarStyle,
    span: &Range<usize>,
) -> Vec<Piece> {
    let inner = match style {
        ScalarStyle::Plain => span.clone(),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            span.start + 1..span.end.saturating_sub(1)
        }
        ScalarStyle::Literal | ScalarStyle::Folded => block(source, span),
    };
    match source.get(inner.clone()) {
        Some(written) if written == value => vec![Piece::same(0, inner.start, value.len())],
        Some(_) if style == ScalarStyle::Literal => literal(source, value, inner.start),
        Some(written) => Weave {
            style,
            written,
            value,
            source: inner.start,
            at: 0,
            read: 0,
            pieces: Vec::new(),
        }
        .weave()
        .unwrap_or_default(),
        None => Vec::new(),
    }
}

/// The lines of a block. Its header (`|`, `>-`) is the rest of the span's first line, unless the
/// span begins behind it.
fn block(source: &str, span: &Range<usize>) -> Range<usize> {
    let written = &source[span.clone()];
    let start = if written.starts_with(['|', '>']) {
        written
            .find('\n')
            .map_or(span.end, |at| span.start + at + 1)
    } else {
        source[..span.start].rfind('\n').map_or(0, |at| at + 1)
    };
    start..span.end
}

/// A literal block keeps its lines: each is a piece behind its indentation.
fn literal(source: &str, value: &str, start: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut at_source, mut at_value) = (start, 0);
    for line in value.split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        let end = source[at_source..]
            .find('\n')
            .map_or(source.len(), |len| at_source + len);
        let written = source[at_source..end].trim_end_matches('\r');
        if !text.is_empty() {
            let Some(indent) = written.strip_suffix(text) else {
                return Vec::new();
            };
            pieces.push(Piece::same(at_value, at_source + indent.len(), text.len()));
        }
        at_value += line.len();
        at_source = (end + 1).min(source.len());
    }
    pieces
}

/// Walks a value and its writing side by side.
struct Weave<'t> {
    style: ScalarStyle,
    written: &'t str,
    value: &'t str,
    /// Where `written` begins in the source.
    source: usize,
    /// How far the value is placed.
    at: usize,
    /// How far the writing is read.
    read: usize,
    pieces: Vec<Piece>,
}

impl Weave<'_> {
    /// `None` where the writing does not give the value.
    fn weave(mut self) -> Option<Vec<Piece>> {
        while let Some(c) = self.value[self.at..].chars().next() {
            let rest = &self.written[self.read..];
            match rest.chars().next() {
                Some('\\') if self.style == ScalarStyle::DoubleQuoted => self.escape()?,
                Some('\'') if self.style == ScalarStyle::SingleQuoted => {
                    (c == '\'' && rest.starts_with("''")).then_some(())?;
                    self.take(1, 2);
                }
                Some(blank) if is_blank(blank) => self.blanks()?,
                Some(same) if same == c => self.take(c.len_utf8(), c.len_utf8()),
                Some(_) => return None,
                // The line ends behind a block are no part of the span.
                None if self.value[self.at..].bytes().all(|byte| byte == b'\n') => {
                    self.take(self.value.len() - self.at, 0);
                }
                None => return None,
            }
        }
        Some(self.pieces)
    }

    /// So many bytes of the value are these bytes of the writing.
    fn take(&mut self, len: usize, written: usize) {
        let piece = Piece {
            at: self.at,
            len,
            source: self.source + self.read,
            written,
        };
        self.at += len;
        self.read += written;
        match self.pieces.last_mut() {
            Some(last)
                if last.len == last.written
                    && len == written
                    && last.source + last.written == piece.source =>
            {
                last.len += len;
                last.written += written;
            }
            _ if len > 0 => self.pieces.push(piece),
            _ => {}
        }
    }

    /// Blanks within a line stand as they are. A line end is folded: into a space, or into one line
    /// end fewer than there are; blanks around it go. More than that only blocks do.
    fn blanks(&mut self) -> Option<()> {
        let blanks = run_of_blanks(&self.written[self.read..]);
        let value = &self.value[self.at..];
        let lines = line_ends(blanks);
        if lines == 0 && value.starts_with(blanks) {
            self.take(blanks.len(), blanks.len());
            return Some(());
        }
        let folded = match (self.style, lines) {
            (ScalarStyle::Folded, _) => run_of_blanks(value).to_owned(),
            (_, 0) => return None,
            (_, 1) => " ".to_owned(),
            (_, lines) => "\n".repeat(lines - 1),
        };
        value.starts_with(&folded).then_some(())?;
        self.take(folded.len(), blanks.len());
        Some(())
    }

    fn escape(&mut self) -> Option<()> {
        let rest = &self.written[self.read..];
        let named = rest[1..].chars().next()?;
        let written = match named {
            'x' => 4,
            'u' => 6,
            'U' => 10,
            // The line end does not count, and neither do the blanks that the next line begins with.
            '\n' | '\r' => {
                let blanks = run_of_blanks(&rest[1..]);
                let more = line_ends(blanks) - 1;
                self.value[self.at..]
                    .starts_with(&"\n".repeat(more))
                    .then_some(())?;
                self.take(more, 1 + blanks.len());
                return Some(());
            }
            named => 1 + named.len_utf8(),
        };
        rest.is_char_boundary(written).then_some(())?;
        let c = self.value[self.at..].chars().next()?;
        self.take(c.len_utf8(), written);
        Some(())
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn run_of_blanks(text: &str) -> &str {
    &text[..text.len() - text.trim_start_matches(is_blank).len()]
}

/// How many lines end in a run of blanks.
fn line_ends(blanks: &str) -> usize {
    let ends = blanks.matches(['\n', '\r']).count();
    ends - blanks.matches("\r\n").count()
}
