//! Groups of a pattern: how many there are, their numbers and names.

use super::{
    MAX_GROUPS, MAX_NESTING, Wrong,
    parse::{Parser, Part},
};

impl Parser<'_> {
    /// Counts the groups of the whole pattern, before any of it is read.
    pub(super) fn count_groups(&mut self) {
        let mut in_class = false;
        let mut at = 0;
        let is = |at: usize, c: char| self.chars.get(at) == Some(&u32::from(c));
        let (mut groups, mut named) = (1, false);
        while at < self.chars.len() {
            if is(at, '\\') {
                at += 1;
            } else if in_class {
                in_class = !is(at, ']');
            } else if is(at, '[') {
                in_class = true;
            } else if is(at, '(') {
                let name =
                    is(at + 1, '?') && is(at + 2, '<') && !is(at + 3, '=') && !is(at + 3, '!');
                named |= name;
                groups += u32::from(name || !is(at + 1, '?'));
            }
            at += 1;
        }
        self.all_groups = groups;
        self.has_names = named;
    }

    /// With `(` at the position: reads the group.
    pub(super) fn group(&mut self) -> Result<Part, Wrong> {
        let start = self.pos;
        self.pos += 1;
        let number = if !self.eat("?") {
            Some(self.next_group(start)?)
        } else if self.eat(":") {
            None
        } else if self.eat("=") || self.eat("!") || self.eat("<=") || self.eat("<!") {
            let message = "look-around is not part of the language: it has no linear time";
            let hint = "capture what surrounds the match as groups, or test in two steps";
            return Err(self.unsupported("UNSUPPORTED_REGEX_LOOKAROUND", message, start, hint));
        } else if self.eat("<") {
            let number = self.next_group(start)?;
            let name = self.group_name()?;
            if self.names.iter().any(|(known, _)| *known == name) {
                return Err(self.wrong("two groups have the same name", start, self.pos));
            }
            self.names.push((name, number));
            Some(number)
        } else {
            return Err(self.wrong("there is no such kind of group", start, self.pos + 1));
        };
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(Wrong {
                code: "LIMIT_REGEX",
                ..self.wrong(
                    format!("groups are nested deeper than {MAX_NESTING}"),
                    start,
                    self.pos,
                )
            });
        }
        let inner = self.disjunction()?;
        self.depth -= 1;
        if !self.eat(")") {
            let mut wrong = self.wrong("the group has no end", start, self.chars.len());
            wrong.hint = Some("close it with `)`, or write `\\(` for the character");
            return Err(wrong);
        }
        Ok(match number {
            Some(number) => Part::Group(number, Box::new(inner)),
            None => inner,
        })
    }

    fn next_group(&mut self, start: usize) -> Result<u32, Wrong> {
        if self.groups > MAX_GROUPS {
            return Err(Wrong {
                code: "LIMIT_REGEX",
                ..self.wrong(
                    format!("a pattern has at most {MAX_GROUPS} groups"),
                    start,
                    self.pos,
                )
            });
        }
        self.groups += 1;
        Ok(self.groups - 1)
    }
}
