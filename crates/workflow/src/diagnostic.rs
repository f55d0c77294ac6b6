//! One problem of a definition: what is wrong, where, and what to do.

use std::{borrow::Cow, ops::Range};

use serde::{Deserialize, Serialize};

/// How much a problem weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// It can be used, and probably does not do what was meant.
    Warning,
    /// It does what was meant, and could be written better.
    Lint,
}

/// One problem of a definition.
///
/// The place is a JSON pointer into the definition and, for text inside a string, a byte range of
/// the decoded string. A [`crate::SourceMap`] turns it into a place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable name, listed in [`crate::codes`].
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where (RFC 6901). A place that does not exist stands for the nearest one around it.
    pub pointer: String,
    /// Bytes inside the string at `pointer`; the whole value if there is none.
    pub range: Option<Range<usize>>,
    /// Whether the field's name is meant rather than its value.
    pub key: bool,
    /// What to do.
    pub hint: Option<String>,
    /// Other places that explain this one.
    pub related: Vec<Related>,
    /// The line as it should be.
    pub suggestion: Option<String>,
    /// Bytes of the source, where there is no pointer to lead there.
    pub(crate) span: Option<Range<usize>>,
}

/// A second place that explains a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where (RFC 6901).
    pub pointer: String,
    /// What is there.
    pub label: String,
    /// Bytes of the source, where there is no pointer to lead there.
    pub(crate) span: Option<Range<usize>>,
}

impl Diagnostic {
    /// A problem that makes the definition unusable.
    pub fn error(
        code: &'static str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            pointer: pointer.into(),
            range: None,
            key: false,
            hint: None,
            related: Vec::new(),
            suggestion: None,
            span: None,
        }
    }

    /// A problem that leaves the definition usable.
    pub fn warning(
        code: &'static str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, pointer, message)
        }
    }

    /// A matter of style.
    pub fn lint(
        code: &'static str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Lint,
            ..Self::error(code, pointer, message)
        }
    }

    /// Narrows the place to these bytes of the string at the pointer.
    #[must_use]
    pub fn range(mut self, range: Range<usize>) -> Self {
        self.range = Some(range);
        self
    }

    /// Points at the field's name instead of its value.
    #[must_use]
    pub fn at_key(mut self) -> Self {
        self.key = true;
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says "did you mean …?", if a name is near.
    #[must_use]
    pub fn did_you_mean(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Adds a second place with what is there.
    #[must_use]
    pub fn related(mut self, pointer: impl Into<String>, label: impl Into<String>) -> Self {
        self.related.push(Related {
            pointer: pointer.into(),
            label: label.into(),
            span: None,
        });
        self
    }

    /// Gives the line as it should be.
    #[must_use]
    pub fn suggestion(mut self, line: impl Into<String>) -> Self {
        self.suggestion = Some(line.into());
        self
    }

    /// Whether it makes the definition unusable.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub(crate) fn span(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    pub(crate) fn related_span(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push(Related {
            pointer: self.pointer.clone(),
            label: label.into(),
            span: Some(span),
        });
        self
    }
}

/// A problem with its place in the file. This is its JSON shape for tools.
///
/// Lines and columns count from 1, columns in characters; without a source both are 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocatedDiagnostic {
    /// Stable name.
    pub code: Cow<'static, str>,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The source's name.
    pub file: String,
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character.
    pub column: usize,
    /// Where in the definition.
    pub pointer: String,
    /// What to do; with the corrected line, if there is one.
    pub hint: Option<String>,
}
