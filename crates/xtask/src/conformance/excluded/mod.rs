//! What the language leaves out on purpose, one predicate per row of the fixed list.
//!
//! A predicate looks at the tokens only. It says that a construct is there, never that a case is
//! refused because of it: that the case was refused is seen first.

mod builtins;
mod statements;
mod values;

use super::source::Source;

/// A row of the list.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) is_used: fn(&Source<'_>) -> bool,
}

/// The rows, in the order of the list.
pub(crate) const ROWS: [Row; 11] = [
    Row {
        name: "assignment, `++`, `delete`, comma operator, labels, loops, `throw`",
        is_used: statements::changes_or_repeats,
    },
    Row {
        name: "functions, classes, `async`, `this`, getters and setters",
        is_used: statements::makes_functions,
    },
    Row {
        name: "`new` of other types, wrapper objects",
        is_used: values::makes_other_objects,
    },
    Row {
        name: "prototypes, property descriptors, a built-in used as a value",
        is_used: builtins::looks_behind_values,
    },
    Row {
        name: "symbols, proxies, `eval`, tagged templates, BigInt, typed arrays",
        is_used: builtins::is_not_data,
    },
    Row {
        name: "objects whose conversions are functions",
        is_used: values::converts_by_functions,
    },
    Row {
        name: "array holes",
        is_used: values::has_holes,
    },
    Row {
        name: "regex look-around, back-references, `v` flag, `lastIndex`",
        is_used: values::needs_backtracking,
    },
    Row {
        name: "a mutator on a name that is read again",
        is_used: values::mutates_a_name,
    },
    Row {
        name: "comparison of object identity",
        is_used: values::compares_identity,
    },
    Row {
        name: "obsolete functions and date formats",
        is_used: builtins::is_obsolete,
    },
];

/// The first row that the expression uses.
pub(crate) fn row_of(expr: &str) -> Option<&'static Row> {
    let source = Source::new(expr);
    ROWS.iter().find(|row| (row.is_used)(&source))
}

#[cfg(test)]
mod tests {
    use super::{ROWS, Source};

    /// Asserts which of the expressions use the construct of a row.
    #[track_caller]
    fn check(row: usize, used: &[&str], not_used: &[&str]) {
        for expr in used {
            assert!((ROWS[row].is_used)(&Source::new(expr)), "{expr}");
        }
        for expr in not_used {
            assert!(!(ROWS[row].is_used)(&Source::new(expr)), "{expr}");
        }
    }

    #[test]
    fn assignments_and_loops_are_found() {
        check(
            0,
            &[
                "a = 1",
                "(a, b)",
                "a, b",
                "x[1, 2]",
                "`${a, b}`",
                "a++",
                "--a",
                "a >>>= 1",
                "delete a.b",
                "(() => { for (;;) {} })()",
                "(() => { throw 1 })()",
                "(() => { x: 1 })()",
            ],
            &[
                "((a = 1, { b = 2 }) => a)()",
                "f(a, b)",
                "[a, b]",
                "a.delete(1)",
                "a.with(0, 1)",
                "({ delete: 1, for: 2 })",
                "(() => { const { a = 1 } = {}; return a })()",
                "(a, b) => a",
                "a == b === c >= d => e",
                "a ? b : c",
            ],
        );
    }

    #[test]
    fn functions_are_found() {
        check(
            1,
            &[
                "(function () {})()",
                "class {}",
                "async () => 1",
                "this.a",
                "({ get a() { return 1 } })",
                "({ *a() {} })",
                "({ a() {} })",
                "({ 'a'(b) {} })",
                "super.a",
                "new.target",
                "arguments[0]",
            ],
            &[
                "({ get: 1 })",
                "({ get })",
                "({ this: 1 }).this",
                "a.get(1)",
                "(() => { if (a) { return 1 } return 2 })()",
                "'function'",
                "({ class: 1 })",
                "async",
            ],
        );
    }

    #[test]
    fn other_objects_are_found() {
        check(
            2,
            &[
                "new Boolean(1)",
                "new Foo",
                "Object(1)",
                "new (f())",
                "new a.B()",
            ],
            &[
                "new Date(0)",
                "new Set([1])",
                "new URLSearchParams('')",
                "Object.keys({})",
                "a.Object(1)",
                "Boolean(1)",
            ],
        );
    }

