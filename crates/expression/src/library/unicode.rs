//! `normalize` and `localeCompare`: Unicode's normal forms and the order of the people's languages.

use std::{cmp::Ordering, fmt, sync::LazyLock};

use icu_collator::{
    CollatorBorrowed, CollatorPreferences,
    options::{AlternateHandling, CaseLevel, CollatorOptions, Strength},
    preferences::{CollationCaseFirst, CollationNumericOrdering},
};
use icu_locale_core::Locale;
use icu_normalizer::{
    ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed,
    properties::CanonicalCombiningClassMapBorrowed,
};

use super::{Args, Outcome, intl::choice, string::receiver};
use crate::{
    error::Fault,
    machine::{Machine, TextBuilder},
    value::{Text, Val},
};

/// The normal forms.
enum Form {
    Composed(ComposingNormalizerBorrowed<'static>),
    Decomposed(DecomposingNormalizerBorrowed<'static>),
}

impl Form {
    fn named(name: &str) -> Option<Form> {
        Some(match name {
            "NFC" => Form::Composed(ComposingNormalizerBorrowed::new_nfc()),
            "NFKC" => Form::Composed(ComposingNormalizerBorrowed::new_nfkc()),
            "NFD" => Form::Decomposed(DecomposingNormalizerBorrowed::new_nfd()),
            "NFKD" => Form::Decomposed(DecomposingNormalizerBorrowed::new_nfkd()),
            _ => return None,
        })
    }

    /// What is in the form already, and the rest.
    fn split<'t>(&self, text: &'t str) -> (&'t str, &'t str) {
        match self {
            Form::Composed(form) => form.split_normalized(text),
            Form::Decomposed(form) => form.split_normalized(text),
        }
    }

    fn write(&self, text: &str, sink: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Form::Composed(form) => form.normalize_to(text, sink),
            Form::Decomposed(form) => form.normalize_to(text, sink),
        }
    }
}

pub(super) fn normalize<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let form = match args.get(0) {
        Val::Undefined => Form::named("NFC"),
        name => m.text_of(name)?.utf8().and_then(Form::named),
    };
    let Some(form) = form else {
        return Err(Fault::new("TYPE_RANGE", "there is no such normal form")
            .hint("there are `\"NFC\"`, `\"NFD\"`, `\"NFKC\"` and `\"NFKD\"`"));
    };
    match receiver(this) {
        Text::Utf8(text) if text.is_ascii() => Ok(this),
        Text::Utf8(text) => {
            pay(m, text.len())?;
            let (done, rest) = form.split(text);
            if rest.is_empty() {
                return Ok(this);
            }
            let mut out = m.text_builder(text.len())?;
            out.push_str(m, done)?;
            push_normal(m, &mut out, &form, rest)?;
            out.finish(m)
        }
        // Half a character combines with nothing, so the parts between them are for themselves.
        Text::Wide(units) => {
            pay(m, units.len() * 3)?;
            let mut out = m.text_builder(0)?;
            let mut whole = String::new();
            for c in char::decode_utf16(units.iter().copied()) {
                match c {
                    Ok(c) => whole.push(c),
                    Err(lone) => {
                        push_normal(m, &mut out, &form, &whole)?;
                        whole.clear();
                        out.push(m, Text::Wide(&[lone.unpaired_surrogate()]))?;
                    }
                }
            }
            push_normal(m, &mut out, &form, &whole)?;
            out.finish(m)
        }
    }
}

/// Pays for reading text of so many bytes, and for the marks that are put in order.
fn pay(m: &mut Machine<'_>, bytes: usize) -> Result<(), Fault> {
    const BYTES_PER_OPERATION: usize = 64;
    m.charge((bytes / BYTES_PER_OPERATION) as u64)?;
    m.reserve(bytes * 2)
}

/// A sink that pays for each part; what goes wrong is kept beside it.
struct Sink<'m, 'a> {
    m: &'m mut Machine<'a>,
    out: &'m mut TextBuilder<'a>,
    fault: Option<Fault>,
}

impl fmt::Write for Sink<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.push_str(self.m, text).map_err(|fault| {
            self.fault = Some(fault);
            fmt::Error
        })
    }
}

fn push_normal<'a>(
    m: &mut Machine<'a>,
    out: &mut TextBuilder<'a>,
    form: &Form,
    text: &str,
) -> Result<(), Fault> {
    let fault = None;
    let mut sink = Sink { m, out, fault };
    match form.write(text, &mut sink) {
        Ok(()) => Ok(()),
        Err(fmt::Error) => Err(sink
            .fault
            .unwrap_or_else(|| Fault::new("TYPE_INTERNAL", "the text could not be written"))),
    }
}

/// The order that most languages share; nearly all calls name no other.
static ROOT: LazyLock<Option<CollatorBorrowed<'static>>> = LazyLock::new(|| {
    CollatorBorrowed::try_new(CollatorPreferences::default(), CollatorOptions::default()).ok()
});

/// Operations that it takes to look up a language's order.
const LANGUAGE_OPERATIONS: u64 = 16;

pub(super) fn locale_compare<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    let (text, other) = (receiver(this), m.text_of(args.get(0))?);
    pay(m, text.size().min(other.size()))?;
    pay_marks(m, text)?;
    pay_marks(m, other)?;
    let order = match (args.get(1), args.get(2), &*ROOT) {
        (Val::Undefined, Val::Undefined, Some(root)) => compare(m, root, text, other)?,
        (locales, options, _) => {
            let collator = collator(m, locales, options)?;
            compare(m, &collator, text, other)?
        }
    };
    Ok(Val::Num(f64::from(order as i8)))
}

