//! Classes: what stands in brackets.

use super::{Wrong, escape::Escape, parse::Parser, set::CharSet};

impl Parser<'_> {
    /// Behind `[`: the set of the class with its `]`, before case is ignored for the inverted ones.
    pub(super) fn class(&mut self, start: usize) -> Result<CharSet, Wrong> {
        let inverted = self.eat("^");
        let mut set = CharSet::default();
        loop {
            if self.at_end() {
                let mut wrong = self.wrong("the class has no end", start, self.pos);
                wrong.hint = Some("close it with `]`, or write `\\[` for the character");
                return Err(wrong);
            }
            if self.eat("]") {
                break;
            }
            self.class_range(&mut set)?;
        }
        set.tidy();
        Ok(if inverted {
            // What equals none of them: the case is ignored before the set is turned round.
            self.folded(set).complement()
        } else {
            set
        })
    }

    fn class_range(&mut self, set: &mut CharSet) -> Result<(), Wrong> {
        let start = self.pos;
        let first = self.class_atom()?;
        // A `-` before the end of the class is a character.
        let range = self.peek(0) == '-' && self.peek(1) != ']' && self.pos + 1 < self.chars.len();
        if !range {
            add(set, &first);
            return Ok(());
        }
        self.pos += 1;
        let last = self.class_atom()?;
        match (first, last) {
            (Escape::Char(first), Escape::Char(last)) if first <= last => {
                set.add_loose(&[(first, last)]);
            }
            (Escape::Char(_), Escape::Char(_)) => {
                let message = "the range of the class is out of order";
                return Err(self.wrong(message, start, self.pos));
            }
            (first, last) if !self.flags.unicode => {
                add(set, &first);
                add(set, &last);
                set.add_loose(&[(0x2d, 0x2d)]);
            }
            _ => {
                let message = "a range of a class goes from a character to a character";
                return Err(self.wrong(message, start, self.pos));
            }
        }
        Ok(())
    }

    fn class_atom(&mut self) -> Result<Escape, Wrong> {
        if self.peek(0) == '\\' {
            return self.escape(true);
        }
        let Some(c) = self.chars.get(self.pos) else {
            return Err(self.wrong("the class has no end", self.pos, self.pos));
        };
        self.pos += 1;
        Ok(Escape::Char(*c))
    }
}

fn add(set: &mut CharSet, escape: &Escape) {
    match escape {
        Escape::Char(c) => set.add_loose(&[(*c, *c)]),
        Escape::Set(more) => set.add_loose(more.ranges()),
    }
}
