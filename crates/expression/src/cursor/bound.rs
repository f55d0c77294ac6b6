//! The names that are bound around a cursor, and a value for each.

use crate::syntax::ast::{Element, Pattern};

/// What arrows and declarations around a cursor bind, outermost first.
#[derive(Debug)]
pub(super) struct Bound<'t> {
    text: &'t str,
    frames: Vec<Frame<'t>>,
}

/// Patterns, and the sources of what they stand for; what has none is undefined.
#[derive(Debug)]
struct Frame<'t> {
    patterns: Vec<Pattern<'t>>,
    values: Vec<String>,
}

impl<'t> Bound<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            frames: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, patterns: Vec<Pattern<'t>>, values: Vec<String>) {
        self.frames.push(Frame { patterns, values });
    }

    /// How much is bound, for [`Bound::forget`].
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Forgets what was bound since then.
    pub(super) fn forget(&mut self, len: usize) {
        self.frames.truncate(len);
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for pattern in self.frames.iter().flat_map(|frame| &frame.patterns) {
            pattern_names(pattern, &mut names);
        }
        names
    }

    pub(super) fn binds(&self, name: &str) -> bool {
        self.names().iter().any(|known| known == name)
    }

    /// The source of `inner` with everything bound around it.
    pub(super) fn around(&self, inner: &str) -> String {
        let mut source = inner.to_owned();
        for frame in self.frames.iter().rev() {
            let patterns: Vec<&str> = frame
                .patterns
                .iter()
                .map(|pattern| self.pattern(pattern))
                .collect();
            source = format!(
                "(({}) => ({source}))({})",
                patterns.join(", "),
                frame.values.join(", ")
            );
        }
        source
    }

    fn pattern(&self, pattern: &Pattern<'_>) -> &'t str {
        let (Pattern::Name(_, span) | Pattern::Object { span, .. } | Pattern::Array { span, .. }) =
            pattern
        else {
            return "";
        };
        let range = span.start as usize..span.end as usize;
        self.text.get(range).unwrap_or_default()
    }
}

fn pattern_names(pattern: &Pattern<'_>, names: &mut Vec<String>) {
    match pattern {
        Pattern::Name(name, _) => names.push(name.to_string()),
        Pattern::Object { fields, rest, .. } => {
            for (_, param) in *fields {
                pattern_names(&param.pattern, names);
            }
            names.extend(rest.iter().map(|(name, _)| name.to_string()));
        }
        Pattern::Array { items, rest, .. } => {
            for param in items.iter().flatten() {
                pattern_names(&param.pattern, names);
            }
            if let Some(rest) = rest {
                pattern_names(rest, names);
            }
        }
        Pattern::Error => {}
    }
}

/// The sources of what a callback of that method, or function of a namespace, is given: the first
/// element stands for all. Empty if it takes no callback.
pub(super) fn callback_values(
    text: &str,
    method: &str,
    receiver: &str,
    arguments: &[Element<'_>],
) -> Vec<String> {
    let argument = |at: usize| {
        let span = arguments.get(at)?.value?.span;
        text.get(span.start as usize..span.end as usize)
    };
    let first = |list: &str| format!("({list})[0]");
    let index = || "0".to_owned();
    match method {
        "every" | "filter" | "find" | "findIndex" | "findLast" | "findLastIndex" | "flatMap"
        | "map" | "some" => vec![first(receiver), index(), receiver.to_owned()],
        "sort" | "toSorted" => vec![first(receiver), first(receiver)],
        "reduce" | "reduceRight" => {
            let start = argument(1).map_or_else(|| first(receiver), |start| format!("({start})"));
            vec![start, first(receiver), index(), receiver.to_owned()]
        }
        // The list is the first argument.
        "from" | "groupBy" => argument(0).map_or_else(Vec::new, |list| vec![first(list), index()]),
        "replace" | "replaceAll" => vec!["''".to_owned()],
        // A key and its value.
        "parse" | "stringify" => vec!["''".to_owned()],
        _ => Vec::new(),
    }
}
