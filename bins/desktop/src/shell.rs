//! Commands that a user can copy into a shell.

/// `text` as one word of a POSIX shell.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The command that was given, with `more` at its end.
pub(crate) fn again(more: &str) -> String {
    let mut words = std::env::args_os().map(|word| quoted(&word.to_string_lossy()));
    let program = words.next().unwrap_or_default();
    let program = match program.rsplit_once('/') {
        Some((_, name)) => name.to_owned(),
        None => program,
    };
    let mut command = program;
    for word in words {
        command.push(' ');
        command.push_str(&word);
    }
    command + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_only_if_it_must_be() {
        assert_eq!(quoted("fs:read:/var/log"), "fs:read:/var/log");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("{{ $x }}"), "'{{ $x }}'");
    }
}
