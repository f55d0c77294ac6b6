//! One case of the set, and what the language makes of it.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use nebula_expression::{CompileOptions, Context, JsonScope, Program};
use serde::Deserialize;
use serde_json::Value;

/// Two expressions that give the same value in JavaScript, and where they come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) expr: String,
    pub(crate) expect: String,
}

impl Case {
    /// The folder that the case is counted in: at most three deep.
    pub(crate) fn folder(&self) -> String {
        let parts: Vec<_> = self.file.split('/').collect();
        let depth = (parts.len() - 1).min(3);
        parts[..depth].join("/")
    }

    /// Names the case in the list of known ones.
    pub(crate) fn name(&self) -> (&str, &str, &str) {
        (&self.file, &self.expr, &self.expect)
    }
}

/// Reads one case per line.
pub(crate) fn read(path: &Path) -> Result<Vec<Case>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", i + 1))
        })
        .collect()
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Both sides gave the same value: as `Object.is`, and element by element for lists and objects.
    Right,
    /// They gave different values, or one failed while it was evaluated.
    Wrong(String),
    /// The language does not have what is written there.
    Refused(String),
    Panicked(String),
}

/// Evaluates both sides in strict mode, as new workflows are.
pub(crate) fn judge(case: &Case, wall: Duration) -> Verdict {
    let sides = catch_unwind(AssertUnwindSafe(|| {
        (value(&case.expr, wall), value(&case.expect, wall))
    }));
    match sides {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Verdict::Panicked(text.unwrap_or_default())
        }
        Ok((Ok(found), Ok(expected))) if found == expected => Verdict::Right,
        Ok((Ok(found), Ok(expected))) => Verdict::Wrong(format!("{found}, not {expected}")),
        Ok((Err(failure), _) | (_, Err(failure))) => failure,
    }
}

/// The value in the notation that tells all values apart.
fn value(source: &str, wall: Duration) -> Result<String, Verdict> {
    let program = Program::compile(source, &CompileOptions::default()).map_err(|errors| {
        let all: Vec<_> = errors
            .iter()
            .map(|error| format!("{}: {error}", error.code))
            .collect();
        Verdict::Refused(all.join("; "))
    })?;
    let end = Instant::now() + wall;
    let context = Context {
        backstop: Some(Arc::new(move || Instant::now() >= end)),
        ..Context::default()
    };
    program
        .inspect(&JsonScope(&Value::Null), &context)
        .map_err(|error| {
            let text = format!("{}: {error}", error.code);
            // Which types have a method is seen only when it is called.
            match error.code {
                "TYPE_NO_METHOD" | "TYPE_METHOD_NOT_CALLED" => Verdict::Refused(text),
                _ => Verdict::Wrong(text),
            }
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Case, Verdict, judge};

    fn verdict(expr: &str, expect: &str) -> Verdict {
        let case = Case {
            file: "a/b.js".into(),
            expr: expr.into(),
            expect: expect.into(),
        };
        judge(&case, Duration::from_secs(5))
    }

    #[test]
    fn right_means_the_same_value_down_to_the_sign_of_zero() {
        assert_eq!(verdict("0 / 0", "NaN"), Verdict::Right);
        assert_eq!(verdict("[1, [-0]].flat()", "[1, -0]"), Verdict::Right);
        let wrong = |expr, expect| matches!(verdict(expr, expect), Verdict::Wrong(_));
        assert!(wrong("0", "-0"));
        assert!(wrong("null", "undefined"));
        assert!(wrong("1", "'1'"));
        assert!(wrong("[1]", "[[1]]"));
        assert!(wrong("null.a", "1"));
    }

    #[test]
    fn what_the_language_does_not_have_is_refused() {
        let refused = |expr| matches!(verdict(expr, "1"), Verdict::Refused(_));
        assert!(refused("a = 1"));
        assert!(refused("'a'.map(x => x)"));
        assert!(refused("[1].map"));
    }

    #[test]
    fn folders_are_counted_three_deep_at_most() {
        let folder = |file: &str| {
            let (expr, expect) = (String::new(), String::new());
            let file = file.to_owned();
            Case { file, expr, expect }.folder()
        };
        assert_eq!(folder("a/b/c/d/e.js"), "a/b/c");
        assert_eq!(folder("a/e.js"), "a");
    }
}
