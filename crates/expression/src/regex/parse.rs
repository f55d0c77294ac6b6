//! Pattern text to a tree, by ECMA-262's grammar; without the `u` flag with the lenient rules of
//! its Annex B, as browsers and Node have them.

use super::{Flags, MAX_RANGES, Wrong, fold, set::CharSet};

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Empty,
    Char(u32),
    Set(CharSet),
    Seq(Vec<Part>),
    Alt(Vec<Part>),
    /// A group that captures, and its number.
    Group(u32, Box<Part>),
    Repeat(Box<Repeat>),
    Assert(Assert),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repeat {
    pub(super) part: Part,
    pub(super) min: u32,
    /// `None` is without end.
    pub(super) max: Option<u32>,
    pub(super) greedy: bool,
    /// The groups inside: from this number to before that one.
    pub(super) groups: (u32, u32),
}

/// What is looked at and takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assert {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    Boundary,
    NotBoundary,
    /// With `i` and `u`, where two letters beyond ASCII are word characters.
    BoundaryFolded,
    NotBoundaryFolded,
}

/// A pattern that has been read.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Part,
    /// Groups that capture, with the whole match as the first.
    pub(super) groups: u32,
    pub(super) names: Vec<(String, u32)>,
}

/// The characters of a pattern as its flags count them, and the byte at which each begins, with the
/// end of the text as the last.
pub(super) fn characters(pattern: &str, unicode: bool) -> (Vec<u32>, Vec<usize>) {
    let (mut chars, mut places) = (Vec::new(), Vec::new());
    for (at, c) in pattern.char_indices() {
        if unicode {
            chars.push(u32::from(c));
            places.push(at);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                chars.push(u32::from(*unit));
                places.push(at);
            }
        }
    }
    places.push(pattern.len());
    (chars, places)
}

pub(super) fn parse(chars: &[u32], places: &[usize], flags: Flags) -> Result<Tree, Wrong> {
    let mut parser = Parser {
        chars,
        places,
        flags,
        pos: 0,
        groups: 1,
        all_groups: 1,
        names: Vec::new(),
        has_names: false,
        depth: 0,
        ranges: 0,
    };
    parser.count_groups();
    let root = parser.disjunction()?;
    if parser.pos < chars.len() {
        // Only a `)` ends a disjunction early.
        return Err(parser.wrong("this `)` closes no group", parser.pos, parser.pos + 1));
    }
    Ok(Tree {
        root,
        groups: parser.groups,
        names: parser.names,
    })
}

pub(super) struct Parser<'p> {
    pub(super) chars: &'p [u32],
    places: &'p [usize],
    pub(super) flags: Flags,
    pub(super) pos: usize,
    /// Groups so far.
    pub(super) groups: u32,
    /// Groups of the whole pattern: `\2` depends on those that come later.
    pub(super) all_groups: u32,
    pub(super) names: Vec<(String, u32)>,
    pub(super) has_names: bool,
    pub(super) depth: usize,
    /// Ranges of all sets so far.
    ranges: usize,
}

