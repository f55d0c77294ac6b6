//! One pass over YAML's events: builds the tree, reports what definitions do not use of YAML, and
//! stops at a trap, a limit or where the scanner gives up.

use std::ops::Range;

use indexmap::IndexMap;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::{
    Diagnostic, codes,
    limits::{MAX_DEPTH, MAX_VALUES},
    problems::{Problems, shown},
    tree::{Entry, Kind, Text, Tree},
    yaml_places::pieces,
    yaml_scalar::plain,
    yaml_trap::{Trap, comment_cut, unquoted_at},
};

/// Why reading stopped before the end.
pub(crate) enum Stop {
    /// The scanner gave up at byte `at`; what was read well ends at `from`.
    Syntax {
        at: usize,
        from: usize,
        /// The innermost `{` or `[` that is open there.
        open: Option<usize>,
        info: String,
    },
    /// An expression without quotes.
    Trap(Trap),
    /// A limit; reported.
    Limit,
}

/// One pass over a text.
pub(crate) struct Reader<'t, 'p> {
    text: &'t str,
    bytes: ByteIndex,
    parser: Parser<'t, StrInput<'t>>,
    problems: &'p mut Problems,
    values: usize,
    /// Where the last event ended.
    last: usize,
    /// The brackets that are open.
    open: Vec<usize>,
}

impl<'t, 'p> Reader<'t, 'p> {
    pub(crate) fn new(text: &'t str, problems: &'p mut Problems) -> Self {
        Self {
            text,
            bytes: ByteIndex::new(text),
            parser: Parser::new_from_str(text),
            problems,
            values: 0,
            last: 0,
            open: Vec::new(),
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Range<usize>), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = self.bytes.span(self.text, span);
                self.last = self.last.max(span.end);
                Ok((event, span))
            }
            Some(Err(error)) => Err(self.stop(&error)),
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
        }
    }

    fn stop(&self, error: &ScanError) -> Stop {
        Stop::Syntax {
            at: self.bytes.byte(self.text, error.marker().index()),
            from: self.last,
            open: self.open.last().copied(),
            info: error.info().to_owned(),
        }
    }

    pub(crate) fn read(mut self) -> Result<Option<Tree>, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                event if root.is_none() => root = Some(self.value(event, span, 0)?),
                event => {
                    self.problems.push(
                        Diagnostic::error(codes::DOCUMENTS, "", "a second document begins here")
                            .span(first_line(self.text, span.clone()))
                            .hint("one file holds one workflow; remove the `---`"),
                    );
                    // The rest is read for its syntax and then dropped.
                    self.value(event, span, 0)?;
                }
            }
        }
    }

    fn value(&mut self, event: Event<'t>, span: Range<usize>, depth: usize) -> Result<Tree, Stop> {
        self.values += 1;
        if self.values > MAX_VALUES {
            let message = format!("the definition has more than {MAX_VALUES} values");
            self.problems
                .push(Diagnostic::error(codes::TOO_MANY_VALUES, "", message).span(span));
            return Err(Stop::Limit);
        }
        if depth > MAX_DEPTH {
            self.problems.push(too_deep(first_line(self.text, span)));
            return Err(Stop::Limit);
        }
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), &span)?;
                self.scalar(&value, style, span)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), &span)?;
                self.list(span, depth)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), &span)?;
                if let Some(trap) = unquoted_at(self.text, span.start) {
                    return Err(Stop::Trap(trap));
                }
                self.object(span, depth)
            }
            Event::Alias(_) => {
                self.problems.push(anchor_problem(span.clone()));
                Ok(broken(span))
            }
            // The parser emits nothing else where a value stands.
            _ => Ok(broken(span)),
        }
    }

    fn scalar(
        &mut self,
        value: &str,
        style: ScalarStyle,
        span: Range<usize>,
    ) -> Result<Tree, Stop> {
        let span = trim_end(self.text, span);
        if style == ScalarStyle::Plain {
            if let Some(trap) = comment_cut(self.text, value, &span) {
                return Err(Stop::Trap(trap));
            }
            let kind = match plain(value) {
                Ok(Some(kind)) => Some(kind),
                Ok(None) => None,
                Err(message) => {
                    self.problems.push(
                        Diagnostic::error(codes::NUMBER, "", message)
                            .span(span.clone())
                            .hint("quote it to keep it as text"),
                    );
                    Some(Kind::Broken)
                }
            };
            if let Some(kind) = kind {
                return Ok(Tree { kind, span });
            }
        }
        let text = Text {
            value: value.to_owned(),
            pieces: pieces(self.text, value, style, &span),
            plain: style == ScalarStyle::Plain,
        };
        Ok(Tree {
            kind: Kind::Text(text),
            span,
        })
    }

    fn list(&mut self, start: Range<usize>, depth: usize) -> Result<Tree, Stop> {
        let mut items = Vec::new();
        let mut end = start.end;
        self.enter(&start);
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                end = end.max(if span.is_empty() { end } else { span.end });
                break;
            }
            let item = self.value(event, span, depth + 1)?;
            end = end.max(item.span.end);
            items.push(item);
        }
        self.leave(&start);
        Ok(Tree {
            kind: Kind::List(items),
            span: start.start..end,
        })
    }

    fn object(&mut self, start: Range<usize>, depth: usize) -> Result<Tree, Stop> {
        let mut entries: IndexMap<String, Entry> = IndexMap::new();
        let mut end = start.end;
        self.enter(&start);
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                end = end.max(if span.is_empty() { end } else { span.end });
                break;
            }
            let key = self.value(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.value(event, span, depth + 1)?;
            end = end.max(key.span.end).max(value.span.end);
            let Kind::Text(name) = key.kind else {
                let message = format!("a key must be a string, this is {}", key.describe());
                self.problems.push(
                    Diagnostic::error(codes::KEY, "", message)
                        .span(first_line(self.text, key.span))
                        .hint("quote the key"),
                );
                continue;
            };
            if let Some(first) = entries.get(&name.value) {
                let message = format!("the key `{}` is there twice", shown(&name.value));
                self.problems.push(
                    Diagnostic::error(codes::DUPLICATE_KEY, "", message)
                        .span(key.span)
                        .related_span(first.key.clone(), "first here"),
                );
                continue;
            }
            let entry = Entry {
                key: key.span,
                value,
            };
            entries.insert(name.value, entry);
        }
        self.leave(&start);
        Ok(Tree {
            kind: Kind::Object(entries),
            span: start.start..end,
        })
    }

    fn enter(&mut self, start: &Range<usize>) {
        if self.text[start.start..].starts_with(['{', '[']) {
            self.open.push(start.start);
        }
    }

    fn leave(&mut self, start: &Range<usize>) {
        if self.open.last() == Some(&start.start) {
            self.open.pop();
        }
    }

    /// Tags and anchors stand between the last event and the value they belong to.
    fn refuse_properties(
        &mut self,
        anchor: usize,
        tagged: bool,
        span: &Range<usize>,
    ) -> Result<(), Stop> {
        if anchor > 0 {
            let at = property(self.text, span, '&');
            self.problems.push(anchor_problem(at));
        }
        if tagged {
            let at = property(self.text, span, '!');
            if let Some(trap) = unquoted_at(self.text, at.start) {
                return Err(Stop::Trap(trap));
            }
            let message = format!("`{}` is a YAML tag", shown(&self.text[at.clone()]));
            self.problems.push(
                Diagnostic::error(codes::TAG, "", message)
                    .span(at)
                    .hint("remove it, or quote the whole value if it is text"),
            );
        }
        Ok(())
    }
}

