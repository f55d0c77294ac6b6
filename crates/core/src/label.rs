//! What an execution is found by.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Group;

/// Keys with a value each, given to an execution when it starts, for search. They never change.
///
/// In JSON an object of texts. A key has 1 to 63 characters, `a` to `z`, `A` to `Z`, digits, `_`, `-`,
/// `.` and `/`, and begins with a letter or a digit. A value has 1 to 200 characters, no control
/// character and no comma, which stands between labels in a query. There are at most 16, beside the
/// one with the key [`Labels::GROUP`], which the engine gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

/// Why something is no labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// There are too many.
    #[error("there are {0} labels; at most {max} are allowed", max = Labels::MAX)]
    TooMany(usize),
    /// A key is none.
    #[error(
        "`{0}` is no key of a label: 1 to {max} of a-z, A-Z, 0-9, `_`, `-`, `.` and `/`, a letter or a digit first",
        max = Labels::MAX_KEY
    )]
    Key(String),
    /// A value is none.
    #[error(
        "the value of the label `{0}` has not 1 to {max} characters without commas and control characters",
        max = Labels::MAX_VALUE
    )]
    Value(String),
    /// A key has two values.
    #[error("the label `{0}` is given twice")]
    Twice(String),
    /// A text is no `key=value`.
    #[error("`{0}` is no label: give key=value")]
    NoPair(String),
}

impl Labels {
    /// The most labels of one execution.
    pub const MAX: usize = 16;
    /// The longest key, in characters.
    pub const MAX_KEY: usize = 63;
    /// The longest value, in characters.
    pub const MAX_VALUE: usize = 200;
    /// The key of the label that says for which [`Group`] of workers an execution is, if not for the
    /// default one. It follows from the plan, whatever is given at a start.
    pub const GROUP: &'static str = "nebula.group";

    /// Labels from pairs.
    ///
    /// # Errors
    /// [`LabelError`]: what is wrong with the first of them that is.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, LabelError> {
        let mut labels = BTreeMap::new();
        for (key, value) in pairs {
            if !is_key(&key) {
                // What is no key may be long.
                return Err(LabelError::Key(key.chars().take(Self::MAX_KEY).collect()));
            }
            if !is_value(&value) {
                return Err(LabelError::Value(key));
            }
            if labels.contains_key(&key) {
                return Err(LabelError::Twice(key));
            }
            labels.insert(key, value);
        }
        let given = labels.len() - usize::from(labels.contains_key(Self::GROUP));
        match given > Self::MAX {
            true => Err(LabelError::TooMany(given)),
            false => Ok(Self(labels)),
        }
    }

    /// The same of an execution for this group.
    #[must_use]
    pub fn in_group(mut self, group: &Group) -> Self {
        self.0.remove(Self::GROUP);
        if !group.is_default() {
            self.0.insert(Self::GROUP.to_owned(), group.to_string());
        }
        self
    }

    /// For which group of workers the execution with these labels is.
    #[must_use]
    pub fn group(&self) -> Group {
        let named = self.get(Self::GROUP).map(Group::new);
        named.and_then(Result::ok).unwrap_or_default()
    }

    /// Labels from texts `key=value` each.
    ///
    /// # Errors
    /// [`LabelError`]: what is wrong with the first of them that is.
    pub fn of_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, LabelError> {
        let pairs = texts.into_iter().map(|text| match text.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), value.to_owned())),
            None => Err(LabelError::NoPair(
                text.chars().take(Self::MAX_KEY).collect(),
            )),
        });
        Self::new(pairs.collect::<Result<Vec<_>, _>>()?)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Keys with their values, by the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether each of `others` is among these, with the same value.
    #[must_use]
    pub fn has_all(&self, others: &Self) -> bool {
        others
            .iter()
            .all(|(key, value)| self.get(key) == Some(value))
    }
}

