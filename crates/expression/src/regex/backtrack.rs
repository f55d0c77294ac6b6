//! Trying one way after the other, and never twice the same state at the same position.
//!
//! What has failed once fails always: neither groups nor the way before matter to what can follow.
//! So the memory of visits makes the time linear. It is cleared only as far as it was used, and
//! where it would grow too large `threads` takes over.

use super::{
    Regex,
    input::{Input, holds},
    program::{NOT_REMEMBERED, State, StateId},
    search::{Meter, NOWHERE},
};
use crate::error::Fault;

/// Most words of 64 visits: 256 KiB.
const MAX_WORDS: usize = 32 * 1024;

/// Most ways that wait: 1.5 MiB.
const MAX_WAITING: usize = 128 * 1024;

/// The visits of one search, and the ways that wait.
#[derive(Debug, Default)]
pub(super) struct Memory {
    visits: Vec<u64>,
    /// How many states are remembered.
    states: usize,
    /// The position of the first visits.
    base: usize,
    waiting: Vec<Waiting>,
    /// Bytes that have been paid for.
    paid: usize,
}

/// A way that waits, or a slot to be set back on the way there.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    Way(StateId, u32),
    Slot(u32, u32),
}

pub(super) enum Found {
    Match,
    Nothing,
    /// More would have to be remembered than is allowed.
    TooLarge,
}

impl Memory {
    /// Forgets what the last search visited.
    pub(super) fn begin(&mut self, regex: Regex<'_>, from: usize) {
        self.visits.clear();
        self.states = regex.remembered_len as usize;
        self.base = from;
    }

    /// Notes a visit; whether it is the first. `None` if it cannot be noted.
    #[inline(always)]
    fn visit(
        &mut self,
        place: u32,
        pos: usize,
        meter: &mut Meter<'_>,
    ) -> Result<Option<bool>, Fault> {
        let bit = (pos - self.base) * self.states + place as usize;
        let word = bit / 64;
        if word >= self.visits.len() {
            if word >= MAX_WORDS {
                return Ok(None);
            }
            self.grow(word, meter)?;
        }
        let visit = 1 << (bit % 64);
        let first = self.visits[word] & visit == 0;
        self.visits[word] |= visit;
        Ok(Some(first))
    }

    #[cold]
    fn grow(&mut self, word: usize, meter: &mut Meter<'_>) -> Result<(), Fault> {
        let len = (word + 1).next_power_of_two().clamp(8, MAX_WORDS);
        self.pay((len + self.waiting.capacity()) * size_of::<u64>(), meter)?;
        self.visits.resize(len, 0);
        Ok(())
    }

    /// Pays for what is more than ever before.
    fn pay(&mut self, bytes: usize, meter: &mut Meter<'_>) -> Result<(), Fault> {
        if bytes > self.paid {
            meter.take(bytes - self.paid)?;
            self.paid = bytes;
        }
        Ok(())
    }

    /// Puts a way aside; whether there was room.
    #[inline(always)]
    fn wait(&mut self, waiting: Waiting, meter: &mut Meter<'_>) -> Result<bool, Fault> {
        if self.waiting.len() == self.waiting.capacity() {
            if self.waiting.len() >= MAX_WAITING {
                return Ok(false);
            }
            let room = (self.waiting.len() * 2).max(64);
            self.pay(
                room * size_of::<Waiting>() + self.visits.len() * size_of::<u64>(),
                meter,
            )?;
            self.waiting.reserve_exact(room - self.waiting.len());
        }
        self.waiting.push(waiting);
        Ok(true)
    }
}

/// Looks for a match that begins at `start`.
pub(super) fn run<I: Input>(
    regex: Regex<'_>,
    input: I,
    start: usize,
    memory: &mut Memory,
    slots: &mut [u32],
    meter: &mut Meter<'_>,
) -> Result<Found, Fault> {
    memory.waiting.clear();
    memory.waiting.push(Waiting::Way(regex.start, start as u32));
    while let Some(next) = memory.waiting.pop() {
        let (mut at, mut pos) = match next {
            Waiting::Way(at, pos) => (at, pos as usize),
            Waiting::Slot(slot, value) => {
                slots[slot as usize] = value;
                continue;
            }
        };
        let mut steps = 0;
        let end = loop {
            steps += 1;
            let place = regex.remembered[at as usize];
            if place != NOT_REMEMBERED {
                match memory.visit(place, pos, meter)? {
                    Some(true) => {}
                    Some(false) => break None,
                    None => break Some(Found::TooLarge),
                }
            }
            at = match regex.states[at as usize] {
                State::Char(wanted, to) => match input.at(pos) {
                    Some((c, next)) if c == wanted => {
                        pos = next;
                        to
                    }
                    _ => break None,
                },
                State::Set(set, to) => match input.at(pos) {
                    Some((c, next)) if regex.set_has(set, c) => {
                        pos = next;
                        to
                    }
                    _ => break None,
                },
                State::Any(to) => match input.at(pos) {
                    Some((_, next)) => {
                        pos = next;
                        to
                    }
                    None => break None,
                },
                State::Split(first, second) => {
                    if !memory.wait(Waiting::Way(second, pos as u32), meter)? {
                        break Some(Found::TooLarge);
                    }
                    first
                }
                State::Save(slot, to) => {
                    if !save(slot, pos as u32, memory, slots, meter)? {
                        break Some(Found::TooLarge);
                    }
                    to
                }
                State::Clear(from, end, to) => {
                    steps += u64::from(end - from) / 4;
                    for slot in from..end {
                        if !save(slot.into(), NOWHERE, memory, slots, meter)? {
                            break;
                        }
                    }
                    if memory.waiting.len() >= MAX_WAITING {
                        break Some(Found::TooLarge);
                    }
                    to
                }
                State::Assert(assert, to) => {
                    if !holds(input, assert, pos) {
                        break None;
                    }
                    to
                }
                State::Match => break Some(Found::Match),
                State::Fail => break None,
            };
        };
        meter.step(steps)?;
        if let Some(found) = end {
            return Ok(found);
        }
    }
    Ok(Found::Nothing)
}

/// Sets a slot, and puts its value before aside; whether there was room for that.
#[inline(always)]
fn save(
    slot: u32,
    pos: u32,
    memory: &mut Memory,
    slots: &mut [u32],
    meter: &mut Meter<'_>,
) -> Result<bool, Fault> {
    let Some(kept) = slots.get_mut(slot as usize) else {
        return Ok(true);
    };
    let before = std::mem::replace(kept, pos);
    if before == pos {
        return Ok(true);
    }
    memory.wait(Waiting::Slot(slot, before), meter)
}
