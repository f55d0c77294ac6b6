//! Tree to states, from the end to the start.
//!
//! ECMA-262 ends a loop at an iteration that has taken nothing. Whether it has is no matter of
//! state and position alone, so the states of a body that can be empty exist once for each answer:
//! a part is emitted for a list of *tracks*, of which track `n` means that the outermost `n` of
//! the loops around it have taken something in this iteration. Taking a character leads to the last
//! track; states that do not differ are shared, so only few are there more than once.

use std::{collections::BTreeMap, marker::PhantomData};

use smallvec::SmallVec;

use super::{
    Flags, MAX_STATES, Wrong,
    parse::{Assert, Part, Repeat, Tree},
    program::{Begin, Compiled, NOT_REMEMBERED, SetBits, State, StateId},
    set::{CharSet, LAST},
};

/// A state for each track; never empty.
type Tracks = SmallVec<[StateId; 4]>;

/// The state that leads nowhere.
const FAIL: StateId = 0;

pub(super) fn program(tree: &Tree, source: &str, flags: Flags) -> Result<Compiled, Wrong> {
    let mut emitter = Emitter {
        states: vec![State::Fail, State::Match],
        sets: Vec::new(),
        ranges: Vec::new(),
        known: BTreeMap::new(),
        tree: PhantomData,
    };
    let entry = emitter
        .save(1, &[1])
        .and_then(|end| emitter.part(&tree.root, &end))
        .and_then(|body| emitter.save(0, &body));
    let Ok(entry) = entry else {
        return Err(Wrong {
            code: "LIMIT_REGEX",
            message: format!("the pattern has more than {MAX_STATES} states"),
            start: 0,
            end: source.len(),
            hint: Some("make the bounds of its repetitions smaller, or leave them open"),
        });
    };
    let start = entry[0];
    let (remembered, remembered_len) = remembered(&emitter.states);
    let mut names = String::new();
    let mut named = Vec::new();
    for (name, group) in &tree.names {
        let start = names.len() as u32;
        names.push_str(name);
        named.push((start, names.len() as u32, *group));
    }
    let begin = begin(&emitter, start);
    Ok(Compiled {
        source: source.to_owned(),
        flags,
        letters: flags.letters(),
        remembered,
        remembered_len,
        start,
        groups: tree.groups,
        names,
        named,
        begin,
        literal: literal(&tree.root),
        states: emitter.states,
        sets: emitter.sets,
        ranges: emitter.ranges,
    })
}

/// There are too many states.
struct TooMany;

type Emitted = Result<Tracks, TooMany>;

struct Emitter<'t> {
    states: Vec<State>,
    sets: Vec<SetBits>,
    ranges: Vec<(u32, u32)>,
    /// The sets of the tree that are emitted, by address: bodies of counted repetitions come often.
    known: BTreeMap<*const CharSet, u32>,
    tree: PhantomData<&'t Tree>,
}

impl<'t> Emitter<'t> {
    fn push(&mut self, state: State) -> Result<StateId, TooMany> {
        if self.states.len() >= MAX_STATES {
            return Err(TooMany);
        }
        self.states.push(state);
        Ok(self.states.len() as StateId - 1)
    }

    /// A state before each track; tracks that go on alike share it.
    fn before(&mut self, next: &[StateId], state: impl Fn(StateId) -> State) -> Emitted {
        let mut tracks = Tracks::new();
        for (i, to) in next.iter().enumerate() {
            let same = next[..i].iter().position(|known| known == to);
            let id = match same {
                Some(known) => tracks[known],
                None if *to == FAIL => FAIL,
                None => self.push(state(*to))?,
            };
            tracks.push(id);
        }
        Ok(tracks)
    }

    fn save(&mut self, slot: u32, next: &[StateId]) -> Emitted {
        self.before(next, |to| State::Save(slot, to))
    }

    /// Two ways on each track.
    fn split(&mut self, first: &[StateId], second: &[StateId]) -> Emitted {
        let mut tracks = Tracks::new();
        for (i, pair) in first.iter().zip(second).enumerate() {
            let same = (0..i).find(|i| (&first[*i], &second[*i]) == pair);
            let id = match (same, pair) {
                (Some(known), _) => tracks[known],
                (None, (&FAIL, &only) | (&only, &FAIL)) => only,
                (None, (&first, &second)) if first == second => first,
                (None, (&first, &second)) => self.push(State::Split(first, second))?,
            };
            tracks.push(id);
        }
        Ok(tracks)
    }

