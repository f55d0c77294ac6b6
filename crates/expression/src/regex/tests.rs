//! Engines against each other and against what Node prints.

use super::{
    Fuel, Regex, Scratch, Subject, Units, Wrong, compile,
    search::{NOWHERE, Question, search},
    threads,
};
use crate::{error::Fault, regex::Flags};

/// Pays without end, and counts.
#[derive(Default)]
struct Free {
    operations: u64,
    bytes: usize,
}

impl Fuel for Free {
    fn spend(&mut self, operations: u64) -> Result<(), Fault> {
        self.operations += operations;
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes += bytes;
        Ok(())
    }
}

fn groups(regex: Regex<'_>, text: &str) -> Option<Vec<Option<String>>> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let astral = units.len() != text.chars().count();
    let pairs = regex.flags.unicode;
    let subjects = [
        (pairs || !astral).then_some(Subject::Utf8(text)),
        Some(Subject::Units(Units {
            units: &units,
            pairs,
        })),
    ];
    let question = Question {
        from: 0,
        only_there: regex.flags.sticky,
        groups: u32::MAX,
    };
    let mut answers = Vec::new();
    for subject in subjects.into_iter().flatten() {
        let mut scratch = Scratch::default();
        let found = search(regex, subject, question, &mut scratch, &mut Free::default())
            .unwrap_or_else(|_| panic!("{}", regex.source));
        let part = |(start, end)| match subject {
            Subject::Utf8(text) => text[start..end].to_owned(),
            Subject::Units(all) => String::from_utf16_lossy(&all.units[start..end]),
        };
        answers.push(found.then(|| {
            let all = 0..regex.groups;
            all.map(|group| scratch.group(group).map(part))
                .collect::<Vec<_>>()
        }));
    }
    // The engine for long texts must agree.
    let mut free = Free::default();
    let mut slots = vec![NOWHERE; regex.groups as usize * 2];
    let input = Units {
        units: &units,
        pairs,
    };
    let found = super::search::with_meter(&mut free, |meter| {
        let mut ways = threads::Threads::default();
        threads::run(regex, input, 0, question, &mut ways, &mut slots, meter)
    })
    .unwrap_or_else(|_| panic!("{}", regex.source));
    answers.push(found.then(|| {
        let of = |pair: &[u32]| {
            (pair[0] != NOWHERE && pair[1] != NOWHERE)
                .then(|| String::from_utf16_lossy(&units[pair[0] as usize..pair[1] as usize]))
        };
        slots.chunks(2).map(of).collect()
    }));
    for answer in &answers[1..] {
        assert_eq!(answer, &answers[0], "/{}/ on {text:?}", regex.source);
    }
    answers.swap_remove(0)
}

/// `pattern`, flags, text, and what `exec` gives, with `-` for a group that took no part, or `null`.
fn check(pattern: &str, flags: &str, text: &str, expected: &str) {
    let flags = Flags::parse(flags).unwrap();
    let compiled = compile(pattern, flags).unwrap_or_else(|wrong| panic!("/{pattern}/ {wrong:?}"));
    let found = match groups(compiled.regex(), text) {
        Some(groups) => {
            let texts = groups.iter().map(|group| group.as_deref().unwrap_or("-"));
            texts.collect::<Vec<_>>().join("|")
        }
        None => "null".to_owned(),
    };
    assert_eq!(found, expected, "/{pattern}/ on {text:?}");
}

