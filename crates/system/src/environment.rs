//! The process environment, read once by a binary and passed on as values.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the reader of the environment that everybody else is sent to"
)]

use std::ffi::OsString;

/// A variable that was asked for as text is not text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {name} is not valid Unicode; set it again or unset it")]
pub struct EnvironmentError {
    /// Its name, with what is not Unicode replaced.
    pub name: String,
}

/// The value of one variable; `None` if it is unset or empty, which mean the same to every reader here.
#[must_use]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Every variable whose name begins with `prefix`, sorted by name, empty ones too.
///
/// # Errors
/// [`EnvironmentError`]: the name or value of one of them is not Unicode.
pub fn variables(prefix: &str) -> Result<Vec<(String, String)>, EnvironmentError> {
    texts(prefix, std::env::vars_os())
}

fn texts(
    prefix: &str,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, EnvironmentError> {
    let mut found = Vec::new();
    for (name, value) in environment {
        let shown = name.to_string_lossy().into_owned();
        if !shown.starts_with(prefix) {
            continue;
        }
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => found.push((name, value)),
            _ => return Err(EnvironmentError { name: shown }),
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_the_prefix_are_read() {
        let environment = [("PATH", "/bin"), ("NEBULA_B", "2"), ("NEBULA_A", "")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let expected = [("NEBULA_A", ""), ("NEBULA_B", "2")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            texts("NEBULA_", environment.into_iter()),
            Ok(expected.to_vec())
        );
    }

    #[test]
    fn an_unset_variable_has_no_value() {
        assert_eq!(variable("NEBULA_TEST_NAME_THAT_NOBODY_SETS"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_an_error_only_where_it_is_asked_for() {
        use std::os::unix::ffi::OsStringExt as _;

        let environment = |name: &str| [(name.into(), OsString::from_vec(vec![0xff]))].into_iter();
        assert_eq!(texts("NEBULA_", environment("LANG")), Ok(Vec::new()));
        let error = texts("NEBULA_", environment("NEBULA_X")).unwrap_err();
        assert_eq!(error.name, "NEBULA_X");
    }
}
