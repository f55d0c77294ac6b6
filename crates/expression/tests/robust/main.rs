//! Any text compiles or is refused, and what compiles ends: checked on texts that were cut,
//! doubled and mixed by a seed. `fuzz/` drives the same checks by coverage.

mod evaluate;
mod parse;
mod program;

/// Texts per run.
const TEXTS: usize = 20_000;

/// Pieces that mean something to the language.
const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "=>",
    "?.",
    "...",
    "`",
    "${",
    "'",
    "\"",
    "\\",
    "\\u{",
    "\\ud83d",
    "/",
    "//",
    "/*",
    "*/",
    "??",
    "||",
    "&&",
    "**",
    ">>>",
    "===",
    "=",
    "++",
    ",",
    ";",
    ":",
    "?",
    ".",
    "-",
    "!",
    "~",
    "typeof ",
    "void ",
    "new ",
    "in ",
    " instanceof ",
    "$json",
    "$nodes.",
    "$item",
    "$now",
    "Math.",
    "JSON.parse(",
    "Date",
    "RegExp(",
    "Set(",
    "new Map(",
    "new URL('http://a/')",
    "new URLSearchParams(",
    "new Date(8.64e15)",
    "new Intl.NumberFormat('de', {",
    "new Intl.DateTimeFormat('ja', {",
    "dateStyle: 'full'",
    "notation: 'compact'",
    "maximumFractionDigits: 1e9",
    "DateTime.fromISO('2026')",
    ".plus({ days: 1e300 })",
    ".setZone('Europe/Berlin')",
    "Interval.after($now, 1e9)",
    ".splitBy(1)",
    ".toFormat('yyyy')",
    ".toLocaleString()",
    ".match(/(a*)*/g)",
    "/(?<n>x)|[^y]{2,}?/giu",
    "async ",
    "function",
    "this",
    "constructor",
    "__proto__",
    ".repeat(1e9)",
    ".map(x => x)",
    ".join()",
    ".replaceAll('', 'aaaaaaaaaa')",
    "Array.from({ length: 1e9 })",
    "1e309",
    "0x",
    "0b2",
    "1_",
    "9007199254740993",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "😀",
    "ß",
    "\u{301}",
    "const a = 1;",
    "return ",
    "if (",
    "try {",
    "catch {",
    "throw ",
];

/// splitmix64 by Steele, Lea and Flood.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n.max(1) as u64) as usize
    }
}

/// One change at a random place.
fn change(text: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(text.len() + 1);
    let end = (at + chance.below(12)).min(text.len());
    match chance.below(7) {
        0 => drop(text.drain(at..end)),
        1 => {
            let piece = text[at..end].to_vec();
            text.splice(at..at, piece);
        }
        2 => {
            let from = chance.below(other.len() + 1);
            let to = (from + chance.below(30)).min(other.len());
            text.splice(at..end, other[from..to].iter().copied());
        }
        3 if at < text.len() => text[at] = chance.below(256) as u8,
        4 if text.len() < 4_000 => text.extend_from_within(at..),
        5 => text.truncate(at),
        _ => {
            let piece = PIECES[chance.below(PIECES.len())];
            text.splice(at..at, piece.bytes());
        }
    }
}

/// What the cases of other tests are: each begins with an expression.
fn cases() -> Vec<&'static str> {
    let files = [
        include_str!("../cases.txt"),
        include_str!("../cases/blocks.txt"),
        include_str!("../cases/collections.txt"),
        include_str!("../cases/numbers.txt"),
        include_str!("../cases/regexes.txt"),
        include_str!("../cases/unicode.txt"),
        include_str!("../cases/urls.txt"),
        include_str!("../time/locales.txt"),
        include_str!("../time/luxon.txt"),
    ];
    let lines = files.into_iter().flat_map(str::lines);
    let sources = lines.map(|line| line.split('\t').next().unwrap_or_default());
    sources.filter(|line| !line.trim().is_empty()).collect()
}

#[test]
fn any_text_compiles_or_is_refused_and_what_compiles_ends() {
    let cases = cases();
    let mut chance = Chance(1);
    for _ in 0..TEXTS {
        let mut text = cases[chance.below(cases.len())].as_bytes().to_vec();
        for _ in 0..=chance.below(4) {
            let other = cases[chance.below(cases.len())].as_bytes();
            change(&mut text, other, &mut chance);
        }
        parse::parse(&text);
        parse::complete(&text);
        evaluate::evaluate(&text);
    }
}

#[test]
fn bytes_without_any_meaning_are_refused() {
    let mut chance = Chance(2);
    for _ in 0..TEXTS / 10 {
        let text: Vec<u8> = (0..chance.below(200))
            .map(|_| chance.below(256) as u8)
            .collect();
        parse::parse(&text);
        parse::complete(&text);
        evaluate::evaluate(&text);
    }
}