#[test]
fn patterns_match_as_in_javascript() {
    for (pattern, flags, text, expected) in [
        ("abc", "", "xxabcx", "abc"),
        ("a|ab", "", "abc", "a"),
        ("((a)|(ab))((c)|(bc))", "", "abc", "abc|a|a|-|bc|-|bc"),
        ("a[a-z]{2,4}", "", "abcdefghi", "abcde"),
        ("a[a-z]{2,4}?", "", "abcdefghi", "abc"),
        ("(aa|aabaac|ba|b|c)*", "", "aabaac", "aaba|ba"),
        (
            "(z)((a+)?(b+)?(c))*",
            "",
            "zaacbbbcac",
            "zaacbbbcac|z|ac|a|-|c",
        ),
        ("(a*)*", "", "b", "|-"),
        ("(?:(a)|b)*", "", "ab", "ab|-"),
        ("(?:a()|b)*", "", "ab", "ab|-"),
        ("(|a)*", "", "aa", "aa|a"),
        ("(|a)+", "", "aa", "aa|a"),
        ("(a?)*?b", "", "aab", "aab|a"),
        ("(?:a*?)*?c", "", "aac", "aac"),
        ("(a*){2,}", "", "aa", "aa|"),
        ("((a*)?)*", "", "aab", "aa|aa|aa"),
        ("((a?)(b?))*", "", "abb", "abb|b||b"),
        ("(?:(a)?(b)?)*", "", "ab", "ab|a|b"),
        ("(a?b??)*", "", "ab", "ab|b"),
        ("(\\b)*", "", "a", "|-"),
        ("(\\b){3}", "", "a", "|"),
        ("(?:\\b|a)*", "", "aa", "aa"),
        ("^a", "m", "b\u{2028}a", "a"),
        ("a$", "m", "a\rb", "a"),
        ("a$", "", "a\n", "null"),
        (".+", "", "a\u{85}b\u{2029}c", "a\u{85}b"),
        (".+", "s", "a\nb", "a\nb"),
        ("\\w+", "", "caf\u{e9}", "caf"),
        ("\\s+", "", "a\u{feff}\u{a0}b", "\u{feff}\u{a0}"),
        ("\\bé", "", "é", "null"),
        ("[^]", "", "\n", "\n"),
        ("[]", "", "a", "null"),
        ("x*", "y", "ax", ""),
        ("x", "y", "ax", "null"),
        ("[\\d-x]+", "", "1-x2", "1-x2"),
        ("\\u{3}", "", "uuu", "uuu"),
        ("\\x", "", "x", "x"),
        ("\\8", "", "8", "8"),
        ("\\101", "", "A", "A"),
        ("[\\101]", "", "A", "A"),
        ("a{,2}", "", "a{,2}", "a{,2}"),
        ("x{1", "", "x{1", "x{1"),
        ("]}", "", "]}", "]}"),
        ("\\c", "", "\\c", "\\c"),
        ("\\cJ", "", "\n", "\n"),
        ("[\\c]", "", "\\", "\\"),
        ("[\\c_]", "", "\u{1f}", "\u{1f}"),
        ("\\-", "", "-", "-"),
        ("\\k<a>", "", "k<a>", "k<a>"),
        (
            "(?<y>\\d{4})-(?<m>\\d\\d)",
            "",
            "on 2026-03",
            "2026-03|2026|03",
        ),
        ("ß", "i", "ẞ", "null"),
        ("ß", "iu", "ẞ", "ẞ"),
        ("[a-z]+", "i", "K\u{212a}ſ", "K"),
        ("[a-z]+", "iu", "K\u{212a}ſ", "K\u{212a}ſ"),
        ("\\W", "iu", "ſ", "null"),
        ("\\w\\b", "iu", "ſ", "ſ"),
        ("[^x]", "i", "X", "null"),
        ("σ", "i", "ς", "ς"),
        ("^.$", "", "\u{1f600}", "null"),
        ("^..$", "", "\u{1f600}", "\u{1f600}"),
        ("^.$", "u", "\u{1f600}", "\u{1f600}"),
        (
            "\u{1f600}+",
            "u",
            "\u{1f600}\u{1f600}",
            "\u{1f600}\u{1f600}",
        ),
        ("\\u{1f600}", "u", "\u{1f600}", "\u{1f600}"),
        ("\\ud83d\\ude00", "u", "\u{1f600}", "\u{1f600}"),
        ("\\ud83d", "u", "\u{1f600}", "null"),
        ("^\\ud83d\\ude00$", "", "\u{1f600}", "\u{1f600}"),
        ("[\u{1f600}]{2}", "", "\u{1f600}", "\u{1f600}"),
        ("\\p{Lu}+", "u", "aÄB", "ÄB"),
        ("\\P{L}+", "u", "a12b", "12"),
        ("[\\p{L}\\d]+", "u", "-ä1-", "ä1"),
        ("\\p{L}", "", "p{L}", "p{L}"),
        ("(?:a|b)+?c", "", "abac", "abac"),
        ("(a{0,2}){2}b", "", "aaab", "aaab|a"),
        ("(?:){3}a", "", "a", "a"),
        ("a{0}b", "", "ab", "b"),
    ] {
        check(pattern, flags, text, expected);
    }
}

fn refused(pattern: &str, flags: &str) -> Wrong {
    let flags = Flags::parse(flags).unwrap();
    match compile(pattern, flags) {
        Ok(_) => panic!("/{pattern}/ was taken"),
        Err(wrong) => wrong,
    }
}

#[test]
fn what_is_no_pattern_is_refused_at_its_place() {
    for (pattern, flags, start, end) in [
        ("*a", "", 0, 1),
        ("a**", "", 2, 3),
        ("x{2,1}", "", 1, 6),
        ("é(", "", 2, 3),
        ("a)", "", 1, 2),
        ("[b-a]", "", 1, 4),
        ("[a", "", 0, 2),
        ("a\\", "", 1, 2),
        ("^*", "", 1, 2),
        ("\\b+", "", 2, 3),
        ("{1}", "", 0, 1),
        ("(?a)", "", 0, 3),
        ("(?<a>.)(?<a>.)", "", 7, 12),
        ("(?<1>.)", "", 3, 4),
        ("\\k<", "u", 3, 3),
        ("{", "u", 0, 1),
        ("]", "u", 0, 1),
        ("\\-", "u", 0, 2),
        ("\\1", "u", 0, 2),
        ("[\\d-x]", "u", 1, 5),
        ("\\p{Foo}", "u", 0, 7),
        ("\\u{110000}", "u", 0, 2),
        ("\\c", "u", 0, 2),
    ] {
        let wrong = refused(pattern, flags);
        assert_eq!(
            (wrong.code, wrong.start, wrong.end),
            ("SYNTAX_REGEX", start, end),
            "/{pattern}/ {}",
            wrong.message
        );
    }
}

