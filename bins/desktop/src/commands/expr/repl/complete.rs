//! What could be written at the cursor: a pure function of the text, the cursor and the data.
//!
//! The expression crate says what stands there and gives the source of the value before the dot;
//! that is evaluated within limits that a person does not notice, and what it has is offered.

use std::{collections::HashSet, ops::Range};

use nebula_expression::{
    CompileOptions, Context, JsonScope, Limits, Member, Mode, Outline, Owner, Place, Program, Root,
    Word, WordKind, cursor, members_of, members_of_node, words,
};
use serde_json::Value;

use super::command::{self, COMMANDS, MODES, Named};

/// The most candidates of one place; more than anybody looks through.
const MAX_CANDIDATES: usize = 500;
/// Operations of one evaluation for completion: a few milliseconds.
const MAX_OPERATIONS: u64 = 200_000;
/// Bytes of temporary values of one evaluation for completion.
const MAX_ARENA: usize = 4 << 20;

/// Something that could be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// What takes the place of `span`.
    pub(super) text: String,
    /// How it is shown in a list.
    pub(super) shown: String,
    /// The bytes of the line that it replaces.
    pub(super) span: Range<usize>,
}

/// The candidates for the word that ends at byte `at` of `line`, the likeliest first.
pub(super) fn complete(line: &str, at: usize, data: &Value) -> Vec<Candidate> {
    let Some(before) = line.get(..at) else {
        return Vec::new();
    };
    let mut found = match command::argument(before) {
        Some((Named::Command, start)) => names(COMMANDS, before, start),
        Some((Named::Mode, start)) => names(MODES, before, start),
        Some((Named::File, _)) => Vec::new(),
        Some((Named::Expression, start)) => {
            let mut found = expression(&line[start..], at - start, data);
            for candidate in &mut found {
                candidate.span = candidate.span.start + start..candidate.span.end + start;
            }
            found
        }
        None => expression(line, at, data),
    };
    found.truncate(MAX_CANDIDATES);
    found
}

/// What all candidates begin with, and the bytes that it replaces: what is written there, if they have
/// no more in common or do not stand in the same place. `None` if there are none.
pub(super) fn common(line: &str, found: &[Candidate]) -> Option<(Range<usize>, String)> {
    let (first, others) = found.split_first()?;
    let written = line.get(first.span.clone())?;
    let mut shared = first.text.as_str();
    for other in others {
        let same = shared
            .chars()
            .zip(other.text.chars())
            .take_while(|(a, b)| a == b);
        let len = same.map(|(c, _)| c.len_utf8()).sum();
        shared = &shared[..len];
    }
    let together = others.iter().all(|other| other.span == first.span);
    let more = together && shared.len() > written.len();
    Some((
        first.span.clone(),
        if more { shared } else { written }.to_owned(),
    ))
}

fn names(known: &[&str], before: &str, start: usize) -> Vec<Candidate> {
    let word = &before[start..];
    let known = known.iter().filter(|name| name.starts_with(word));
    let candidate = |name: &&str| Candidate {
        text: (*name).to_owned(),
        shown: (*name).to_owned(),
        span: start..before.len(),
    };
    known.map(candidate).collect()
}

fn expression(source: &str, at: usize, data: &Value) -> Vec<Candidate> {
    let Some(found) = cursor(source, at) else {
        return Vec::new();
    };
    let rest = &source[at..];
    let site = Site {
        word: &source[found.word.clone()],
        span: found.word,
        called: rest.starts_with('('),
    };
    match found.place {
        Place::Value { names } => site.values(&names, data),
        Place::Class => {
            let mut classes = words();
            let is_class = |word: &Word| word.kind == WordKind::Class;
            classes.retain(|word| match word.kind {
                WordKind::Class => true,
                WordKind::Namespace => members_of(&word.name).iter().any(is_class),
                _ => false,
            });
            site.words(&classes)
        }
        Place::Namespace(name) => site.words(&members_of(&name)),
        Place::Member(member) => site.members(source, rest, &member, data),
        // A place that this build knows nothing of.
        _ => Vec::new(),
    }
}

