//! `RegExp`: making one, and its methods.

use super::{Args, Function, Method, Outcome, method, object::has_own_property, pure, regex_match};
use crate::{
    error::Fault,
    machine::Machine,
    regex::Pattern,
    value::{Instance, Text, Val},
};

pub(super) const METHODS: &[Method] = &[
    method("exec", |m, this, args| {
        let regex = receiver(this)?.regex();
        let mut searched = m.searched(regex, args.get(0))?;
        regex_match::first(m, &mut searched)
    }),
    method("hasOwnProperty", has_own_property),
    method("test", |m, this, args| {
        let regex = receiver(this)?.regex();
        let searched = m.searched(regex, args.get(0))?;
        let found = searched.find(m, 0, regex.flags.sticky, 0)?;
        Ok(Val::Bool(found))
    }),
    method("toString", |m, this, _| {
        let text = m.text_of(this)?;
        m.text_value(text)
    }),
    method("valueOf", |_, this, _| Ok(this)),
];

pub(super) const FUNCTIONS: [Function; 2] = [pure("RegExp", make), pure("new RegExp", make)];

/// The pattern that a value is.
pub(super) fn pattern(value: Val<'_>) -> Option<Pattern<'_>> {
    match value {
        Val::Instance(Instance::Regex(pattern)) => Some(*pattern),
        _ => None,
    }
}

/// The receiver; the table is only asked for patterns.
fn receiver(this: Val<'_>) -> Result<Pattern<'_>, Fault> {
    pattern(this).ok_or_else(|| Fault::new("TYPE_INTERNAL", "this is no regular expression"))
}

fn make<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let text = match (pattern(args.get(0)), args.get(0)) {
        (Some(known), _) => {
            if matches!(args.get(1), Val::Undefined) {
                return m.regex_value(known);
            }
            Text::Utf8(known.regex().source)
        }
        (None, Val::Undefined) => Text::Utf8(""),
        (None, value) => m.text_of(value)?,
    };
    let flags = match args.get(1) {
        Val::Undefined => Text::Utf8(""),
        flags => m.text_of(flags)?,
    };
    // Half a pair is no flag either.
    let flags = flags.utf8().unwrap_or("\u{fffd}");
    let pattern = m.make_regex(text, flags)?;
    m.regex_value(pattern)
}

/// Refuses a pattern where JavaScript takes plain text only.
pub(super) fn no_pattern(value: Val<'_>, name: &str) -> Result<(), Fault> {
    if pattern(value).is_none() {
        return Ok(());
    }
    let message = format!("`{name}` takes a text, not a regular expression");
    Err(Fault::new("TYPE_ARGUMENT", message).hint("write `pattern.test(text)`"))
}
