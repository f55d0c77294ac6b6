//! Where a value stands within the parameters, while they are resolved.

use std::fmt;

use crate::compile::escaped;

/// A JSON pointer (RFC 6901) that costs nothing until somebody reads it: each attempt passes many
/// places, and an error names one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pointer<'a> {
    /// The whole of what is resolved.
    Whole,
    /// An entry of the object there.
    Key(&'a Pointer<'a>, &'a str),
    /// An element of the array there.
    Index(&'a Pointer<'a>, usize),
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Key(outer, key) => write!(f, "{outer}/{}", escaped(key)),
            Self::Index(outer, index) => write!(f, "{outer}/{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_and_places_follow_from_the_outermost() {
        let list = Pointer::Key(&Pointer::Whole, "a/b~");
        let element = Pointer::Index(&list, 3);
        assert_eq!(Pointer::Key(&element, "c").to_string(), "/a~1b~0/3/c");
        assert_eq!(Pointer::Whole.to_string(), "");
    }
}
