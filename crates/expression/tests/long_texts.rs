//! Long texts: what is asked of them costs what it touches, and is counted in UTF-16 units.

use nebula_expression::{CompileOptions, Context, JsonScope, Program, Spent};
use proptest::prelude::*;
use serde_json::{Value, json};

fn run(source: &str, text: &str) -> (Result<Option<Value>, &'static str>, Spent) {
    let program = Program::compile(source, &CompileOptions::default()).unwrap();
    let data = json!({ "json": { "text": text } });
    let (result, spent) = program.evaluate_measured(&JsonScope(&data), &Context::default());
    (result.map_err(|error| error.code), spent)
}

#[test]
fn twenty_megabytes_cost_what_is_touched() {
    let ascii = "x".repeat(20_000_000);
    let wide = "ä😀".repeat(3_333_333);
    let check = |text: &str, source: &str, expected: Value, most: u64| {
        let (result, spent) = run(source, text);
        assert_eq!(result, Ok(Some(expected)), "{source}");
        assert!(spent.operations <= most, "{source} takes {spent:?}");
        assert!(spent.bytes < 1_000, "{source} takes {spent:?}");
    };
    for (source, expected, most) in [
        ("$json.text[0]", json!("x"), 10),
        ("$json.text.at(5)", json!("x"), 10),
        ("$json.text.charAt(100)", json!("x"), 10),
        ("$json.text.charCodeAt(100)", json!(120), 10),
        ("$json.text.codePointAt(100)", json!(120), 10),
        ("$json.text.slice(0, 3)", json!("xxx"), 10),
        ("$json.text.substring(3, 0)", json!("xxx"), 10),
        ("$json.text.substr(2, 3)", json!("xxx"), 10),
        ("$json.text.startsWith('xxy')", json!(false), 10),
        ("$json.text.endsWith('xx')", json!(true), 10),
        ("$json.text.trim() === $json.text", json!(true), 2_500),
        ("$json.text.isEmpty()", json!(false), 10),
        ("$json.text === 'x'", json!(false), 10),
        ("$json.text.includes('xx')", json!(true), 5_000),
        ("$json.text.includes('xy')", json!(false), 5_000),
        ("$json.text.indexOf('y')", json!(-1), 5_000),
        ("$json.text.lastIndexOf('x')", json!(19_999_999), 8_000),
        ("$json.text.length", json!(20_000_000), 2_500),
        ("$json.text.slice(-3)", json!("xxx"), 2_500),
        ("$json.text.at(-1)", json!("x"), 2_500),
        // Once it is known to be ASCII, a unit is a byte.
        (
            "$json.text.length + $json.text.slice(-3) + $json.text[19000000]",
            json!("20000000xxxx"),
            2_500,
        ),
    ] {
        check(&ascii, source, expected, most);
    }
    for (source, expected, most) in [
        ("$json.text.length", json!(9_999_999), 2_500),
        ("$json.text[0]", json!("ä"), 10),
        ("$json.text.slice(0, 3)", json!("ä😀"), 10),
        ("$json.text.codePointAt(1)", json!(0x1_f600), 10),
        ("$json.text[9999996]", json!("ä"), 2_500),
        ("$json.text.slice(-3)", json!("ä😀"), 5_000),
        ("$json.text.endsWith('ä😀')", json!(true), 10),
        ("$json.text.indexOf('x')", json!(-1), 5_000),
    ] {
        check(&wide, source, expected, most);
    }
}

#[test]
fn walking_through_a_text_counts_it_once() {
    for (text, most) in [("x".repeat(900_000), 200), ("ä".repeat(450_000), 400)] {
        let alone = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(i => i * 40000).join('').length";
        let walk = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(i => $json.text[i * 40000]).join('').length";
        let (result, spent) = run(walk, &text);
        assert_eq!(result, Ok(Some(json!(10))));
        let more = spent.operations - run(alone, &text).1.operations;
        assert!(more < most, "{more}");
    }
}

/// What JavaScript gives: a part by units, where half a pair leaves the border as U+FFFD.
fn part(units: &[u16], from: usize, to: usize) -> Value {
    let (from, to) = (from.min(units.len()), to.min(units.len()));
    match from < to {
        true => Value::from(String::from_utf16_lossy(&units[from..to])),
        false => Value::from(""),
    }
}

/// Where a needle stands first from a unit on.
fn place(units: &[u16], needle: &str, from: usize) -> Value {
    let needle: Vec<u16> = needle.encode_utf16().collect();
    let from = from.min(units.len());
    let found = (from..=units.len()).find(|at| units[*at..].starts_with(&needle));
    found.map_or(json!(-1), |at| json!(at))
}

