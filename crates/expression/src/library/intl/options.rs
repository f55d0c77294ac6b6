//! Reading the locales and options of `Intl`.

use crate::{
    error::Fault,
    guard::{Guard, holds},
    locale::{Locale, NoLocale},
    machine::Machine,
    suggest,
    value::{Entries, Text, Val},
};

/// The first language of a tag, or of a list of tags, with the tag; English without one.
pub(super) fn tagged_locale(value: Val<'_>) -> Result<(Locale, &'static str), Fault> {
    let tag = match value.items() {
        Some(items) => items.get(0).unwrap_or(Val::Undefined),
        None => value,
    };
    if matches!(tag, Val::Undefined) {
        return Ok((Locale::En, "en-US"));
    }
    let Some(tag) = tag.text() else {
        return Err(Fault::new("TYPE_ARGUMENT", "a locale must be a text"));
    };
    let tag = tag.utf8().unwrap_or_default();
    Locale::tagged(tag).map_err(no_locale)
}

/// The first language of a tag, or of a list of tags; English without one.
pub(in crate::library) fn locale_of(value: Val<'_>) -> Result<Locale, Fault> {
    tagged_locale(value).map(|(locale, _)| locale)
}

#[cold]
pub(in crate::library) fn no_locale(why: NoLocale) -> Fault {
    match why {
        NoLocale::NoTag => Fault::new("TYPE_RANGE", "this is no locale")
            .hint("write a tag such as `en-GB` or `de`"),
        NoLocale::NotOffered => Fault::new("TYPE_OPTION", "this locale is not offered")
            .hint("there are `en-US`, `en-GB`, `de-DE`, `fr-FR`, `es-ES`, `ja-JP`, `zh-CN`"),
    }
}

/// Refuses options beside `known`: to leave one out silently would be wrong.
pub(super) fn only<'a>(m: &mut Machine<'a>, options: Val<'a>, known: &[&str]) -> Result<(), Fault> {
    if options.is_nullish() && !matches!(options, Val::Undefined) {
        return Err(Fault::new("TYPE_ARGUMENT", "the options must be an object"));
    }
    if !matches!(options, Val::JsonObject(_) | Val::Object(_)) {
        return Ok(());
    }
    for (key, value) in m.own_entries(options)? {
        let is_known = key.utf8().is_some_and(|key| known.contains(&key));
        if !is_known && !matches!(value, Val::Undefined) && holds(Guard::KnownOptions) {
            return Err(unknown(key, known));
        }
    }
    Ok(())
}

#[cold]
fn unknown(key: Text<'_>, known: &[&str]) -> Fault {
    const LEFT_OUT: [&str; 3] = ["dayPeriod", "era", "fractionalSecondDigits"];
    let key = key.utf8().unwrap_or_default();
    if let Some(name) = LEFT_OUT.into_iter().find(|name| *name == key) {
        let message = format!("the option `{name}` is not part of the language");
        return Fault::new("TYPE_OPTION", message).hint("leave it out");
    }
    let hint = match suggest::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    Fault::new("TYPE_OPTION", "an option is not known").hint(hint)
}

/// Refuses an option that is given as anything but the one value that it may have.
pub(super) fn fixed<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &str,
    value: &str,
) -> Result<(), Fault> {
    match option(m, options, name)? {
        None => Ok(()),
        Some(given) if given == value => Ok(()),
        Some(_) => {
            let message = format!("the option `{name}` is `{value}` here");
            Err(Fault::new("TYPE_OPTION", message).hint("leave it out"))
        }
    }
}

/// The text of an option, if it is given.
pub(in crate::library) fn option<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &str,
) -> Result<Option<&'a str>, Fault> {
    if options.is_nullish() {
        return Ok(None);
    }
    match m.own(options, Text::Utf8(name))? {
        None | Some(Val::Undefined) => Ok(None),
        Some(value) => match m.text_of(value)?.utf8() {
            Some(text) => Ok(Some(text)),
            None => Err(wrong(name, &[])),
        },
    }
}

/// The position of an option's text among those that it may be.
pub(in crate::library) fn choice<'a>(
    m: &mut Machine<'a>,
    options: Val<'a>,
    name: &str,
    choices: &[&str],
) -> Result<Option<usize>, Fault> {
    let Some(text) = option(m, options, name)? else {
        return Ok(None);
    };
    match choices.iter().position(|choice| *choice == text) {
        Some(at) => Ok(Some(at)),
        None => Err(wrong(name, choices)),
    }
}

#[cold]
fn wrong(name: &str, choices: &[&str]) -> Fault {
    let fault = Fault::new(
        "TYPE_RANGE",
        format!("the option `{name}` has no such value"),
    );
    if choices.is_empty() {
        return fault;
    }
    let all: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    fault.hint(format!("write one of {}", all.join(", ")))
}

/// Options as they were understood, which an object tells in this order.
#[derive(Default)]
pub(super) struct Told<'a> {
    pub(super) entries: Entries<'a>,
}

impl<'a> Told<'a> {
    pub(super) fn put(
        &mut self,
        m: &mut Machine<'a>,
        key: &'static str,
        value: Val<'a>,
    ) -> Result<(), Fault> {
        m.reserve_entry(&self.entries)?;
        self.entries.push(Text::Utf8(key), value);
        Ok(())
    }

    pub(super) fn word(
        &mut self,
        m: &mut Machine<'a>,
        key: &'static str,
        word: &str,
    ) -> Result<(), Fault> {
        let word = m.copy_text(word)?;
        self.put(m, key, word)
    }

    pub(super) fn number(
        &mut self,
        m: &mut Machine<'a>,
        key: &'static str,
        n: usize,
    ) -> Result<(), Fault> {
        self.put(m, key, Val::Num(n as f64))
    }
}