impl Parser<'_> {
    /// The next character if it is ASCII, else NUL.
    pub(super) fn peek(&self, ahead: usize) -> char {
        let c = self.chars.get(self.pos + ahead).copied().unwrap_or(0);
        if c < 0x80 {
            char::from_u32(c).unwrap_or('\0')
        } else {
            '\0'
        }
    }

    pub(super) fn at_end(&self) -> bool {
        self.pos >= self.chars.len()
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.peek(i) == c);
        if found {
            self.pos += text.len();
        }
        found
    }

    /// An error over the characters from `start` to before `end`.
    pub(super) fn wrong(&self, message: impl Into<String>, start: usize, end: usize) -> Wrong {
        let place = |at: usize| self.places.get(at).or(self.places.last()).copied();
        Wrong {
            code: "SYNTAX_REGEX",
            message: message.into(),
            start: place(start).unwrap_or(0),
            end: place(end).unwrap_or(0),
            hint: None,
        }
    }

    pub(super) fn unsupported(
        &self,
        code: &'static str,
        message: &str,
        start: usize,
        hint: &'static str,
    ) -> Wrong {
        Wrong {
            code,
            hint: Some(hint),
            ..self.wrong(message, start, self.pos)
        }
    }

    pub(super) fn disjunction(&mut self) -> Result<Part, Wrong> {
        let mut all = vec![self.alternative()?];
        while self.eat("|") {
            all.push(self.alternative()?);
        }
        Ok(match all.pop() {
            Some(only) if all.is_empty() => only,
            last => {
                all.extend(last);
                Part::Alt(all)
            }
        })
    }

    fn alternative(&mut self) -> Result<Part, Wrong> {
        let mut all = Vec::new();
        while !self.at_end() && !matches!(self.peek(0), '|' | ')') {
            match self.term()? {
                Part::Empty => {}
                part => all.push(part),
            }
        }
        Ok(match all.pop() {
            None => Part::Empty,
            Some(only) if all.is_empty() => only,
            Some(last) => {
                all.push(last);
                Part::Seq(all)
            }
        })
    }

    fn term(&mut self) -> Result<Part, Wrong> {
        let (start, groups) = (self.pos, self.groups);
        if let Some(assert) = self.assertion() {
            let end = self.pos;
            if self.quantifier()?.is_some() {
                return Err(self.wrong("there is nothing to repeat here", end, self.pos));
            }
            return Ok(Part::Assert(assert));
        }
        let part = match self.peek(0) {
            '(' => self.group()?,
            '[' => {
                self.pos += 1;
                let set = self.class(start)?;
                self.set(set)
            }
            '.' => {
                self.pos += 1;
                if self.flags.dot_all {
                    Part::Set(CharSet::default().complement())
                } else {
                    Part::Set(CharSet::line_ends().complement())
                }
            }
            '\\' => self.atom_escape()?,
            '*' | '+' | '?' => {
                return Err(self.wrong("there is nothing to repeat here", start, start + 1));
            }
            '{' if self.flags.unicode || self.braces().is_some() => {
                return Err(self.wrong("there is nothing to repeat here", start, start + 1));
            }
            c @ (']' | '}') if self.flags.unicode => {
                let message = format!("with the flag `u` a lone `{c}` is written `\\{c}`");
                return Err(self.wrong(message, start, start + 1));
            }
            _ => {
                self.pos += 1;
                self.character(self.chars[start])
            }
        };
        if let Part::Set(set) = &part {
            self.ranges += set.ranges().len();
            if self.ranges > MAX_RANGES {
                let message = "the classes of the pattern are too large together";
                return Err(Wrong {
                    code: "LIMIT_REGEX",
                    ..self.wrong(message, start, self.pos)
                });
            }
        }
        let Some((min, max)) = self.quantifier()? else {
            return Ok(part);
        };
        let greedy = !self.eat("?");
        Ok(match (min, max) {
            _ if part == Part::Empty => Part::Empty,
            (_, Some(0)) => Part::Empty,
            _ => Part::Repeat(Box::new(Repeat {
                part,
                min,
                max,
                greedy,
                groups: (groups, self.groups),
            })),
        })
    }

    /// A character as it is compared.
    pub(super) fn character(&self, c: u32) -> Part {
        if self.flags.ignore_case {
            self.set(CharSet::of(c))
        } else {
            Part::Char(c)
        }
    }

    /// A set as it is compared.
    pub(super) fn set(&self, set: CharSet) -> Part {
        let set = self.folded(set);
        match set.single() {
            Some(c) => Part::Char(c),
            None => Part::Set(set),
        }
    }

    pub(super) fn folded(&self, set: CharSet) -> CharSet {
        if self.flags.ignore_case {
            fold::closed(set, self.flags.unicode)
        } else {
            set
        }
    }

    fn assertion(&mut self) -> Option<Assert> {
        let lines = self.flags.multiline;
        let folded = self.flags.ignore_case && self.flags.unicode;
        let (assert, len) = match (self.peek(0), self.peek(1)) {
            ('^', _) if lines => (Assert::LineStart, 1),
            ('^', _) => (Assert::TextStart, 1),
            ('$', _) if lines => (Assert::LineEnd, 1),
            ('$', _) => (Assert::TextEnd, 1),
            ('\\', 'b') if folded => (Assert::BoundaryFolded, 2),
            ('\\', 'b') => (Assert::Boundary, 2),
            ('\\', 'B') if folded => (Assert::NotBoundaryFolded, 2),
            ('\\', 'B') => (Assert::NotBoundary, 2),
            _ => return None,
        };
        self.pos += len;
        Some(assert)
    }

    /// `{2}`, `{2,}` or `{2,5}` at the position, and how long it is.
    fn braces(&self) -> Option<(u32, Option<u32>, usize)> {
        let number = |from: usize| {
            let digits = (from..).take_while(|i| self.peek(*i).is_ascii_digit());
            let len = digits.clone().count();
            // More than fits is as good as without end.
            let value = digits.fold(0_u32, |n, i| {
                n.saturating_mul(10)
                    .saturating_add(self.peek(i).to_digit(10).unwrap_or(0))
            });
            (len > 0).then_some((value, from + len))
        };
        if self.peek(0) != '{' {
            return None;
        }
        let (min, at) = number(1)?;
        let (max, at) = match self.peek(at) {
            ',' if self.peek(at + 1) == '}' => (None, at + 1),
            ',' => {
                let (max, at) = number(at + 1)?;
                (Some(max).filter(|max| *max < u32::MAX), at)
            }
            _ => (Some(min), at),
        };
        (self.peek(at) == '}').then_some((min, max, at + 1))
    }

    /// A quantifier without the `?` behind it.
    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, Wrong> {
        let bounds = match self.peek(0) {
            '*' => (0, None),
            '+' => (1, None),
            '?' => (0, Some(1)),
            '{' => {
                let Some((min, max, len)) = self.braces() else {
                    if self.flags.unicode {
                        let message = "with the flag `u` a lone `{` is written `\\{`";
                        return Err(self.wrong(message, self.pos, self.pos + 1));
                    }
                    return Ok(None);
                };
                let start = self.pos;
                self.pos += len;
                if max.is_some_and(|max| max < min) {
                    let message = "the bounds of a repetition are out of order";
                    return Err(self.wrong(message, start, self.pos));
                }
                return Ok(Some((min, max)));
            }
            _ => return Ok(None),
        };
        self.pos += 1;
        Ok(Some(bounds))
    }

    pub(super) fn backreference(&self, start: usize) -> Wrong {
        let message = "back-references are not part of the language: they have no linear time";
        let hint = "capture both parts as groups and compare them with `===`";
        self.unsupported("UNSUPPORTED_REGEX_BACKREFERENCE", message, start, hint)
    }
}
