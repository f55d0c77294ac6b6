//! Rounding, as `Intl.NumberFormat` has its options for it.

use std::cmp::Ordering;

use super::Decimal;

/// Which way a number goes that lies between two others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Ceil,
    Floor,
    Expand,
    Trunc,
    HalfCeil,
    HalfFloor,
    HalfExpand,
    HalfTrunc,
    HalfEven,
}

/// The least and the greatest number of digits.
pub(crate) type Digits = (usize, usize);

/// How exactly a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Digits after the mark.
    Fraction(Digits),
    /// Digits from the first that is not zero.
    Significant(Digits),
    /// Whichever of both is more exact, or less.
    Both {
        fraction: Digits,
        significant: Digits,
        more: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rounding {
    pub(crate) precision: Precision,
    /// The last digit is rounded to multiples of it.
    pub(crate) increment: u32,
    pub(crate) mode: Mode,
    /// A whole number has no zeros after the mark.
    pub(crate) strip: bool,
}

fn signed(digits: usize) -> i32 {
    i32::try_from(digits).unwrap_or(i32::MAX)
}

impl Rounding {
    /// Rounds, and says how many digits stand after the mark at least.
    pub(super) fn apply(&self, n: &mut Decimal) -> usize {
        let least = match self.precision {
            Precision::Fraction((least, most)) => {
                n.round(-signed(most), self.increment, self.mode);
                least
            }
            Precision::Significant((least, most)) => {
                n.round(n.magnitude().saturating_sub(signed(most)) + 1, 1, self.mode);
                usize::try_from(signed(least) - 1 - n.magnitude()).unwrap_or(0)
            }
            Precision::Both {
                fraction,
                significant,
                more,
            } => self.both(n, fraction, significant, more),
        };
        if self.strip && n.decimals() == 0 {
            0
        } else {
            least
        }
    }

    fn both(&self, n: &mut Decimal, fraction: Digits, significant: Digits, more: bool) -> usize {
        let by_fraction = -signed(fraction.1);
        let mut by_digits = n.magnitude() - signed(significant.1) + 1;
        let before = n.magnitude();
        let at = if more {
            by_fraction.min(by_digits)
        } else {
            by_fraction.max(by_digits)
        };
        n.round(at, 1, self.mode);
        if !n.is_zero() && n.magnitude() != before && by_fraction == by_digits {
            by_digits += 1;
        }
        if more == (by_digits <= by_fraction) {
            usize::try_from(signed(significant.0) - 1 - n.magnitude()).unwrap_or(0)
        } else {
            fraction.0
        }
    }
}

impl Decimal {
    /// Rounds to a multiple of `increment` times ten to the power of `at`.
    pub(super) fn round(&mut self, at: i32, increment: u32, mode: Mode) {
        let kept = self.top.saturating_sub(at).saturating_add(1);
        let len = signed(self.digits.len());
        if self.is_zero() || increment == 1 && kept >= len {
            return;
        }
        let whole = usize::try_from(kept).unwrap_or(0);
        let tail = self.digits.get(whole..).unwrap_or_default();
        // Of a number that lies wholly below, the first digit after is 0.
        let first = if kept < 0 {
            0
        } else {
            tail.first().copied().unwrap_or(0)
        };
        let more = tail
            .iter()
            .skip(usize::from(kept >= 0))
            .any(|digit| *digit > 0);
        let mut kept: Vec<u8> = self.digits.iter().copied().take(whole).collect();
        kept.resize(whole, 0);
        let (mut rest, mut odd) = (0, false);
        for digit in &kept {
            let value = rest * 10 + u32::from(*digit);
            odd = value / increment % 2 == 1;
            rest = value % increment;
        }
        if rest == 0 && first == 0 && !more {
            return;
        }
        let half = (20 * rest + 2 * u32::from(first)).cmp(&(10 * increment));
        let half = if more {
            half.then(Ordering::Greater)
        } else {
            half
        };
        subtract(&mut kept, rest);
        if self.goes_up(half, odd, mode) {
            add(&mut kept, increment);
        }
        self.top = at + signed(kept.len()) - 1;
        self.digits = kept;
        self.trim();
    }

    /// Whether it is rounded away from zero; `half` is how it compares with the middle, and `odd`
    /// is so of the number towards zero.
    fn goes_up(&self, half: Ordering, odd: bool, mode: Mode) -> bool {
        let middle = |up| half == Ordering::Greater || half == Ordering::Equal && up;
        match mode {
            Mode::Ceil => !self.negative,
            Mode::Floor => self.negative,
            Mode::Expand => true,
            Mode::Trunc => false,
            Mode::HalfCeil => middle(!self.negative),
            Mode::HalfFloor => middle(self.negative),
            Mode::HalfExpand => middle(true),
            Mode::HalfTrunc => middle(false),
            Mode::HalfEven => middle(odd),
        }
    }
}

/// Takes away what is at most the number that the digits are.
fn subtract(digits: &mut [u8], mut amount: u32) {
    let mut borrowed = 0;
    for digit in digits.iter_mut().rev() {
        let taken = amount % 10 + borrowed;
        amount /= 10;
        let value = u32::from(*digit);
        borrowed = u32::from(value < taken);
        *digit = u8::try_from(value + 10 * borrowed - taken).unwrap_or(0);
    }
}

fn add(digits: &mut Vec<u8>, mut amount: u32) {
    for digit in digits.iter_mut().rev() {
        amount += u32::from(*digit);
        *digit = u8::try_from(amount % 10).unwrap_or(0);
        amount /= 10;
    }
    while amount > 0 {
        digits.insert(0, u8::try_from(amount % 10).unwrap_or(0));
        amount /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(n: f64, at: i32, increment: u32, mode: Mode, expected: f64) {
        let mut decimal = Decimal::of(n).unwrap();
        decimal.round(at, increment, mode);
        assert_eq!(Decimal::of(expected), Some(decimal), "{n} {at} {mode:?}");
    }

    #[test]
    fn numbers_are_rounded_from_their_shortest_digits() {
        check(1.005, -2, 1, Mode::HalfExpand, 1.01);
        check(999.96, -1, 1, Mode::HalfExpand, 1000.0);
        check(0.04, 0, 1, Mode::Expand, 1.0);
        check(-0.04, 0, 1, Mode::HalfExpand, -0.0);
        check(2.5, 0, 1, Mode::HalfEven, 2.0);
        check(-2.5, 0, 1, Mode::HalfCeil, -2.0);
    }

    #[test]
    fn increments_are_steps_of_the_last_digit() {
        check(1.234, -2, 5, Mode::HalfExpand, 1.25);
        check(1.025, -2, 5, Mode::HalfEven, 1.0);
        check(7.0, 0, 5, Mode::Ceil, 10.0);
        check(12_345.0, 0, 5_000, Mode::HalfExpand, 10_000.0);
        check(2_400.0, 0, 5_000, Mode::HalfExpand, 0.0);
        check(9.0, 0, 2_500, Mode::Expand, 2_500.0);
    }
}