/// Where a word is being written.
struct Site<'s> {
    word: &'s str,
    span: Range<usize>,
    /// An opening parenthesis follows.
    called: bool,
}

impl Site<'_> {
    /// What begins a value: names around it, roots with data, and once something is written, all
    /// that the language knows.
    fn values(&self, bound: &[String], data: &Value) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = bound.iter().map(|name| self.named(name)).collect();
        let mut known = words();
        known.retain(|word| match word.kind {
            WordKind::Root => true,
            // Behind `new` they are asked for as classes.
            WordKind::Class => false,
            _ => !self.word.is_empty(),
        });
        let has_data = |word: &Word| {
            let root = word.name.trim_start_matches('$');
            word.kind == WordKind::Root && data.get(root).is_some()
        };
        known.sort_by_key(|word| !has_data(word));
        all.extend(known.iter().map(|word| self.of(word)));
        self.matching(all)
    }

    fn words(&self, known: &[Word]) -> Vec<Candidate> {
        self.matching(known.iter().map(|word| self.of(word)).collect())
    }

    fn members(&self, source: &str, rest: &str, member: &Member, data: &Value) -> Vec<Candidate> {
        let (keys, words) = match &member.of {
            Owner::Nodes => {
                let nodes = data.get("nodes").and_then(Value::as_object);
                let ids = nodes.into_iter().flat_map(|nodes| nodes.keys().cloned());
                (ids.collect(), Vec::new())
            }
            Owner::Node => {
                let members = members_of_node();
                let fields = members.iter().filter(|m| m.kind != WordKind::Function);
                let fields = fields.map(|member| member.name.clone());
                if member.bracket {
                    (fields.collect(), Vec::new())
                } else {
                    (Vec::new(), members)
                }
            }
            Owner::Value(of) => match outline(of, data) {
                None => (Vec::new(), Vec::new()),
                Some(outline) => {
                    let word = |kind| {
                        move |name: &&str| Word {
                            name: (*name).to_owned(),
                            kind,
                        }
                    };
                    let fields = outline.fields.iter().map(word(WordKind::Constant));
                    let methods = outline.methods.iter().map(word(WordKind::Function));
                    (outline.keys, fields.chain(methods).collect())
                }
            },
            _ => (Vec::new(), Vec::new()),
        };
        let keys = keys.iter().filter_map(|key| {
            if member.bracket {
                Some(self.in_brackets(source, rest, member, key))
            } else {
                self.key(member, key)
            }
        });
        let mut all: Vec<Candidate> = keys.collect();
        if !member.bracket {
            all.extend(words.iter().map(|word| self.of(word)));
        }
        self.matching(all)
    }

    /// A key behind a dot; in brackets if it is no name.
    fn key(&self, member: &Member, key: &str) -> Option<Candidate> {
        if is_name(key) {
            return Some(self.named(key));
        }
        let dot = if member.optional { "?." } else { "" };
        Some(Candidate {
            text: format!("{dot}[{}]", quoted(key, '"')?),
            shown: quoted(key, '"')?,
            span: member.link.clone(),
        })
    }

    /// A key in brackets that are open; those that follow the cursor are replaced.
    fn in_brackets(&self, source: &str, rest: &str, member: &Member, key: &str) -> Candidate {
        let opened = source[member.link.clone()]
            .chars()
            .find(|c| "'\"".contains(*c));
        let quote = opened.unwrap_or('"');
        let dot = if member.optional { "?." } else { "" };
        let shown = quoted(key, quote).unwrap_or_default();
        let mut end = member.link.end;
        for closer in [quote, ']'] {
            if rest[end - member.link.end..].starts_with(closer) {
                end += closer.len_utf8();
            }
        }
        Candidate {
            text: format!("{dot}[{shown}]"),
            shown,
            span: member.link.start..end,
        }
    }

    fn named(&self, name: &str) -> Candidate {
        Candidate {
            text: name.to_owned(),
            shown: name.to_owned(),
            span: self.span.clone(),
        }
    }

    /// A word of the language, with what it needs behind it.
    fn of(&self, word: &Word) -> Candidate {
        let name = &word.name;
        let (text, shown) = match word.kind {
            WordKind::Function | WordKind::Class if self.called => {
                (name.clone(), format!("{name}()"))
            }
            WordKind::Function | WordKind::Class => (format!("{name}("), format!("{name}()")),
            WordKind::Keyword => (format!("{name} "), name.clone()),
            _ => (name.clone(), name.clone()),
        };
        Candidate {
            text,
            shown,
            span: self.span.clone(),
        }
    }

    /// Those that begin with what is written, or, if none does, regardless of case.
    fn matching(&self, mut all: Vec<Candidate>) -> Vec<Candidate> {
        // `Date` is a function and a namespace, and a bound name may hide either.
        let mut seen = HashSet::new();
        all.retain(|candidate| seen.insert(candidate.text.trim_end_matches('(').to_owned()));
        let begins =
            |shown: &str, word: &str| shown.trim_start_matches(['"', '\'']).starts_with(word);
        let (exact, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|candidate| begins(&candidate.shown, self.word));
        if !exact.is_empty() {
            return exact;
        }
        let word = self.word.to_lowercase();
        let near = |candidate: &Candidate| begins(&candidate.shown.to_lowercase(), &word);
        others.into_iter().filter(near).collect()
    }
}