    #[test]
    fn a_look_behind_values_is_found() {
        check(
            3,
            &[
                "Array.prototype",
                "[].constructor",
                "''['constructor']",
                "({ __proto__: null })",
                "Object.create(null)",
                "Object.freeze({})",
                "f.call(1)",
                "({}).hasOwnProperty",
                "Math.max.length",
                "typeof Math",
                "[Number]",
                "Number['MAX_VALUE']",
                "Number.hasOwnProperty('a')",
                "decodeURI.hasOwnProperty('length')",
                "typeof [].map",
                "Array.isArray",
            ],
            &[
                "Number.MAX_VALUE",
                "Math.PI",
                "[1].map(Number)",
                "[1].map(Math.floor)",
                "Array.from('12', Number)",
                "({}).hasOwnProperty('a')",
                "a instanceof Array",
                "new Array(3)",
                "Object.getOwnPropertyNames({})",
                "'prototype'",
                "({ String: 1 }).String",
                "''.length",
            ],
        );
    }

    #[test]
    fn what_is_not_data_is_found() {
        check(
            4,
            &[
                "Symbol.iterator",
                "1n",
                "BigInt(1)",
                "new Uint8Array(2)",
                "a`b`",
                "a.b`${1}`",
                "eval('1')",
                "globalThis",
                "import('a')",
                "({ 1n: 2 })",
            ],
            &[
                "`a${`b`}`",
                "'Symbol'",
                "({ eval: 1 })",
                "typeof `a`",
                "0x1F",
            ],
        );
    }

    #[test]
    fn conversions_that_are_functions_are_found() {
        check(
            5,
            &[
                "({ valueOf: () => 1 }) + 1",
                "({ toString() { return '' } })",
                "({ toJSON: x => x })",
                "({ 'valueOf': function () {} })",
                "({ [Symbol.toPrimitive]: () => 1 })",
            ],
            &["({ valueOf: 1 })", "a.toString()", "({ a: () => 1 })"],
        );
    }

    #[test]
    fn holes_are_found() {
        check(
            6,
            &["[,]", "[1, , 2]", "[, 1]", "f([[,]])"],
            &["[1,]", "f(1,)", "(([, a]) => a)([])", "[[]]", "a[1]"],
        );
    }

    #[test]
    fn patterns_that_need_backtracking_are_found() {
        check(
            7,
            &[
                "/(?=a)/",
                "/(?<!a)/",
                r"/(a)\1/",
                r"/(?<a>b)\k<a>/",
                "/a/v",
                "/a/g.lastIndex",
                r"new RegExp('(a)\\1')",
                "RegExp('(?!a)')",
            ],
            &[
                r"/\1/",
                r"/\k<x>/",
                r"/[\1](a)/",
                "/(?<name>a)/",
                "/(?:a)/u",
                r"/\d\0/",
                "'(?=a)'",
                r"/\\1(a)/",
            ],
        );
    }

    #[test]
    fn mutators_on_names_are_found() {
        check(
            8,
            &["((a) => [a.push(1), a])([])", "((a) => [a, a.sort()])([1])"],
            &[
                "[3, 1].sort()",
                "a.slice().sort()",
                "((a) => a.sort())([1])",
            ],
        );
    }

    #[test]
    fn comparisons_of_identity_are_found() {
        check(
            9,
            &["[] === []", "a == { b: 1 }", "{ a: 1 } !== b"],
            &["a === b", "[1].length === 1", "a[0] === 1"],
        );
    }

    #[test]
    fn obsolete_functions_are_found() {
        check(
            10,
            &[
                "escape('a')",
                "'a'.anchor('b')",
                "new Date('Jan 1 2020')",
                "Date.parse('2020/01/01')",
            ],
            &[
                "a.escape()",
                "new Date('2020-01-01')",
                "Date.parse('2020-01-01T00:00:00.000Z')",
                "new Date('Thu, 01 Jan 1970 00:00:00 GMT')",
                "encodeURI('a')",
                "({}).sub",
            ],
        );
    }
}
