//! The cases of the W3C's own harness (`w3c/trace-context`, `test/test.py`, strictness 2), restated: what
//! it sends, and what it expects of the trace that goes on.

use super::*;

const TRACE: &str = "12345678901234567890123456789012";
const VALID: &str = "00-12345678901234567890123456789012-1234567890123456-00";

fn read(parents: &[&str], states: &[&str]) -> Option<TraceContext> {
    TraceContext::read(
        parents.iter().map(|it| it.as_bytes()),
        states.iter().map(|it| it.as_bytes()),
    )
}

/// The trace goes on.
fn goes_on(parent: &str) {
    let context = read(&[parent], &[]).unwrap_or_else(|| panic!("{parent:?} is valid"));
    assert_eq!(context.trace.to_string(), TRACE, "{parent:?}");
    assert_eq!(context.parent.to_string(), "1234567890123456", "{parent:?}");
}

/// Another trace begins.
fn begins(parents: &[&str]) {
    assert_eq!(read(parents, &["foo=1"]), None, "{parents:?}");
}

/// What of a `tracestate` is passed on.
fn passes(states: &[&str], expected: &str) {
    let context = read(&[VALID], states).unwrap();
    assert_eq!(context.trace.to_string(), TRACE, "{states:?}");
    assert_eq!(context.tracestate(), expected, "{states:?}");
}

#[test]
fn a_trace_begins_where_none_is_told() {
    begins(&[]);
}

#[test]
fn a_trace_goes_on_without_a_state() {
    goes_on("00-12345678901234567890123456789012-1234567890123456-01");
}

#[test]
fn two_parents_are_none() {
    begins(&[
        "00-12345678901234567890123456789011-1234567890123456-01",
        "00-12345678901234567890123456789012-1234567890123456-01",
    ]);
}

#[test]
fn version_0_has_nothing_more() {
    begins(&["00-12345678901234567890123456789012-1234567890123456-01."]);
    begins(&[
        "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
    ]);
    // It has nothing to do with the case, but a dash alone is something more, too.
    begins(&["00-12345678901234567890123456789012-1234567890123456-01-"]);
}

#[test]
fn a_later_version_may_have_more() {
    goes_on("cc-12345678901234567890123456789012-1234567890123456-01");
    goes_on("cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like");
    begins(&[
        "cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like",
    ]);
}

#[test]
fn versions_that_are_none() {
    for version in ["ff", ".0", "0.", "000", "0000", "0"] {
        begins(&[&format!("{version}-{TRACE}-1234567890123456-01")]);
    }
}

#[test]
fn trace_ids_that_are_none() {
    for trace in [
        "00000000000000000000000000000000",
        ".2345678901234567890123456789012",
        "1234567890123456789012345678901.",
        "123456789012345678901234567890123",
        "1234567890123456789012345678901",
        "ABCDEF78901234567890123456789012",
    ] {
        begins(&[&format!("00-{trace}-1234567890123456-01")]);
    }
}

#[test]
fn parent_ids_that_are_none() {
    for parent in [
        "0000000000000000",
        ".234567890123456",
        "123456789012345.",
        "12345678901234567",
        "123456789012345",
    ] {
        begins(&[&format!("00-{TRACE}-{parent}-01")]);
    }
}

#[test]
fn flags_that_are_none() {
    for flags in [".0", "0.", "001", "1", ""] {
        begins(&[&format!("00-{TRACE}-1234567890123456-{flags}")]);
    }
}

#[test]
fn white_space_around_a_parent_does_not_count() {
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        goes_on(&format!("{before}00-{TRACE}-1234567890123456-01{after}"));
    }
}

#[test]
fn a_state_without_a_parent_is_left_out() {
    assert_eq!(read(&[], &["foo=1"]), None);
    assert_eq!(read(&[], &["foo=1,bar=2"]), None);
}

#[test]
fn a_state_is_passed_on() {
    passes(&["foo=1,bar=2"], "foo=1,bar=2");
}

#[test]
fn an_empty_state_is_left_out() {
    passes(&[""], "");
    passes(&["foo=1", ""], "foo=1");
    passes(&["", "foo=1"], "foo=1");
}

#[test]
fn several_headers_are_one_state() {
    let states = ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"];
    passes(&states, "foo=1,bar=2,rojo=1,congo=2,baz=3");
}