    /// The part, with what follows it on each track.
    fn part(&mut self, part: &'t Part, next: &[StateId]) -> Emitted {
        let last = next.last().copied().unwrap_or(FAIL);
        let taking = |id: StateId| Ok(SmallVec::from_elem(id, next.len()));
        match part {
            Part::Empty => Ok(Tracks::from_slice(next)),
            Part::Char(c) => taking(self.push(State::Char(*c, last))?),
            Part::Set(set) => {
                let state = match set.ranges() {
                    [] => return taking(FAIL),
                    [(0, LAST)] => State::Any(last),
                    _ => State::Set(self.set(set), last),
                };
                taking(self.push(state)?)
            }
            Part::Seq(parts) => {
                let mut tracks = Tracks::from_slice(next);
                for part in parts.iter().rev() {
                    tracks = self.part(part, &tracks)?;
                }
                Ok(tracks)
            }
            Part::Alt(parts) => {
                let mut all: Option<Tracks> = None;
                for part in parts.iter().rev() {
                    let first = self.part(part, next)?;
                    all = Some(match all {
                        Some(others) => self.split(&first, &others)?,
                        None => first,
                    });
                }
                Ok(all.unwrap_or_else(|| Tracks::from_slice(next)))
            }
            Part::Group(number, inner) => {
                let end = self.save(number * 2 + 1, next)?;
                let body = self.part(inner, &end)?;
                self.save(number * 2, &body)
            }
            Part::Assert(assert) => self.before(next, |to| State::Assert(*assert, to)),
            Part::Repeat(repeat) => self.repeat(repeat, next),
        }
    }

    fn set(&mut self, set: &'t CharSet) -> u32 {
        if let Some(id) = self.known.get(&std::ptr::from_ref(set)) {
            return *id;
        }
        let ascii = (0..0x80).filter(|c| set.contains(*c));
        let beyond = set.ranges().iter().filter(|(_, end)| *end >= 0x80);
        let start = self.ranges.len() as u32;
        self.ranges.extend(beyond);
        self.sets.push(SetBits {
            ascii: ascii.fold(0, |bits, c| bits | 1 << c),
            start,
            len: self.ranges.len() as u32 - start,
        });
        let id = self.sets.len() as u32 - 1;
        self.known.insert(set, id);
        id
    }

    fn repeat(&mut self, repeat: &'t Repeat, next: &[StateId]) -> Emitted {
        if !takes(&repeat.part) {
            // Once is as good as often; and what need not be is nothing, since it takes nothing.
            return if repeat.min > 0 {
                self.part(&repeat.part, next)
            } else {
                Ok(Tracks::from_slice(next))
            };
        }
        let (mut tracks, mut needed) = match repeat.max {
            Some(max) => (self.at_most(repeat, max - repeat.min, next)?, repeat.min),
            None => self.without_end(repeat, next)?,
        };
        while needed > 0 {
            needed -= 1;
            tracks = self.part(&repeat.part, &tracks)?;
            if needed > 0 {
                tracks = self.clear(repeat, &tracks)?;
            }
        }
        Ok(tracks)
    }

    /// An iteration that need not be: its start, on each track.
    fn optional(&mut self, repeat: &'t Repeat, after: StateId, tracks: usize) -> Emitted {
        let next: Tracks = if nullable(&repeat.part) {
            // On all but the new, last track the iteration has taken nothing, and fails.
            std::iter::repeat_n(FAIL, tracks).chain([after]).collect()
        } else {
            SmallVec::from_elem(after, tracks)
        };
        let mut body = self.part(&repeat.part, &next)?;
        body.truncate(tracks);
        self.clear(repeat, &body)
    }

    fn clear(&mut self, repeat: &Repeat, body: &[StateId]) -> Emitted {
        let (from, to) = repeat.groups;
        if from == to {
            return Ok(Tracks::from_slice(body));
        }
        // At most `MAX_GROUPS`.
        let (from, to) = (from as u16 * 2, to as u16 * 2);
        self.before(body, |next| State::Clear(from, to, next))
    }

    fn at_most(&mut self, repeat: &'t Repeat, times: u32, next: &[StateId]) -> Emitted {
        let mut tracks = Tracks::from_slice(next);
        for _ in 0..times {
            let after = tracks.last().copied().unwrap_or(FAIL);
            let body = self.optional(repeat, after, next.len())?;
            tracks = self.either(repeat, &body, next)?;
        }
        Ok(tracks)
    }

    fn either(&mut self, repeat: &Repeat, body: &[StateId], next: &[StateId]) -> Emitted {
        if repeat.greedy {
            self.split(body, next)
        } else {
            self.split(next, body)
        }
    }