fn last_place(units: &[u16], needle: &str, to: usize) -> Value {
    let needle: Vec<u16> = needle.encode_utf16().collect();
    let found = (0..=to.min(units.len())).rev();
    let found = found
        .into_iter()
        .find(|at| units[*at..].starts_with(&needle));
    found.map_or(json!(-1), |at| json!(at))
}

/// One question about `$json.text`, and its answer.
fn question(units: &[u16], which: usize, a: usize, b: usize, needle: &str) -> (String, Value) {
    let len = units.len();
    // `-0` is 0.
    let from_end = |n: usize| if n == 0 { 0 } else { len.saturating_sub(n) };
    let wide: Vec<u16> = needle.encode_utf16().collect();
    let quoted = serde_json::to_string(needle).unwrap();
    let t = "$json.text";
    match which {
        0 => (format!("{t}.length"), json!(len)),
        1 => (format!("{t}.charAt({a})"), part(units, a, a + 1)),
        2 => (format!("{t}.slice({a}, {b})"), part(units, a, b)),
        3 => (
            format!("{t}.slice(-{a}, -{b})"),
            part(units, from_end(a), from_end(b)),
        ),
        4 => (
            format!("{t}.substring({a}, {b})"),
            part(units, a.min(b), a.max(b)),
        ),
        5 => (
            format!("{t}.substr({a}, {b})"),
            part(units, a, a.saturating_add(b)),
        ),
        6 => (
            format!("{t}.indexOf({quoted}, {a})"),
            place(units, needle, a),
        ),
        7 => (
            format!("{t}.lastIndexOf({quoted}, {a})"),
            last_place(units, needle, a),
        ),
        8 => (
            format!("{t}.includes({quoted}, {a})"),
            json!(place(units, needle, a) != json!(-1)),
        ),
        9 => (
            format!("{t}.startsWith({quoted}, {a})"),
            json!(units[a.min(len)..].starts_with(&wide)),
        ),
        10 => (
            format!("{t}.endsWith({quoted}, {a})"),
            json!(units[..a.min(len)].ends_with(&wide)),
        ),
        11 => (
            format!("{t}.charCodeAt({a})"),
            units.get(a).map_or(Value::Null, |unit| json!(unit)),
        ),
        12 => (
            format!("{t}.endsWith({quoted})"),
            json!(units.ends_with(&wide)),
        ),
        13 => (
            format!("{t}.at(-{a}) ?? ''"),
            match a {
                0 => part(units, 0, 1),
                a if a > len => json!(""),
                a => part(units, len - a, len - a + 1),
            },
        ),
        _ => {
            let pair = char::decode_utf16(units.iter().skip(a).copied()).next();
            let point =
                pair.map(|c| c.map_or_else(|lone| u32::from(lone.unpaired_surrogate()), u32::from));
            (format!("{t}.codePointAt({a}) ?? null"), json!(point))
        }
    }
}

fn piece() -> impl Strategy<Value = String> {
    let lengths = prop_oneof![
        Just(0_usize),
        1_usize..40,
        Just(510),
        Just(8_191),
        Just(8_192),
        Just(9_000)
    ];
    let of = prop_oneof![
        Just("x"),
        Just("ä"),
        Just("€"),
        Just("😀"),
        Just("xä😀"),
        Just("needle")
    ];
    (of, lengths).prop_map(|(of, len)| of.repeat(len.div_ceil(of.len())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Several questions in one evaluation: what one finds out, the next relies on.
    #[test]
    fn long_texts_are_counted_in_units(
        pieces in prop::collection::vec(piece(), 1..5),
        asked in prop::collection::vec(
            (0_usize..15, any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..7, 0_usize..9, 0_usize..6),
            1..8,
        ),
    ) {
        let text = pieces.concat();
        let units: Vec<u16> = text.encode_utf16().collect();
        let edges = [0, 1, 512, 8_192, 16_384, units.len() / 2, units.len()];
        let (mut sources, mut answers) = (Vec::new(), Vec::new());
        for (which, a, b, edge, off, needle) in asked {
            let a = match edge % 2 {
                0 => a.index(units.len() + 2),
                _ => (edges[edge] + off).saturating_sub(4),
            };
            let b = a.saturating_add(off.saturating_sub(1)).max(b.index(units.len() + 2) * (off % 2));
            let needle = ["", "x", "ä", "😀", "needle", "äx"][needle];
            let (source, answer) = question(&units, which, a, b, needle);
            sources.push(source);
            answers.push(answer);
        }
        let source = format!("[{}]", sources.join(", "));
        let (result, _) = run(&source, &text);
        prop_assert_eq!(result, Ok(Some(Value::from(answers))), "{}", source);
    }
}
