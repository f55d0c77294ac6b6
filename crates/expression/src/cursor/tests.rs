//! Places in expressions, with the cursor as `|`.

use super::{Cursor, Owner, Place, bound::callback_values, cursor, is_unfinished};
use crate::{CompileOptions, Program, library};

/// The cursor is `|`; what is wanted is the kind of the place, the word, and what it depends on.
#[track_caller]
fn check(text: &str, wanted: &str) {
    let at = text.find('|').unwrap();
    let source = text.replacen('|', "", 1);
    let found = cursor(&source, at);
    let shown = found.as_ref().map_or("nothing".to_owned(), |found| {
        let word = &source[found.word.clone()];
        match &found.place {
            Place::Value { names } => format!("value {word:?} {}", names.join(",")),
            Place::Class => format!("class {word:?}"),
            Place::Namespace(name) => format!("{name} {word:?}"),
            Place::Member(member) => {
                let link = &source[member.link.clone()];
                let of = match &member.of {
                    Owner::Value(of) => of,
                    Owner::Nodes => "nodes",
                    Owner::Node => "node",
                };
                let optional = if member.optional { " optional" } else { "" };
                let bracket = if member.bracket { " bracket" } else { "" };
                format!("{of} {link} {word:?}{optional}{bracket}")
            }
        }
    });
    assert_eq!(shown.trim_end(), wanted, "{text}");
    if let Some(Cursor {
        place: Place::Member(member),
        ..
    }) = found
        && let Owner::Value(of) = member.of
    {
        let compiled = Program::compile(&of, &CompileOptions::default());
        assert!(compiled.is_ok(), "{of}: {compiled:?}");
    }
}

#[test]
fn the_beginning_of_a_value_is_found() {
    check("|", "value \"\"");
    check("$js|", "value \"$js\"");
    check("$json.a + $|", "value \"$\"");
    check("Math.max(1, |", "value \"\"");
    check("[1, ...|", "value \"\"");
    check("(na|", "value \"na\"");
    check("typeof|", "value \"typeof\"");
    check("typeof |", "value \"\"");
    check("{ a: |", "value \"\"");
    check("`a ${|} b`", "value \"\"");
    check("$json[i|", "value \"i\"");
    check("a ? b : |", "value \"\"");
    check("new Da|", "class \"Da\"");
    check("new |", "class \"\"");
    check("new Intl.Nu|", "Intl \"Nu\"");
}

#[test]
fn a_member_is_found_with_the_source_of_its_value() {
    check("$json.|", "$json . \"\"");
    check("$json.na|", "$json .na \"na\"");
    check("$json.na|me.x", "$json .na \"na\"");
    check("1 + $json.a[0].b?.c|", "$json.a[0].b ?.c \"c\" optional");
    check(
        "$json.a.map(x => x + 1).f|",
        "$json.a.map(x => x + 1) .f \"f\"",
    );
    check("('a' + 'b').|", "('a' + 'b') . \"\"");
    check("'a b'.to|", "'a b' .to \"to\"");
    check("`${1}`.|", "`${1}` . \"\"");
    check("[1, 2].|", "[1, 2] . \"\"");
    check("/a/.te|", "/a/ .te \"te\"");
    check("new Date().|", "new Date() . \"\"");
    check("$now.|", "$now . \"\"");
    check("$json . |", "$json  .  \"\"");
    check("$json // a\n.|", "$json // a\n . \"\"");
    check("$nodes.|", "nodes . \"\"");
    check("$nodes.fetch.|", "node . \"\"");
    check("$nodes['a b']?.re|", "node ?.re \"re\" optional");
    check("$nodes.fetch.result.|", "$nodes.fetch.result . \"\"");
    check("$nodes?.fe|", "nodes ?.fe \"fe\" optional");
    check("`${$json.|}`", "$json . \"\"");
    check("{ a: $json.|", "$json . \"\"");
    check("Math.|", "Math \"\"");
    check("1 + Math.ma|", "Math \"ma\"");
}

