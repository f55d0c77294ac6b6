//! What is being written at a cursor: the question that completion begins with.
//!
//! The text is parsed with the recovery of the parser, and the word at the cursor is looked up in the
//! tree, so a cursor in a text or a comment is not taken for one in code. A
//! name that an arrow or a `const` gives is described by a program that gives it a value: within
//! `$json.items.map(i => i.`, the member is one of `((i) => (i))(($json.items)[0], …)`.

mod bound;
mod find;

use std::ops::Range;

use bumpalo::Bump;

use crate::{
    Limits,
    library::is_namespace,
    syntax::{
        self,
        ast::{Expr, ExprKind},
    },
};

use find::{Finder, Found, Site};

/// Stands behind the word at the cursor, so that there is one even if nothing is written yet and
/// no reserved word is read in it. A letter that nobody writes.
const MARK: char = 'ꙮ';

/// What is being written at one place of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The bytes of the word that is being written; empty where nothing is yet.
    pub word: Range<usize>,
    /// What such a word can be.
    pub place: Place,
}

/// What a word can be where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The beginning of a value.
    Value {
        /// The names that arrows and declarations around it give, outermost first.
        names: Vec<String>,
    },
    /// A class behind `new`.
    Class,
    /// A function or constant of a namespace, such as `Math`.
    Namespace(String),
    /// A member of a value.
    Member(Member),
}

/// What a member is one of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// A value: the source of a program that gives it.
    Value(String),
    /// `$nodes`, which is no value: the members are ids of nodes.
    Nodes,
    /// A node, whose members are those of [`members_of_node`](crate::members_of_node).
    Node,
}

/// A member that is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Whose member it is.
    pub of: Owner,
    /// The bytes from the `.`, `?.` or `[` up to the cursor.
    pub link: Range<usize>,
    /// Written with `?.`.
    pub optional: bool,
    /// Written in brackets, where no method can stand.
    pub bracket: bool,
}

/// What is being written where the first `at` bytes of `source` end.
///
/// `None` where no name can stand (in a text, a comment, a number, behind a value), beyond the end,
/// within a character, or if the text is longer or deeper than [`Limits`] allow.
///
/// ```
/// use nebula_expression::{Owner, Place, cursor};
///
/// let source = "$json.items.map(i => i.pr";
/// let found = cursor(source, source.len()).unwrap();
/// assert_eq!(&source[found.word], "pr");
/// let Place::Member(member) = found.place else { panic!() };
/// let of = "((i) => (i))(($json.items)[0], 0, $json.items)";
/// assert_eq!(member.of, Owner::Value(of.to_owned()));
/// ```
#[must_use]
pub fn cursor(source: &str, at: usize) -> Option<Cursor> {
    let before = source.get(..at)?;
    let limits = Limits::default();
    if source.len() > limits.source_bytes {
        return None;
    }
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let start = before.trim_end_matches(in_word).len();
    let mut text = before.to_owned();
    text.push(MARK);
    // What follows tells more of what is bound; but a bracket that is still open, or a text, may
    // make nonsense of it.
    let arena = Bump::new();
    let whole = format!("{text}{}", &source[at..]);
    for text in [&whole, &text] {
        let (tree, _) = syntax::parse(text, limits.ast_depth, &arena);
        if let Some(cursor) = found(text, tree.root, start..at) {
            return Some(cursor);
        }
    }
    // `$json["a b` ends within a text, which may be a key.
    let (_, errors) = syntax::parse(&text, limits.ast_depth, &arena);
    let open = errors
        .iter()
        .find(|error| error.end == text.len() && text[error.start..].starts_with(['"', '\'']))?;
    let quote = text[open.start..].chars().next()?;
    text.extend([quote, ']']);
    let (tree, _) = syntax::parse(&text, limits.ast_depth, &arena);
    found(&text, tree.root, open.start + 1..at)
}

/// Whether `source` is the beginning of an expression, so that more lines can complete it: a
/// bracket, a template or a comment is open, or an operand is missing at the end.
///
/// ```
/// use nebula_expression::is_unfinished;
///
/// assert!(is_unfinished("[1, 2"));
/// assert!(!is_unfinished("[1, 2]"));
/// assert!(!is_unfinished("[1 2"));
/// ```
#[must_use]
pub fn is_unfinished(source: &str) -> bool {
    let limits = Limits::default();
    source.len() <= limits.source_bytes && syntax::is_unfinished(source, limits.ast_depth)
}

fn found<'t>(text: &'t str, tree: &'t Expr<'t>, word: Range<usize>) -> Option<Cursor> {
    let mut finder = Finder::new(text);
    let site = finder.expr(tree)?;
    let at = word.end;
    let mut word = word;
    let place = match site {
        Site::Value => Place::Value {
            names: finder.scope.names(),
        },
        Site::Class(None) => Place::Class,
        Site::Class(Some(space)) => Place::Namespace(space.to_owned()),
        Site::Member(member) => {
            word.start = member.text.unwrap_or(word.start);
            place_of(&member, &finder, at)?
        }
    };
    Some(Cursor { word, place })
}

/// What the member of that chain can be.
fn place_of(member: &Found<'_>, finder: &Finder<'_>, at: usize) -> Option<Place> {
    let root = match &member.base.kind {
        ExprKind::Name(name) if !finder.scope.binds(name) => name,
        _ => "",
    };
    let of = match (root, member.before) {
        (name, 0) if is_namespace(name) && !member.bracket => {
            return Some(Place::Namespace(name.to_owned()));
        }
        ("$nodes", 0) => Owner::Nodes,
        ("$nodes", 1) => Owner::Node,
        _ => {
            let receiver = finder.text.get(member.receiver())?;
            Owner::Value(finder.scope.around(receiver))
        }
    };
    Some(Place::Member(Member {
        of,
        link: member.link..at,
        optional: member.optional,
        bracket: member.bracket,
    }))
}

#[cfg(test)]
mod tests;
