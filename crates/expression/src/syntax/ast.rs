//! The syntax tree.
//!
//! Chains of members and calls, and operators of one rank side by side, are flat lists, so the
//! depth of the tree is the nesting that a reader sees and is bounded by the parser.

use compact_str::CompactString;

/// A place in the source, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn to(self, end: Span) -> Span {
        Span {
            start: self.start,
            end: end.end,
        }
    }

    pub(crate) fn pair(self) -> (u32, u32) {
        (self.start, self.end)
    }
}

/// A string literal's value: text, or UTF-16 units where a lone surrogate keeps it from being one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cooked {
    Text(CompactString),
    Units(Vec<u16>),
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
    /// Written in parentheses: ends an optional chain and allows `??` beside `||`.
    pub(crate) grouped: bool,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    /// Something was wrong here and has been reported.
    Error,
    Null,
    Bool(bool),
    Number(f64),
    Str(Cooked),
    /// `chunks` has one more element than `values`.
    Template {
        chunks: Vec<Cooked>,
        values: Vec<Expr>,
    },
    /// A pattern literal: what stands between the slashes and behind them, and where each begins.
    Regex {
        source: CompactString,
        source_start: u32,
        flags: CompactString,
        flags_start: u32,
    },
    Name(CompactString),
    Array(Vec<Element>),
    Object(Vec<Property>),
    Chain {
        base: Box<Expr>,
        links: Vec<Link>,
    },
    /// Left-associative operators of one rank: `a + b - c`.
    Fold {
        first: Box<Expr>,
        rest: Vec<(BinaryOp, Expr)>,
    },
    /// `a && b && c`, `a || b`, `a ?? b`.
    Logic {
        op: LogicOp,
        items: Vec<Expr>,
    },
    Unary {
        op: UnaryOp,
        operand: Box<Expr>,
    },
    /// Test, then, otherwise.
    Conditional(Box<[Expr; 3]>),
    Arrow(Box<Arrow>),
    /// `new Set(…)`; the name may have dots.
    New {
        name: CompactString,
        name_span: Span,
        args: Vec<Element>,
    },
    /// The statements of an arrow's body; stands nowhere else.
    Block(Vec<Statement>),
}

#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) kind: StatementKind,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum StatementKind {
    /// Something was wrong here and has been reported.
    Error,
    Empty,
    /// `const` or `let`: names and what they stand for.
    Declare(Vec<(Pattern, Option<Expr>)>),
    /// Tests in their order with what each guards; then what is left.
    If {
        branches: Vec<(Expr, Statement)>,
        otherwise: Option<Box<Statement>>,
    },
    Return(Option<Expr>),
    Block(Vec<Statement>),
    Try(Box<Try>),
    /// An expression whose value nobody takes, and whether a mistake in it has been reported.
    Value(Expr, bool),
}

#[derive(Debug)]
pub(crate) struct Try {
    pub(crate) block: Vec<Statement>,
    pub(crate) catch: Option<(Option<Pattern>, Vec<Statement>)>,
    pub(crate) finally: Option<Vec<Statement>>,
}

/// An element of an array or an argument of a call.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) spread: bool,
    /// `None` is an elision (`[1, , 2]`), which reads as undefined.
    pub(crate) value: Option<Expr>,
}

#[derive(Debug)]
pub(crate) enum Property {
    Pair { key: Key, value: Expr },
    Spread(Expr),
}

#[derive(Debug)]
pub(crate) enum Key {
    Fixed(Cooked),
    Computed(Expr),
}

/// One link of a chain.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) kind: LinkKind,
    /// Written with `?.`.
    pub(crate) optional: bool,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum LinkKind {
    Member(CompactString),
    Index(Expr),
    Call(Vec<Element>),
}

#[derive(Debug)]
pub(crate) struct Arrow {
    pub(crate) params: Vec<Param>,
    pub(crate) rest: Option<Pattern>,
    pub(crate) body: Expr,
}

#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) pattern: Pattern,
    pub(crate) default: Option<Expr>,
}

#[derive(Debug)]
pub(crate) enum Pattern {
    Name(CompactString, Span),
    Object {
        fields: Vec<(Key, Param)>,
        rest: Option<(CompactString, Span)>,
        span: Span,
    },
    Array {
        items: Vec<Option<Param>>,
        rest: Option<Box<Pattern>>,
        span: Span,
    },
    /// Reported already.
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogicOp {
    And,
    Or,
    Coalesce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Not,
    Negate,
    Plus,
    BitNot,
    Typeof,
    Void,
}

/// What `instanceof` can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Array,
    Boolean,
    Date,
    DateTime,
    Duration,
    Error,
    Function,
    Interval,
    Map,
    Number,
    Object,
    RegExp,
    Set,
    String,
    Url,
    UrlSearchParams,
}

impl Class {
    pub(crate) const ALL: [(&'static str, Class); 16] = [
        ("Array", Class::Array),
        ("Boolean", Class::Boolean),
        ("Date", Class::Date),
        ("DateTime", Class::DateTime),
        ("Duration", Class::Duration),
        ("Error", Class::Error),
        ("Function", Class::Function),
        ("Interval", Class::Interval),
        ("Map", Class::Map),
        ("Number", Class::Number),
        ("Object", Class::Object),
        ("RegExp", Class::RegExp),
        ("Set", Class::Set),
        ("String", Class::String),
        ("URL", Class::Url),
        ("URLSearchParams", Class::UrlSearchParams),
    ];

    pub(crate) fn from_name(name: &str) -> Option<Class> {
        let found = Class::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, class)| class)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    BitOr,
    BitXor,
    BitAnd,
    Equal,
    NotEqual,
    StrictEqual,
    StrictNotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    /// The operand on the right only names the class.
    InstanceOf(Class),
    ShiftLeft,
    ShiftRight,
    ShiftRightZero,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}