    /// A loop; and how many iterations before it are still needed.
    fn without_end(
        &mut self,
        repeat: &'t Repeat,
        next: &[StateId],
    ) -> Result<(Tracks, u32), TooMany> {
        let last = next.last().copied().unwrap_or(FAIL);
        let again = self.push(State::Fail)?;
        let body = self.optional(repeat, again, next.len())?;
        let into = body.last().copied().unwrap_or(FAIL);
        self.states[again as usize] = if repeat.greedy {
            State::Split(into, last)
        } else {
            State::Split(last, into)
        };
        if repeat.min > 0 && !nullable(&repeat.part) {
            // The first iteration is that of the loop: it forgets groups that nothing has set.
            return Ok((body, repeat.min - 1));
        }
        // The last track is the loop's own state.
        let others = next.len() - 1;
        let mut tracks = self.either(repeat, &body[..others], &next[..others])?;
        tracks.push(again);
        Ok((tracks, repeat.min))
    }
}

/// Whether the part can match nothing.
fn nullable(part: &Part) -> bool {
    match part {
        Part::Empty | Part::Assert(_) => true,
        Part::Char(_) | Part::Set(_) => false,
        Part::Seq(parts) => parts.iter().all(nullable),
        Part::Alt(parts) => parts.iter().any(nullable),
        Part::Group(_, inner) => nullable(inner),
        Part::Repeat(repeat) => repeat.min == 0 || nullable(&repeat.part),
    }
}

/// Whether the part can take a character.
fn takes(part: &Part) -> bool {
    match part {
        Part::Empty | Part::Assert(_) => false,
        Part::Char(_) => true,
        // An empty set makes no state either, so a repetition of it would never reach the limit.
        Part::Set(set) => !set.ranges().is_empty(),
        Part::Seq(parts) | Part::Alt(parts) => parts.iter().any(takes),
        Part::Group(_, inner) => takes(inner),
        Part::Repeat(repeat) => takes(&repeat.part),
    }
}

/// The places in the memory of those states to which several ways lead, and of those that go both
/// ways: every other one is visited once for each visit to one of these.
fn remembered(states: &[State]) -> (Vec<u32>, u32) {
    let mut ways = vec![0_u8; states.len()];
    let mut lead = |to: StateId| ways[to as usize] = ways[to as usize].saturating_add(1);
    for state in states {
        match *state {
            State::Char(_, to)
            | State::Set(_, to)
            | State::Any(to)
            | State::Save(_, to)
            | State::Clear(_, _, to)
            | State::Assert(_, to) => lead(to),
            State::Split(first, second) => {
                lead(first);
                lead(second);
            }
            State::Match | State::Fail => {}
        }
    }
    let mut len = 0;
    let places = states.iter().zip(ways).map(|(state, ways)| {
        let kept = match state {
            State::Match | State::Fail => false,
            State::Split(..) => true,
            _ => ways > 1,
        };
        if !kept {
            return NOT_REMEMBERED;
        }
        len += 1;
        len - 1
    });
    let places = places.collect();
    (places, len)
}

/// What a match can begin with: the first characters on all ways from the start.
fn begin(emitter: &Emitter<'_>, start: StateId) -> Begin {
    let mut seen = vec![false; emitter.states.len()];
    let mut open = vec![start];
    let (mut ascii, mut beyond, mut anchored, mut free) = (0_u128, false, false, false);
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut seen[at as usize], true) {
            continue;
        }
        match emitter.states[at as usize] {
            State::Char(c, _) if c < 0x80 => ascii |= 1 << c,
            State::Char(..) => beyond = true,
            State::Set(set, _) => {
                let set = &emitter.sets[set as usize];
                ascii |= set.ascii;
                beyond |= set.len > 0;
            }
            State::Any(_) => (ascii, beyond) = (u128::MAX, true),
            State::Split(first, second) => open.extend([first, second]),
            State::Assert(Assert::TextStart, _) => anchored = true,
            State::Save(_, to) | State::Clear(_, _, to) | State::Assert(_, to) => open.push(to),
            State::Match => free = true,
            State::Fail => {}
        }
    }
    let takes_none = ascii == 0 && !beyond;
    match (anchored, free) {
        (true, false) if takes_none => Begin::TextStart,
        (false, false) if !(ascii == u128::MAX && beyond) => Begin::OneOf(ascii, beyond),
        _ => Begin::Anywhere,
    }
}

/// The text of a pattern that is plain characters.
fn literal(root: &Part) -> Option<String> {
    let units: Vec<u32> = match root {
        Part::Char(c) => vec![*c],
        Part::Seq(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Char(c) => Some(*c),
                _ => None,
            })
            .collect::<Option<_>>()?,
        _ => return None,
    };
    // Halves of a pair are no characters; with them the states decide.
    units.into_iter().map(char::from_u32).collect()
}