#[test]
fn a_key_in_brackets_is_found() {
    check("$json[|", "$json [ \"\" bracket");
    check("$json[\"a b|", "$json [\"a b \"a b\" bracket");
    check("$json.x['|", "$json.x [' \"\" bracket");
    check("$json?.[\"a|", "$json ?.[\"a \"a\" optional bracket");
    check("$nodes[\"|", "nodes [\" \"\" bracket");
    check("$json['a b|'].c", "$json ['a b \"a b\" bracket");
    check("f($json['a b|, 1)", "$json ['a b \"a b\" bracket");
}

#[test]
fn where_no_name_can_stand_nothing_is_found() {
    check("'$js|", "nothing");
    check("'a|b'", "nothing");
    check("// $js|", "nothing");
    check("/* $js|", "nothing");
    check("`$js|", "nothing");
    check("$json |", "nothing");
    check("1.5|", "nothing");
    check("/a|", "nothing");
    check("{ $js|", "value \"$js\"");
    check("{ '|", "nothing");
    assert_eq!(cursor("é", 1), None);
    assert_eq!(cursor("a", 2), None);
}

#[test]
fn a_bound_name_has_the_value_that_it_will_have() {
    let first = "((i) => (i))(($json.list)[0], 0, $json.list)";
    check("$json.list.map(i => i.|", &format!("{first} . \"\""));
    check(
        "$json.list.filter((i) => i.x > 1 && i.|)",
        &format!("{first} . \"\""),
    );
    check("$json.list.map(i => |", "value \"\" i");
    check(
        "$json.list.map(({ a, b: [c] }, n) => a.|",
        "(({ a, b: [c] }, n) => (a))(($json.list)[0], 0, $json.list) . \"\"",
    );
    check("$json.map(({ a, b: [c, ...d] }) => |", "value \"\" a,c,d");
    check(
        "$json.map(i => i.tags.map(t => t.|",
        "((i) => (((t) => (t))((i.tags)[0], 0, i.tags)))(($json)[0], 0, $json) . \"\"",
    );
    check(
        "$json.sort((a, b) => a.x - b.|",
        "((a, b) => (b))(($json)[0], ($json)[0]) . \"\"",
    );
    check(
        "$json.reduce((sum, i) => sum.|, { n: 0 })",
        "((sum, i) => (sum))(({ n: 0 }), ($json)[0], 0, $json) . \"\"",
    );
    check(
        "Array.from($json, i => i.|",
        "((i) => (i))(($json)[0], 0) . \"\"",
    );
    check(
        "(() => { const x = $json.a; const { y } = x; return y.|",
        "(() => (((x) => ((({ y }) => (y))(x)))($json.a)))() . \"\"",
    );
    check(
        "(() => { try { return 1 } catch (e) { return e.|",
        "(() => (((e) => (e))(({ code: '', message: '', name: '' }))))() . \"\"",
    );
    // What a block has bound is forgotten behind it.
    check("(() => { if (a) { const x = 1; } return |", "value \"\"");
    check(
        "[1].map(Math => Math.|",
        "((Math) => (Math))(([1])[0], 0, [1]) . \"\"",
    );
}

#[test]
fn every_callback_is_given_something() {
    for name in library::names_with_callback() {
        let name = name.rsplit('.').next().unwrap();
        let arena = bumpalo::Bump::new();
        let tree = crate::syntax::parse("f([1])", 32, &arena).0.root;
        let crate::syntax::ast::ExprKind::Chain { links, .. } = &tree.kind else {
            panic!("{tree:?}");
        };
        let crate::syntax::ast::LinkKind::Call(arguments) = &links[0].kind else {
            panic!("{tree:?}");
        };
        let values = callback_values("f([1])", name, "list", arguments);
        assert!(!values.is_empty(), "{name} takes a callback");
    }
}

#[test]
fn what_more_text_can_complete_is_unfinished() {
    for text in [
        "[1, 2",
        "(1",
        "{ a: 1",
        "f(x => {",
        "1 +",
        "a ?",
        "$json.",
        "`a",
        "`a ${1",
        "/* a",
        "x =>",
        "f(`a",
        "[1].map(x => {\n  const y = 1",
    ] {
        assert!(is_unfinished(text), "{text}");
    }
    for text in [
        "[1, 2]", "[1 2", "'a", "/a", ")", "1 + )", "const", "`a`", "1 // a", "\"a\\",
    ] {
        assert!(!is_unfinished(text), "{text}");
    }
}