#[test]
fn a_key_that_comes_twice_spoils_the_state() {
    passes(&["foo=1,foo=1"], "");
    passes(&["foo=1,foo=2"], "");
    passes(&["foo=1", "foo=1"], "");
    passes(&["foo=1", "foo=2"], "");
}

#[test]
fn all_characters_that_are_allowed_are_passed_on() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|it| !matches!(it, ',' | '=')).collect();
    for key in [key.to_owned(), format!("{key}@a-z0-9_-*/")] {
        let state = format!("{key}={value}");
        passes(&[&state], &state);
    }
}

#[test]
fn white_space_around_members_does_not_count() {
    passes(&["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3");
    passes(&["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3");
    for state in [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"] {
        passes(&[state], "foo=1");
    }
}

#[test]
fn keys_that_are_none_spoil_the_state() {
    for state in [
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1,bar=2",
        "@foo=1,bar=2",
        "foo@@bar=1,bar=2",
        "foo@bar@baz=1,bar=2",
    ] {
        passes(&[state], "");
    }
}

#[test]
fn a_state_has_32_members_at_most() {
    let members = |range: std::ops::RangeInclusive<u32>| {
        let members: Vec<_> = range.map(|n| format!("bar{n:02}={n:02}")).collect();
        members.join(",")
    };
    let (first, second) = (members(1..=20), members(21..=32));
    passes(&[&first, &second], &members(1..=32));
    let second = members(21..=33);
    passes(&[&first, &second], "");
}

#[test]
fn keys_have_a_length() {
    let with = |key: String| format!("{key}=1");
    for key in [
        "z".repeat(256),
        format!("{}@{}", "t".repeat(241), "v".repeat(14)),
    ] {
        let state = with(key);
        passes(&["foo=1", &state], &format!("foo=1,{state}"));
    }
    let long = [
        "z".repeat(257),
        format!("{}@v", "t".repeat(242)),
        format!("t@{}", "v".repeat(15)),
    ];
    for key in long {
        passes(&["foo=1", &with(key)], "");
    }
}

#[test]
fn values_that_are_none_spoil_the_state() {
    passes(&["foo=bar=baz"], "");
    passes(&["foo=,bar=3"], "");
}

// What the harness does not ask.

#[test]
fn a_state_that_is_too_long_is_left_out() {
    let value = "v".repeat(256);
    let states: Vec<_> = (0..17).map(|n| format!("k{n}={value}")).collect();
    let all: Vec<_> = states.iter().map(String::as_str).collect();
    passes(&all, "");
    passes(&all[..10], &all[..10].join(","));
}

#[test]
fn what_is_passed_on_is_of_version_0_with_the_flags_that_are_known() {
    let context = read(
        &["cc-12345678901234567890123456789012-1234567890123456-ff-x"],
        &[],
    );
    let expected = "00-12345678901234567890123456789012-1234567890123456-03";
    assert_eq!(context.unwrap().traceparent(), expected);
}

#[test]
fn a_journal_gives_back_what_it_was_given() {
    let context = read(&[VALID], &["a=1", "b=2"]).unwrap();
    let json = serde_json::to_string(&context).unwrap();
    let expected = r#"["00-12345678901234567890123456789012-1234567890123456-00","a=1,b=2"]"#;
    assert_eq!(json, expected);
    assert_eq!(
        serde_json::from_str::<TraceContext>(&json).unwrap(),
        context
    );
    assert!(serde_json::from_str::<TraceContext>(r#"["00-1-2-3",""]"#).is_err());
}

#[test]
fn the_spans_of_an_execution_are_the_same_whenever_they_are_asked_for() {
    let id = ExecutionId::from_bytes([7; 16]);
    let context = TraceContext::of_execution(id);
    assert_eq!(context, TraceContext::of_execution(id));
    assert_eq!(context.trace.to_string(), "07".repeat(16));
    let spans = ["", "a", "b"].map(|part| SpanId::of(id, part));
    assert_eq!(spans, ["", "a", "b"].map(|part| SpanId::of(id, part)));
    assert!(spans[0] != spans[1] && spans[1] != spans[2]);
    assert!(
        context
            .within(spans[1])
            .traceparent()
            .contains(&spans[1].to_string())
    );
}
