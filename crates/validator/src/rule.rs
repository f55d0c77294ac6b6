//! Rules between the parts of a value, which JSON Schema cannot say or says badly.

use std::{borrow::Cow, cmp::Ordering, collections::HashMap};

use jsonschema::json::cmp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    message, pointer,
    problem::{MAX_PROBLEMS, Problem},
    schema::SchemaError,
};

/// The keyword of a schema, at its top, that holds a list of rules.
pub const RULES: &str = "x-rules";

/// How many rules a schema may have, those within others counted.
pub const MAX_RULES: usize = 1_000;

/// What must hold between the parts of a value.
///
/// In JSON an object with one key, the name of the variant in snake case: `{ "given": ["/a"] }`.
/// Places are JSON pointers, from the value that the rule is applied to. A part that is null counts
/// as not given. What a schema says by itself (types, lengths, patterns) is not repeated here.
///
/// ```
/// use nebula_validator::Schema;
/// use serde_json::json;
///
/// let schema = Schema::compile(&json!({
///     "type": "object",
///     "x-rules": [
///         { "exactly_one": ["/url", "/path"] },
///         { "compare": { "left": "/from", "is": "at_most", "right": "/to" } },
///         { "when": { "at": "/format", "is": ["csv"], "otherwise": { "absent": ["/header"] } } },
///         { "each": { "at": "/rows", "rule": { "given": ["/id"] } } },
///         { "unique": { "at": "/rows", "by": "/id" } },
///     ],
/// })).unwrap();
/// let value = json!({ "url": "u", "from": 3, "to": 2, "header": true, "rows": [{ "id": 1 }, {}] });
/// let problems = schema.check(&value);
/// assert_eq!(problems[0].to_string(), "/from: must be at most `to`");
/// assert_eq!(problems[1].to_string(), "/header: does not belong here unless `format` is \"csv\"");
/// assert_eq!(problems[2].to_string(), "/rows/1: `id` is missing");
/// assert_eq!(problems.len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Rule {
    /// Every one of these holds.
    All(Vec<Rule>),
    /// One of these holds at least.
    Any(Vec<Rule>),
    /// What holds depends on a part.
    When {
        /// The part.
        at: String,
        /// The values that count; null for a part that is not given.
        is: Vec<Value>,
        /// Holds where the part is one of them.
        #[serde(default)]
        then: Option<Box<Rule>>,
        /// Holds where it is not.
        #[serde(default)]
        otherwise: Option<Box<Rule>>,
    },
    /// A rule for a part, if the part is given.
    At {
        /// The part.
        at: String,
        /// What holds there.
        rule: Box<Rule>,
    },
    /// A rule for each element of a list, or each value of an object.
    Each {
        /// The list or object; anything else has no elements.
        at: String,
        /// What holds for each.
        rule: Box<Rule>,
    },
    /// All of these parts are given.
    Given(Vec<String>),
    /// None of these parts is given.
    Absent(Vec<String>),
    /// One of these parts is given, and no other of them.
    ExactlyOne(Vec<String>),
    /// No two of these parts are given.
    AtMostOne(Vec<String>),
    /// One or more of these parts are given.
    AtLeastOne(Vec<String>),
    /// Two parts compare so, if both are given.
    Compare {
        /// The part that the problem is about.
        left: String,
        /// How it compares.
        is: Comparison,
        /// What it is compared with.
        right: String,
    },
    /// No two elements of a list have the same there.
    Unique {
        /// The list.
        at: String,
        /// The part of each element; elements that have none are left out.
        by: String,
    },
}

/// How two parts compare. Numbers compare as numbers and texts by their code points, so that
/// timestamps and dates of one form (RFC 3339, in UTC) compare as times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `<`
    Less,
    /// `≤`
    AtMost,
    /// Equal as JSON: 1 is 1.0.
    Equal,
    /// Not equal as JSON.
    Different,
    /// `≥`
    AtLeast,
    /// `>`
    More,
}

/// Whether a rule holds for a value of which parts may not be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Holds,
    Unsure,
    Broken,
}

/// A part of a value.
enum Part<'v> {
    Absent,
    Known(&'v Value),
    /// There or below is what nobody knows yet.
    Unknown,
}

impl Rule {
    /// What the rule finds wrong with a value; at most [`MAX_PROBLEMS`].
    #[must_use]
    pub fn check(&self, value: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.judge(&Here::new(value, "", &[]), &mut problems);
        problems.truncate(MAX_PROBLEMS);
        problems
    }

