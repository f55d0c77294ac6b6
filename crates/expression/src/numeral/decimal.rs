//! Numbers as their decimal digits.

use crate::value::number_text;

/// A finite number; its digits have no zeros at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) negative: bool,
    pub(super) digits: Vec<u8>,
    /// The power of ten that the first digit counts.
    pub(super) top: i32,
}

impl Decimal {
    /// The shortest digits that mean a number; `None` if it is not finite.
    pub(crate) fn of(n: f64) -> Option<Self> {
        if !n.is_finite() {
            return None;
        }
        let mut decimal = Self::read(number_text(n.abs()).as_str())?;
        decimal.negative = n.is_sign_negative();
        Some(decimal)
    }

    /// Reads `-12.5e3`; `None` if it is written otherwise, or its exponent is beyond all doubles.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (digits, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], rest[at + 1..].parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
        let all = || before.bytes().chain(after.bytes());
        if exponent.abs() > 2_000 || all().next().is_none() || !all().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut decimal = Self {
            negative,
            digits: all().map(|b| b - b'0').collect(),
            top: i32::try_from(before.len()).ok()? - 1 + exponent,
        };
        decimal.trim();
        Some(decimal)
    }

    /// Takes away the zeros at the ends.
    pub(super) fn trim(&mut self) {
        let zeros = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..zeros);
        self.top -= i32::try_from(zeros).unwrap_or(i32::MAX);
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.top = 0;
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The power of ten of the first digit; 0 for zero.
    pub(super) fn magnitude(&self) -> i32 {
        self.top
    }

    /// Multiplies by a power of ten.
    pub(super) fn shift(&mut self, by: i32) {
        if !self.is_zero() {
            self.top += by;
        }
    }

    /// The digit that counts a power of ten.
    pub(super) fn digit(&self, power: i32) -> u8 {
        let at = usize::try_from(self.top - power).ok();
        at.and_then(|at| self.digits.get(at)).copied().unwrap_or(0)
    }

    /// How many digits stand after the mark.
    pub(super) fn decimals(&self) -> usize {
        let len = i32::try_from(self.digits.len()).unwrap_or(i32::MAX);
        usize::try_from(len - 1 - self.top).unwrap_or(0)
    }

    /// Whether it is this digit alone.
    pub(super) fn is_digit(&self, digit: u8) -> bool {
        self.top == 0 && self.digits == [digit]
    }
}
