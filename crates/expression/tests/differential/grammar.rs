//! The grammar of the fuzzer: what may stand where, as texts with places in them.
//!
//! In a rule `#N` is a place for a number, `#S` a text, `#B` a boolean, `#A` a list, `#O` an
//! object, `#V` anything, and the same in lower case an arrow that gives one; other marks name a
//! list of leaves. The sorts steer, they do not bind: a parameter stands for any of them, so that
//! coercions and errors come about as well.
//!
//! What is left out, because the language differs on purpose or JavaScript does not say:
//! - comparison functions that contradict themselves: the order is then each engine's own;
//! - mutators on anything but what was just made: values do not change here;
//! - methods as values (`[].map` without a call), functions as data: there are none;
//! - whole numbers of the data beyond 2^53: they stay exact here;
//! - digits of other bases beyond 2^53, and transcendental functions, where engines are free in
//!   the last digits;
//! - keys that JavaScript's prototypes have (`constructor`, `__proto__`): there are none here;
//! - holes in lists: they read as undefined here;
//! - `Object.groupBy`: Node.js 20 has none;
//! - iterators outside of a spread: they are lists here.

use std::collections::BTreeMap;

/// What an expression gives, if nothing unforeseen happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Number,
    Text,
    Bool,
    List,
    Object,
    Any,
}

impl Sort {
    /// Those that have leaves of their own.
    pub(crate) const PLAIN: [Self; 5] = [
        Self::Number,
        Self::Text,
        Self::Bool,
        Self::List,
        Self::Object,
    ];

    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Number => "N",
            Self::Text => "S",
            Self::Bool => "B",
            Self::List => "A",
            Self::Object => "O",
            Self::Any => "V",
        }
    }

    pub(crate) fn of(mark: &str) -> Option<Self> {
        let all = [&Self::PLAIN[..], &[Self::Any]].concat();
        all.into_iter().find(|sort| sort.mark() == mark)
    }
}

/// Pieces of text literals, as they are written: letters that change with their case or their
/// neighbours, blanks that are some and blanks that are none, halves of characters.
pub(crate) const UNITS: &[&str] = &[
    "a",
    "b",
    "Z",
    "x",
    "e",
    "0",
    "1",
    "9",
    "7",
    ".",
    "-",
    "+",
    " ",
    ",",
    "$",
    "%",
    "&",
    "\"",
    "`",
    "\\\\",
    "/",
    "<",
    "{",
    "}",
    "\\n",
    "\\t",
    "\\0",
    "\\x7f",
    "\\u00a0",
    "\\ufeff",
    "\\u180e",
    "\\u2028",
    "\\u0085",
    "\\u200b",
    "\\u3000",
    "é",
    "ß",
    "İ",
    "ı",
    "K",
    "Σ",
    "ς",
    "ŉ",
    "ﬁ",
    "ǆ",
    "ΐ",
    "Ω",
    "\\u0301",
    "\\u0345",
    "ё",
    "中",
    "٣",
    "Ⅷ",
    "€",
    "😀",
    "𝒳",
    "𐐀",
    "\\u{1f468}\\u200d",
    "\\ud83d",
    "\\ude00",
    "\\udbff",
    "\\udfff",
    "%20",
    "%C3%A9",
    "%E2",
    "true",
    "Infinity",
    "0x1f",
    "1e5",
];

/// Leaves by mark: the lines of `leaves.txt`, each after its mark.
pub(crate) fn leaves() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut leaves = BTreeMap::<_, Vec<_>>::new();
    for (mark, text) in lines(include_str!("leaves.txt")) {
        leaves.entry(mark).or_default().push(text);
    }
    leaves
}

/// What may stand for a sort: the rules of `rules.txt`, each after its sort's mark.
pub(crate) fn rules() -> Vec<(Sort, &'static str)> {
    lines(include_str!("rules.txt"))
        .map(|(mark, text)| {
            let sort = Sort::of(mark).unwrap_or_else(|| panic!("no sort: {mark}"));
            (sort, text)
        })
        .collect()
}

/// Marks and what stands behind them; a line that begins with `//` is a comment.
fn lines(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    file.lines()
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .map(|line| {
            line.split_once(' ')
                .unwrap_or_else(|| panic!("no mark: {line}"))
        })
}
