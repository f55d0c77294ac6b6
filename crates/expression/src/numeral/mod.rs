//! Numbers in the words of a language: what `Intl.NumberFormat` writes.
//!
//! [`parts`] rounds a [`Decimal`], sets its digits and puts around them what the language's tables
//! have. As in ICU, a number is rounded from the shortest digits that mean it. Does not know the
//! machine: `library` charges, reads options and calls this.

mod currency;
mod decimal;
mod round;
mod write;

use crate::locale::Locale;

pub(crate) use currency::{Currency, Shown};
pub(crate) use decimal::Decimal;
pub(crate) use round::{Mode, Precision, Rounding};
pub(crate) use write::{parts, text};

/// How numbers are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) locale: Locale,
    pub(crate) style: Style,
    pub(crate) notation: Notation,
    pub(crate) sign: Sign,
    pub(crate) grouping: Grouping,
    /// So many digits stand before the mark at least.
    pub(crate) integer_digits: usize,
    pub(crate) rounding: Rounding,
}

/// What a number is a number of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Decimal,
    Percent,
    Currency(Currency),
    /// The line of the language's table without its width.
    Unit {
        unit: &'static str,
        width: UnitWidth,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitWidth {
    Long,
    Short,
    Narrow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    Standard,
    Scientific,
    /// The exponent is a multiple of three.
    Engineering,
    CompactShort,
    CompactLong,
}

/// Which numbers have a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Negative ones, and the negative zero.
    Auto,
    Always,
    Never,
    /// All but those that are zero after rounding.
    ExceptZero,
    /// Negative ones that are not zero after rounding.
    Negative,
}

/// Which numbers have marks between groups of three digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grouping {
    Never,
    /// As the language has it.
    Auto,
    Always,
    /// Those whose first group has two digits.
    Two,
}

/// The units that have a line in the tables: `day`, `kilometer-per-hour`.
pub(crate) fn units() -> impl Iterator<Item = &'static str> {
    let keys = Locale::En.keys();
    keys.filter_map(|key| key.strip_suffix("-long"))
        .filter(|key| !key.starts_with("compact"))
}
