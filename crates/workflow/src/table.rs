//! What a table of fields says: names, shapes and what each field is for.

/// One kind of object of the format.
#[derive(Debug)]
pub(crate) struct Table {
    /// What it is called in messages and in the schema's `$defs`.
    pub(crate) name: &'static str,
    /// With its article.
    pub(crate) what: &'static str,
    pub(crate) fields: &'static [Field],
    /// Whether other fields are kept as they are.
    pub(crate) open: bool,
}

/// One field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
    pub(crate) doc: &'static str,
}

/// What may stand in a field.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Any string.
    Text,
    /// A string that names something; with the regular expression.
    Name(&'static str),
    Bool,
    /// A whole number between two bounds.
    Count(u32, u32),
    /// A span of time as text.
    Duration,
    /// An expression without braces.
    Expression,
    /// A whole number between two bounds, or an expression without braces.
    CountOrExpression(u32, u32),
    /// Anything, with expressions inside.
    Param,
    /// An object of anything, with expressions inside.
    Params,
    /// A list of strings with expressions inside.
    Templates,
    /// A string, or a list of strings.
    Texts,
    /// An object of strings.
    TextMap,
    /// Any JSON value.
    Any,
    /// An object of anything.
    Object,
    /// A JSON Schema: an object or a boolean.
    Schema,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An object with its own table.
    Part(&'static Table),
    /// A list of objects with their own table; with the least number of them.
    List(&'static Table, usize),
    /// One of these words, or an object.
    ChoiceOr(&'static [&'static str], &'static Table),
    /// A boolean, or an object.
    BoolOr(&'static Table),
    /// A list of strings or objects.
    Connections(&'static Table),
}

pub(crate) const fn field(name: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field {
        name,
        required: false,
        shape,
        doc,
    }
}

pub(crate) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field {
        name,
        required: true,
        shape,
        doc,
    }
}

pub(crate) const fn closed(
    name: &'static str,
    what: &'static str,
    fields: &'static [Field],
) -> Table {
    Table {
        name,
        what,
        fields,
        open: false,
    }
}
