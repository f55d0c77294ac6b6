//! `expr` on a terminal.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{support::User, terminal::Terminal};

const DATA: &str = r#"{
    "json": { "name": "desk", "items": [{ "first name": "Ada", "price": 120 }], "none": null },
    "nodes": { "fetch": { "result": [1, 2, 3] } }
}"#;

const TAB: &str = "\t";
const ENTER: &str = "\r";
const UP: &str = "\u{1b}[A";
const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

fn user() -> User {
    let user = User::new();
    user.write("d.json", DATA);
    user
}

fn started(user: &User, variables: &[(&str, &str)]) -> Terminal {
    let mut terminal = Terminal::start(user, &["expr", "--data", "d.json"], variables);
    terminal.asks(">");
    terminal
}

/// Enters a line and waits for the answer, and for the next question: what is typed before that would
/// not reach the line editor.
#[track_caller]
fn answers(terminal: &mut Terminal, line: &str, wanted: &[&str]) {
    terminal.keys(line);
    terminal.keys(ENTER);
    for part in wanted {
        terminal.shows(part);
    }
    terminal.asks(">");
}

#[test]
fn a_person_completes_an_expression_and_sees_its_value_and_type() {
    let user = user();
    let mut terminal = started(&user, &[]);
    terminal.shows("TAB completes, :help lists the commands, Ctrl-D leaves");
    terminal.shows("$json       object with 3 fields: name, items, none");
    terminal.shows("$nodes      fetch");
    terminal.keys("$js");
    terminal.keys(TAB);
    terminal.shows("> $json");
    terminal.keys(".it");
    terminal.keys(TAB);
    terminal.shows("> $json.items");
    terminal.keys("[0].fi");
    terminal.keys(TAB);
    terminal.shows("> $json.items[0][\"first name\"]");
    answers(&mut terminal, "", &["\n\"Ada\"\n// string, 3 characters\n"]);
    terminal.keys("$json.items.map(i => i.");
    terminal.keys(TAB);
    terminal.shows("\n\"first name\"");
    terminal.shows("hasField()");
    terminal.keys("pr");
    terminal.keys(TAB);
    terminal.shows("> $json.items.map(i => i.price");
    answers(&mut terminal, ")", &["\n[120]\n// array of 1\n"]);
    terminal.keys("zz.");
    terminal.keys(TAB);
    terminal.shows("(nothing to complete)");
    terminal.keys(CTRL_C);
    terminal.asks(">");
    terminal.keys(CTRL_D);
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn mistakes_are_drawn_and_lines_go_on_while_a_bracket_is_open() {
    let user = user();
    let mut terminal = started(&user, &[]);
    let drawn = [
        "error[NAME_UNKNOWN_METHOD]",
        "1 | 'a'.toUper()\n  |    ^^^^^^^^^",
        "did you mean `toUpperCase()`?",
    ];
    answers(&mut terminal, "'a'.toUper()", &drawn);
    answers(&mut terminal, "$json.none.x", &["error[PATH_OF_NULLISH]"]);
    terminal.keys("[1,\r");
    terminal.asks("…");
    answers(&mut terminal, "2]", &["\n[1, 2]\n// array of 2\n"]);
    // An empty line ends what cannot be ended otherwise.
    terminal.keys("(7\r");
    terminal.asks("…");
    answers(&mut terminal, "", &["error[SYNTAX_END]"]);
    terminal.keys("what is given up");
    terminal.shows("> what is given up");
    terminal.keys(CTRL_C);
    terminal.asks(">");
    terminal.keys(CTRL_D);
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn commands_change_and_explain() {
    let user = user();
    user.write("e.json", r#"{ "item": { "n": 1 }, "rows": [] }"#);
    let mut terminal = started(&user, &[]);
    terminal.keys(":mode lenient\r");
    terminal.asks("lenient>");
    terminal.keys("$json.none.x\r");
    terminal.shows("\nundefined\n");
    terminal.asks("lenient>");
    answers(&mut terminal, ":mode strict", &[]);
    let explained = "paths     $json.items.length";
    answers(&mut terminal, ":explain $json.items.length", &[explained]);
    let set = "\nSet of 2\n  fields   size\n  methods  add, clear,";
    answers(&mut terminal, ":type new Set([1, 2])", &[set]);
    let read = [
        "$item       object with 1 field: n",
        "no expression can reach rows:",
    ];
    answers(&mut terminal, ":data e.json", &read);
    answers(&mut terminal, "$item.n + 1", &["\n2\n// number\n"]);
    answers(
        &mut terminal,
        ":data missing.json",
        &["error[FILE_UNUSABLE]"],
    );
    let near = ["there is no command `:tpye`", "did you mean `:type`?"];
    answers(&mut terminal, ":tpye 1", &near);
    terminal.keys(":q\r");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn lines_are_kept_for_the_next_time_and_for_the_user_alone() {
    let user = user();
    let mut terminal = started(&user, &[]);
    terminal.keys("[4,\r");
    terminal.asks("…");
    answers(&mut terminal, "5].length", &["\n2\n// number\n"]);
    answers(
        &mut terminal,
        " 'kept from the history'.length",
        &["\n21\n// number\n"],
    );
    terminal.keys(CTRL_D);
    assert_eq!(terminal.ends(), 0);
    let file = user.home().join("data/expr-history.txt");
    assert_eq!(fs::read_to_string(&file).unwrap(), "[4,<\\n>5].length\n");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(file), 0o600);
    assert_eq!(mode(user.home().join("data")), 0o700);
    let mut terminal = started(&user, &[]);
    terminal.keys(UP);
    terminal.shows("> [4,\n… 5].length");
    answers(&mut terminal, "", &["\n2\n// number\n"]);
    terminal.keys(CTRL_D);
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn a_history_that_cannot_be_kept_is_a_warning() {
    let user = user();
    fs::create_dir_all(user.home().join("data/expr-history.txt")).unwrap();
    let mut terminal = started(&user, &[]);
    terminal.shows("warning: the history is not kept:");
    terminal.shows("is no regular file; move it away");
    answers(&mut terminal, "1 + 1", &["\n2\n// number\n"]);
    terminal.keys(UP);
    terminal.shows("// number\n> 1 + 1");
    terminal.keys(CTRL_C);
    terminal.asks(">");
    terminal.keys(CTRL_D);
    assert_eq!(terminal.ends(), 0);
}

/// Whether anything on the screen is not in the terminal's own colours.
fn is_coloured(terminal: &Terminal) -> bool {
    let screen = terminal.screen();
    let (rows, columns) = screen.size();
    let mut cells =
        (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
    cells.any(|(row, column)| {
        let cell = screen.cell(row, column);
        cell.is_some_and(|cell| {
            let plain = vt100::Color::Default;
            cell.fgcolor() != plain
                || cell.bgcolor() != plain
                || cell.bold()
                || cell.dim()
                || cell.inverse()
        })
    })
}

#[test]
fn there_are_colours_unless_they_are_not_wanted() {
    let user = user();
    for (variables, wanted) in [(&[][..], true), (&[("NO_COLOR", "1")][..], false)] {
        let mut terminal = started(&user, variables);
        answers(&mut terminal, "$jsn", &["did you mean `$json`?"]);
        terminal.keys("$json.");
        terminal.keys(TAB);
        terminal.shows("items");
        terminal.shows("toJsonString()");
        let marked = terminal.screen().contents().contains("\n>name ");
        assert_eq!(marked, !wanted, "{variables:?}");
        assert_eq!(is_coloured(&terminal), wanted, "{variables:?}");
        terminal.keys(CTRL_C);
        terminal.asks(">");
        terminal.keys(CTRL_D);
        assert_eq!(terminal.ends(), 0);
    }
}

#[test]
fn results_are_json_where_that_is_asked_for() {
    let user = user();
    let mut terminal = Terminal::start(&user, &["expr", "--json", "--quiet"], &[]);
    terminal.asks(">");
    answers(&mut terminal, "[1].length", &["{\n  \"ok\": 1\n}\n"]);
    assert!(!terminal.screen().contents().contains("TAB completes"));
    terminal.keys(CTRL_D);
    assert_eq!(terminal.ends(), 0);
}
