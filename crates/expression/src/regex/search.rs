//! One search: where a match may begin, and which engine looks.

use super::{
    Fuel, Regex, STEPS_PER_OPERATION, Subject,
    backtrack::{self, Memory},
    input::Input,
    program::Begin,
    threads,
};
use crate::error::Fault;

/// A position that no group has.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Memory that searches use one after the other.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(super) memory: Memory,
    pub(super) threads: threads::Threads,
    /// Start and end of each group of the last match.
    slots: Vec<u32>,
}

impl Scratch {
    /// A group of the last match; `None` if it took no part.
    #[inline]
    pub(crate) fn group(&self, number: u32) -> Option<(usize, usize)> {
        let at = number as usize * 2;
        match self.slots.get(at..at + 2) {
            Some([start, end]) if *start != NOWHERE && *end != NOWHERE => {
                Some((*start as usize, *end as usize))
            }
            _ => None,
        }
    }
}

/// What a search is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// The position from which on.
    pub(crate) from: usize,
    /// Only there.
    pub(crate) only_there: bool,
    /// How many groups are of interest; the whole match is the first.
    pub(crate) groups: u32,
}

/// Counts steps and hands them on as operations.
pub(super) struct Meter<'f> {
    fuel: &'f mut dyn Fuel,
    steps: u64,
}

impl Meter<'_> {
    /// Steps between two looks at the budget.
    const EVERY: u64 = 16 * STEPS_PER_OPERATION;

    #[inline(always)]
    pub(super) fn step(&mut self, steps: u64) -> Result<(), Fault> {
        self.steps += steps;
        if self.steps >= Self::EVERY {
            self.pay()?;
        }
        Ok(())
    }

    #[cold]
    fn pay(&mut self) -> Result<(), Fault> {
        let operations = self.steps / STEPS_PER_OPERATION;
        self.steps %= STEPS_PER_OPERATION;
        self.fuel.spend(operations)
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.fuel.take(bytes)
    }
}

/// Whether there is a match; its groups are in `scratch` then.
pub(crate) fn search(
    regex: Regex<'_>,
    subject: Subject<'_>,
    question: Question,
    scratch: &mut Scratch,
    fuel: &mut dyn Fuel,
) -> Result<bool, Fault> {
    if subject.len() >= NOWHERE as usize {
        return Err(Fault::new(
            "LIMIT_STRING",
            "the text is too long for a regular expression",
        ));
    }
    let slots = question.groups.min(regex.groups) as usize * 2;
    scratch.slots.clear();
    scratch.slots.resize(slots, NOWHERE);
    let mut meter = Meter { fuel, steps: 0 };
    let found = match subject {
        Subject::Utf8(text) => match regex.literal {
            Some(literal) if !question.only_there => {
                plain(text, literal, question.from, scratch, &mut meter)
            }
            _ => run(regex, text.as_bytes(), question, scratch, &mut meter),
        },
        Subject::Units(units) => run(regex, units, question, scratch, &mut meter),
    };
    meter.pay()?;
    found
}

/// A pattern that is nothing but text.
fn plain(
    text: &str,
    literal: &str,
    from: usize,
    scratch: &mut Scratch,
    meter: &mut Meter<'_>,
) -> Result<bool, Fault> {
    // Looking for text is about that much faster than taking steps.
    const BYTES_PER_STEP: usize = 8;
    let Some(rest) = text.get(from..) else {
        return Ok(false);
    };
    let Some(at) = rest.find(literal) else {
        meter.step((rest.len() / BYTES_PER_STEP) as u64)?;
        return Ok(false);
    };
    meter.step((at / BYTES_PER_STEP) as u64)?;
    let start = from + at;
    let ends = [start as u32, (start + literal.len()) as u32];
    for (slot, end) in scratch.slots.iter_mut().zip(ends) {
        *slot = end;
    }
    Ok(true)
}

fn run<I: Input>(
    regex: Regex<'_>,
    input: I,
    question: Question,
    scratch: &mut Scratch,
    meter: &mut Meter<'_>,
) -> Result<bool, Fault> {
    let Scratch {
        memory,
        threads,
        slots,
    } = scratch;
    memory.begin(regex, question.from);
    let mut pos = question.from;
    loop {
        if !question.only_there {
            match candidate(regex, input, pos, meter)? {
                Some(at) => pos = at,
                None => return Ok(false),
            }
        }
        match backtrack::run(regex, input, pos, memory, slots, meter)? {
            backtrack::Found::Match => return Ok(true),
            backtrack::Found::Nothing => {}
            backtrack::Found::TooLarge => {
                // What was remembered is not used: that is at most as much work again.
                slots.fill(NOWHERE);
                return threads::run(regex, input, pos, question, threads, slots, meter);
            }
        }
        if question.only_there {
            return Ok(false);
        }
        match input.at(pos) {
            Some((_, next)) => pos = next,
            None => return Ok(false),
        }
    }
}

/// The next position from `pos` on at which a match may begin.
#[inline]
pub(super) fn candidate<I: Input>(
    regex: Regex<'_>,
    input: I,
    pos: usize,
    meter: &mut Meter<'_>,
) -> Result<Option<usize>, Fault> {
    match regex.begin {
        Begin::Anywhere => Ok(Some(pos)),
        Begin::TextStart => Ok((pos == 0).then_some(0)),
        Begin::OneOf(ascii, beyond) => {
            let mut at = pos;
            let found = loop {
                match input.at(at) {
                    Some((c @ 0..0x80, _)) if ascii >> c & 1 == 1 => break Some(at),
                    Some((0x80.., _)) if beyond => break Some(at),
                    Some((_, next)) => at = next,
                    None => break None,
                }
            };
            meter.step((at - pos) as u64 / 4 + 1)?;
            Ok(found)
        }
    }
}

/// Runs one engine alone.
#[cfg(test)]
pub(super) fn with_meter<T>(fuel: &mut dyn Fuel, run: impl FnOnce(&mut Meter<'_>) -> T) -> T {
    run(&mut Meter { fuel, steps: 0 })
}
