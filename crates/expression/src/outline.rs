//! What can be asked of a value: its type, its size, and the names that may follow its dot.

use serde_json::Value;

use crate::{
    Context, ExpressionError, Program, Scope,
    guard::reread,
    library::methods_of,
    time::duration::Unit,
    value::{Instance, Val, owned},
};

/// The most keys of one object that an [`Outline`] lists.
const MAX_KEYS: usize = 1_000;

/// A value's type, size and members, without the value: for completion and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The word that messages use: `string`, `array`, `DateTime`.
    pub kind: &'static str,
    /// Elements of an array, fields of an object, UTF-16 units of a text, entries of a set, map or
    /// of parameters; `None` for what has no size.
    pub size: Option<usize>,
    /// The keys of an object, in its order; at most the first 1,000.
    pub keys: Vec<String>,
    /// Members that are values and that its type has: `length`, `year`.
    pub fields: Vec<&'static str>,
    /// The methods of its type, in the order of the alphabet.
    pub methods: Vec<&'static str>,
}

impl Program {
    /// Evaluates and tells what the value is and which members it has, but not the value: a set or
    /// a moment is told as what it is, though it is something else, or nothing, as a result.
    ///
    /// # Errors
    /// `PATH_…`, `TYPE_…` or `LIMIT_…`, with the place in the source.
    pub fn outline(
        &self,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<Outline, ExpressionError> {
        self.lent(|arena| {
            self.with(arena, scope, context, |_, value| {
                Ok(Outline::of(value.val()))
            })
        })
    }

    /// Evaluates to JSON like [`evaluate`](Program::evaluate), and tells what the value is, from one
    /// evaluation; the inner error is that of a value which is no result.
    ///
    /// # Errors
    /// `PATH_…`, `TYPE_…` or `LIMIT_…`, with the place in the source.
    pub fn evaluate_outlined(
        &self,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<(Outline, Result<Option<Value>, ExpressionError>), ExpressionError> {
        self.lent(|arena| {
            self.with(arena, scope, context, |_, value| {
                let outline = Outline::of(value.val());
                let result = owned(value, &context.limits, |fault| self.at_border(fault));
                Ok((outline, result.map(reread)))
            })
        })
    }
}

impl Outline {
    fn of(value: Val<'_>) -> Self {
        let mut methods: Vec<_> = methods_of(value).collect();
        methods.sort_unstable();
        let mut fields = fields(value);
        // A few are both, such as `DateTime.isWeekend`.
        fields.retain(|field| !methods.contains(field));
        Self {
            kind: value.kind(),
            size: size(value),
            keys: keys(value),
            fields,
            methods,
        }
    }
}

fn size(value: Val<'_>) -> Option<usize> {
    if let Some(text) = value.text() {
        return Some(text.len());
    }
    if let Some(items) = value.items() {
        return Some(items.len());
    }
    match value {
        Val::JsonObject(map) => Some(map.len()),
        Val::Object(object) => Some(object.entries().len()),
        Val::Instance(Instance::Set(keyed) | Instance::Map(keyed)) => Some(keyed.keys.len()),
        Val::Instance(Instance::Params(params)) => Some(params.names.len()),
        _ => None,
    }
}

fn keys(value: Val<'_>) -> Vec<String> {
    match value {
        Val::JsonObject(map) => map.keys().take(MAX_KEYS).cloned().collect(),
        Val::Object(object) => {
            let keys = object.entries().iter().filter_map(|(key, _)| key.utf8());
            keys.take(MAX_KEYS).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// The names that the `get` of each type knows.
fn fields(value: Val<'_>) -> Vec<&'static str> {
    const DATE_TIME: &[&str] = &[
        "day",
        "daysInMonth",
        "daysInYear",
        "hour",
        "invalidExplanation",
        "invalidReason",
        "isInDST",
        "isInLeapYear",
        "isOffsetFixed",
        "isValid",
        "isWeekend",
        "locale",
        "localWeekNumber",
        "localWeekYear",
        "localWeekday",
        "millisecond",
        "minute",
        "month",
        "monthLong",
        "monthShort",
        "offset",
        "offsetNameLong",
        "offsetNameShort",
        "ordinal",
        "quarter",
        "second",
        "ts",
        "weekNumber",
        "weekYear",
        "weekday",
        "weekdayLong",
        "weekdayShort",
        "weeksInWeekYear",
        "year",
        "zone",
        "zoneName",
    ];
    const URL: &[&str] = &[
        "hash",
        "host",
        "hostname",
        "href",
        "origin",
        "password",
        "pathname",
        "port",
        "protocol",
        "search",
        "searchParams",
        "username",
    ];
    const REGEX: &[&str] = &[
        "dotAll",
        "flags",
        "global",
        "hasIndices",
        "ignoreCase",
        "lastIndex",
        "multiline",
        "source",
        "sticky",
        "unicode",
        "unicodeSets",
    ];
    match value {
        Val::Instance(Instance::Match(found)) => {
            let names = found.properties().map(|(name, _)| name);
            names.chain(["length"]).collect()
        }
        _ if value.text().is_some() || value.is_array() => vec!["length"],
        Val::Instance(instance) => match instance {
            Instance::Set(_) | Instance::Map(_) | Instance::Params(_) => vec!["size"],
            Instance::Date(_)
            | Instance::Match(_)
            | Instance::NumberFormat(_)
            | Instance::DateFormat(_) => Vec::new(),
            Instance::Url(_) => URL.to_vec(),
            Instance::Regex(_) => REGEX.to_vec(),
            Instance::DateTime(_) => DATE_TIME.to_vec(),
            Instance::Duration(_) => {
                let units = Unit::ALL.into_iter().map(Unit::name);
                units
                    .chain(["invalidExplanation", "invalidReason", "isValid"])
                    .collect()
            }
            Instance::Interval(_) => vec!["end", "invalidReason", "isValid", "start"],
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{CompileOptions, Context, JsonScope, Outline, Program};

    const SAMPLES: &[&str] = &[
        "'a'",
        "[1]",
        "({ a: 1 })",
        "1",
        "true",
        "$now",
        "new Date(0)",
        "new Set([1])",
        "new Map([[1, 2]])",
        "new URL('https://a.example/')",
        "new URLSearchParams('a=1')",
        "/a/g",
        "'a'.match(/(?<n>a)/d)",
        "new Intl.NumberFormat('de')",
        "new Intl.DateTimeFormat('de')",
        "Duration.fromObject({ days: 1 })",
        "Interval.after($now, { days: 1 })",
    ];

    fn outline(source: &str) -> Outline {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        let data = json!({ "json": { "a b": 1, "c": [1, 2] } });
        let outline = program.outline(&JsonScope(&data), &Context::default());
        outline.unwrap()
    }

    fn check(source: &str, wanted: &str) {
        let found = outline(source);
        let size = found.size.map_or(String::new(), |n| format!(" {n}"));
        let keys = found.keys.join(",");
        assert_eq!(format!("{}{size} [{keys}]", found.kind), wanted, "{source}");
    }

    #[test]
    fn types_sizes_and_keys_are_told() {
        check("$json", "object 2 [a b,c]");
        check("$json.c", "array 2 []");
        check("({ x: 1, ...$json })", "object 3 [x,a b,c]");
        check("'añ😀'", "string 4 []");
        check("$json.x", "undefined []");
        check("null", "null []");
        check("0 / 0", "number []");
        check("$now", "DateTime []");
        check("new Set([1, 1, 2])", "Set 2 []");
        check("new Map([[1, 2]])", "Map 1 []");
        check("'a'.match(/a/)", "array 1 []");
        check("new URLSearchParams('a=1&b=2')", "URLSearchParams 2 []");
    }

    #[test]
    fn every_field_is_a_member_and_every_method_can_be_called() {
        for sample in SAMPLES {
            let found = outline(sample);
            assert!(found.methods.is_sorted(), "{sample}");
            for field in &found.fields {
                let kind = outline(&format!("({sample}).{field}")).kind;
                assert_ne!(kind, "undefined", "{sample} has no {field}");
            }
            for method in &found.methods {
                let source = format!("({sample}).{method}(1)");
                let program = Program::compile(&source, &CompileOptions::default());
                assert!(program.is_ok(), "{source}: {program:?}");
            }
        }
    }
}