fn is_key(key: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    let first = key.bytes().next();
    first.is_some_and(|first| first.is_ascii_alphanumeric())
        && key.len() <= Labels::MAX_KEY
        && key.bytes().all(inner)
}

fn is_value(value: &str) -> bool {
    let count = value.chars().count();
    (1..=Labels::MAX_VALUE).contains(&count)
        && !value.chars().any(|it| it == ',' || it.is_control())
}

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = LabelError;

    fn try_from(labels: BTreeMap<String, String>) -> Result<Self, LabelError> {
        Self::new(labels)
    }
}

/// `key=value`, with commas between: `customer=ada,order=4711`.
impl FromStr for Labels {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        Self::of_texts(text.split(','))
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (key, value)) in self.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_from_their_text() {
        for text in ["a=b", "a=b,order/no.1=4711 = x", "K_-./9=ü 1"] {
            assert_eq!(text.parse::<Labels>().unwrap().to_string(), text);
        }
        let labels: Labels = serde_json::from_str(r#"{ "b": "2", "a": "1" }"#).unwrap();
        assert_eq!(labels.to_string(), "a=1,b=2");
        let json = serde_json::to_string(&labels).unwrap();
        assert_eq!(json, r#"{"a":"1","b":"2"}"#);
    }

    /// Guards: whoever starts an execution says nothing of its group, and has all labels beside it.
    #[test]
    fn the_group_is_a_label_of_its_own() {
        let gpu = Group::new("gpu").unwrap();
        let many: Labels = Labels::new((0..16).map(|n| (n.to_string(), "v".into()))).unwrap();
        let both = many.clone().in_group(&gpu);
        assert_eq!((both.len(), both.group()), (17, gpu.clone()));
        let read: Labels = serde_json::from_str(&serde_json::to_string(&both).unwrap()).unwrap();
        assert_eq!(read, both);
        assert_eq!(both.in_group(&Group::default()), many);
        let given: Labels = "a=b,nebula.group=gpu".parse().unwrap();
        assert_eq!(given.in_group(&Group::default()).to_string(), "a=b");
        assert_eq!(many.group(), Group::default());
    }

    #[test]
    fn what_is_no_label_is_told() {
        let of = |text: &str| text.parse::<Labels>().unwrap_err();
        assert_eq!(of("a"), LabelError::NoPair("a".into()));
        assert_eq!(of(""), LabelError::NoPair(String::new()));
        assert_eq!(of("=b"), LabelError::Key(String::new()));
        assert_eq!(of("-a=b"), LabelError::Key("-a".into()));
        assert_eq!(of("a b=c"), LabelError::Key("a b".into()));
        assert_eq!(of("a="), LabelError::Value("a".into()));
        assert_eq!(of("a=b\n"), LabelError::Value("a".into()));
        assert_eq!(of("a=b,a=c"), LabelError::Twice("a".into()));
        let pair = |key: String, value: String| Labels::new([(key, value)]);
        assert!(pair("k".repeat(63), "ü".repeat(200)).is_ok());
        assert!(pair("k".repeat(64), "v".into()).is_err());
        assert!(pair("k".into(), "v".repeat(201)).is_err());
        assert!(pair("k".into(), "a,b".into()).is_err());
        let many = |count: usize| Labels::new((0..count).map(|n| (n.to_string(), "v".into())));
        assert!(many(16).is_ok());
        assert_eq!(many(17), Err(LabelError::TooMany(17)));
    }

    #[test]
    fn all_labels_of_a_search_must_be_there() {
        let labels: Labels = "a=1,b=2".parse().unwrap();
        for (search, expected) in [
            ("a=1", true),
            ("a=1,b=2", true),
            ("a=2", false),
            ("c=1", false),
        ] {
            assert_eq!(
                labels.has_all(&search.parse().unwrap()),
                expected,
                "{search}"
            );
        }
        assert!(labels.has_all(&Labels::default()));
    }
}
