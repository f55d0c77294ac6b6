//! A length of time in units that people use, as luxon has it.
//!
//! Each unit is kept as it was given: a month has no fixed number of days until somebody converts
//! it. Then a year has 365 days, a month 30 and a quarter 91, or with `longterm` the average of 400
//! years.

use super::scan::{Scan, milliseconds};
use crate::value::number_text;

/// A unit, largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    Years,
    Quarters,
    Months,
    Weeks,
    Days,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// How many units there are.
pub(crate) const UNITS: usize = 9;

impl Unit {
    pub(crate) const ALL: [Unit; UNITS] = [
        Unit::Years,
        Unit::Quarters,
        Unit::Months,
        Unit::Weeks,
        Unit::Days,
        Unit::Hours,
        Unit::Minutes,
        Unit::Seconds,
        Unit::Milliseconds,
    ];
    const NAMES: [&'static str; UNITS] = [
        "years",
        "quarters",
        "months",
        "weeks",
        "days",
        "hours",
        "minutes",
        "seconds",
        "milliseconds",
    ];

    /// By its name in the plural or the singular, in any case of letters.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| {
            known.eq_ignore_ascii_case(name) || known[..known.len() - 1].eq_ignore_ascii_case(name)
        })?;
        Some(Self::ALL[at])
    }

    /// In the plural.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(crate) fn singular(self) -> &'static str {
        let name = self.name();
        &name[..name.len() - 1]
    }

    /// How many of `smaller` make one of it.
    fn factor(self, smaller: Unit, longterm: bool) -> f64 {
        let days = |unit| match (unit, longterm) {
            (Unit::Years, false) => 365.0,
            (Unit::Quarters, false) => 91.0,
            (Unit::Months, false) => 30.0,
            (Unit::Years, true) => 146_097.0 / 400.0,
            (Unit::Quarters, true) => 146_097.0 / 1_600.0,
            (Unit::Months, true) => 146_097.0 / 4_800.0,
            _ => 7.0,
        };
        let millis = |unit| match unit {
            Unit::Hours => 3_600_000.0,
            Unit::Minutes => 60_000.0,
            Unit::Seconds => 1_000.0,
            Unit::Milliseconds => 1.0,
            _ => 86_400_000.0,
        };
        match (self, smaller, longterm) {
            (Unit::Years, Unit::Quarters, _) => 4.0,
            (Unit::Years, Unit::Months, _) => 12.0,
            (Unit::Quarters, Unit::Months, _) => 3.0,
            (Unit::Years, Unit::Weeks, false) => 52.0,
            (Unit::Quarters, Unit::Weeks, false) => 13.0,
            (Unit::Months, Unit::Weeks, false) => 4.0,
            (large, Unit::Weeks, true) => days(large) / 7.0,
            (Unit::Years | Unit::Quarters | Unit::Months | Unit::Weeks, small, _) => {
                days(self) * (86_400_000.0 / millis(small))
            }
            (large, small, _) => millis(large) / millis(small),
        }
    }
}

/// A length of time; a unit that was not named is `None`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Duration {
    pub(crate) values: [Option<f64>; UNITS],
    /// Converts with the averages of 400 years.
    pub(crate) longterm: bool,
    pub(crate) valid: bool,
}

impl Duration {
    pub(crate) const EMPTY: Duration = Duration {
        values: [None; UNITS],
        longterm: false,
        valid: true,
    };
    pub(crate) const INVALID: Duration = Duration {
        valid: false,
        ..Duration::EMPTY
    };

    pub(crate) fn of(unit: Unit, amount: f64) -> Self {
        let mut duration = Self::EMPTY;
        duration.values[unit as usize] = Some(amount);
        duration
    }

    /// Zero for a unit that was not named.
    pub(crate) fn get(&self, unit: Unit) -> f64 {
        if self.valid {
            self.values[unit as usize].unwrap_or(0.0)
        } else {
            f64::NAN
        }
    }