    /// Reads rules from their JSON.
    ///
    /// # Errors
    /// [`SchemaError`]: one is no rule, names no place, or they are more than [`MAX_RULES`]; its
    /// pointer leads into the list.
    pub fn list(written: &[Value]) -> Result<Vec<Self>, SchemaError> {
        let wrong = |i: usize, message: String| SchemaError {
            pointer: format!("/{i}"),
            message,
        };
        let mut rules = Vec::new();
        for (i, written) in written.iter().enumerate() {
            let rule = Self::deserialize(written).map_err(|error| wrong(i, error.to_string()))?;
            if let Some(place) = rule.places().into_iter().find(|place| !is_pointer(place)) {
                let message = format!("`{place}` is no JSON pointer; write `/name`");
                return Err(wrong(i, message));
            }
            rules.push(rule);
        }
        if rules.iter().map(Self::size).sum::<usize>() > MAX_RULES {
            return Err(SchemaError::whole(format!("more than {MAX_RULES} rules")));
        }
        Ok(rules)
    }

    /// The rules of a schema.
    pub(crate) fn of(schema: &Value) -> Result<Vec<Self>, SchemaError> {
        let at = |below: &str| format!("/{RULES}{below}");
        match schema.get(RULES) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Self::list(list).map_err(|error| SchemaError {
                pointer: at(&error.pointer),
                message: error.message,
            }),
            Some(_) => Err(SchemaError {
                pointer: at(""),
                message: "must be a list of rules".to_owned(),
            }),
        }
    }

    /// Adds what is certainly wrong, whatever the unknown parts hold.
    pub(crate) fn add(&self, value: &Value, unknown: &[&str], problems: &mut Vec<Problem>) {
        self.judge(&Here::new(value, "", unknown), problems);
    }

    fn inner(&self) -> Vec<&Self> {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().collect(),
            Self::When {
                then, otherwise, ..
            } => then.iter().chain(otherwise).map(|rule| &**rule).collect(),
            Self::At { rule, .. } | Self::Each { rule, .. } => vec![rule],
            _ => Vec::new(),
        }
    }

    fn size(&self) -> usize {
        1 + self.inner().into_iter().map(Self::size).sum::<usize>()
    }

    fn places(&self) -> Vec<&str> {
        let mut places: Vec<&str> = match self {
            Self::When { at, .. } | Self::At { at, .. } | Self::Each { at, .. } => vec![at],
            Self::Given(all)
            | Self::Absent(all)
            | Self::ExactlyOne(all)
            | Self::AtMostOne(all)
            | Self::AtLeastOne(all) => all.iter().map(String::as_str).collect(),
            Self::Compare { left, right, .. } => vec![left, right],
            Self::Unique { at, by } => vec![at, by],
            Self::All(_) | Self::Any(_) => Vec::new(),
        };
        places.extend(self.inner().into_iter().flat_map(Self::places));
        places
    }

    fn judge(&self, here: &Here<'_>, problems: &mut Vec<Problem>) -> Verdict {
        if problems.len() >= MAX_PROBLEMS {
            return Verdict::Broken;
        }
        match self {
            Self::All(rules) => worst(rules.iter().map(|rule| rule.judge(here, problems))),
            Self::Any(rules) => any(rules, here, problems),
            Self::When {
                at,
                is,
                then,
                otherwise,
            } => {
                let chosen = match here.part(at) {
                    Part::Unknown => return Verdict::Unsure,
                    Part::Absent => is.iter().any(Value::is_null),
                    Part::Known(value) => is.iter().any(|one| cmp::equal(one, value)),
                };
                let Some(rule) = (if chosen { then } else { otherwise }) else {
                    return Verdict::Holds;
                };
                let before = problems.len();
                let verdict = rule.judge(here, problems);
                let word = if chosen { "where" } else { "unless" };
                let (name, values) = (here.name(at), message::alternatives(is));
                for problem in &mut problems[before..] {
                    problem.message += &format!(" {word} {name} is {values}");
                }
                verdict
            }
            Self::At { at, rule } => match here.part(at) {
                Part::Absent => Verdict::Holds,
                _ => match here.below(at) {
                    Some(part) => rule.judge(&part, problems),
                    None => Verdict::Unsure,
                },
            },
            Self::Each { at, rule } => {
                let Some(list) = here.below(at) else {
                    return Verdict::Unsure;
                };
                worst(list.elements().map(|part| rule.judge(&part, problems)))
            }
            Self::Given(places) => worst(places.iter().map(|place| match here.given(place) {
                Verdict::Broken => {
                    let message = format!("{} is missing", here.name(place));
                    here.wrong("", message, problems)
                }
                verdict => verdict,
            })),
            Self::Absent(places) => worst(places.iter().map(|place| match here.given(place) {
                Verdict::Holds => {
                    let message = "does not belong here".to_owned();
                    here.wrong(place, message, problems)
                }
                Verdict::Unsure => Verdict::Unsure,
                Verdict::Broken => Verdict::Holds,
            })),
            Self::ExactlyOne(places) => here.count(places, true, true, problems),
            Self::AtMostOne(places) => here.count(places, false, true, problems),
            Self::AtLeastOne(places) => here.count(places, true, false, problems),
            Self::Compare { left, is, right } => match (here.part(left), here.part(right)) {
                (Part::Absent, _) | (_, Part::Absent) => Verdict::Holds,
                (Part::Known(a), Part::Known(b)) => match is.holds(a, b) {
                    Some(true) => Verdict::Holds,
                    found => {
                        let other = here.name(right);
                        let message = match found {
                            Some(_) => format!("must be {} {other}", is.words()),
                            None => format!(
                                "cannot be compared with {other}: both must be numbers, or both texts"
                            ),
                        };
                        here.wrong(left, message, problems)
                    }
                },
                _ => Verdict::Unsure,
            },
            Self::Unique { at, by } => here.unique(at, by, problems),
        }
    }
}

