//! Fields that are an expression as a whole, without braces around it.

use std::fmt;

/// An expression as an author wrote it in `condition`, `for_each`, `when` or `complete_when`.
///
/// JSON shape: the text. Two of them are equal when they say the same, wherever they stand.
#[derive(Clone, Eq)]
pub struct BareExpression {
    /// The expression: without surrounding white space and without `{{ }}`.
    pub source: String,
    /// The byte in the field's string at which `source` begins, so that an error is drawn there.
    pub offset: usize,
}

impl BareExpression {
    /// An expression that stands alone in its string.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            offset: 0,
        }
    }
}

impl PartialEq for BareExpression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for BareExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BareExpression({} @ {})", self.source, self.offset)
    }
}

impl fmt::Display for BareExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
