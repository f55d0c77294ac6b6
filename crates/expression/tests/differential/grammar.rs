//! The grammar of the fuzzer: what may stand where, as texts with places in them.
//!
//! In a rule `#N` is a place for a number, `#S` a text, `#B` a boolean, `#A` a list, `#O` an
//! object, `#V` anything, and the same in lower case an arrow that gives one; other marks name a
//! list of leaves. The sorts steer, they do not bind: a parameter stands for any of them, so that
//! coercions and errors come about as well.
//!
//! What is left out, because the language differs on purpose or JavaScript does not say:
//! - comparison functions that contradict themselves: the order is then each engine's own;
//! - mutators on anything but what was just made: values do not change here;
//! - methods as values (`[].map` without a call), functions as data: there are none;
//! - whole numbers of the data beyond 2^53: they stay exact here;
//! - digits of other bases beyond 2^53, and transcendental functions, where engines are free in
//!   the last digits;
//! - keys that JavaScript's prototypes have (`constructor`, `__proto__`): there are none here;
//! - holes in lists: they read as undefined here;
//! - `Object.groupBy`: Node.js 20 has none;
//! - iterators outside of a spread: they are lists here.

/// What an expression gives, if nothing unforeseen happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Number,
    Text,
    Bool,
    List,
    Object,
    Any,
}

impl Sort {
    /// Those that have leaves of their own.
    pub(crate) const PLAIN: [Self; 5] = [
        Self::Number,
        Self::Text,
        Self::Bool,
        Self::List,
        Self::Object,
    ];

    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Number => "N",
            Self::Text => "S",
            Self::Bool => "B",
            Self::List => "A",
            Self::Object => "O",
            Self::Any => "V",
        }
    }

    pub(crate) fn of(mark: &str) -> Option<Self> {
        let all = [&Self::PLAIN[..], &[Self::Any]].concat();
        all.into_iter().find(|sort| sort.mark() == mark)
    }
}

/// Pieces of text literals, as they are written: letters that change with their case or their
/// neighbours, blanks that are some and blanks that are none, halves of characters.
pub(crate) const UNITS: &[&str] = &[
    "a",
    "b",
    "Z",
    "x",
    "e",
    "0",
    "1",
    "9",
    "7",
    ".",
    "-",
    "+",
    " ",
    ",",
    "$",
    "%",
    "&",
    "\"",
    "`",
    "\\\\",
    "/",
    "<",
    "{",
    "}",
    "\\n",
    "\\t",
    "\\0",
    "\\x7f",
    "\\u00a0",
    "\\ufeff",
    "\\u180e",
    "\\u2028",
    "\\u0085",
    "\\u200b",
    "\\u3000",
    "é",
    "ß",
    "İ",
    "ı",
    "K",
    "Σ",
    "ς",
    "ŉ",
    "ﬁ",
    "ǆ",
    "ΐ",
    "Ω",
    "\\u0301",
    "\\u0345",
    "ё",
    "中",
    "٣",
    "Ⅷ",
    "€",
    "😀",
    "𝒳",
    "𐐀",
    "\\u{1f468}\\u200d",
    "\\ud83d",
    "\\ude00",
    "\\udbff",
    "\\udfff",
    "%20",
    "%C3%A9",
    "%E2",
    "true",
    "Infinity",
    "0x1f",
    "1e5",
];

