//! Rows about kinds of values: other objects, holes, patterns, changes, identity.

use crate::conformance::{source::Source, tokens::Kind};

/// Row 3: `new` of anything but the known types; wrapper objects.
pub(super) fn makes_other_objects(source: &Source<'_>) -> bool {
    const KNOWN: &[&str] = &[
        "Array",
        "Date",
        "Map",
        "RegExp",
        "Set",
        "URL",
        "URLSearchParams",
    ];
    source.any(|at| {
        source.is_word(at, &["new"]) && !KNOWN.contains(&source.near(at, 1))
            || source.is_word(at, &["Object"]) && source.near(at, 1) == "("
    })
}

/// Row 6: objects whose `valueOf`, `toString`, `toJSON` or `[Symbol.toPrimitive]` are functions.
pub(super) fn converts_by_functions(source: &Source<'_>) -> bool {
    const NAMES: &[&str] = &["valueOf", "toString", "toJSON"];
    source.any(|at| {
        let named = source.is(at, Kind::Name, NAMES) && !source.is_member(at)
            || source
                .unquoted(at)
                .is_some_and(|text| NAMES.contains(&text));
        let primitive = source.is(at, Kind::Name, &["toPrimitive"]);
        // The token after the key: past the `]` of a computed one.
        let after = if primitive { at + 2 } else { at + 1 };
        if !(named || primitive) || after >= source.len() {
            return false;
        }
        match source.token(after).text {
            "(" => true,
            ":" => is_function(source, after + 1),
            _ => false,
        }
    })
}

fn is_function(source: &Source<'_>, at: usize) -> bool {
    if at >= source.len() {
        return false;
    }
    matches!(source.token(at).text, "function" | "async")
        || source.near(at, 1) == "=>"
        || source
            .partner(at)
            .is_some_and(|close| source.near(close, 1) == "=>")
}

/// Row 7: elisions of array literals.
pub(super) fn has_holes(source: &Source<'_>) -> bool {
    source.any(|at| {
        if !source.is(at, Kind::Sign, &[","]) || !matches!(source.near(at, -1), "[" | ",") {
            return false;
        }
        let Some(open) = source.around(at) else {
            return false;
        };
        let pattern = source.in_parameters(at)
            || source
                .partner(open)
                .is_some_and(|close| source.near(close, 1) == "=");
        source.token(open).text == "[" && !source.follows_operand(open) && !pattern
    })
}

/// Row 8: look-ahead, look-behind, back-references, the `v` flag, `lastIndex`.
pub(super) fn needs_backtracking(source: &Source<'_>) -> bool {
    source.any(|at| {
        let token = source.token(at);
        match token.kind {
            Kind::Regex => {
                let (body, flags) = token.text.rsplit_once('/').unwrap_or((token.text, ""));
                flags.contains('v') || backtracks(body)
            }
            Kind::Name => source.is_member(at) && token.text == "lastIndex",
            // The backslashes of a text are written twice.
            Kind::Text => {
                source.near(at, -2) == "RegExp" && backtracks(&token.text.replace("\\\\", "\\"))
            }
            _ => false,
        }
    })
}

fn backtracks(pattern: &str) -> bool {
    if ["(?=", "(?!", "(?<=", "(?<!"]
        .iter()
        .any(|look| pattern.contains(look))
    {
        return true;
    }
    let (mut groups, mut highest, mut named) = (0_u32, 0_u32, false);
    let mut class = false;
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let mut len = c.len_utf8();
        match c {
            '\\' => {
                let escaped = &rest[1..];
                let digits = escaped
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(escaped.len());
                let number = escaped[..digits].parse::<u32>().unwrap_or(0);
                if !class && !escaped.starts_with('0') {
                    highest = highest.max(number);
                }
                named |= !class && escaped.starts_with("k<");
                len += escaped.chars().next().map_or(0, char::len_utf8);
            }
            '[' => class = true,
            ']' => class = false,
            '(' if !class && (!rest.starts_with("(?") || rest.starts_with("(?<")) => groups += 1,
            _ => {}
        }
        rest = &rest[len..];
    }
    // Without that many groups, `\1` is a character by its number; without names, `\k` is a `k`.
    let names = pattern.contains("(?<");
    named && names || highest > 0 && groups >= highest
}

/// Row 9: a mutator on a name that stands there again.
pub(super) fn mutates_a_name(source: &Source<'_>) -> bool {
    const MUTATORS: &[&str] = &[
        "push",
        "pop",
        "shift",
        "unshift",
        "splice",
        "sort",
        "reverse",
        "fill",
        "copyWithin",
        "add",
        "delete",
        "clear",
        "set",
    ];
    source.any(|at| {
        let member = source.is_member(at) && at >= 2 && source.near(at, 1) == "(";
        let name = source.token(at).text;
        if !member || !(MUTATORS.contains(&name) || name.starts_with("set")) {
            return false;
        }
        let owner = source.token(at - 2);
        let plain = owner.kind == Kind::Name && !source.is_member(at - 2);
        let uses = (0..source.len()).filter(|other| {
            source.is(*other, Kind::Name, &[owner.text]) && !source.is_member(*other)
        });
        // The parameter, the call, and one more.
        plain && uses.count() > 2
    })
}

/// Row 10: an object or list that is written there is compared.
pub(super) fn compares_identity(source: &Source<'_>) -> bool {
    source.any(|at| {
        if !source.is(at, Kind::Sign, &["==", "!=", "===", "!=="]) || at == 0 {
            return false;
        }
        let left = source
            .partner(at - 1)
            .is_some_and(|open| is_literal(source, open));
        left || at + 1 < source.len() && is_literal(source, at + 1)
    })
}

fn is_literal(source: &Source<'_>, open: usize) -> bool {
    match source.token(open).text {
        "{" => true,
        "[" => !source.follows_operand(open),
        _ => false,
    }
}
