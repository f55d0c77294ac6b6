//! The tokens of the language.

use super::ast::Span;

/// What kind of token stands somewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Eof,
    /// A name or a reserved word; the parser tells them apart where it matters.
    Name,
    Number,
    /// A string in quotes; its text is decoded by the parser.
    Str,
    /// The opening back-tick; the parser then asks for the chunks.
    Backtick,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    Dot,
    Ellipsis,
    Question,
    QuestionDot,
    Coalesce,
    Colon,
    Comma,
    Semicolon,
    FatArrow,
    OrOr,
    AndAnd,
    Or,
    And,
    Caret,
    Equal,
    StrictEqual,
    NotEqual,
    StrictNotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    ShiftLeft,
    ShiftRight,
    ShiftRightZero,
    Plus,
    Minus,
    Star,
    StarStar,
    Slash,
    Percent,
    Bang,
    Tilde,
    /// `++` or `--`.
    Step,
    /// `=` or any `op=`.
    Assign,
    /// A character that starts no token, or a literal without end; already reported.
    Bad,
}

/// One token and its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Token {
    pub(super) fn span(self) -> Span {
        Span {
            start: self.start,
            end: self.end,
        }
    }
}
