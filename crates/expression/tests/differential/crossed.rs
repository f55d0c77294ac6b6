//! Cases from crossing receivers, methods and arguments.

const STRINGS: &[&str] = &[
    "''",
    "'abc'",
    "'a,b,,c'",
    "'  x y '",
    "'Grüße 😀 ẞ'",
    "'😀😀'",
    r"'\ud83dx\ude00'",
    "'-12.50e1z'",
    "'0x1F'",
    "'ΑΣ'",
    "'aXbXc'",
    "'$1$&'",
];
const INDICES: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "-1",
    "-2",
    "3.7",
    "100",
    "NaN",
    "'1'",
    "undefined",
    "null",
    "Infinity",
    "-Infinity",
];
const NEEDLES: &[&str] = &[
    "''",
    "'b'",
    "','",
    "'X'",
    "'😀'",
    r"'\ud83d'",
    r"'\ude00'",
    "undefined",
    "1",
    "' '",
    "'ß'",
];
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "0.5",
    "1.5",
    "2.5",
    "-2.5",
    "1.005",
    "1.45",
    "0.000001234",
    "1e-7",
    "123.456",
    "1e21",
    "1.7976931348623157e308",
    "5e-324",
    "4294967296",
    "-4294967297",
    "2147483648",
    "9007199254740991",
    "123456789012345680000",
    "0.1",
    "255.9375",
    "2 ** -25",
    "-(2 ** 51 - 0.75)",
    "2 ** 70 + 2 ** 20 * 50",
    "1234567890123456768",
    "NaN",
    "Infinity",
    "-Infinity",
];
const ANYTHING: &[&str] = &[
    "undefined",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "NaN",
    "''",
    "'0'",
    "'1'",
    "'a'",
    "' 12 '",
    "[]",
    "[1]",
    "[1, 2]",
    "['a']",
    "{}",
    "{ a: 1 }",
    "[null]",
    "[[]]",
];

