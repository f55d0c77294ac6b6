//! The names that the language knows, for completion, help and documentation.

use crate::{
    Root,
    code::NodeField,
    library::{function_names, numbers},
    resolve::{LINEAGE, OTHER_ROOTS},
};

/// A name that the language knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is written; behind a namespace without that.
    pub name: String,
    /// What it is.
    pub kind: WordKind,
}

/// What a name of the language is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WordKind {
    /// What the data is reached from: `$json`.
    Root,
    /// Something to call: `parseInt`, `Math.max`.
    Function,
    /// A value: `null`, `Math.PI`.
    Constant,
    /// What functions and constants are written behind: `Math`.
    Namespace,
    /// What can follow `new`: `Set`.
    Class,
    /// A word that stands before a value: `new`, `typeof`.
    Keyword,
}

/// Every name that can begin a value, and every class, sorted by kind and name.
///
/// A name can be several things, such as `Date`: a function, a namespace and a class.
#[must_use]
pub fn words() -> Vec<Word> {
    let word = |kind, name: &str| Word {
        name: name.to_owned(),
        kind,
    };
    let roots = Root::ALL.map(Root::name).into_iter().chain(OTHER_ROOTS);
    let roots = roots.map(|name| word(WordKind::Root, &format!("${name}")));
    let fixed = [
        ("false", WordKind::Constant),
        ("null", WordKind::Constant),
        ("true", WordKind::Constant),
        ("undefined", WordKind::Constant),
        ("new", WordKind::Keyword),
        ("typeof", WordKind::Keyword),
    ];
    let fixed = fixed.map(|(name, kind)| word(kind, name));
    let library = library().map(|(name, kind)| match name.split_once('.') {
        Some((space, _)) => word(WordKind::Namespace, space),
        None => word(kind, name),
    });
    let mut words: Vec<Word> = roots.chain(fixed).chain(library).collect();
    words.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    words.dedup();
    words
}

/// What can follow `namespace` and a dot, sorted by kind and name.
///
/// ```
/// let members = nebula_expression::members_of("JSON");
/// let names: Vec<&str> = members.iter().map(|word| word.name.as_str()).collect();
/// assert_eq!(names, ["parse", "stringify"]);
/// ```
#[must_use]
pub fn members_of(namespace: &str) -> Vec<Word> {
    let mut words: Vec<Word> = library()
        .filter_map(|(name, kind)| {
            let (space, name) = name.split_once('.')?;
            let name = name.to_owned();
            (space == namespace).then_some(Word { name, kind })
        })
        .collect();
    words.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    words
}

/// What can follow the id of a node and a dot: its fields, and the items of its result.
#[must_use]
pub fn members_of_node() -> Vec<Word> {
    let fields = NodeField::ALL.map(|(name, _)| (name, false));
    let items = LINEAGE.map(|(name, _, is_call)| (name, is_call));
    let word = |(name, is_call): (&str, bool)| Word {
        name: name.to_owned(),
        kind: if is_call {
            WordKind::Function
        } else {
            WordKind::Constant
        },
    };
    fields.into_iter().chain(items).map(word).collect()
}

/// Functions, constants and classes of the tables, as they are written in an expression.
pub(crate) fn library() -> impl Iterator<Item = (&'static str, WordKind)> {
    let functions = function_names().map(|name| {
        if let Some(name) = name.strip_prefix("new ") {
            (name, WordKind::Class)
        } else if let Some(name) = name.strip_prefix("get ") {
            // Constants that are made anew each time are functions inside.
            (name, WordKind::Constant)
        } else {
            (name, WordKind::Function)
        }
    });
    let numbers = numbers().map(|name| (name, WordKind::Constant));
    // What resolving makes of other notations has a name that nobody can write.
    functions
        .chain(numbers)
        .filter(|(name, _)| !name.contains('…'))
}

#[cfg(test)]
mod tests {
    use super::{WordKind, members_of, members_of_node, words};
    use crate::{CompileOptions, Program, library::is_namespace};

    fn compiles(source: &str) -> bool {
        Program::compile(source, &CompileOptions::default()).is_ok()
    }

    #[test]
    fn every_word_is_what_it_is_said_to_be() {
        for word in words() {
            let name = &word.name;
            let source = match word.kind {
                WordKind::Root if name == "$nodes" => "$nodes.x".to_owned(),
                WordKind::Root | WordKind::Constant => name.clone(),
                WordKind::Function => format!("{name}(1, 2, 3)"),
                WordKind::Class => format!("new {name}('a')"),
                WordKind::Keyword if name == "new" => "new Set()".to_owned(),
                WordKind::Keyword => format!("{name} 1"),
                WordKind::Namespace => {
                    assert!(is_namespace(name), "{name}");
                    continue;
                }
            };
            assert!(compiles(&source), "{source}");
        }
        let has = |name: &str, kind| words().iter().any(|w| w.name == name && w.kind == kind);
        assert!(has("$json", WordKind::Root) && has("$nodes", WordKind::Root));
        assert!(has("Date", WordKind::Namespace) && has("Date", WordKind::Class));
        assert!(has("$if", WordKind::Function) && has("NaN", WordKind::Constant));
    }

    #[test]
    fn every_namespace_has_members_that_can_be_written() {
        for space in words().iter().filter(|w| w.kind == WordKind::Namespace) {
            let members = members_of(&space.name);
            assert!(!members.is_empty(), "{}", space.name);
            for member in members {
                let called = if member.kind == WordKind::Function {
                    "(1, 2)"
                } else {
                    ""
                };
                let new = if member.kind == WordKind::Class {
                    "new "
                } else {
                    ""
                };
                let source = format!("{new}{}.{}{called}", space.name, member.name);
                assert!(compiles(&source), "{source}");
            }
        }
        assert!(members_of("Nothing").is_empty());
        for member in members_of_node() {
            let called = if member.kind == WordKind::Function {
                "()"
            } else {
                ""
            };
            let source = format!("$nodes.x.{}{called}", member.name);
            assert!(compiles(&source), "{source}");
        }
    }
}
