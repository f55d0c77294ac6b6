//! Rows about names of JavaScript's own: prototypes, functions as values, other kinds of objects.

use crate::conformance::{source::Source, tokens::Kind};

/// Global functions and namespaces.
const BUILTINS: &[&str] = &[
    "Array",
    "Boolean",
    "Date",
    "Error",
    "Function",
    "Intl",
    "JSON",
    "Map",
    "Math",
    "Number",
    "Object",
    "RegExp",
    "Set",
    "String",
    "URL",
    "URLSearchParams",
    "decodeURI",
    "decodeURIComponent",
    "encodeURI",
    "encodeURIComponent",
    "isFinite",
    "isNaN",
    "parseFloat",
    "parseInt",
];

/// Methods whose arguments may be a built-in function.
const TAKE_CALLBACKS: &[&str] = &[
    "every",
    "filter",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "flatMap",
    "forEach",
    "from",
    "groupBy",
    "map",
    "reduce",
    "reduceRight",
    "replace",
    "replaceAll",
    "some",
    "sort",
    "stringify",
    "toSorted",
];

/// Methods that every object inherits: a call on a built-in takes that as a value.
const INHERITED: &[&str] = &[
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
];

/// Methods of values that a case may read without a call.
const METHODS: &[&str] = &[
    "at",
    "charAt",
    "concat",
    "every",
    "exec",
    "filter",
    "find",
    "flat",
    "includes",
    "indexOf",
    "join",
    "map",
    "match",
    "matchAll",
    "normalize",
    "padEnd",
    "padStart",
    "pop",
    "push",
    "reduce",
    "repeat",
    "replace",
    "replaceAll",
    "search",
    "slice",
    "some",
    "sort",
    "splice",
    "split",
    "test",
    "toFixed",
    "toString",
    "toISOString",
    "trim",
    "valueOf",
];

const BEHIND: &[&str] = &[
    "create",
    "defineProperty",
    "freeze",
    "getOwnPropertyDescriptor",
    "getPrototypeOf",
    "seal",
    "setPrototypeOf",
];

/// Row 4: `.prototype`, `.constructor`, `__proto__`, property descriptors, `.call`, `.apply`,
/// `.bind`, a built-in or a method used as a value.
pub(super) fn looks_behind_values(source: &Source<'_>) -> bool {
    const HIDDEN: &[&str] = &["prototype", "constructor", "__proto__"];
    source.any(|at| {
        let member = source.is_member(at);
        let called = source.near(at, 1) == "(" || source.near(at, 1) == "?.";
        source.is(at, Kind::Name, HIDDEN) && (member || source.is_key(at))
            || source.near(at, -1) == "["
                && source.follows_operand(at - 1)
                && source.unquoted(at).is_some_and(|key| HIDDEN.contains(&key))
            || member && source.is(at, Kind::Name, &["call", "apply", "bind"])
            || member && source.is(at, Kind::Name, BEHIND) && source.near(at, -2) == "Object"
            || member && source.is(at, Kind::Name, &["hasOwnProperty"]) && !called
            || member && source.is(at, Kind::Name, METHODS) && !called
            || source.is_word(at, BUILTINS) && is_value(source, at)
    })
}

/// Whether the built-in is neither called nor asked for something of its own.
fn is_value(source: &Source<'_>, at: usize) -> bool {
    if matches!(source.near(at, -1), "new" | "instanceof") {
        return false;
    }
    match source.near(at, 1) {
        "(" => false,
        "." | "?." => {
            let member = source.near(at, 2);
            let next = source.near(at, 3);
            let constant = member.starts_with(|c: char| c.is_ascii_uppercase());
            INHERITED.contains(&member)
                || !constant && next != "(" && next != "?." && !is_callback(source, at)
        }
        _ => !is_callback(source, at),
    }
}

/// Whether it is an argument of a method that takes callbacks.
fn is_callback(source: &Source<'_>, at: usize) -> bool {
    let Some(open) = source.around(at) else {
        return false;
    };
    source.token(open).text == "("
        && matches!(source.near(at, -1), "(" | ",")
        && open
            .checked_sub(1)
            .is_some_and(|name| source.is(name, Kind::Name, TAKE_CALLBACKS))
}

/// Row 5: `Symbol`, `Proxy`, `Reflect`, weak collections, `eval`, `Function`, `globalThis`,
/// `import`, tagged templates, BigInt, typed arrays, `Atomics`, `Temporal`, `Iterator`.
pub(super) fn is_not_data(source: &Source<'_>) -> bool {
    const WORDS: &[&str] = &[
        "ArrayBuffer",
        "Atomics",
        "BigInt",
        "BigInt64Array",
        "BigUint64Array",
        "DataView",
        "Float16Array",
        "Float32Array",
        "Float64Array",
        "Function",
        "Int16Array",
        "Int32Array",
        "Int8Array",
        "Iterator",
        "Proxy",
        "Reflect",
        "SharedArrayBuffer",
        "Symbol",
        "Temporal",
        "Uint16Array",
        "Uint32Array",
        "Uint8Array",
        "Uint8ClampedArray",
        "WeakMap",
        "WeakRef",
        "WeakSet",
        "eval",
        "globalThis",
        "import",
    ];
    source.any(|at| {
        let token = source.token(at);
        source.is_word(at, WORDS)
            || token.kind == Kind::BigInt
            || token.kind == Kind::Template && source.follows_operand(at)
    })
}

/// Row 11: `escape`, `unescape`, HTML methods of texts, dates that are written neither as ISO nor
/// as RFC 2822 has it.
pub(super) fn is_obsolete(source: &Source<'_>) -> bool {
    const HTML: &[&str] = &[
        "anchor",
        "big",
        "blink",
        "bold",
        "fixed",
        "fontcolor",
        "fontsize",
        "italics",
        "link",
        "small",
        "strike",
        "sub",
        "sup",
    ];
    source.any(|at| {
        let called = source.near(at, 1) == "(";
        let parses = source.is_word(at, &["Date"]) && source.near(at, -1) == "new"
            || source.is(at, Kind::Name, &["parse"]) && source.near(at, -2) == "Date";
        called
            && (source.is_word(at, &["escape", "unescape"])
                || source.is_member(at) && source.is(at, Kind::Name, HTML)
                || parses
                    && source
                        .unquoted(at + 2)
                        .is_some_and(|text| !is_standard_date(text)))
    })
}

/// `2020-01-01…`, `+002020-01-01…`, `Thu, 01 Jan 1970 00:00:00 GMT`.
fn is_standard_date(text: &str) -> bool {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    let unsigned = text.strip_prefix(['+', '-']);
    let year = digits(unsigned.unwrap_or(text));
    let iso = if unsigned.is_some() {
        year == 6
    } else {
        year == 4
    };
    let rest = &unsigned.unwrap_or(text)[year..];
    let mail = text.as_bytes().get(3) == Some(&b',');
    mail || iso && (rest.is_empty() || rest.starts_with('-') || rest.starts_with('T'))
}
