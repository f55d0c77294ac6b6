//! The compiled form: one flat list of nodes that name each other by index.
//!
//! All names are resolved. A parameter of an arrow is a slot that is fixed at compile time: arrows
//! are not values, so no arrow can be active twice at once, and no closure has to be made.

use compact_str::CompactString;

use crate::{
    Root,
    library::{Function, MethodSet},
    machine::Shape,
    path::{Key, Path},
    regex::Compiled,
    syntax::ast::{BinaryOp, LogicOp, UnaryOp},
};

/// Index into [`Code::nodes`].
pub(crate) type NodeId = u32;

/// A run of entries in one of the lists of [`Code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Run {
    #[inline(always)]
    pub(crate) fn of<T>(self, list: &[T]) -> &[T] {
        &list[self.start as usize..][..self.len as usize]
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Node {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    /// Index into [`Code::texts`].
    Str(u32),
    /// Index into [`Code::wides`].
    Wide(u32),
    /// Index into [`Code::regexes`].
    Regex(u32),
    Local(u16),
    Root(Root),
    /// A field of a node: slot, field, and whether the node may be missing.
    StepField(u16, NodeField, bool),
    /// All fields of a node.
    StepWhole(u16, bool),
    /// Items of a node's result.
    StepItems(u16, Lineage, bool),
    Now,
    Today,
    Random,
    /// `steps` is a run of [`Code::steps`].
    Chain {
        base: NodeId,
        steps: Run,
    },
    /// A chain that is a path: the same steps in another form.
    Path {
        path: Path,
        base: NodeId,
        steps: Run,
    },
    /// A chain that begins with a path, which stands for as many of its steps as it has.
    PathChain {
        path: Path,
        base: NodeId,
        steps: Run,
    },
    Binary(BinaryOp, NodeId, NodeId),
    /// `rest` is a run of [`Code::folds`].
    Fold {
        first: NodeId,
        rest: Run,
    },
    /// `items` is a run of [`Code::lists`].
    Logic(LogicOp, Run),
    Unary(UnaryOp, NodeId),
    Conditional(NodeId, NodeId, NodeId),
    /// A run of [`Code::lists`].
    Template(Run),
    /// A run of [`Code::elements`].
    Array(Run),
    /// A run of [`Code::properties`].
    Object(Run),
    /// An object whose shape is known: index into [`Code::shapes`], and its properties, which are
    /// pairs.
    Record(u32, Run),
    /// A function of the library; the arguments are a run of [`Code::elements`].
    Call(&'static Function, Run),
    /// An arrow that is called where it is written: index into [`Code::callbacks`].
    Inline(u32, Run),
    /// An arrow or function on its way to a method: index into [`Code::callbacks`].
    Callback(u32),
    /// The statements of an arrow's body: a run of [`Code::lists`].
    Body(Run),
    /// The statements of a block within a body: a run of [`Code::lists`].
    Block(Run),
    /// Gives a slot a value.
    Let(u16, NodeId),
    /// Takes a value apart: index into [`Code::patterns`].
    Declare(u32, NodeId),
    /// Tests and what each guards in turn, and at last what is left: a run of [`Code::lists`].
    If(Run),
    Return(NodeId),
    /// Index into [`Code::tries`].
    Try(u32),
}

/// `try`, with what follows it.
#[derive(Debug)]
pub(crate) struct Try {
    pub(crate) block: NodeId,
    pub(crate) catch: Option<(Option<Pattern>, NodeId)>,
    pub(crate) finally: Option<NodeId>,
}

/// The fields of `$nodes.<id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeField {
    Result,
    Success,
    Error,
    Status,
    Port,
    Attempts,
}

impl NodeField {
    pub(crate) const ALL: [(&'static str, NodeField); 6] = [
        ("result", NodeField::Result),
        ("success", NodeField::Success),
        ("error", NodeField::Error),
        ("status", NodeField::Status),
        ("port", NodeField::Port),
        ("attempts", NodeField::Attempts),
    ];
}

/// Which items of `$nodes.<id>` are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lineage {
    /// The one that the current item came from.
    Item,
    All,
    First,
    Last,
}

/// One step of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) kind: StepKind,
    pub(crate) optional: bool,
    pub(crate) span: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum StepKind {
    /// A key: index into [`Code::keys`].
    Key(u32),
    /// An index that is known; as a key, it is that entry of [`Code::keys`].
    At(u32, u32),
    /// A key or index that is computed.
    Index(NodeId),
    /// A method: index into [`Code::methods`], arguments; whether a missing method is undefined.
    Method {
        method: u32,
        args: Run,
        if_present: bool,
        /// Called on a name, whose value must not change; which types would change it is known
        /// only when the value is.
        named: bool,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Element {
    pub(crate) spread: bool,
    pub(crate) node: NodeId,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Property {
    /// Index into [`Code::strings`], and the value.
    Pair(u32, NodeId),
    Computed(NodeId, NodeId),
    Spread(NodeId),
}

/// What a method calls back.
#[derive(Debug)]
pub(crate) enum Callback {
    Arrow(Arrow),
    Function(&'static Function),
}

#[derive(Debug)]
pub(crate) struct Arrow {
    /// If all parameters are plain names: they take the slots from here on.
    pub(crate) plain: Option<u16>,
    pub(crate) params: Vec<Param>,
    pub(crate) rest: Option<Pattern>,
    pub(crate) body: NodeId,
    pub(crate) span: (u32, u32),
}

#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) pattern: Pattern,
    pub(crate) default: Option<NodeId>,
}

#[derive(Debug)]
pub(crate) enum Pattern {
    Slot(u16),
    Object {
        fields: Vec<(PatternKey, Param)>,
        rest: Option<u16>,
        span: (u32, u32),
    },
    Array {
        items: Vec<Option<Param>>,
        rest: Option<Box<Pattern>>,
        span: (u32, u32),
    },
}

#[derive(Debug)]
pub(crate) enum PatternKey {
    /// Index into [`Code::strings`].
    Fixed(u32),
    Computed(NodeId),
}

/// A compiled expression.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub(crate) nodes: Vec<Node>,
    /// The place of each node in the source.
    pub(crate) spans: Vec<(u32, u32)>,
    pub(crate) lists: Vec<NodeId>,
    pub(crate) folds: Vec<(BinaryOp, NodeId)>,
    pub(crate) steps: Vec<Step>,
    pub(crate) elements: Vec<Element>,
    pub(crate) properties: Vec<Property>,
    /// The keys of steps.
    pub(crate) keys: Vec<Key>,
    /// The keys of objects and patterns.
    pub(crate) strings: Vec<CompactString>,
    /// Texts that are values.
    pub(crate) texts: Vec<String>,
    pub(crate) wides: Vec<Vec<u16>>,
    pub(crate) regexes: Vec<Compiled>,
    pub(crate) methods: Vec<(&'static str, &'static MethodSet)>,
    pub(crate) callbacks: Vec<Callback>,
    /// Patterns of declarations.
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) tries: Vec<Try>,
    /// Node ids by slot.
    pub(crate) node_ids: Vec<String>,
    pub(crate) slots: u16,
    pub(crate) root: NodeId,
    /// No evaluation makes a text, an array or an object, unless data is of an unlikely type.
    pub(crate) makes_nothing: bool,
    pub(crate) shapes: Vec<Shape>,
    /// If the expression is nothing but a path.
    pub(crate) path: Option<Path>,
}