/// Pays for marks that stand on one letter: each is looked at for each of the others.
fn pay_marks(m: &mut Machine<'_>, text: Text<'_>) -> Result<(), Fault> {
    const PAIRS_PER_OPERATION: u64 = 64;
    // No mark is below U+0300, whose first byte this is.
    const FIRST: u8 = 0xcc;
    if matches!(text, Text::Utf8(s) if s.bytes().all(|b| b < FIRST)) {
        return Ok(());
    }
    let classes = CanonicalCombiningClassMapBorrowed::new();
    let mut run = 0_u64;
    for c in char::decode_utf16(text.units()) {
        let marks = match c {
            // These three are two marks each.
            Ok('\u{f73}' | '\u{f75}' | '\u{f81}') => 2,
            Ok(c) => u64::from(classes.get_u8(c) != 0),
            Err(_) => 0,
        };
        if marks == 0 {
            m.charge(run * run / PAIRS_PER_OPERATION)?;
            run = 0;
        }
        run += marks;
    }
    m.charge(run * run / PAIRS_PER_OPERATION)
}

/// So many bytes or units may stand at the beginning of both texts; of a longer common beginning
/// the direct comparison looks at each place for each of the others, so keys are made instead.
const SHARED: usize = 128;

/// The longest that a key gets, per byte of the text.
const KEY_BYTES: usize = 16;

fn compare(
    m: &mut Machine<'_>,
    collator: &CollatorBorrowed<'_>,
    a: Text<'_>,
    b: Text<'_>,
) -> Result<Ordering, Fault> {
    let room = (a.size() + b.size()) * KEY_BYTES;
    let key = Vec::new;
    if let (Text::Utf8(a), Text::Utf8(b)) = (a, b) {
        if a == b || shared(a.bytes(), b.bytes()) <= SHARED {
            return Ok(collator.compare(a, b));
        }
        return m.lent(room, || {
            let (mut left, mut right) = (key(), key());
            let Ok(()) = collator.write_sort_key_to(a, &mut left);
            let Ok(()) = collator.write_sort_key_to(b, &mut right);
            left.cmp(&right)
        });
    }
    m.lent(room, || {
        let (a, b): (Vec<u16>, Vec<u16>) = (a.units().collect(), b.units().collect());
        if a == b || shared(a.iter(), b.iter()) <= SHARED {
            return collator.compare_utf16(&a, &b);
        }
        let (mut left, mut right) = (key(), key());
        let Ok(()) = collator.write_sort_key_utf16_to(&a, &mut left);
        let Ok(()) = collator.write_sort_key_utf16_to(&b, &mut right);
        left.cmp(&right)
    })
}

/// How long the common beginning is.
fn shared<T: PartialEq>(a: impl Iterator<Item = T>, b: impl Iterator<Item = T>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

fn collator<'a>(
    m: &mut Machine<'a>,
    locales: Val<'a>,
    options: Val<'a>,
) -> Result<CollatorBorrowed<'static>, Fault> {
    m.charge(LANGUAGE_OPERATIONS)?;
    let mut preferences = CollatorPreferences::from(&locale(m, locales)?);
    let mut rules = CollatorOptions::default();
    if matches!(options, Val::Null) {
        return Err(Fault::new("TYPE_ARGUMENT", "the options are null")
            .hint("leave them away, or write `{}`"));
    }
    if let Some(at) = choice(
        m,
        options,
        "sensitivity",
        &["base", "accent", "case", "variant"],
    )? {
        rules.strength = Some(match at {
            0 | 2 => Strength::Primary,
            1 => Strength::Secondary,
            _ => Strength::Tertiary,
        });
        rules.case_level = (at == 2).then_some(CaseLevel::On);
    }
    if let Some(at) = choice(m, options, "caseFirst", &["upper", "lower", "false"])? {
        preferences.case_first = Some(match at {
            0 => CollationCaseFirst::Upper,
            1 => CollationCaseFirst::Lower,
            _ => CollationCaseFirst::False,
        });
    }
    if let Some(on) = flag(m, options, "numeric")? {
        preferences.numeric_ordering = Some(if on {
            CollationNumericOrdering::True
        } else {
            CollationNumericOrdering::False
        });
    }
    if let Some(on) = flag(m, options, "ignorePunctuation")? {
        rules.alternate_handling = Some(if on {
            AlternateHandling::Shifted
        } else {
            AlternateHandling::NonIgnorable
        });
    }
    CollatorBorrowed::try_new(preferences, rules)
        .map_err(|_| Fault::new("TYPE_INTERNAL", "the order of this language is not there"))
}

/// An option that is true or false, if it is given.
fn flag<'a>(m: &mut Machine<'a>, options: Val<'a>, name: &str) -> Result<Option<bool>, Fault> {
    Ok(match m.own(options, Text::Utf8(name))? {
        None | Some(Val::Undefined) => None,
        Some(value) => Some(value.truthy()),
    })
}

/// The first of the languages that are asked for.
fn locale<'a>(m: &mut Machine<'a>, locales: Val<'a>) -> Result<Locale, Fault> {
    let wrong = || {
        Fault::new("TYPE_RANGE", "this is no language")
            .hint("write a tag such as `\"de\"` or `\"pt-BR\"`")
    };
    let first = match locales {
        Val::Null => return Err(wrong()),
        text if text.text().is_some() => text,
        // What is no list is one without entries.
        list => match list.items().and_then(|items| items.get(0)) {
            Some(first) => first,
            None => return Ok(Locale::UNKNOWN),
        },
    };
    let tag = first.text().and_then(Text::utf8).ok_or_else(wrong)?;
    m.scan(tag.len())?;
    Locale::try_from_str(tag).map_err(|_| wrong())
}
