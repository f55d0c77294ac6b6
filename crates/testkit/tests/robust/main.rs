//! Definitions, parameters, journals, plans and snapshots of any bytes are read or refused: checked
//! on texts that were cut, doubled and mixed by a seed. `fuzz/` drives the same checks by coverage.

mod definition;
mod journal;
mod parameter;
mod plan;

use serde_json::Value;

/// Texts per run; `NEBULA_FUZZ_CASES` asks for more or fewer.
const TEXTS: u64 = 1_500;

/// Pieces that mean something to a definition.
const PIECES: &[&str] = &[
    "\n  - ",
    "\n    ",
    "\n",
    "- ",
    ": ",
    "{ ",
    " }",
    "[",
    "]",
    ", ",
    "\"",
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "# ",
    "{{ ",
    " }}",
    "\\{{",
    "$json",
    "$item",
    "$nodes.",
    "->",
    ".error",
    "id: ",
    "id: a",
    "action: ",
    "action: flow.for_each",
    "action: flow.loop",
    "action: flow.try",
    "action: flow.race",
    "action: flow.mutex",
    "action: flow.batches",
    "action: flow.milestone",
    "action: flow.call",
    "action: flow.split_tokens",
    "parameters: ",
    "body: { nodes: [",
    "nodes: ",
    "connections: []",
    "join: any",
    "join: { count: 2, rest: cancel }",
    "loop: true",
    "max_rounds: 3",
    "for_each: $input",
    "when: false",
    "retry: { max_attempts: 3 }",
    "timeout: 10s",
    "compensate: ",
    "on_error: route",
    "complete_when: 2",
    "99999999999999999999",
    "-1",
    "1e999",
    "null",
    "true",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "😀",
    "ß",
];

/// splitmix64 by Steele, Lea and Flood.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n.max(1) as u64) as usize
    }
}

/// One change at a random place.
fn change(text: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(text.len() + 1);
    let end = (at + chance.below(20)).min(text.len());
    match chance.below(9) {
        0 => drop(text.drain(at..end)),
        1 => {
            let piece = text[at..end].to_vec();
            text.splice(at..at, piece);
        }
        2 => {
            let from = chance.below(other.len() + 1);
            let to = (from + chance.below(60)).min(other.len());
            text.splice(at..end, other[from..to].iter().copied());
        }
        3 if at < text.len() => text[at] = chance.below(256) as u8,
        4 if text.len() < 20_000 => {
            let from = chance.below(at + 1);
            text.extend_from_within(from..at);
        }
        5 => text.truncate(at),
        // A line is lost, or stands twice.
        6 | 7 => {
            let begins = |it: &[u8], at: usize| it[..at].iter().rposition(|b| *b == b'\n');
            let from = begins(text, at).map_or(0, |found| found + 1);
            let length = text[from..].iter().position(|b| *b == b'\n');
            let to = length.map_or(text.len(), |length| from + length + 1);
            let line: Vec<u8> = text.drain(from..to).collect();
            if chance.below(2) == 0 {
                let places: Vec<usize> = (0..text.len()).filter(|at| text[*at] == b'\n').collect();
                let to = places
                    .get(chance.below(places.len()))
                    .map_or(0, |at| at + 1);
                text.splice(to..to, line);
            }
        }
        _ => {
            let piece = PIECES[chance.below(PIECES.len())];
            text.splice(at..at, piece.bytes());
        }
    }
}

/// What a seed made of these, so many times over.
fn over(seeds: &[&[u8]], seed: u64, share: u64, check: impl Fn(&[u8])) {
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever runs the tests says how many"
    )]
    let cases = std::env::var("NEBULA_FUZZ_CASES").ok();
    let cases = cases.and_then(|cases| cases.parse().ok()).unwrap_or(TEXTS);
    let mut chance = Chance(seed);
    for seed in seeds {
        check(seed);
    }
    for _ in 0..cases * share {
        let mut text = seeds[chance.below(seeds.len())].to_vec();
        for _ in 0..=chance.below(4) {
            let other = seeds[chance.below(seeds.len())];
            change(&mut text, other, &mut chance);
        }
        check(&text);
    }
}

/// The definitions of the pages, and those of other tests.
fn definitions() -> Vec<&'static [u8]> {
    let pages = [
        include_str!("../../../../docs/control-flow.md"),
        include_str!("../../../../docs/definition.md"),
        include_str!("../../../../docs/operating.md"),
    ];
    let blocks = pages.into_iter().flat_map(|page| {
        let blocks = page.split("```yaml\n").skip(1);
        blocks.filter_map(|block| block.split("```").next())
    });
    let whole = [
        include_str!("../../../workflow/tests/everything.yaml"),
        include_str!("../../../workflow/tests/order-intake.yaml"),
        r#"{ "id": "a", "nodes": [{ "id": "n", "action": "data.set", "parameters": { "a": "{{ $input.a }}" } }] }"#,
    ];
    blocks.chain(whole).map(str::as_bytes).collect()
}

#[test]
fn any_text_is_a_definition_or_problems_that_lie_in_it() {
    over(&definitions(), 1, 1, definition::definition);
}

#[test]
fn any_parameter_is_told_apart_once() {
    let seeds: [&[u8]; 4] = [
        br#"{ "a": "{{ $json.a }}", "b": ["x {{ $item }} y", "\\{{ no }}", 1, null] }"#,
        br#"" {{ $json }} ""#,
        br#""{{ `}}` + '}}' }} and {{ { a: { b: 1 } } }}""#,
        br#"{ "raw": "{{ x }}", "template": { "raw": "\\\\{{" }, "": [] }"#,
    ];
    over(&seeds, 2, 20, parameter::parameter);
}

#[test]
fn any_bytes_are_a_journal_or_damage() {
    let first: &[u8] = include_bytes!("../../../execution/tests/fixtures/journal-v1.json");
    let again: &[u8] = include_bytes!("../../../execution/tests/fixtures/journal-v2.json");
    // As batches have them: one byte of format, and the entries.
    let mut batches = vec![[&[1], first].concat()];
    let again: Vec<Value> = serde_json::from_slice(again).unwrap();
    for batch in again {
        batches.push([vec![2], serde_json::to_vec(&batch).unwrap()].concat());
    }
    let seeds: Vec<&[u8]> = batches.iter().map(Vec::as_slice).collect();
    for seed in &seeds {
        nebula_execution::decode(seed).expect("a seed is read");
    }
    over(&seeds, 3, 4, journal::journal);
}

#[test]
fn any_bytes_are_a_plan_or_damage() {
    let seed: &[u8] = include_bytes!("../../../execution/tests/fixtures/plan-v1.json");
    over(&[seed], 4, 4, plan::stored_plan);
    let snapshots: [&[u8]; 3] = [
        include_bytes!("../../../execution/tests/fixtures/snapshot-v1.json"),
        include_bytes!("../../../execution/tests/fixtures/snapshot-v4.json"),
        include_bytes!("../../../execution/tests/fixtures/snapshot-v5.json"),
    ];
    over(&snapshots, 5, 4, |bytes| {
        plan::snapshot(bytes, plan::plan_of_fixture());
    });
}
