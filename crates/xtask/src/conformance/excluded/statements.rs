//! Rows about what an expression would do: change, repeat, define.

use crate::conformance::{source::Source, tokens::Kind};

const ASSIGNMENTS: &[&str] = &[
    "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**=", "<<=", ">>=", ">>>=", "&&=",
    "||=", "??=",
];

const STATEMENTS: &[&str] = &[
    "delete", "for", "while", "do", "switch", "throw", "debugger", "with",
];

/// Words that a parenthesis and a block follow without making a method.
const BLOCK_WORDS: &[&str] = &["if", "for", "while", "switch", "catch", "with"];

/// Row 1: assignment in any form, `++`, `--`, `delete`, the comma operator, labels, loops,
/// `switch`, `throw`, `debugger`, `with`.
pub(super) fn changes_or_repeats(source: &Source<'_>) -> bool {
    source.any(|at| {
        source.is(at, Kind::Sign, ASSIGNMENTS)
            || source.is(at, Kind::Sign, &["="])
                && !source.in_parameters(at)
                && !source.in_declaration(at)
            || source.is_word(at, STATEMENTS)
            || source.is(at, Kind::Sign, &[","]) && is_comma_operator(source, at)
            || is_label(source, at)
    })
}

fn is_comma_operator(source: &Source<'_>, at: usize) -> bool {
    let Some(open) = source.around(at) else {
        return true;
    };
    match source.token(open).text {
        "${" => true,
        // `a[b, c]`, where `[b, c]` is a list.
        "[" => source.follows_operand(open),
        "(" => {
            let closes_parameters = source
                .partner(open)
                .is_some_and(|close| source.near(close, 1) == "=>");
            !source.follows_operand(open) && !closes_parameters
        }
        _ => false,
    }
}

/// `=> { label: …`; only there does a block begin.
fn is_label(source: &Source<'_>, at: usize) -> bool {
    source.is(at, Kind::Sign, &[":"])
        && source.near(at, -2) == "{"
        && source.near(at, -3) == "=>"
        && source.token(at - 1).kind == Kind::Name
}

/// Row 2: `function`, `class`, generators, `async`, `await`, `this`, `super`, `new.target`,
/// `arguments`, getters, setters and methods of objects.
pub(super) fn makes_functions(source: &Source<'_>) -> bool {
    const WORDS: &[&str] = &[
        "function",
        "class",
        "await",
        "yield",
        "this",
        "super",
        "arguments",
    ];
    source.any(|at| {
        source.is_word(at, WORDS)
            || source.is_word(at, &["async"])
                && (matches!(source.near(at, 1), "function" | "(") || source.near(at, 2) == "=>")
            || source.is(at, Kind::Name, &["target"])
                && source.near(at, -1) == "."
                && source.near(at, -2) == "new"
            || is_accessor(source, at)
            || is_method(source, at)
    })
}

/// `{ get name() …`.
fn is_accessor(source: &Source<'_>, at: usize) -> bool {
    source.is(at, Kind::Name, &["get", "set", "static"])
        && matches!(source.near(at, -1), "{" | ",")
        && !matches!(source.near(at, 1), ":" | "(" | "," | "}" | "=" | "")
}

/// `{ name() {`, `{ *name() {`, `{ [name]() {`.
fn is_method(source: &Source<'_>, at: usize) -> bool {
    if !source.is(at, Kind::Sign, &["{"]) || source.near(at, -1) != ")" || at == 0 {
        return false;
    }
    let Some(before) = source.partner(at - 1).and_then(|open| open.checked_sub(1)) else {
        return false;
    };
    let named = match source.token(before).kind {
        Kind::Name => !BLOCK_WORDS.contains(&source.token(before).text),
        Kind::Sign => source.token(before).text == "]",
        Kind::Text | Kind::Number | Kind::BigInt => true,
        Kind::Template | Kind::Regex => false,
    };
    named
        && source
            .around(before)
            .is_some_and(|open| source.token(open).text == "{")
}
