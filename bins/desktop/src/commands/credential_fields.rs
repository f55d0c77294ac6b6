//! The fields of a credential: public ones from arguments, secret ones from files, standard input and
//! prompts.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    path::Path,
};

use nebula_core::SecretString;
use nebula_credential::CredentialType;

use crate::{arguments::Fields, failure::Failure, secret_input};

/// Says nothing of the value.
pub(crate) fn refuse_argument(fields: &Fields) -> Result<(), Failure> {
    match fields.value.is_empty() {
        true => Ok(()),
        false => Err(argument("the value of a credential")),
    }
}

fn argument(what: &str) -> Failure {
    let message = format!(
        "{what} is never an argument: the shell's history and the list of processes have seen it"
    );
    Failure::invalid("USAGE", message).advice(
        "take it for known to others and get a new one; then give it with --from, or type it when you are asked",
    )
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::invalid("USAGE", message)
}

/// Where a secret field comes from.
struct Source<'a> {
    field: Option<&'a str>,
    path: &'a Path,
}

/// The fields that were given. Of secret fields that the type needs and that were not, the values are
/// read from standard input or asked for, unless the others stay as they are (`keep`).
pub(crate) fn gather(
    kind: CredentialType,
    fields: &Fields,
    keep: bool,
) -> Result<BTreeMap<String, SecretString>, Failure> {
    let mut given = BTreeMap::new();
    for field in &fields.field {
        let Some((name, value)) = field.split_once('=') else {
            // It may be a value.
            return Err(usage("a --field has the form NAME=VALUE"));
        };
        let known = kind.fields().iter().find(|it| it.name == name);
        if known.is_none_or(|it| it.secret) && (known.is_some() || kind == CredentialType::Custom) {
            return Err(argument(&format!("the value of `{name}`")));
        }
        given.insert(name.to_owned(), SecretString::from(value));
    }
    let froms: Vec<_> = fields.from.iter().map(|from| split(kind, from)).collect();
    if froms.iter().filter(|it| it.path == Path::new("-")).count() > 1 {
        return Err(usage("standard input can be the value of one field"));
    }
    let named: Vec<_> = froms.iter().filter_map(|it| it.field).collect();
    let needed = kind.fields().iter().filter(|it| it.required && it.secret);
    let open: Vec<_> = needed
        .map(|it| it.name)
        .filter(|name| !named.contains(name))
        .collect();
    let mut unnamed = 0;
    for from in &froms {
        let name = match (from.field, &open[..]) {
            (Some(name), _) => name,
            (None, [only]) if unnamed == 0 => {
                unnamed += 1;
                *only
            }
            (None, _) => return Err(which(kind, &open)),
        };
        if given.contains_key(name) {
            return Err(usage(format!("`{name}` is given twice")));
        }
        let value = secret_input::read(Some(from.path), false, name)?;
        given.insert(name.to_owned(), value);
    }
    if keep || unnamed > 0 {
        return Ok(given);
    }
    if !io::stdin().is_terminal() && (open.len() > 1 || open.is_empty() && given.is_empty()) {
        return Err(which(kind, &open));
    }
    for name in open {
        given.insert(name.to_owned(), secret_input::read(None, false, name)?);
    }
    Ok(given)
}

/// What stands before `=` is a field only if the type can have it: names of files have `=`, too.
fn split(kind: CredentialType, from: &str) -> Source<'_> {
    let named = from.split_once('=').filter(|(name, _)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let custom = kind == CredentialType::Custom && name.chars().all(plain);
        custom || kind.fields().iter().any(|it| it.name == *name)
    });
    match named {
        Some((name, path)) => Source {
            field: Some(name),
            path: Path::new(path),
        },
        None => Source {
            field: None,
            path: Path::new(from),
        },
    }
}

fn which(kind: CredentialType, open: &[&str]) -> Failure {
    let (what, example) = match open {
        [] if kind == CredentialType::Custom => ("any fields".to_owned(), "NAME"),
        [] => ("no other secret field".to_owned(), "NAME"),
        [first, ..] => (open.join(", "), *first),
    };
    usage(format!(
        "it is open which field the value is for: a credential of type {kind} has {what}"
    ))
    .advice(format!(
        "give each one with its name: --from {example}=FILE"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: CredentialType, from: &str, field: Option<&str>, path: &str) {
        let found = split(kind, from);
        assert_eq!(
            (found.field, found.path),
            (field, Path::new(path)),
            "{from}"
        );
    }

    #[test]
    fn a_name_before_the_file_is_a_field_of_the_type() {
        use CredentialType::{Basic, Custom};
        check(Basic, "password=-", Some("password"), "-");
        check(Basic, "password=a=b", Some("password"), "a=b");
        check(Basic, "a=b", None, "a=b");
        check(Basic, "token", None, "token");
        check(Custom, "any_name=x", Some("any_name"), "x");
        check(Custom, "./a=b", None, "./a=b");
    }
}
