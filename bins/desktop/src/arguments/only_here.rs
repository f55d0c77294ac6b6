//! The commands that no server answers, each with why.

/// Those commands; a word for each level.
const ONLY_HERE: &[(&str, &str)] = &[
    (
        "resume",
        "a server goes on by itself with all that it has; what is paused or parked there goes on with \
         `nebula executions unpause` and `unpark`",
    ),
    ("serve", "it is the server"),
    (
        "rename",
        "it writes the file that it is given; `nebula workflows push` saves the file",
    ),
    (
        "executions tokens",
        "tokens are made with a key that never leaves the machine of the server: run it there",
    ),
    (
        "secrets rotate",
        "the key of secrets never leaves the machine that they lie on: run it there",
    ),
    (
        "blobs collect",
        "a server deletes what nothing names by itself, every `serve.collect_every`",
    ),
    (
        "schedule next",
        "it computes from the expression alone, and looks at no trigger; `nebula triggers list` says when \
         those of a server are due",
    ),
    ("new", "it writes a file"),
    ("login", "the server is the argument: nebula login URL"),
    ("logout", "the server is the argument: nebula logout URL"),
    ("completions", "it is about this program alone"),
];

/// Why the command of these words has no `--server`, if that has a reason.
pub(crate) fn why_only_here<'w>(words: impl Iterator<Item = &'w str>) -> Option<&'static str> {
    let words: Vec<_> = words.filter(|word| !word.starts_with('-')).collect();
    let named = |(command, _): &&(&str, &str)| {
        let mut names = command.split(' ');
        let first = names.next();
        let at = words.iter().position(|word| Some(*word) == first);
        at.is_some_and(|at| {
            names.eq(words[at + 1..]
                .iter()
                .copied()
                .take(command.split(' ').count() - 1))
        })
    };
    ONLY_HERE.iter().find(named).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::arguments::Arguments;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, bool)>) {
        let below = command
            .get_subcommands()
            .filter(|it| it.get_name() != "help");
        let below: Vec<_> = below.collect();
        for next in &below {
            let name = next.get_name();
            let path = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path} {name}")
            };
            leaves(next, &path, found);
        }
        if below.is_empty() {
            let asks = command
                .get_arguments()
                .any(|it| it.get_long() == Some("server"));
            found.push((path.to_owned(), asks));
        }
    }

    #[test]
    fn every_command_asks_a_server_or_says_why_not() {
        let mut found = Vec::new();
        leaves(&Arguments::command(), "", &mut found);
        assert!(found.len() > 50, "{found:?}");
        for (path, asks) in &found {
            let why = why_only_here(path.split(' '));
            assert_eq!(
                *asks,
                why.is_none(),
                "`{path}`: give it --server, or say in ONLY_HERE why no server answers it: {why:?}"
            );
        }
        for (path, _) in ONLY_HERE {
            assert!(
                found.iter().any(|(it, _)| it == path),
                "there is no `{path}`"
            );
        }
    }
}