pub(crate) fn too_deep(span: Range<usize>) -> Diagnostic {
    let message = format!("lists and objects are nested deeper than {MAX_DEPTH}");
    Diagnostic::error(codes::TOO_DEEP, "", message).span(span)
}

pub(crate) fn anchor_problem(span: Range<usize>) -> Diagnostic {
    Diagnostic::error(codes::ANCHOR, "", "definitions have no anchors and aliases")
        .span(span)
        .hint("write the value out; quote it if it is text that begins with `&` or `*`")
}

fn broken(span: Range<usize>) -> Tree {
    Tree {
        kind: Kind::Broken,
        span,
    }
}

/// The tag or anchor that belongs to the value at `span`: the last word before it, or at its
/// beginning, that begins with `sign`.
pub(crate) fn property(text: &str, span: &Range<usize>, sign: char) -> Range<usize> {
    let start = if text[span.start..].starts_with(sign) {
        span.start
    } else {
        text[..span.start].rfind(sign).unwrap_or(span.start)
    };
    let word = |at: usize| {
        let len = text[at..]
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}'))
            .unwrap_or(text.len() - at);
        at..at + len
    };
    // `!a !b` has one tag per word; the word's own first sign is what counts (`!!str`).
    let mut first = start;
    while first > 0 && text[..first].ends_with(sign) {
        first -= 1;
    }
    word(first)
}

/// A place that covers several lines is drawn by its first line only.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let line = text[span.clone()]
        .find('\n')
        .map_or(span.end, |at| span.start + at);
    trim_end(text, span.start..line)
}

fn trim_end(text: &str, span: Range<usize>) -> Range<usize> {
    let trimmed = text[span.clone()].trim_end().len();
    span.start..span.start + trimmed
}

/// The parser counts characters; this finds the bytes.
struct ByteIndex {
    /// The byte of every [`ByteIndex::STEP`]th character.
    marks: Vec<usize>,
}

impl ByteIndex {
    const STEP: usize = 64;

    fn new(text: &str) -> Self {
        let marks = text
            .char_indices()
            .step_by(Self::STEP)
            .map(|(byte, _)| byte)
            .collect();
        Self { marks }
    }

    fn byte(&self, text: &str, character: usize) -> usize {
        let Some(start) = self.marks.get(character / Self::STEP) else {
            return text.len();
        };
        let rest = &text[*start..];
        rest.char_indices()
            .nth(character % Self::STEP)
            .map_or(text.len(), |(byte, _)| start + byte)
    }

    fn span(&self, text: &str, span: Span) -> Range<usize> {
        let start = self.byte(text, span.start.index());
        start..self.byte(text, span.end.index()).max(start)
    }
}