/// One must hold. Where none does, each says why not.
fn any(rules: &[Rule], here: &Here<'_>, problems: &mut Vec<Problem>) -> Verdict {
    let mut reasons = Vec::new();
    let mut sure = true;
    for rule in rules {
        let mut found = Vec::new();
        match rule.judge(here, &mut found) {
            Verdict::Holds => return Verdict::Holds,
            Verdict::Unsure => sure = false,
            Verdict::Broken => {
                let found: Vec<_> = found.iter().map(|problem| here.said(problem)).collect();
                reasons.push(found.join(" and "));
            }
        }
    }
    if !sure {
        return Verdict::Unsure;
    }
    let message = format!("one of these must hold: {}", message::listed(&reasons));
    here.wrong("", message, problems)
}

fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.fold(Verdict::Holds, |worst, next| match (worst, next) {
        (Verdict::Broken, _) | (_, Verdict::Broken) => Verdict::Broken,
        (Verdict::Unsure, _) | (_, Verdict::Unsure) => Verdict::Unsure,
        _ => Verdict::Holds,
    })
}

/// A value that a rule is applied to, with its place in the whole.
struct Here<'v> {
    value: &'v Value,
    at: Cow<'v, str>,
    unknown: &'v [&'v str],
}

impl<'v> Here<'v> {
    fn new(value: &'v Value, at: impl Into<Cow<'v, str>>, unknown: &'v [&'v str]) -> Self {
        Self {
            value,
            at: at.into(),
            unknown,
        }
    }

    fn place(&self, pointer: &str) -> String {
        format!("{}{pointer}", self.at)
    }

    fn part(&self, pointer: &str) -> Part<'v> {
        let place = self.place(pointer);
        let touched = |hole: &&str| pointer::within(&place, hole) || pointer::within(hole, &place);
        if self.unknown.iter().any(touched) {
            return Part::Unknown;
        }
        match self.value.pointer(pointer) {
            None | Some(Value::Null) => Part::Absent,
            Some(value) => Part::Known(value),
        }
    }

    /// The value at a part; none if it is not known.
    fn below(&self, pointer: &str) -> Option<Self> {
        let place = self.place(pointer);
        if self
            .unknown
            .iter()
            .any(|hole| pointer::within(&place, hole))
        {
            return None;
        }
        let value = self.value.pointer(pointer).unwrap_or(&Value::Null);
        Some(Self::new(value, place, self.unknown))
    }

    fn elements(&self) -> impl Iterator<Item = Self> {
        let named: Box<dyn Iterator<Item = (String, &'v Value)>> = match self.value {
            Value::Array(items) => Box::new(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| (i.to_string(), item)),
            ),
            Value::Object(map) => Box::new(map.iter().map(|(name, item)| (name.clone(), item))),
            _ => Box::new(std::iter::empty()),
        };
        let unknown = self.unknown;
        let at = self.at.to_string();
        named.map(move |(name, value)| {
            let place = pointer::below(&mut at.clone(), &name, |place| place.clone());
            Here::new(value, place, unknown)
        })
    }

    /// Whether a part is given. What has unknown parts is there, but a whole unknown part may be null.
    fn given(&self, pointer: &str) -> Verdict {
        match self.below(pointer) {
            None => Verdict::Unsure,
            Some(part) if part.value.is_null() => Verdict::Broken,
            Some(_) => Verdict::Holds,
        }
    }

    fn wrong(&self, pointer: &str, message: String, problems: &mut Vec<Problem>) -> Verdict {
        problems.push(Problem {
            pointer: self.place(pointer),
            message,
            keyword: RULES.to_owned(),
        });
        Verdict::Broken
    }

    /// How a message names a part.
    fn name(&self, pointer: &str) -> String {
        let name = pointer.strip_prefix('/').unwrap_or("the value");
        format!("`{}`", message::shown(name))
    }

    /// A problem below this value, as a part of a sentence.
    fn said(&self, problem: &Problem) -> String {
        match problem.pointer.strip_prefix(&*self.at) {
            None | Some("") => problem.message.clone(),
            Some(below) => format!("{} {}", self.name(below), problem.message),
        }
    }

    fn count(
        &self,
        places: &[String],
        least: bool,
        most: bool,
        problems: &mut Vec<Problem>,
    ) -> Verdict {
        let is = |verdict| move |place: &&String| self.given(place) == verdict;
        let given: Vec<_> = places.iter().filter(is(Verdict::Holds)).collect();
        let open = places.iter().filter(is(Verdict::Unsure)).count();
        let names: Vec<_> = places.iter().map(|place| self.name(place)).collect();
        if most && given.len() > 1 {
            let given: Vec<_> = given.iter().map(|place| self.name(place)).collect();
            let message = format!("only one of {} may be given", message::listed(&given));
            return self.wrong("", message, problems);
        }
        if least && given.is_empty() && open == 0 {
            let message = format!("one of {} is needed", message::listed(&names));
            return self.wrong("", message, problems);
        }
        let settled =
            open == 0 || (!given.is_empty() && !most) || (!least && given.len() + open < 2);
        if settled {
            Verdict::Holds
        } else {
            Verdict::Unsure
        }
    }

    fn unique(&self, at: &str, by: &str, problems: &mut Vec<Problem>) -> Verdict {
        let Some(list) = self.below(at) else {
            return Verdict::Unsure;
        };
        if !list.value.is_array() {
            return Verdict::Holds;
        }
        let (mut seen, mut verdict) = (HashMap::new(), Verdict::Holds);
        for (i, element) in list.elements().enumerate() {
            match element.part(by) {
                Part::Absent => {}
                Part::Unknown => verdict = worst([verdict, Verdict::Unsure].into_iter()),
                Part::Known(value) => {
                    if let Some(first) = seen.get(&key(value)) {
                        if problems.len() >= MAX_PROBLEMS {
                            return Verdict::Broken;
                        }
                        let message = format!("is the same as in element {first}");
                        verdict = element.wrong(by, message, problems);
                    } else {
                        seen.insert(key(value), i);
                    }
                }
            }
        }
        verdict
    }
}