pub(crate) fn crossed() -> Vec<String> {
    let mut cases = Vec::new();
    for s in STRINGS {
        for m in [
            "length",
            "trim()",
            "trimStart()",
            "trimEnd()",
            "toLowerCase()",
            "toUpperCase()",
            "toString()",
            "split('')",
            "isWellFormed()",
            "valueOf()",
        ] {
            cases.push(format!("{s}.{m}"));
        }
        cases.push(format!("[...{s}]"));
        for f in [
            "Number",
            "parseInt",
            "parseFloat",
            "String",
            "Boolean",
            "encodeURIComponent",
            "encodeURI",
            "decodeURIComponent",
            "JSON.stringify",
            "Object.keys",
            "Array.from",
            "isNaN",
            "isFinite",
        ] {
            cases.push(format!("{f}({s})"));
        }
        for i in INDICES {
            for m in [
                "at",
                "charAt",
                "charCodeAt",
                "codePointAt",
                "slice",
                "substring",
                "substr",
            ] {
                cases.push(format!("{s}.{m}({i})"));
                cases.push(format!(
                    "{s}.{m}({i}{}2)",
                    if i.is_empty() { "" } else { ", " }
                ));
                if !i.is_empty() {
                    cases.push(format!("{s}.{m}(1, {i})"));
                }
            }
            cases.push(format!("{s}[{}]", if i.is_empty() { "0" } else { i }));
        }
        for n in NEEDLES {
            for m in [
                "includes",
                "startsWith",
                "endsWith",
                "indexOf",
                "lastIndexOf",
                "split",
            ] {
                for from in ["", ", 1", ", -1", ", 3", ", undefined", ", 99"] {
                    cases.push(format!("{s}.{m}({n}{from})"));
                }
            }
            for to in [
                "'-'",
                "'[$&]'",
                "\"$`|$'|$$|$1\"",
                "x => `<${x}>`",
                "(x, i, all) => i + all.length",
                "undefined",
            ] {
                cases.push(format!("{s}.replace({n}, {to})"));
                cases.push(format!("{s}.replaceAll({n}, {to})"));
            }
            for len in ["0", "4", "9", "12.9"] {
                cases.push(format!("{s}.padStart({len}, {n})"));
                cases.push(format!("{s}.padEnd({len}, {n})"));
            }
        }
    }
    for n in NUMBERS {
        cases.push(format!("String({n})"));
        cases.push(format!("1 / ({n})"));
        for d in ["", "0", "1", "2", "10", "21", "100", "101"] {
            cases.push(format!("({n}).toFixed({d})"));
            cases.push(format!("({n}).toPrecision({d})"));
            cases.push(format!("({n}).toExponential({d})"));
        }
        for radix in [2, 8, 16] {
            cases.push(format!("({n}).toString({radix})"));
        }
        // Beyond 2^56 the digits in other bases are each engine's own affair.
        for radix in [3, 7, 36] {
            cases.push(format!("(({n}) % 2 ** 53).toString({radix})"));
        }
        // `cbrt` is left out: ours is rounded correctly, V8\'s is not.
        for f in [
            "abs", "ceil", "floor", "round", "trunc", "sign", "sqrt", "clz32", "fround", "log2",
            "log10",
        ] {
            cases.push(format!("Math.{f}({n})"));
            cases.push(format!("1 / Math.{f}({n})"));
        }
        for f in ["isInteger", "isSafeInteger", "isFinite", "isNaN"] {
            cases.push(format!("Number.{f}({n})"));
        }
        for b in NUMBERS {
            for op in [
                "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>", "<", "<=", "==", "===",
            ] {
                cases.push(format!("({n}) {op} ({b})"));
            }
            cases.push(format!("Math.max({n}, {b})"));
            cases.push(format!("1 / Math.min({n}, {b})"));
            cases.push(format!("Math.imul({n}, {b})"));
        }
    }
    for a in ANYTHING {
        for op in ["!", "+", "-", "~", "typeof ", "void ", "!!"] {
            cases.push(format!("{op}({a})"));
        }
        for f in [
            "Number",
            "String",
            "Boolean",
            "JSON.stringify",
            "Array.isArray",
            "isNaN",
            "Object.values",
            "Object.entries",
        ] {
            cases.push(format!("{f}({a})"));
        }
        cases.push(format!("`${{{a}}}`"));
        for b in ANYTHING {
            for op in [
                "+", "-", "*", "==", "!=", "===", "!==", "<", "<=", ">", ">=", "&&", "||", "??",
                "|", ">>>",
            ] {
                cases.push(format!("({a}) {op} ({b})"));
            }
            cases.push(format!("[{a}].concat({b})"));
            cases.push(format!("[1, {a}, 'a', NaN].includes({b})"));
            cases.push(format!("[1, {a}, 'a', NaN].indexOf({b})"));
        }
    }
    let lists = [
        "[]",
        "[1]",
        "[3, 1, 2, 10]",
        "['b', undefined, 'a', null]",
        "$json.numbers",
        "$json.tags",
        "$json.nested",
        "[1, [2, [3]]]",
        "$json.items",
    ];
    for l in lists {
        for m in [
            "length",
            "join()",
            "join('-')",
            "join(undefined)",
            "toString()",
            "flat()",
            "flat(2)",
            "flat(Infinity)",
            "flat(0)",
            "toReversed()",
            "toSorted()",
            "toSorted((a, b) => a - b)",
            "map(x => x)",
            "map((x, i, all) => i + all.length)",
            "map(String)",
            "map(Number)",
            "map(parseInt)",
            "filter(Boolean)",
            "filter((x, i) => i % 2)",
            "find(x => x > 1)",
            "findIndex(x => x > 1)",
            "findLast(x => x > 1)",
            "findLastIndex(x => x > 1)",
            "some(x => x === 1)",
            "every(x => x)",
            "reduce((a, b) => a + b)",
            "reduce((a, b) => a + b, '')",
            "reduceRight((a, b) => a + '|' + b, 0)",
            "flatMap(x => [x, [x]])",
            "concat(1, [2, [3]])",
            "keys()",
            "entries()",
            "with(0, 'w')",
            "with(9, 1)",
        ] {
            cases.push(format!("{l}.{m}"));
        }
        for i in INDICES {
            cases.push(format!("{l}.at({i})"));
            cases.push(format!("{l}.slice({i})"));
            if !i.is_empty() {
                cases.push(format!("{l}.slice(1, {i})"));
                cases.push(format!("{l}.includes(2, {i})"));
                cases.push(format!("{l}.indexOf(2, {i})"));
                cases.push(format!("{l}.lastIndexOf(2, {i})"));
                cases.push(format!("{l}[{i}]"));
                cases.push(format!("[...{l}].fill(0, {i})"));
            }
        }
        for indent in [
            "",
            ", null, 2",
            ", null, '--'",
            ", ['sku', 'qty'], 1",
            ", (k, v) => typeof v === 'number' ? v + 1 : v",
        ] {
            cases.push(format!("JSON.stringify({l}{indent})"));
        }
        cases.push(format!("JSON.parse(JSON.stringify({l}))"));
        cases.push(format!("Object.entries({l})"));
        cases.push(format!("Math.max(...{l})"));
    }
    cases
}
