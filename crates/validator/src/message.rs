//! Words for what is wrong: never the value, only its type.

use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;

/// How many names or options a message lists.
const MAX_LISTED: usize = 12;
/// How many characters of a name or option a message shows.
const MAX_SHOWN: usize = 60;

/// What is wrong, as the end of a sentence whose subject is the value.
pub(crate) fn of(error: &ValidationError<'_>) -> String {
    let actual = error.instance();
    match error.kind() {
        Kind::Type { kind } => {
            let wanted: Vec<_> = match kind {
                TypeKind::Single(single) => vec![single.as_str().to_owned()],
                TypeKind::Multiple(set) => set.iter().map(|t| t.as_str().to_owned()).collect(),
            };
            let mut wanted: Vec<_> = wanted.iter().map(|name| with_article(name)).collect();
            // `null` reads better as the afterthought that it is.
            wanted.sort_by_key(|name| name == "null");
            format!(
                "must be {}, not {}",
                or(&wanted),
                with_article(type_name(actual))
            )
        }
        Kind::Required { property } => {
            format!(
                "`{}` is missing",
                shown(property.as_str().unwrap_or_default())
            )
        }
        Kind::Enum { options } => one_of(options.as_array().map_or(&[][..], Vec::as_slice).iter()),
        Kind::Constant { expected_value } => {
            format!("must be {}", shown(&expected_value.to_string()))
        }
        Kind::Minimum { limit } => format!("is less than {limit}"),
        Kind::Maximum { limit } => format!("is more than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("is no multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("is shorter than {}", count(*limit, "character")),
        Kind::MaxLength { limit } => format!("is longer than {}", count(*limit, "character")),
        Kind::MinItems { limit } => format!("has fewer than {}", count(*limit, "element")),
        Kind::MaxItems { limit } => format!("has more than {}", count(*limit, "element")),
        Kind::AdditionalItems { limit } => {
            format!("has more than {}", count(*limit as u64, "element"))
        }
        Kind::MinProperties { limit } => format!("has fewer than {}", properties(*limit)),
        Kind::MaxProperties { limit } => format!("has more than {}", properties(*limit)),
        Kind::Pattern { pattern } => format!("does not match the pattern `{}`", shown(pattern)),
        Kind::Format { format } => format!("is no {}", shown(format)),
        Kind::UniqueItems => "has an element twice".to_owned(),
        Kind::Contains => {
            "has no element, or too many, of the kind that `contains` asks for".to_owned()
        }
        Kind::UnevaluatedItems { unexpected } => {
            format!(
                "has {} that the schema does not describe",
                count(unexpected.len() as u64, "element")
            )
        }
        Kind::OneOfMultipleValid { .. } => {
            "fits more than one of the shapes of which it must fit one".to_owned()
        }
        Kind::Not { .. } => "has the shape that the schema excludes".to_owned(),
        Kind::FalseSchema => "is not allowed here".to_owned(),
        Kind::ContentEncoding { content_encoding } => {
            format!("is not in {}", shown(content_encoding))
        }
        Kind::ContentMediaType { content_media_type } => {
            format!("is not {}", shown(content_media_type))
        }
        other => format!("breaks the keyword `{}`", other.keyword()),
    }
}

/// A property that the schema does not allow, with the nearest allowed name.
pub(crate) fn unexpected(name: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|other| (distance(name, other), other))
        .filter(|(distance, other)| *distance <= 1 + other.chars().count() / 4)
        .min_by_key(|(distance, _)| *distance);
    let hint = match near {
        Some((_, near)) => format!("; did you mean `{}`", shown(near)),
        None if known.is_empty() => String::new(),
        None => {
            let names: Vec<_> = known
                .iter()
                .map(|name| format!("`{}`", shown(name)))
                .collect();
            format!("; known are {}", list(&names))
        }
    };
    format!("`{}` is not known here{hint}", shown(name))
}

/// None of several shapes fits.
pub(crate) fn no_branch(branches: &[Vec<ValidationError<'static>>], pointer: &str) -> String {
    let options: Option<Vec<_>> = branches
        .iter()
        .map(|branch| match branch.as_slice() {
            [error] if error.instance_path().as_str() == pointer => match error.kind() {
                Kind::Constant { expected_value } => Some(vec![(**expected_value).clone()]),
                Kind::Enum { options } => options.as_array().cloned(),
                _ => None,
            },
            _ => None,
        })
        .collect();
    if let Some(options) = options {
        return one_of(options.iter().flatten());
    }
    let missing: Option<Vec<_>> = branches
        .iter()
        .map(|branch| match branch.as_slice() {
            [error] if error.instance_path().as_str() == pointer => match error.kind() {
                Kind::Required { property } => property.as_str().map(|p| format!("`{}`", shown(p))),
                _ => None,
            },
            _ => None,
        })
        .collect();
    if let Some(missing) = missing {
        return format!("one of {} is needed", list(&missing));
    }
    let types: Option<Vec<_>> = branches
        .iter()
        .map(|branch| {
            branch.iter().find_map(|error| match error.kind() {
                Kind::Type {
                    kind: TypeKind::Single(single),
                } if error.instance_path().as_str() == pointer => {
                    Some((with_article(single.as_str()), type_name(error.instance())))
                }
                _ => None,
            })
        })
        .collect();
    match types {
        Some(types) if !types.is_empty() => {
            let actual = with_article(types[0].1);
            let mut wanted: Vec<_> = types.into_iter().map(|(wanted, _)| wanted).collect();
            wanted.dedup();
            format!("must be {}, not {actual}", or(&wanted))
        }
        _ => format!(
            "fits none of the {} shapes that are allowed here",
            branches.len()
        ),
    }
}

fn one_of<'v>(options: impl Iterator<Item = &'v Value>) -> String {
    let options: Vec<_> = options.map(|option| shown(&option.to_string())).collect();
    format!("must be one of {}", list(&options))
}

/// Values, one of which something is: `"a", "b" or null`.
pub(crate) fn alternatives(values: &[Value]) -> String {
    let values: Vec<_> = values
        .iter()
        .map(|value| shown(&value.to_string()))
        .collect();
    match values.len().checked_sub(MAX_LISTED) {
        Some(more) if more > 0 => list(&values),
        _ => or(&values),
    }
}

/// Names or sentences, as many as a message holds.
pub(crate) fn listed(names: &[String]) -> String {
    list(names)
}

fn list(names: &[String]) -> String {
    match names.len().checked_sub(MAX_LISTED) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..MAX_LISTED].join(", ")),
        _ => names.join(", "),
    }
}

fn or(names: &[String]) -> String {
    match names {
        [] => "something else".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn properties(n: u64) -> String {
    format!("{n} {}", if n == 1 { "property" } else { "properties" })
}

/// As much of a text as a message holds.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The JSON Schema name of a value's type.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A type's name as a sentence has it.
pub(crate) fn with_article(name: &str) -> String {
    match name {
        "null" => name.to_owned(),
        "integer" | "array" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

/// The number of single-character edits between two short names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(MAX_SHOWN).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(MAX_SHOWN).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let edited = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = edited.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