/// A text that two scalars have in common only if they are equal as JSON.
fn key(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < 1e15 => {
            format!("{number:.0}")
        }
        _ => value.to_string(),
    }
}

impl Comparison {
    /// Nothing where the two have no order.
    fn holds(self, left: &Value, right: &Value) -> Option<bool> {
        let order = match self {
            Self::Equal => return Some(cmp::equal(left, right)),
            Self::Different => return Some(!cmp::equal(left, right)),
            _ => order(left, right)?,
        };
        Some(match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::AtLeast => order.is_ge(),
            _ => order.is_gt(),
        })
    }

    fn words(self) -> &'static str {
        match self {
            Self::Less => "less than",
            Self::AtMost => "at most",
            Self::Equal => "the same as",
            Self::Different => "different from",
            Self::AtLeast => "at least",
            Self::More => "more than",
        }
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    if let (Some(left), Some(right)) = (left.as_str(), right.as_str()) {
        return Some(left.cmp(right));
    }
    let whole = |value: &Value| {
        let signed = value.as_i64().map(i128::from);
        signed.or_else(|| value.as_u64().map(i128::from))
    };
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Schema;

    fn check(rule: &Value, value: &Value, unknown: &[&str], expected: &[&str]) {
        let schema = Schema::compile(&json!({ "x-rules": [rule] })).unwrap();
        let problems = schema.check_known(value, unknown);
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{rule} {value} {unknown:?}");
        if unknown.is_empty() {
            assert_eq!(schema.check(value), problems);
        }
    }

    #[test]
    fn parts_are_given_or_not() {
        let both = json!({ "given": ["/a", "/b/c"] });
        check(&both, &json!({ "a": 1, "b": { "c": 0 } }), &[], &[]);
        check(
            &both,
            &json!({ "a": null, "b": {} }),
            &[],
            &["`a` is missing", "`b/c` is missing"],
        );
        check(&both, &json!({ "a": null }), &["/a"], &["`b/c` is missing"]);
        check(&both, &json!({ "a": 1, "b": null }), &["/b"], &[]);
        let none = json!({ "absent": ["/a"] });
        check(&none, &json!({ "a": null }), &[], &[]);
        check(
            &none,
            &json!({ "a": false }),
            &[],
            &["/a: does not belong here"],
        );
        check(&none, &json!({ "a": null }), &["/a"], &[]);
        // A part with a part that nobody knows is there all the same.
        check(
            &none,
            &json!({ "a": [null] }),
            &["/a/0"],
            &["/a: does not belong here"],
        );
    }

    #[test]
    fn parts_are_counted() {
        let (one, most, least) = (
            json!({ "exactly_one": ["/a", "/b"] }),
            json!({ "at_most_one": ["/a", "/b"] }),
            json!({ "at_least_one": ["/a", "/b"] }),
        );
        let (none, two) = (json!({}), json!({ "a": 1, "b": 2 }));
        let (needed, only) = (
            "one of `a`, `b` is needed",
            "only one of `a`, `b` may be given",
        );
        check(&one, &none, &[], &[needed]);
        check(&one, &two, &[], &[only]);
        check(&one, &json!({ "b": 1 }), &[], &[]);
        check(&most, &none, &[], &[]);
        check(&most, &two, &[], &[only]);
        check(&least, &none, &[], &[needed]);
        check(&least, &two, &[], &[]);
        check(&one, &json!({ "a": null }), &["/a"], &[]);
        check(&one, &json!({ "a": null, "b": 1 }), &["/a"], &[]);
        check(&most, &json!({ "a": null, "b": 1 }), &["/a"], &[]);
        check(&least, &json!({ "a": null }), &["/a"], &[]);
    }

    #[test]
    fn what_holds_may_depend_on_a_part() {
        let rule = json!({ "when": { "at": "/mode", "is": ["x", null], "then": { "given": ["/a"] }, "otherwise": { "absent": ["/a"] } } });
        let missing = "`a` is missing where `mode` is \"x\" or null";
        check(&rule, &json!({ "mode": "x" }), &[], &[missing]);
        check(&rule, &json!({}), &[], &[missing]);
        check(
            &rule,
            &json!({ "mode": "y", "a": 1 }),
            &[],
            &["/a: does not belong here unless `mode` is \"x\" or null"],
        );
        check(&rule, &json!({ "mode": "y" }), &[], &[]);
        check(&rule, &json!({ "mode": null, "a": 1 }), &["/mode"], &[]);
        let half = json!({ "when": { "at": "/mode", "is": [1], "then": { "given": ["/a"] } } });
        check(
            &half,
            &json!({ "mode": 1.0 }),
            &[],
            &["`a` is missing where `mode` is 1"],
        );
        check(&half, &json!({ "mode": 2 }), &[], &[]);
    }

    #[test]
    fn rules_combine() {
        let any = json!({ "any": [{ "given": ["/a"] }, { "all": [{ "given": ["/b"] }, { "absent": ["/c"] }] }] });
        check(&any, &json!({ "b": 1 }), &[], &[]);
        check(
            &any,
            &json!({ "c": 1 }),
            &[],
            &[
                "one of these must hold: `a` is missing, `b` is missing and `c` does not belong here",
            ],
        );
        check(&any, &json!({ "c": 1, "a": null }), &["/a"], &[]);
        let at = json!({ "at": { "at": "/x", "rule": { "given": ["/y"] } } });
        check(&at, &json!({}), &[], &[]);
        check(&at, &json!({ "x": {} }), &[], &["/x: `y` is missing"]);
        check(&at, &json!({ "x": null }), &["/x"], &[]);
        let each = json!({ "each": { "at": "/l", "rule": { "each": { "at": "", "rule": { "given": ["/y"] } } } } });
        check(
            &each,
            &json!({ "l": { "p/q": [{ "y": 1 }, {}] } }),
            &[],
            &["/l/p~1q/1: `y` is missing"],
        );
        check(&each, &json!({ "l": [[{}]] }), &["/l/0"], &[]);
        check(&each, &json!({ "l": 1 }), &[], &[]);
    }

    #[test]
    fn parts_are_compared() {
        let compare = |is: &str| json!({ "compare": { "left": "/a", "is": is, "right": "/b" } });
        let table = [
            ("less", [true, false, false]),
            ("at_most", [true, true, false]),
            ("equal", [false, true, false]),
            ("different", [true, false, true]),
            ("at_least", [false, true, true]),
            ("more", [false, false, true]),
        ];
        for (is, holds) in table {
            for ((a, b), holds) in [(1, 2), (2, 2), (3, 2)].into_iter().zip(holds) {
                let schema = Schema::compile(&json!({ "x-rules": [compare(is)] })).unwrap();
                assert_eq!(
                    schema.check(&json!({ "a": a, "b": b })).is_empty(),
                    holds,
                    "{a} {is} {b}"
                );
            }
        }
        check(
            &compare("more"),
            &json!({ "a": "2026-01-02", "b": "2026-01-01" }),
            &[],
            &[],
        );
        check(
            &compare("less"),
            &json!({ "a": u64::MAX - 1, "b": u64::MAX }),
            &[],
            &[],
        );
        check(
            &compare("equal"),
            &json!({ "a": [1.0], "b": [1] }),
            &[],
            &[],
        );
        check(
            &compare("less"),
            &json!({ "a": "1", "b": 2 }),
            &[],
            &["/a: cannot be compared with `b`: both must be numbers, or both texts"],
        );
        check(&compare("less"), &json!({ "a": 3 }), &[], &[]);
        check(
            &compare("less"),
            &json!({ "a": 3, "b": null }),
            &["/b"],
            &[],
        );
    }

    #[test]
    fn elements_are_unique_by_a_part() {
        let rule = json!({ "unique": { "at": "/l", "by": "/id" } });
        let value = json!({ "l": [{ "id": 1 }, { "id": "1" }, {}, { "id": 1.0 }, {}] });
        check(
            &rule,
            &value,
            &[],
            &["/l/3/id: is the same as in element 0"],
        );
        check(&rule, &value, &["/l/3"], &[]);
        check(&rule, &value, &["/l"], &[]);
        check(
            &json!({ "unique": { "at": "", "by": "" } }),
            &json!([1, 2, 1]),
            &[],
            &["/2: is the same as in element 0"],
        );
    }

    #[test]
    fn wrong_rules_are_refused_with_their_place() {
        for (rules, place, says) in [
            (json!({}), "/x-rules", "list"),
            (
                json!([{ "given": ["/a"] }, { "sum": 1 }]),
                "/x-rules/1",
                "sum",
            ),
            (json!([{ "given": ["a"] }]), "/x-rules/0", "JSON pointer"),
            (
                json!([{ "when": { "at": "/a", "is": [1], "els": {} } }]),
                "/x-rules/0",
                "els",
            ),
            (
                json!([{ "any": vec![json!({ "given": [] }); MAX_RULES] }]),
                "/x-rules",
                "1000",
            ),
        ] {
            let error = Schema::compile(&json!({ "x-rules": rules })).unwrap_err();
            assert_eq!(error.pointer, place, "{error}");
            assert!(error.message.contains(says), "{error}");
        }
    }

    #[test]
    fn the_number_of_problems_is_bounded() {
        let rule: Rule = serde_json::from_value(
            json!({ "each": { "at": "", "rule": { "given": ["/a", "/b", "/c"] } } }),
        )
        .unwrap();
        assert_eq!(
            rule.check(&json!(vec![json!({}); 1_000])).len(),
            MAX_PROBLEMS
        );
        let same: Rule =
            serde_json::from_value(json!({ "unique": { "at": "", "by": "" } })).unwrap();
        assert_eq!(same.check(&json!(vec![1; 1_000])).len(), MAX_PROBLEMS);
    }
}
