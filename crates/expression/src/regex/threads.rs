//! All ways in step: at each character every state that some way has reached, the best way first.
//!
//! Takes memory for states only, whatever the length of the text; slower, because each way carries
//! its groups along.

use super::{
    Regex,
    input::{Input, holds},
    program::{State, StateId},
    search::{Meter, NOWHERE, Question, candidate},
};
use crate::error::Fault;

/// Memory for two lists of ways.
#[derive(Debug, Default)]
pub(super) struct Threads {
    now: Ways,
    next: Ways,
    open: Vec<Open>,
    /// The groups of the way that is being followed.
    scratch: Vec<u32>,
    /// Bytes that have been paid for.
    paid: usize,
}

/// States in the order of preference, each once, with the groups of the way that reached them.
#[derive(Debug, Default)]
struct Ways {
    order: Vec<StateId>,
    /// Where a state stands in `order`, if it stands there.
    places: Vec<u32>,
    slots: Vec<u32>,
}

impl Ways {
    fn reset(&mut self, states: usize, slots: usize) {
        self.order.clear();
        self.places.resize(states.max(self.places.len()), 0);
        let len = (states * slots).max(self.slots.len());
        self.slots.resize(len, NOWHERE);
    }

    fn has(&self, state: StateId) -> bool {
        let place = self.places[state as usize] as usize;
        self.order.get(place) == Some(&state)
    }

    /// Adds a state; whether it is new.
    fn add(&mut self, state: StateId) -> bool {
        if self.has(state) {
            return false;
        }
        self.places[state as usize] = self.order.len() as u32;
        self.order.push(state);
        true
    }
}

#[derive(Debug, Clone, Copy)]
enum Open {
    State(StateId),
    Slot(u32, u32),
}

/// Looks for a match from `start` on.
pub(super) fn run<I: Input>(
    regex: Regex<'_>,
    input: I,
    start: usize,
    question: Question,
    threads: &mut Threads,
    slots: &mut [u32],
    meter: &mut Meter<'_>,
) -> Result<bool, Fault> {
    let (states, width) = (regex.states.len(), slots.len());
    let bytes = 2 * (states * (2 + width)) * size_of::<u32>() + states * size_of::<Open>();
    if bytes > threads.paid {
        meter.take(bytes - threads.paid)?;
        threads.paid = bytes;
    }
    threads.now.reset(states, width);
    threads.next.reset(states, width);
    threads.scratch.clear();
    threads.scratch.resize(width, NOWHERE);
    let mut found = false;
    let mut pos = start;
    loop {
        if threads.now.order.is_empty() {
            if found || question.only_there && pos > start {
                break;
            }
            if !question.only_there {
                match candidate(regex, input, pos, meter)? {
                    Some(at) => pos = at,
                    None => break,
                }
            }
        }
        if !found && (!question.only_there || pos == start) {
            // A way that begins here comes after all that began before.
            threads.scratch.fill(NOWHERE);
            follow(regex, input, regex.start, pos, threads, true, meter)?;
        }
        found |= step(regex, input, pos, threads, slots, meter)?;
        match input.at(pos) {
            Some((_, next)) => pos = next,
            None => break,
        }
        std::mem::swap(&mut threads.now, &mut threads.next);
        threads.next.order.clear();
    }
    threads.now.order.clear();
    Ok(found)
}

/// Takes the character at `pos` on every way; whether one of them matched before it.
fn step<I: Input>(
    regex: Regex<'_>,
    input: I,
    pos: usize,
    threads: &mut Threads,
    slots: &mut [u32],
    meter: &mut Meter<'_>,
) -> Result<bool, Fault> {
    let width = slots.len();
    let character = input.at(pos);
    let cost = 1 + width as u64 / 8;
    for place in 0..threads.now.order.len() {
        let state = threads.now.order[place];
        let to = match (regex.states[state as usize], character) {
            (State::Match, _) => {
                slots.copy_from_slice(&threads.now.slots[state as usize * width..][..width]);
                // Whatever comes later is worse.
                meter.step(cost)?;
                return Ok(true);
            }
            (State::Char(wanted, to), Some((c, _))) if c == wanted => to,
            (State::Set(set, to), Some((c, _))) if regex.set_has(set, c) => to,
            (State::Any(to), Some(_)) => to,
            _ => {
                meter.step(1)?;
                continue;
            }
        };
        let Some((_, behind)) = character else {
            continue;
        };
        threads
            .scratch
            .copy_from_slice(&threads.now.slots[state as usize * width..][..width]);
        meter.step(cost)?;
        follow(regex, input, to, behind, threads, false, meter)?;
    }
    Ok(false)
}

/// Adds all states that are reached from one without taking anything.
fn follow<I: Input>(
    regex: Regex<'_>,
    input: I,
    from: StateId,
    pos: usize,
    threads: &mut Threads,
    now: bool,
    meter: &mut Meter<'_>,
) -> Result<(), Fault> {
    let Threads {
        now: present,
        next,
        open,
        scratch,
        ..
    } = threads;
    let ways = if now { present } else { next };
    let width = scratch.len();
    open.clear();
    open.push(Open::State(from));
    let set = |slot: u32, value: u32, scratch: &mut [u32], open: &mut Vec<Open>| {
        if let Some(kept) = scratch.get_mut(slot as usize)
            && *kept != value
        {
            open.push(Open::Slot(slot, *kept));
            *kept = value;
        }
    };
    while let Some(next) = open.pop() {
        let mut at = match next {
            Open::State(at) => at,
            Open::Slot(slot, value) => {
                scratch[slot as usize] = value;
                continue;
            }
        };
        loop {
            if !ways.add(at) {
                break;
            }
            meter.step(1)?;
            at = match regex.states[at as usize] {
                State::Split(first, second) => {
                    open.push(Open::State(second));
                    first
                }
                State::Save(slot, to) => {
                    set(slot, pos as u32, scratch, open);
                    to
                }
                State::Clear(from, end, to) => {
                    for slot in from..end {
                        set(slot.into(), NOWHERE, scratch, open);
                    }
                    to
                }
                State::Assert(assert, to) if holds(input, assert, pos) => to,
                State::Char(..) | State::Set(..) | State::Any(_) | State::Match => {
                    ways.slots[at as usize * width..][..width].copy_from_slice(scratch);
                    break;
                }
                State::Assert(..) | State::Fail => break,
            };
        }
    }
    Ok(())
}
