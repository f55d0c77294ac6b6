//! Reading a text bit by bit.

/// What is left of a text of ASCII fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan<'t>(pub(crate) &'t str);

impl<'t> Scan<'t> {
    pub(crate) fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.0.chars().next()
    }

    /// Takes `expected` if it comes next.
    pub(crate) fn take(&mut self, expected: &str) -> bool {
        match self.0.strip_prefix(expected) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Takes the first of these characters that comes next.
    pub(crate) fn one_of(&mut self, set: &str) -> Option<char> {
        let c = self.peek().filter(|c| set.contains(*c))?;
        self.0 = &self.0[c.len_utf8()..];
        Some(c)
    }

    /// As many as fit the test, perhaps none.
    pub(crate) fn while_fits(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let end = self.0.find(|c| !fits(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// A number of `least` to `most` digits; takes as many as there are up to `most`.
    pub(crate) fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit);
        let count = count.count();
        if count < least {
            return None;
        }
        let (taken, rest) = self.0.split_at(count);
        let number = taken.parse().ok()?;
        self.0 = rest;
        Some(number)
    }

    /// Runs `read`, and goes back to where it began if that finds nothing.
    pub(crate) fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = *self;
        let found = read(self);
        if found.is_none() {
            *self = start;
        }
        found
    }
}

/// Milliseconds of the digits after a decimal point; what is smaller is cut.
pub(crate) fn milliseconds(fraction: &str) -> i64 {
    let digits = fraction.bytes().map(|b| i64::from(b - b'0'));
    digits
        .chain([0, 0, 0])
        .take(3)
        .fold(0, |sum, digit| sum * 10 + digit)
}
