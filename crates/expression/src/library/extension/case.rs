//! Methods that change the letters of a text.

use super::{Args, Outcome, changed, plain};
use crate::{machine::Machine, value::Val};

/// Words that a title leaves small between its first and its last word.
const SMALL_WORDS: &[&str] = &[
    "a", "an", "and", "as", "at", "but", "by", "for", "from", "if", "in", "nor", "of", "on", "or",
    "the", "to", "up", "via", "vs", "with", "yet",
];

/// A changed letter takes at most three times the bytes.
const LETTER: usize = 3;

fn capital(word: &str, out: &mut String) {
    let mut letters = word.chars();
    if let Some(first) = letters.next() {
        out.extend(first.to_uppercase());
        out.push_str(letters.as_str());
    }
}

/// Every word begins with a capital, but short words such as `of` between the first and the last;
/// other letters stay.
pub(super) fn to_title_case<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    changed(m, this, LETTER, |text| {
        let last = text.trim_end().rfind(char::is_whitespace);
        let mut out = String::with_capacity(text.len());
        let (mut at, mut first) = (0, true);
        for word in text.split_inclusive(char::is_whitespace) {
            let bare = word.trim_end();
            let ends = last.is_none_or(|last| at > last);
            let small = SMALL_WORDS.contains(&bare);
            if small && !first && !ends {
                out.push_str(word);
            } else {
                capital(word, &mut out);
            }
            first &= bare.is_empty();
            at += word.len();
        }
        out
    })
}

/// Every sentence begins with a capital; all other letters are small.
pub(super) fn to_sentence_case<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    changed(m, this, LETTER, |text| {
        let mut out = String::with_capacity(text.len());
        let mut starts = true;
        for c in text.chars() {
            if c.is_alphabetic() && starts {
                out.extend(c.to_uppercase());
                starts = false;
            } else {
                out.extend(c.to_lowercase());
                starts |= matches!(c, '.' | '!' | '?');
            }
        }
        out
    })
}

/// Small letters and digits, with `mark` for spaces, dashes and underscores; the rest is removed.
pub(super) fn joined<'a>(m: &mut Machine<'a>, this: Val<'a>, mark: char) -> Outcome<'a> {
    changed(m, this, LETTER, |text| {
        let mut out = String::with_capacity(text.len());
        for c in text.trim().chars() {
            if c.is_alphanumeric() {
                out.extend(c.to_lowercase());
            } else if (c.is_whitespace() || matches!(c, '-' | '_')) && !out.ends_with(mark) {
                out.push(mark);
            }
        }
        out
    })
}

/// Words without anything between them, each but the first with a capital. A word ends at what is
/// no letter or digit, and before a capital that follows a small letter.
pub(super) fn to_camel_case<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    changed(m, this, LETTER, |text| {
        let mut out = String::with_capacity(text.len());
        let (mut word_starts, mut before_small) = (true, false);
        for c in text.chars() {
            if !c.is_alphanumeric() {
                // An apostrophe stands inside a word.
                word_starts |= !matches!(c, '\'' | '’');
                before_small = false;
                continue;
            }
            if (word_starts || before_small && c.is_uppercase()) && !out.is_empty() {
                out.extend(c.to_uppercase());
            } else {
                out.extend(c.to_lowercase());
            }
            (word_starts, before_small) = (false, c.is_lowercase());
        }
        out
    })
}

/// The text between quotes, with a backslash before each quote and backslash in it. The quote is
/// the argument, or `"`.
pub(super) fn quote<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let mark = match args.get(0) {
        Val::Undefined => "\"".into(),
        mark => plain(m, mark)?,
    };
    let text = plain(m, this)?;
    let mut out = m.text_builder(text.len().min(m.context.limits.string_bytes))?;
    out.push_str(m, &mark)?;
    let mut rest = &*text;
    while let Some(c) = rest.chars().next() {
        let len = if !mark.is_empty() && rest.starts_with(&*mark) {
            out.push_str(m, "\\")?;
            mark.len()
        } else {
            if c == '\\' {
                out.push_str(m, "\\")?;
            }
            c.len_utf8()
        };
        out.push_str(m, &rest[..len])?;
        rest = &rest[len..];
    }
    out.push_str(m, &mark)?;
    out.finish(m)
}

/// Letters and signs beside ASCII, and the ASCII that stands for each.
const PLAIN: &[(&str, &str)] = &[
    ("ÀÁÂÃÄÅĀĂĄǍ", "A"),
    ("àáâãäåāăąǎª", "a"),
    ("ÇĆĈĊČ", "C"),
    ("çćĉċč", "c"),
    ("ĎĐÐ", "D"),
    ("ďđð", "d"),
    ("ÈÉÊËĒĔĖĘĚ", "E"),
    ("èéêëēĕėęě", "e"),
    ("ĜĞĠĢ", "G"),
    ("ĝğġģ", "g"),
    ("ĤĦ", "H"),
    ("ĥħ", "h"),
    ("ÌÍÎÏĨĪĬĮİǏ", "I"),
    ("ìíîïĩīĭįıǐ", "i"),
    ("Ĵ", "J"),
    ("ĵ", "j"),
    ("Ķ", "K"),
    ("ķĸ", "k"),
    ("ĹĻĽĿŁ", "L"),
    ("ĺļľŀł", "l"),
    ("ÑŃŅŇŊ", "N"),
    ("ñńņňŉŋ", "n"),
    ("ÒÓÔÕÖØŌŎŐǑ", "O"),
    ("òóôõöøōŏőǒº", "o"),
    ("ŔŖŘ", "R"),
    ("ŕŗř", "r"),
    ("ŚŜŞŠȘ", "S"),
    ("śŝşšșſ", "s"),
    ("ŢŤŦȚ", "T"),
    ("ţťŧț", "t"),
    ("ÙÚÛÜŨŪŬŮŰŲǓ", "U"),
    ("ùúûüũūŭůűųǔ", "u"),
    ("Ŵ", "W"),
    ("ŵ", "w"),
    ("ÝŶŸ", "Y"),
    ("ýÿŷ", "y"),
    ("ŹŻŽ", "Z"),
    ("źżž", "z"),
    ("Æ", "AE"),
    ("æ", "ae"),
    ("Œ", "OE"),
    ("œ", "oe"),
    ("ß", "ss"),
    ("ẞ", "SS"),
    ("Þ", "TH"),
    ("þ", "th"),
    ("‘’‚′", "'"),
    ("“”„″«»", "\""),
    ("‐‑‒–—―−", "-"),
    ("…", "..."),
    ("×", "x"),
    ("\u{a0}\u{2009}\u{202f}", " "),
    ("©", "(c)"),
    ("®", "(r)"),
    ("™", "TM"),
    ("€", "EUR"),
    ("£", "GBP"),
];

/// Accented letters, quotes, dashes and a few signs become the nearest ASCII; accents that stand
/// alone go, and all else stays.
pub(super) fn replace_special_chars<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    changed(m, this, 2, |text| {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            let plain = PLAIN
                .iter()
                .find(|(all, _)| !c.is_ascii() && all.contains(c));
            match (plain, c) {
                (Some((_, plain)), _) => out.push_str(plain),
                (None, '\u{300}'..='\u{36f}') => {}
                (None, c) => out.push(c),
            }
        }
        out
    })
}