/// What the value has that `source` gives; `None` if it gives none.
fn outline(source: &str, data: &Value) -> Option<Outline> {
    // What is missing is undefined here, and has no members.
    let options = CompileOptions {
        mode: Mode::Lenient,
        ..CompileOptions::default()
    };
    let context = Context {
        limits: Limits {
            operations_ceiling: MAX_OPERATIONS,
            arena_bytes: MAX_ARENA,
            ..Limits::default()
        },
        ..Context::default()
    };
    let program = Program::compile(source, &options).ok()?;
    program.outline(&JsonScope(data), &context).ok()
}

/// Whether a key can stand behind a dot.
fn is_name(key: &str) -> bool {
    let start = |c: char| c.is_alphabetic() || c == '_' || c == '$';
    key.starts_with(start) && key.chars().all(|c| start(c) || c.is_alphanumeric())
}

/// A text as a literal between these quotes.
fn quoted(key: &str, quote: char) -> Option<String> {
    let json = serde_json::to_string(key).ok()?;
    if quote == '"' {
        return Some(json);
    }
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    Some(format!(
        "'{}'",
        inside.replace("\\\"", "\"").replace('\'', "\\'")
    ))
}

/// The roots of the data that an expression can reach, and the keys that it cannot.
pub(super) fn roots(data: &Value) -> (Vec<&str>, Vec<&str>) {
    let keys = data.as_object().into_iter().flat_map(|map| map.keys());
    keys.map(String::as_str)
        .partition(|key| *key == "nodes" || Root::from_name(key).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{common, complete, roots};

    /// The cursor is `|`; what is wanted is the line with each candidate in its place.
    #[track_caller]
    fn check(text: &str, wanted: &[&str]) {
        let found = all(text);
        assert_eq!(found, wanted, "{text}");
    }

    /// Only the first candidates.
    #[track_caller]
    fn first(text: &str, wanted: &[&str]) {
        let mut found = all(text);
        found.truncate(wanted.len());
        assert_eq!(found, wanted, "{text}");
    }

    fn all(text: &str) -> Vec<String> {
        let at = text.find('|').unwrap();
        let line = text.replacen('|', "", 1);
        let data = json!({
            "json": {
                "name": "desk",
                "names": ["Ada"],
                "key with space": { "deep": { "it's \"so\"": 1, "Größe": 2 } },
                "items": [{ "price": 120, "tags": [{ "text": "a" }], "first name": "x" }],
                "none": null,
            },
            "input": { "when": "2026-01-01" },
            "nodes": { "fetch": { "result": { "body": 1 } }, "load-all": { "result": [] } },
        });
        let place = |candidate: super::Candidate| {
            let mut line = line.clone();
            line.replace_range(candidate.span, &candidate.text);
            line
        };
        complete(&line, at, &data).into_iter().map(place).collect()
    }

    #[test]
    fn roots_are_offered_with_those_that_have_data_first() {
        first("|", &["$input", "$json", "$nodes", "$execution"]);
        check("$js|", &["$json"]);
        check("1 + $no|", &["1 + $nodes", "1 + $now", "1 + $not("]);
        check("$JS|", &["$json"]);
        check(
            "$i|",
            &["$input", "$index", "$inputs", "$item", "$if(", "$ifEmpty("],
        );
        check("zzz|", &[]);
    }

    #[test]
    fn names_of_the_language_are_offered_once_something_is_written() {
        check("Mat|", &["Math"]);
        check("parseI|", &["parseInt("]);
        check("typ|", &["typeof "]);
        check("undef|", &["undefined"]);
        check("Date|", &["Date(", "DateTime"]);
        check("new Da|", &["new Date("]);
        check("new UR|", &["new URL(", "new URLSearchParams("]);
        check("new I|", &["new Intl"]);
        check("new Intl.Nu|", &["new Intl.NumberFormat("]);
        check("Math.ma|", &["Math.max("]);
        check("Math.ma|(1)", &["Math.max(1)"]);
        check("Math.P|", &["Math.PI"]);
        check("DateTime.fromI|", &["DateTime.fromISO("]);
        check("JSON.|", &["JSON.parse(", "JSON.stringify("]);
    }

    #[test]
    fn keys_of_the_value_are_offered_before_methods() {
        first("$json.|", &["$json.name", "$json.names"]);
        check("$json.na|", &["$json.name", "$json.names"]);
        check("$json.NA|", &["$json.name", "$json.names"]);
        check("$json?.no|", &["$json?.none"]);
        check("$json.items[0].pr|", &["$json.items[0].price"]);
        check("$json.none.|", &[]);
        check("$json.missing.deep.|", &[]);
        check("$json.hasF|", &["$json.hasField("]);
        check("$item.|", &[]);
    }

    #[test]
    fn keys_that_are_no_names_stand_in_brackets() {
        check("$json.key|", &["$json[\"key with space\"]", "$json.keys("]);
        check(
            "$json?.key|",
            &["$json?.[\"key with space\"]", "$json?.keys("],
        );
        check("$json[\"key|", &["$json[\"key with space\"]"]);
        check("$json['key|", &["$json['key with space']"]);
        check("$json['key|']", &["$json['key with space']"]);
        check("$json[\"key with|\"].x", &["$json[\"key with space\"].x"]);
        first("$json[|", &["$json[\"name\"]", "$json[\"names\"]"]);
        check(
            "$json[\"key with space\"].de|",
            &["$json[\"key with space\"].deep"],
        );
        let deep = "$json[\"key with space\"].deep";
        check(
            &format!("{deep}.it|"),
            &[&format!("{deep}[\"it's \\\"so\\\"\"]")],
        );
        check(
            &format!("{deep}['it|"),
            &[&format!("{deep}['it\\'s \"so\"']")],
        );
        check(&format!("{deep}.Gr|"), &[&format!("{deep}.Größe")]);
    }

    #[test]
    fn methods_and_fields_of_the_type_are_offered() {
        check("$json.name.toUp|", &["$json.name.toUpperCase("]);
        check("$json.name.len|", &["$json.name.length"]);
        check("$json.names.flatM|", &["$json.names.flatMap("]);
        check("'a'.padS|", &["'a'.padStart("]);
        check("(1).toF|", &["(1).toFixed(", "(1).toFloat("]);
        check("$now.weekN|", &["$now.weekNumber"]);
        check(
            "$now.plus({ days: 1 }).mon|",
            &[
                "$now.plus({ days: 1 }).month",
                "$now.plus({ days: 1 }).monthLong",
                "$now.plus({ days: 1 }).monthShort",
            ],
        );
        check(
            "new Set([1]).ha|",
            &["new Set([1]).has(", "new Set([1]).hasOwnProperty("],
        );
        check("new Set([1]).si|", &["new Set([1]).size"]);
    }

    #[test]
    fn what_a_callback_is_given_is_known() {
        first(
            "$json.items.map(i => i.|",
            &[
                "$json.items.map(i => i.price",
                "$json.items.map(i => i.tags",
            ],
        );
        check(
            "$json.items.map(i => i.fi|",
            &["$json.items.map(i => i[\"first name\"]"],
        );
        check(
            "$json.items.flatMap(i => i.tags.map(t => t.te|",
            &["$json.items.flatMap(i => i.tags.map(t => t.text"],
        );
        check(
            "$json.items.map(({ price }) => pri|",
            &["$json.items.map(({ price }) => price"],
        );
        first("$json.items.map(i => |", &["$json.items.map(i => i"]);
        check(
            "$json.items.reduce((sum, i) => sum.toF|, 0)",
            &[
                "$json.items.reduce((sum, i) => sum.toFixed(, 0)",
                "$json.items.reduce((sum, i) => sum.toFloat(, 0)",
            ],
        );
    }

    #[test]
    fn nodes_and_their_members_are_offered() {
        check("$nodes.|", &["$nodes.fetch", "$nodes[\"load-all\"]"]);
        check("$nodes.fetch.re|", &["$nodes.fetch.result"]);
        check(
            "$nodes.fetch.a|",
            &["$nodes.fetch.attempts", "$nodes.fetch.all("],
        );
        check("$nodes.fetch.result.bo|", &["$nodes.fetch.result.body"]);
        check("$nodes[\"lo|", &["$nodes[\"load-all\"]"]);
    }

    #[test]
    fn nothing_is_offered_where_nothing_can_stand() {
        check("'$js|", &[]);
        check("`$js|", &[]);
        check("$json |", &[]);
        check("// $js|", &[]);
        check("1.|", &[]);
        // It would take too long to know.
        check(
            "Array.from({ length: 99999 }, (_, i) => i).map(i => 'x'.repeat(i)).|",
            &[],
        );
    }

    #[test]
    fn what_candidates_have_in_common_is_written_at_once() {
        let check = |line: &str, data: serde_json::Value, wanted: &str| {
            let found = complete(line, line.len(), &data);
            let (span, text) = common(line, &found).unwrap();
            let mut written = line.to_owned();
            written.replace_range(span, &text);
            assert_eq!(written, wanted);
        };
        let data =
            json!({ "json": { "name": 1, "names": 2, "e a": 3, "e b": 4, "éa": 5, "éb": 6 } });
        check("$json.n", data.clone(), "$json.name");
        check("$json.N", data.clone(), "$json.name");
        check("$json.é", data.clone(), "$json.é");
        check("$json[\"", data.clone(), "$json[\"");
        check("$json[\"e", data.clone(), "$json[\"e ");
        check("$json.e", data, "$json[\"e ");
        // In two places, they have nothing in common.
        let nodes = json!({ "nodes": { "fetch": {}, "f-all": {} } });
        check("$nodes.f", nodes, "$nodes.f");
        assert_eq!(common("", &[]), None);
    }

    #[test]
    fn commands_and_their_arguments_are_offered() {
        check(":ex|", &[":explain"]);
        check(":mode l|", &[":mode lenient"]);
        check(":type $js|", &[":type $json"]);
        check("  :t $json.na|", &["  :t $json.name", "  :t $json.names"]);
        check(
            ":explain $json.items[0].pr|",
            &[":explain $json.items[0].price"],
        );
        check(":data fi|", &[]);
        check(":zzz $js|", &[]);
    }

    #[test]
    fn keys_that_no_expression_can_reach_are_told_apart() {
        let data = json!({ "json": 1, "rows": [], "nodes": {} });
        assert_eq!(roots(&data), (vec!["json", "nodes"], vec!["rows"]));
        assert_eq!(roots(&json!([1])), (vec![], vec![]));
    }
}