/// Leaves by mark; the first are keys.
pub(crate) const LEAVES: &[(&str, &[&str])] = &[
    (
        "k",
        &["a", "b", "c", "name", "length", "toString1", "if", "$x"],
    ),
    (
        "i",
        &[
            "0",
            "1",
            "2",
            "3",
            "-1",
            "-2",
            "7",
            "1.5",
            "'1'",
            "NaN",
            "undefined",
        ],
    ),
    ("d", &["0", "1", "2", "3", "10", "20", "undefined"]),
    ("l", &["0", "1", "2", "5", "9", "'3'", "2.9", "-1", "NaN"]),
    // Indents; V8 begins lines for 0.5 blanks, and ends a text at NUL, which ECMA-262 does not.
    (
        "g",
        &[
            "0",
            "1",
            "3.9",
            "11",
            "-1",
            "NaN",
            "'  '",
            "'\\ud83d'",
            "'123456789😀'",
            "''",
            "null",
            "undefined",
            "true",
            "[1]",
        ],
    ),
    ("r", &["2", "4", "8", "16", "32"]),
    ("w", &["3", "7", "10", "36"]),
    (
        "L",
        &[
            "[3, 1, 2]",
            "[10, 9, 1, -3, 2.5]",
            "[]",
            "[0, -0, 5, 5]",
            "$json.numbers",
        ],
    ),
    (
        "F",
        &[
            "String",
            "Number",
            "Boolean",
            "parseInt",
            "parseFloat",
            "isNaN",
            "Array.isArray",
            "Math.floor",
            "Object.keys",
            "JSON.stringify",
            "Number.isInteger",
        ],
    ),
    (
        "J",
        &[
            r#"'{"a":1,"b":[true,null,"x"],"a":2}'"#,
            r#"'[1, 2.50, -0, 1e3, "\\u00e9\\ud83d"]'"#,
            r#"'"text"'"#,
            "' 12 '",
            "'{bad}'",
            "''",
            "'[1,]'",
            "'nul'",
            r#"'{"2":1,"1":2}'"#,
            "'01'",
            r#"'"\\t"'"#,
            r#"'"\t"'"#,
        ],
    ),
    (
        "N",
        &[
            "0",
            "-0",
            "1",
            "-1",
            "2",
            "3",
            "7",
            "10",
            "0.1",
            "0.5",
            "-1.5",
            "2.5",
            "1e3",
            "1e21",
            "1e-7",
            "123.456",
            "255",
            "NaN",
            "Infinity",
            "-Infinity",
            "2147483648",
            "4294967295",
            "-2147483649",
            "9007199254740991",
            "5e-324",
            "1.7976931348623157e308",
            "0x1F",
            "0b101",
            "1_000",
            ".5",
            "Math.PI",
            "Number.EPSILON",
            "$json.total",
            "$json.tax",
            "$json.zero",
            "$json.items.length",
        ],
    ),
    (
        "S",
        &[
            "''",
            "'a'",
            "'abc'",
            "'b'",
            "'a,b,,c'",
            "'  x y '",
            "'Grüße'",
            "'😀'",
            "'a😀b'",
            r"'\ud83d'",
            r"'\ude00'",
            r"'x\ud83dy'",
            "'0'",
            "'1'",
            "'12'",
            "' 12 '",
            "'-1.5e2'",
            "'0x1F'",
            "'1e1000'",
            "'NaN'",
            "'Infinity'",
            "'true'",
            "'null'",
            "'İ'",
            "'ß'",
            "'ΑΣ'",
            "'ǆ'",
            r"'a\nb'",
            r"'\0'",
            "'$&'",
            "'$1'",
            r#""it's""#,
            "`tpl`",
            "','",
            "'length'",
            "'%41%'",
            "'%E2%82%AC'",
            "'é'",
            "'e\u{301}'",
            "$json.text",
            "$json.id",
            "$json.customer.name",
        ],
    ),
    ("B", &["true", "false", "$json.yes"]),
    (
        "A",
        &[
            "[]",
            "[1]",
            "[1, 2, 3]",
            "[3, 1, 2, 10]",
            "['b', 'a', 'c']",
            "[null, undefined, 0, '']",
            "[[1, 2], [3, [4]]]",
            "[NaN, -0, 0]",
            "['a', 1, true, null]",
            "[{ a: 1 }, { a: 2, b: 'x' }]",
            "[['a', 1], ['b', 2]]",
            "$json.tags",
            "$json.numbers",
            "$json.nested",
            "$json.items",
        ],
    ),
    (
        "O",
        &[
            "{}",
            "{ a: 1 }",
            "{ a: 1, b: 2 }",
            "{ b: 'x', a: [1, 2] }",
            "{ 2: 'two', 1: 'one', a: 0 }",
            "{ '01': 1, '-1': 2, '1.5': 3 }",
            "{ length: 2, 0: 'p', 1: 'q' }",
            "{ a: undefined, b: null }",
            "{ a: { b: { c: 1 } } }",
            "{ 'ключ': 1, '😀': 2 }",
            "$json.customer",
            "$json.keyed",
            "$json.items[0]",
        ],
    ),
    ("V", &["undefined", "null", "$json.none", "$json.nothing"]),
    ("u", &["undefined", "null"]),
    (
        "t",
        &[
            "'2026-03-14T09:26:53.589Z'",
            "'2024-02-29'",
            "'1969-12-31T23:59:59.999Z'",
            "'2026'",
            "'2026-13-01'",
            "'2026-03-14T09:26:53+05:30'",
            "'2026-03-14T24:00:00Z'",
            "'+275760-09-13T00:00:00.000Z'",
            "'-000001-01-01T00:00:00Z'",
            "'0000-02-29T12:00:00Z'",
            "'1999-12-31T23:59'",
        ],
    ),
    (
        "m",
        &[
            "getDate",
            "getDay",
            "getFullYear",
            "getHours",
            "getMilliseconds",
            "getMinutes",
            "getMonth",
            "getSeconds",
            "getTime",
            "getTimezoneOffset",
            "getUTCDate",
            "getUTCDay",
            "getUTCFullYear",
            "getUTCHours",
            "getUTCMonth",
            "valueOf",
        ],
    ),
    ("C", &["Set", "Map", "Object", "Array"]),
    ("+", &["+", "-", "*", "/", "%"]),
    ("&", &["&", "|", "^", "<<", ">>", ">>>"]),
    ("<", &["<", "<=", ">", ">="]),
    ("=", &["==", "!=", "===", "!=="]),
    ("?", &["&&", "||", "??"]),
];

/// What may stand for a sort: the rules of `rules.txt`, one per line, each after its sort's mark.
pub(crate) fn rules() -> Vec<(Sort, &'static str)> {
    include_str!("rules.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .map(|line| {
            let rule = line
                .split_once(' ')
                .and_then(|(mark, text)| Some((Sort::of(mark)?, text)));
            rule.unwrap_or_else(|| panic!("no rule: {line}"))
        })
        .collect()
}
