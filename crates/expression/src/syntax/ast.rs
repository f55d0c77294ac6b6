//! The syntax tree: values in the arena of one compilation, which borrow the source.
//!
//! Nothing in it owns memory, so it is built without an allocator and left behind without a walk.
//! Chains of members and calls, and operators of one rank side by side, are flat lists, so the
//! depth of the tree is the nesting that a reader sees and is bounded by the parser.

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

/// A field's tree, and how large its program will be, more or less.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree<'a> {
    pub(crate) root: &'a Expr<'a>,
    pub(crate) counts: Counts,
}

/// What a parser has read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) exprs: usize,
    /// Members and indices.
    pub(crate) members: usize,
    pub(crate) calls: usize,
}

/// A string literal's value: text, or UTF-16 units where a lone surrogate keeps it from being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cooked<'a> {
    Text(&'a str),
    Units(&'a [u16]),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Expr<'a> {
    pub(crate) kind: ExprKind<'a>,
    pub(crate) span: Span,
    /// Written in parentheses: ends an optional chain and allows `??` beside `||`.
    pub(crate) grouped: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum ExprKind<'a> {
    /// Something was wrong here and has been reported.
    Error,
    Null,
    Bool(bool),
    Number(f64),
    Str(Cooked<'a>),
    Template(&'a Template<'a>),
    Regex(&'a Regex<'a>),
    Name(&'a str),
    Array(&'a [Element<'a>]),
    Object(&'a [Property<'a>]),
    Chain {
        base: &'a Expr<'a>,
        links: &'a [Link<'a>],
    },
    /// Left-associative operators of one rank: `a + b - c`.
    Fold {
        first: &'a Expr<'a>,
        rest: &'a [(BinaryOp, &'a Expr<'a>)],
    },
    /// `a && b && c`, `a || b`, `a ?? b`.
    Logic {
        op: LogicOp,
        items: &'a [&'a Expr<'a>],
    },
    Unary {
        op: UnaryOp,
        operand: &'a Expr<'a>,
    },
    /// Test, then, otherwise.
    Conditional([&'a Expr<'a>; 3]),
    Arrow(&'a Arrow<'a>),
    New(&'a New<'a>),
    /// The statements of an arrow's body; stands nowhere else.
    Block(&'a [Statement<'a>]),
}

/// A text with values in it: one more chunk than values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Template<'a> {
    pub(crate) chunks: &'a [Cooked<'a>],
    pub(crate) values: &'a [&'a Expr<'a>],
}

/// A pattern literal: what stands between the slashes and behind them, and where each begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Regex<'a> {
    pub(crate) source: &'a str,
    pub(crate) source_start: u32,
    pub(crate) flags: &'a str,
    pub(crate) flags_start: u32,
}

/// `new Set(…)`; the name may have dots.
#[derive(Debug, Clone, Copy)]
pub(crate) struct New<'a> {
    pub(crate) name: &'a str,
    pub(crate) name_span: Span,
    pub(crate) args: &'a [Element<'a>],
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a> {
    pub(crate) kind: StatementKind<'a>,
    pub(crate) span: Span,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum StatementKind<'a> {
    /// Something was wrong here and has been reported.
    Error,
    Empty,
    /// `const` or `let`: names and what they stand for.
    Declare(&'a [(Pattern<'a>, Option<&'a Expr<'a>>)]),
    /// Tests in their order with what each guards; then what is left.
    If {
        branches: &'a [(&'a Expr<'a>, Statement<'a>)],
        otherwise: Option<&'a Statement<'a>>,
    },
    Return(Option<&'a Expr<'a>>),
    Block(&'a [Statement<'a>]),
    Try(&'a Try<'a>),
    /// An expression whose value nobody takes, and whether a mistake in it has been reported.
    Value(&'a Expr<'a>, bool),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Try<'a> {
    pub(crate) block: &'a [Statement<'a>],
    pub(crate) catch: Option<(Option<Pattern<'a>>, &'a [Statement<'a>])>,
    pub(crate) finally: Option<&'a [Statement<'a>]>,
}

/// An element of an array or an argument of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) spread: bool,
    /// `None` is an elision (`[1, , 2]`), which reads as undefined.
    pub(crate) value: Option<&'a Expr<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Property<'a> {
    Pair { key: Key<'a>, value: &'a Expr<'a> },
    Spread(&'a Expr<'a>),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'a> {
    Fixed(Cooked<'a>),
    Computed(&'a Expr<'a>),
}

/// One link of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link<'a> {
    pub(crate) kind: LinkKind<'a>,
    /// Written with `?.`.
    pub(crate) optional: bool,
    pub(crate) span: Span,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkKind<'a> {
    Member(&'a str),
    Index(&'a Expr<'a>),
    Call(&'a [Element<'a>]),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrow<'a> {
    pub(crate) params: &'a [Param<'a>],
    pub(crate) rest: Option<Pattern<'a>>,
    pub(crate) body: &'a Expr<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Param<'a> {
    pub(crate) pattern: Pattern<'a>,
    pub(crate) default: Option<&'a Expr<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Pattern<'a> {
    Name(&'a str, Span),
    Object {
        fields: &'a [(Key<'a>, Param<'a>)],
        rest: Option<(&'a str, Span)>,
        span: Span,
    },
    Array {
        items: &'a [Option<Param<'a>>],
        rest: Option<&'a Pattern<'a>>,
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