    pub(crate) fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            values: self.values.map(|value| value.map(&change)),
            ..self
        }
    }

    pub(crate) fn negate(self) -> Self {
        self.map(|value| if value == 0.0 { 0.0 } else { -value })
    }

    pub(crate) fn plus(self, other: &Duration) -> Self {
        let mut sum = self;
        for (value, more) in sum.values.iter_mut().zip(other.values) {
            if value.is_some() || more.is_some() {
                *value = Some(value.unwrap_or(0.0) + more.unwrap_or(0.0));
            }
        }
        sum.valid = self.valid && other.valid;
        sum
    }

    pub(crate) fn millis(&self) -> f64 {
        if !self.valid {
            return f64::NAN;
        }
        let mut sum = self.get(Unit::Milliseconds);
        for unit in Unit::ALL.into_iter().rev().skip(1) {
            let value = self.get(unit);
            if value != 0.0 {
                sum += value * unit.factor(Unit::Milliseconds, self.longterm);
            }
        }
        sum
    }

    /// The same length in these units, rolled up.
    pub(crate) fn shift_to(self, units: &[Unit]) -> Self {
        if !self.valid || units.is_empty() {
            return self;
        }
        let mut built = [None; UNITS];
        let mut left = [0.0; UNITS];
        let mut last = units[0];
        for unit in Unit::ALL {
            let at = unit as usize;
            let given = self.values[at];
            if units.contains(&unit) {
                last = unit;
                let mut own = 0.0;
                for larger in Unit::ALL {
                    if larger < unit && left[larger as usize] != 0.0 {
                        own += larger.factor(unit, self.longterm) * left[larger as usize];
                        left[larger as usize] = 0.0;
                    }
                }
                own += given.unwrap_or(0.0);
                let whole = own.trunc();
                built[at] = Some(whole);
                left[at] = (own * 1_000.0 - whole * 1_000.0) / 1_000.0;
            } else {
                left[at] = given.unwrap_or(0.0);
            }
        }
        for unit in Unit::ALL {
            let rest = left[unit as usize];
            if rest != 0.0 {
                let share = if unit == last {
                    rest
                } else {
                    rest / last.factor(unit, self.longterm)
                };
                let value = &mut built[last as usize];
                *value = Some(value.unwrap_or(0.0) + share);
            }
        }
        Self {
            values: built,
            ..self
        }
        .normalize()
    }

    /// Every unit but the largest within its range, all of one sign.
    pub(crate) fn normalize(mut self) -> Self {
        if !self.valid {
            return self;
        }
        let sign = if self.millis() < 0.0 { -1.0 } else { 1.0 };
        let mut previous: Option<Unit> = None;
        for unit in Unit::ALL.into_iter().rev() {
            let Some(value) = self.values[unit as usize] else {
                continue;
            };
            if let Some(small) = previous {
                let amount = self.get(small);
                let factor = unit.factor(small, self.longterm);
                let rolled = (amount * sign / factor).floor();
                self.values[unit as usize] = Some(value + rolled * sign);
                self.values[small as usize] = Some(amount - rolled * factor * sign);
            }
            previous = Some(unit);
        }
        previous = None;
        for unit in Unit::ALL {
            let Some(value) = self.values[unit as usize] else {
                continue;
            };
            if let Some(large) = previous {
                let amount = self.get(large);
                let fraction = amount % 1.0;
                self.values[large as usize] = Some(amount - fraction);
                let share = fraction * large.factor(unit, self.longterm);
                self.values[unit as usize] = Some(value + share);
            }
            previous = Some(unit);
        }
        self
    }

    /// The whole length in one unit.
    pub(crate) fn amount(self, unit: Unit) -> f64 {
        self.shift_to(&[unit]).get(unit)
    }

    /// Without the units that are zero.
    pub(crate) fn without_zeros(mut self) -> Self {
        for value in &mut self.values {
            *value = value.filter(|value| *value != 0.0);
        }
        self
    }

    /// ISO 8601: `P1Y2M3DT4H5M6.789S`.
    pub(crate) fn iso(&self) -> String {
        let mut text = "P".to_owned();
        let push = |text: &mut String, value: f64, letter| {
            if value != 0.0 {
                text.push_str(number_text(value).as_str());
                text.push(letter);
            }
        };
        push(&mut text, self.get(Unit::Years), 'Y');
        let months = self.get(Unit::Months) + self.get(Unit::Quarters) * 3.0;
        if months != 0.0 || self.get(Unit::Months) != 0.0 {
            text.push_str(number_text(months).as_str());
            text.push('M');
        }
        push(&mut text, self.get(Unit::Weeks), 'W');
        push(&mut text, self.get(Unit::Days), 'D');
        let small = [
            Unit::Hours,
            Unit::Minutes,
            Unit::Seconds,
            Unit::Milliseconds,
        ];
        if small.iter().any(|unit| self.get(*unit) != 0.0) {
            text.push('T');
        }
        push(&mut text, self.get(Unit::Hours), 'H');
        push(&mut text, self.get(Unit::Minutes), 'M');
        let (seconds, millis) = (self.get(Unit::Seconds), self.get(Unit::Milliseconds));
        if seconds != 0.0 || millis != 0.0 {
            let all = ((seconds + millis / 1_000.0) * 1_000.0 + 0.5).floor() / 1_000.0;
            text.push_str(number_text(all).as_str());
            text.push('S');
        }
        if text == "P" {
            text.push_str("T0S");
        }
        text
    }

    /// Reads ISO 8601; `None` if it is not that.
    pub(crate) fn parse_iso(text: &str) -> Option<Self> {
        let mut scan = Scan(text);
        let negative = scan.take("-");
        if !scan.take("P") {
            return None;
        }
        let mut duration = Self::EMPTY;
        let signed = |n: f64| if negative && n != 0.0 { -n } else { n };
        for (letter, unit) in [
            ("Y", Unit::Years),
            ("M", Unit::Months),
            ("W", Unit::Weeks),
            ("D", Unit::Days),
        ] {
            duration.values[unit as usize] = scan.attempt(|s| amount(s, letter)).map(signed);
        }
        if scan.take("T") {
            for (letter, unit) in [("H", Unit::Hours), ("M", Unit::Minutes)] {
                duration.values[unit as usize] = scan.attempt(|s| amount(s, letter)).map(signed);
            }
            if !scan.is_done() {
                let below = scan.peek() == Some('-');
                let whole = whole(&mut scan)?;
                duration.values[Unit::Seconds as usize] = Some(signed(whole));
                if scan.one_of(".,").is_some() {
                    let minus = scan.take("-");
                    let digits = scan.while_fits(|c| c.is_ascii_digit());
                    if digits.is_empty() || digits.len() > 20 {
                        return None;
                    }
                    // A sign behind the point makes nothing of it.
                    let millis = if minus { 0 } else { milliseconds(digits) };
                    let millis = if below || negative { -millis } else { millis } as f64;
                    duration.values[Unit::Milliseconds as usize] = Some(millis);
                }
                if !scan.take("S") {
                    return None;
                }
            }
        }
        scan.is_done().then_some(duration)
    }
}

/// Digits with an optional minus.
fn whole(scan: &mut Scan<'_>) -> Option<f64> {
    let minus = scan.take("-");
    let digits = scan.while_fits(|c| c.is_ascii_digit());
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let number: f64 = digits.parse().ok()?;
    Some(if minus { -number } else { number })
}

/// A number with an optional fraction, and the letter of its unit.
fn amount(scan: &mut Scan<'_>, letter: &str) -> Option<f64> {
    let number = whole(scan)?;
    let mut value = number;
    if scan.take(".") {
        let digits = scan.while_fits(|c| c.is_ascii_digit());
        if digits.is_empty() || digits.len() > 20 {
            return None;
        }
        let fraction: f64 = format!("{}.{digits}", number.abs()).parse().ok()?;
        value = if number.is_sign_negative() {
            -fraction
        } else {
            fraction
        };
    }
    scan.take(letter).then_some(value)
}
