//! What currencies are called. A line of the table is a code, its digits, and for each language
//! its symbol, its narrow symbol and its names; what is empty is as what stands before it.

use std::{collections::HashMap, sync::LazyLock};

use crate::locale::Locale;

/// A currency of three letters, and how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Currency {
    code: [u8; 3],
    pub(crate) shown: Shown,
    /// Negative amounts stand in parentheses where the language has it so.
    pub(crate) accounting: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Symbol,
    Narrow,
    Code,
    Name,
}

static TABLE: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("../locale/currencies.txt").lines();
    lines.filter_map(|line| line.split_once('\t')).collect()
});

impl Currency {
    /// The currency of a code, in any case of letters; there need not be one.
    pub(crate) fn find(code: &str, shown: Shown, accounting: bool) -> Option<Self> {
        let code: [u8; 3] = code.to_ascii_uppercase().into_bytes().try_into().ok()?;
        let letters = code.iter().all(u8::is_ascii_uppercase);
        letters.then_some(Self {
            code,
            shown,
            accounting,
        })
    }

    pub(crate) fn code(&self) -> &str {
        // Its bytes are letters of ASCII.
        std::str::from_utf8(&self.code).unwrap_or_default()
    }

    /// How many digits amounts have after the mark.
    pub(crate) fn digits(&self) -> usize {
        let line = TABLE.get(self.code());
        line.and_then(|line| line.split('\t').next()?.parse().ok())
            .unwrap_or(2)
    }

    /// The symbol, or the form of the name for one or for more.
    pub(super) fn name(&self, locale: Locale, one: bool) -> &str {
        let line = TABLE.get(self.code()).copied().unwrap_or_default();
        let mut cells = line.split('\t').skip(1);
        let first = cells.next().unwrap_or_default();
        let cell = match (locale as usize).checked_sub(1) {
            None => first,
            Some(at) => match cells.nth(at) {
                Some("=") => first,
                cell => cell.unwrap_or_default(),
            },
        };
        let mut names = cell.split(';');
        let code = self.code();
        let or = |name: Option<&'static str>, otherwise| match name {
            None | Some("") => otherwise,
            Some(name) => name,
        };
        let symbol = or(names.next(), code);
        let narrow = or(names.next(), symbol);
        let (single, more) = {
            let forms = or(names.next(), code);
            forms.split_once('|').unwrap_or((forms, forms))
        };
        match self.shown {
            Shown::Code => code,
            Shown::Symbol => symbol,
            Shown::Narrow => narrow,
            Shown::Name if one => single,
            Shown::Name => more,
        }
    }
}
