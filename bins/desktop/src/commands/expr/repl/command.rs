//! The commands of the conversation: lines that begin with a colon.

use nebula_workflow::nearest;

/// The names of the commands.
pub(super) const COMMANDS: &[&str] = &["data", "explain", "help", "mode", "quit", "type"];
/// What `:mode` takes.
pub(super) const MODES: &[&str] = &["lenient", "strict"];

/// What `:help` says.
pub(super) const HELP: &str = "\
Write an expression, without {{ }}. TAB completes; a line goes on while a bracket is open, and an
empty line ends it. Up and Down go through the history, Ctrl-R searches it; a line that begins with
a space is not kept. Ctrl-C clears the line, Ctrl-D leaves.

  :data FILE             read other data: an object of roots without $
  :data                  what the data has
  :explain EXPR          what EXPR reads and depends on, without evaluating it
  :mode strict|lenient   whether a member of null is an error; alone, which it is
  :type EXPR             the type of the value, and what it has
  :help                  this
  :quit                  leave

A command may be shortened: :t is :type.";

/// A line, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input<'l> {
    Nothing,
    Expression(&'l str),
    Explain(&'l str),
    Type(&'l str),
    /// The file; `None` asks for a summary.
    Data(Option<&'l str>),
    /// The mode's name as it is written; `None` asks which it is.
    Mode(Option<&'l str>),
    Help,
    Quit,
    /// What is wrong, and what to do.
    Wrong {
        message: String,
        advice: String,
    },
}

/// What an argument of a command names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// The command itself.
    Command,
    Expression,
    File,
    Mode,
}

/// Reads a line.
pub(super) fn parse(line: &str) -> Input<'_> {
    let line = line.trim();
    let Some(command) = line.strip_prefix(':') else {
        return match line {
            "" => Input::Nothing,
            "exit" => without_colon(line, "quit"),
            name if COMMANDS.contains(&name) => without_colon(line, name),
            _ => Input::Expression(line),
        };
    };
    let (name, argument) = split(command);
    let Some(name) = full(name) else {
        return unknown(name);
    };
    let given = (!argument.is_empty()).then_some(argument);
    match (name, given) {
        ("data", file) => Input::Data(file),
        ("mode", mode) => Input::Mode(mode),
        ("explain", Some(expression)) => Input::Explain(expression),
        ("type", Some(expression)) => Input::Type(expression),
        ("explain" | "type", None) => Input::Wrong {
            message: format!(":{name} is about an expression, and none is given"),
            advice: format!("write `:{name} $json`"),
        },
        ("help" | "quit", Some(_)) => Input::Wrong {
            message: format!(":{name} takes nothing"),
            advice: format!("write `:{name}`"),
        },
        ("help", None) => Input::Help,
        _ => Input::Quit,
    }
}

/// What the end of a line names if the line is a command, and where that begins; `Some` with an
/// unknown command names a file, because nothing is known of it.
pub(super) fn argument(before: &str) -> Option<(Named, usize)> {
    let blank = before.len() - before.trim_start().len();
    let command = before[blank..].strip_prefix(':')?;
    let start = blank + 1;
    let (name, argument) = split(command);
    if name.len() == command.len() {
        return Some((Named::Command, start));
    }
    let named = match full(name) {
        Some("explain" | "type") => Named::Expression,
        Some("mode") => Named::Mode,
        _ => Named::File,
    };
    Some((named, before.len() - argument.len()))
}

/// The part of a line that is an expression, if there is one.
pub(super) fn expression(line: &str) -> Option<&str> {
    match argument(line) {
        None => Some(line),
        Some((Named::Expression, start)) => Some(&line[start..]),
        Some(_) => None,
    }
}

/// A word and what follows it.
fn split(command: &str) -> (&str, &str) {
    let end = command.find(char::is_whitespace).unwrap_or(command.len());
    (&command[..end], command[end..].trim_start())
}

/// The command that a name or the beginning of one means.
fn full(name: &str) -> Option<&'static str> {
    let mut known = COMMANDS.iter().filter(|known| known.starts_with(name));
    match (known.next(), known.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// No expression is such a name, so a command is meant.
fn without_colon(written: &str, name: &str) -> Input<'static> {
    Input::Wrong {
        message: format!("`{written}` is no value"),
        advice: format!("a command begins with a colon: `:{name}`"),
    }
}

fn unknown(name: &str) -> Input<'static> {
    let advice = match nearest(name, COMMANDS.iter().copied()) {
        Some(near) => format!("did you mean `:{near}`?"),
        None => "`:help` lists the commands".to_owned(),
    };
    // What was pasted by mistake is not repeated at length.
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    Input::Wrong {
        message: format!("there is no command `:{shown}`"),
        advice,
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, HELP, Input, Named, argument, expression, parse};

    #[track_caller]
    fn wrong(line: &str, wanted_message: &str, wanted_advice: &str) {
        let Input::Wrong { message, advice } = parse(line) else {
            panic!("{line} is right");
        };
        assert_eq!((&*message, &*advice), (wanted_message, wanted_advice));
    }

    #[test]
    fn lines_are_expressions_or_commands() {
        assert_eq!(parse("  "), Input::Nothing);
        assert_eq!(parse(" 1 + 1 "), Input::Expression("1 + 1"));
        assert_eq!(parse("a ? b : c"), Input::Expression("a ? b : c"));
        assert_eq!(parse(":explain  $json.a "), Input::Explain("$json.a"));
        assert_eq!(parse(":type [1,\n2]"), Input::Type("[1,\n2]"));
        assert_eq!(parse(":data"), Input::Data(None));
        assert_eq!(
            parse(":data my file.json"),
            Input::Data(Some("my file.json"))
        );
        assert_eq!(parse(":mode"), Input::Mode(None));
        assert_eq!(parse(":mode strict"), Input::Mode(Some("strict")));
        assert_eq!(parse(":help"), Input::Help);
        assert_eq!(parse(" :quit"), Input::Quit);
    }

    #[test]
    fn a_command_may_be_shortened() {
        assert_eq!(parse(":q"), Input::Quit);
        assert_eq!(parse(":t 1"), Input::Type("1"));
        assert_eq!(parse(":exp 1"), Input::Explain("1"));
        for command in COMMANDS {
            let short = format!(":{}", &command[..1]);
            assert!(
                !matches!(parse(&short), Input::Wrong { message, .. } if message.contains("no command"))
            );
            assert!(HELP.contains(&format!("  :{command}")), "{command}");
        }
    }

    #[test]
    fn what_is_no_command_gets_the_nearest_one() {
        wrong(
            ":explian 1",
            "there is no command `:explian`",
            "did you mean `:explain`?",
        );
        wrong(
            ":typ3 1",
            "there is no command `:typ3`",
            "did you mean `:type`?",
        );
        wrong(
            ":wxyz",
            "there is no command `:wxyz`",
            "`:help` lists the commands",
        );
        wrong(":", "there is no command `:`", "`:help` lists the commands");
        wrong(
            ":type",
            ":type is about an expression, and none is given",
            "write `:type $json`",
        );
        wrong(
            "exit",
            "`exit` is no value",
            "a command begins with a colon: `:quit`",
        );
        wrong(
            "help",
            "`help` is no value",
            "a command begins with a colon: `:help`",
        );
        wrong(":quit now", ":quit takes nothing", "write `:quit`");
    }

    #[test]
    fn arguments_are_known_by_their_command() {
        assert_eq!(argument("$json"), None);
        assert_eq!(argument(":"), Some((Named::Command, 1)));
        assert_eq!(argument(" :ty"), Some((Named::Command, 2)));
        assert_eq!(argument(":type  $js"), Some((Named::Expression, 7)));
        assert_eq!(argument(":e a b"), Some((Named::Expression, 3)));
        assert_eq!(argument(":mode "), Some((Named::Mode, 6)));
        assert_eq!(argument(":data a"), Some((Named::File, 6)));
        assert_eq!(expression(":type [1"), Some("[1"));
        assert_eq!(expression("[1"), Some("[1"));
        assert_eq!(expression(":data [1"), None);
    }
}
