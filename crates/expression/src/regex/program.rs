//! A compiled pattern: states that name each other by index.

use bumpalo::Bump;

use super::{Flags, parse::Assert, set::in_ranges};
use crate::value::Val;

/// Index into the states.
pub(super) type StateId = u32;

/// One state. All but the three that read a character, `Match` and `Fail` take no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Takes this character.
    Char(u32, StateId),
    /// Takes a character of that set.
    Set(u32, StateId),
    /// Takes any character.
    Any(StateId),
    /// Goes both ways, rather the first.
    Split(StateId, StateId),
    /// Notes the position.
    Save(u32, StateId),
    /// Forgets the positions from one slot to before another.
    Clear(u16, u16, StateId),
    Assert(Assert, StateId),
    Match,
    Fail,
}

/// A set of characters: what it has of ASCII as bits, and a run of the ranges beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetBits {
    pub(super) ascii: u128,
    pub(super) start: u32,
    pub(super) len: u32,
}

/// What a match can begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Anything, or nothing.
    Anywhere,
    /// Only at the start of the text.
    TextStart,
    /// One of these ASCII characters, or, if set, anything beyond ASCII.
    OneOf(u128, bool),
}

/// Which states are remembered: those that several ways lead to.
pub(super) const NOT_REMEMBERED: u32 = u32::MAX;

/// A pattern that owns its parts: of a literal, in the program of the expression.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(super) source: String,
    pub(super) flags: Flags,
    pub(super) letters: String,
    pub(super) states: Vec<State>,
    pub(super) remembered: Vec<u32>,
    pub(super) remembered_len: u32,
    pub(super) sets: Vec<SetBits>,
    pub(super) ranges: Vec<(u32, u32)>,
    pub(super) start: StateId,
    pub(super) groups: u32,
    /// The names of groups, one behind the other.
    pub(super) names: String,
    /// Where a name begins and ends, and its group.
    pub(super) named: Vec<(u32, u32, u32)>,
    pub(super) begin: Begin,
    /// The text that the pattern is, if it is nothing else.
    pub(super) literal: Option<String>,
}

impl Compiled {
    /// The pattern as a search uses it.
    #[inline]
    pub(crate) fn regex(&self) -> Regex<'_> {
        Regex {
            source: &self.source,
            flags: self.flags,
            letters: &self.letters,
            states: &self.states,
            remembered: &self.remembered,
            remembered_len: self.remembered_len,
            sets: &self.sets,
            ranges: &self.ranges,
            start: self.start,
            groups: self.groups,
            names: &self.names,
            named: &self.named,
            begin: self.begin,
            literal: self.literal.as_deref(),
        }
    }

    /// Bytes of memory of all parts.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.source, &self.letters, &self.names];
        texts.iter().map(|text| text.len()).sum::<usize>()
            + self.literal.as_ref().map_or(0, String::len)
            + size_of_val(&self.states[..])
            + size_of_val(&self.remembered[..])
            + size_of_val(&self.sets[..])
            + size_of_val(&self.ranges[..])
            + size_of_val(&self.named[..])
    }

    /// How many states there are: what compiling has cost.
    pub(crate) fn states(&self) -> usize {
        self.states.len()
    }

    /// A copy in the arena, which must have been paid for.
    pub(crate) fn copy<'a>(&self, arena: &'a Bump) -> Regex<'a> {
        // The borrowed form, with every part moved over.
        let of = self.regex();
        Regex {
            source: arena.alloc_str(of.source),
            flags: of.flags,
            letters: arena.alloc_str(of.letters),
            states: arena.alloc_slice_copy(of.states),
            remembered: arena.alloc_slice_copy(of.remembered),
            remembered_len: of.remembered_len,
            sets: arena.alloc_slice_copy(of.sets),
            ranges: arena.alloc_slice_copy(of.ranges),
            start: of.start,
            groups: of.groups,
            names: arena.alloc_str(of.names),
            named: arena.alloc_slice_copy(of.named),
            begin: of.begin,
            literal: of.literal.map(|text| &*arena.alloc_str(text)),
        }
    }
}

/// A pattern that borrows its parts, from a program or from an arena.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Regex<'a> {
    /// As it is written between the slashes.
    pub(crate) source: &'a str,
    pub(crate) flags: Flags,
    /// The flags as `flags` gives them.
    pub(crate) letters: &'a str,
    pub(super) states: &'a [State],
    /// For each state its place in the memory, or [`NOT_REMEMBERED`].
    pub(super) remembered: &'a [u32],
    pub(super) remembered_len: u32,
    pub(super) sets: &'a [SetBits],
    pub(super) ranges: &'a [(u32, u32)],
    pub(super) start: StateId,
    /// Groups that capture, with the whole match as the first.
    pub(crate) groups: u32,
    names: &'a str,
    named: &'a [(u32, u32, u32)],
    pub(super) begin: Begin,
    pub(super) literal: Option<&'a str>,
}

impl<'a> Regex<'a> {
    pub(crate) fn states(self) -> usize {
        self.states.len()
    }

    /// The named groups, in their order.
    pub(crate) fn names(self) -> impl ExactSizeIterator<Item = (&'a str, u32)> {
        let names = self.names;
        self.named
            .iter()
            .map(move |(start, end, group)| (&names[*start as usize..*end as usize], *group))
    }

    #[inline]
    pub(super) fn set_has(self, set: u32, c: u32) -> bool {
        let set = &self.sets[set as usize];
        if c < 0x80 {
            return set.ascii >> c & 1 == 1;
        }
        in_ranges(&self.ranges[set.start as usize..][..set.len as usize], c)
    }
}

/// A pattern as a value.
#[derive(Clone, Copy)]
pub(crate) enum Pattern<'a> {
    /// Of the program.
    Literal(&'a Compiled),
    /// Made while evaluating; in the arena.
    Made(&'a Regex<'a>),
}

impl<'a> Pattern<'a> {
    #[inline]
    pub(crate) fn regex(self) -> Regex<'a> {
        match self {
            Pattern::Literal(compiled) => compiled.regex(),
            Pattern::Made(regex) => *regex,
        }
    }

    /// A member that is no method. `lastIndex` is no state: every search begins at the start.
    pub(crate) fn get(self, key: &str) -> Option<Val<'a>> {
        let flags = self.regex().flags;
        Some(match (key, self) {
            ("source", Pattern::Literal(compiled)) => Val::Str(&compiled.source),
            ("source", Pattern::Made(regex)) => Val::Temp(&regex.source),
            ("flags", Pattern::Literal(compiled)) => Val::Str(&compiled.letters),
            ("flags", Pattern::Made(regex)) => Val::Temp(&regex.letters),
            ("lastIndex", _) => Val::Num(0.0),
            ("hasIndices", _) => Val::Bool(flags.indices),
            ("global", _) => Val::Bool(flags.global),
            ("ignoreCase", _) => Val::Bool(flags.ignore_case),
            ("multiline", _) => Val::Bool(flags.multiline),
            ("dotAll", _) => Val::Bool(flags.dot_all),
            ("unicode", _) => Val::Bool(flags.unicode),
            ("unicodeSets", _) => Val::Bool(false),
            ("sticky", _) => Val::Bool(flags.sticky),
            _ => return None,
        })
    }
}