#[test]
fn what_has_no_linear_time_is_refused_with_a_hint() {
    for (pattern, code) in [
        ("a(?=b)", "UNSUPPORTED_REGEX_LOOKAROUND"),
        ("a(?!b)", "UNSUPPORTED_REGEX_LOOKAROUND"),
        ("(?<=a)b", "UNSUPPORTED_REGEX_LOOKAROUND"),
        ("(?<!a)b", "UNSUPPORTED_REGEX_LOOKAROUND"),
        ("(a)\\1", "UNSUPPORTED_REGEX_BACKREFERENCE"),
        ("\\1(a)", "UNSUPPORTED_REGEX_BACKREFERENCE"),
        ("(?<n>a)\\k<n>", "UNSUPPORTED_REGEX_BACKREFERENCE"),
    ] {
        let wrong = refused(pattern, "");
        assert_eq!(wrong.code, code, "/{pattern}/");
        assert!(wrong.hint.is_some());
    }
    assert_eq!(
        Flags::parse("v").unwrap_err().code,
        "UNSUPPORTED_REGEX_FLAG"
    );
    assert_eq!(Flags::parse("gg").unwrap_err().start, 1);
    assert_eq!(Flags::parse("x").unwrap_err().code, "SYNTAX_REGEX");
}

#[test]
fn a_pattern_that_would_be_large_is_refused() {
    let deep = format!("{}a{}", "(".repeat(65), ")".repeat(65));
    let many = "()".repeat(401);
    let tables = r"[\p{L}\p{N}]".repeat(100);
    let long = "a".repeat(64 * 1024 + 1);
    for (pattern, flags) in [
        ("(?:a{1000}){1000}", ""),
        ("((a{100}){100}){100}", ""),
        ("(?:a?){4294967295}", ""),
        ("(?:(?:a|b?)*){20000}", ""),
        (&deep, ""),
        (&many, ""),
        (&tables, "u"),
        (&long, ""),
    ] {
        assert_eq!(refused(pattern, flags).code, "LIMIT_REGEX", "{pattern:.40}");
    }
}

#[test]
fn a_repetition_that_makes_no_states_ends_at_once() {
    check("[]{4000000000}", "", "a", "null");
    check("(?:[]|){4000000000}a", "", "a", "a");
    check("(?:[]{0,4000000000}){4000000000}a", "", "a", "a");
    check("(?:\\b|[]){4000000000}a", "", "a", "a");
    check("(?:(){4000000000}){4000000000}a", "", "a", "a|");
}

#[test]
fn steps_grow_with_the_text_and_not_with_its_powers() {
    for pattern in [
        "(a+)+$",
        "(a|a)*b",
        "(a*)*b",
        "(.*)*x",
        "(?:a?){30}a{30}b",
        "(a+a+)+y",
        "(?:(?:a?)*)*b",
    ] {
        let compiled = compile(pattern, Flags::default()).unwrap();
        let regex = compiled.regex();
        let question = Question {
            from: 0,
            only_there: false,
            groups: u32::MAX,
        };
        let going_back = |text: &str, free: &mut Free| {
            let mut scratch = Scratch::default();
            search(regex, Subject::Utf8(text), question, &mut scratch, free)
        };
        let in_step = |text: &str, free: &mut Free| {
            let mut slots = vec![NOWHERE; regex.groups as usize * 2];
            super::search::with_meter(free, |meter| {
                let mut ways = threads::Threads::default();
                let text = text.as_bytes();
                threads::run(regex, text, 0, question, &mut ways, &mut slots, meter)
            })
        };
        let spent = |engine: &dyn Fn(&str, &mut Free) -> Result<bool, Fault>, len: usize| {
            let mut free = Free::default();
            let found = engine(&("a".repeat(len) + "!"), &mut free);
            assert!(!found.unwrap_or(true), "{pattern}");
            free.operations
        };
        for engine in [&going_back as &dyn Fn(&str, &mut Free) -> _, &in_step] {
            let (once, twice) = (spent(engine, 2_000), spent(engine, 4_000));
            assert!(
                twice < once * 5 / 2 && once > 0,
                "{pattern}: {once} {twice}"
            );
        }
    }
}

#[test]
fn a_long_text_is_searched_in_step() {
    let compiled = compile("(a*)*b", Flags::default()).unwrap();
    let text = "a".repeat(300_000) + "b";
    let question = Question {
        from: 0,
        only_there: false,
        groups: 2,
    };
    let (mut scratch, mut free) = (Scratch::default(), Free::default());
    let text = Subject::Utf8(&text);
    let found = search(compiled.regex(), text, question, &mut scratch, &mut free);
    assert!(found.is_ok_and(|found| found));
    assert_eq!(scratch.group(0), Some((0, 300_001)));
    assert_eq!(scratch.group(1), Some((0, 300_000)));
    // Neither engine takes memory in proportion to the text, and all of it is paid for.
    assert!(free.bytes > 0 && free.bytes < 3 << 20, "{}", free.bytes);
}
