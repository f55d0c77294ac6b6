//! From a place in the definition to a place in the file.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    Diagnostic, LocatedDiagnostic, Origin, Source,
    problems::visible,
    source::Lines,
    tree::{Kind, Piece, Text, Tree},
};

/// Knows where in the source each value and each key of a definition stands.
///
/// Later phases report by JSON pointer and byte range inside a string; this finds the bytes of the
/// source to underline.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    root: Option<Tree>,
    /// Where a definition was made from another form: its parts, by their pointers.
    origins: BTreeMap<String, Origin>,
}

impl SourceMap {
    pub(crate) fn new(root: Option<Tree>) -> Self {
        Self {
            root,
            origins: BTreeMap::new(),
        }
    }

    /// The map of a definition whose parts were made from what the source holds.
    pub(crate) fn with_origins(mut self, origins: Vec<Origin>) -> Self {
        let by_pointer = |origin: Origin| (origin.made.clone(), origin);
        self.origins = origins.into_iter().map(by_pointer).collect();
        self
    }

    /// Pointer and bytes as they are written in the source.
    fn written(
        &self,
        pointer: &str,
        range: Option<&Range<usize>>,
    ) -> (String, Option<Range<usize>>) {
        if self.origins.is_empty() {
            return (pointer.to_owned(), range.cloned());
        }
        let mut whole = pointer;
        loop {
            if let Some(origin) = self.origins.get(whole) {
                let below = &pointer[whole.len()..];
                let range = range.map(|range| origin.range(range));
                return (format!("{}{below}", origin.written), range);
            }
            match whole.rfind('/') {
                Some(end) => whole = &whole[..end],
                None => return (String::new(), None),
            }
        }
    }

    /// The map of a text that is one string by itself, such as an expression from a command line:
    /// its pointer is empty, and ranges are bytes of it.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let whole = Piece::same(0, 0, text.len());
        Self::new(Some(Tree {
            kind: Kind::Text(Text {
                value: text.to_owned(),
                pieces: vec![whole],
                plain: false,
            }),
            span: 0..text.len(),
        }))
    }

    /// The bytes of the value at a JSON pointer.
    #[must_use]
    pub fn value_span(&self, pointer: &str) -> Option<Range<usize>> {
        let (tree, _, exact) = self.find(pointer)?;
        exact.then(|| tree.span.clone())
    }

    /// The bytes of the key of the field at a JSON pointer.
    #[must_use]
    pub fn key_span(&self, pointer: &str) -> Option<Range<usize>> {
        let (_, key, exact) = self.find(pointer)?;
        if exact { key } else { None }
    }

    /// The bytes of the source that a diagnostic means; 0..0 if there is no source.
    ///
    /// A place that does not exist stands for the nearest one around it. A range that begins or ends
    /// inside of an escape covers it.
    #[must_use]
    pub fn locate(&self, diagnostic: &Diagnostic) -> Range<usize> {
        if let Some(span) = &diagnostic.span {
            return span.clone();
        }
        let range = diagnostic.range.as_ref();
        self.place(&diagnostic.pointer, range, diagnostic.key)
    }

    pub(crate) fn place(
        &self,
        pointer: &str,
        range: Option<&Range<usize>>,
        key: bool,
    ) -> Range<usize> {
        let (pointer, range) = self.written(pointer, range);
        let Some((tree, key_span, exact)) = self.find(&pointer) else {
            return 0..0;
        };
        // A field without a value has no place of its own.
        if (key || tree.span.is_empty())
            && exact
            && let Some(key_span) = key_span
        {
            return key_span;
        }
        if let (Kind::Text(text), Some(range), true) = (&tree.kind, &range, exact)
            && let Some(span) = text.place(range)
        {
            return span;
        }
        tree.span.clone()
    }

    /// The problems with file, line and column, sorted by place.
    #[must_use]
    pub fn locate_all(
        &self,
        diagnostics: &[Diagnostic],
        source: &Source,
    ) -> Vec<LocatedDiagnostic> {
        let lines = Lines::new(&source.text);
        let located = |diagnostic: &Diagnostic| {
            let (line, column) = match &self.root {
                None if diagnostic.span.is_none() && source.text.is_empty() => (0, 0),
                _ => lines.line_column(self.locate(diagnostic).start),
            };
            let mut hint = diagnostic.hint.clone();
            if let Some(line) = &diagnostic.suggestion {
                let text = hint.map_or_else(String::new, |hint| hint + "; ");
                hint = Some(format!("{text}write: {}", visible(line.trim())));
            }
            LocatedDiagnostic {
                code: diagnostic.code.into(),
                severity: diagnostic.severity,
                message: diagnostic.message.clone(),
                file: source.name.clone(),
                line,
                column,
                pointer: match diagnostic.span {
                    Some(_) => diagnostic.pointer.clone(),
                    None => self.written(&diagnostic.pointer, None).0,
                },
                hint,
            }
        };
        self.sorted(diagnostics).into_iter().map(located).collect()
    }

    /// Orders problems by their place, then by weight and code.
    pub(crate) fn sorted<'d>(&self, diagnostics: &'d [Diagnostic]) -> Vec<&'d Diagnostic> {
        let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
        sorted.sort_by_cached_key(|diagnostic| {
            let span = self.locate(diagnostic);
            (span.start, span.end, diagnostic.severity, diagnostic.code)
        });
        sorted
    }

    /// Gives a pointer to problems that were found by their place in the text.
    pub(crate) fn name_places(&self, diagnostics: &mut [Diagnostic]) {
        for diagnostic in diagnostics {
            if let (Some(span), Some(root), true) =
                (&diagnostic.span, &self.root, diagnostic.pointer.is_empty())
            {
                diagnostic.pointer = pointer_at(root, span.start);
            }
        }
    }

    /// The value at a pointer or the nearest around it, its key, and whether it is the very one.
    pub(crate) fn find(&self, pointer: &str) -> Option<(&Tree, Option<Range<usize>>, bool)> {
        let mut tree = self.root.as_ref()?;
        let mut key = None;
        let tokens = pointer.strip_prefix('/').map(|rest| rest.split('/'));
        for token in tokens.into_iter().flatten() {
            let name = token.replace("~1", "/").replace("~0", "~");
            let next = match &tree.kind {
                Kind::Object(entries) => entries
                    .get(&name)
                    .map(|entry| (&entry.value, Some(entry.key.clone()))),
                Kind::List(items) => name
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|item| (item, None)),
                Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Broken => None,
            };
            match next {
                Some((value, value_key)) => (tree, key) = (value, value_key),
                None => return Some((tree, key, false)),
            }
        }
        Some((tree, key, true))
    }
}

/// Appends a key or index to a JSON pointer (RFC 6901: `~` and `/` are escaped).
#[must_use]
pub fn pointer_join(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}

/// The pointer of the innermost value, key included, that covers a byte of the source.
fn pointer_at(root: &Tree, byte: usize) -> String {
    let (mut tree, mut pointer) = (root, String::new());
    loop {
        let inner = match &tree.kind {
            // Both stand in the order of the source.
            Kind::Object(entries) => {
                let next = entries
                    .as_slice()
                    .partition_point(|_, entry| entry.key.start <= byte);
                next.checked_sub(1)
                    .and_then(|index| entries.get_index(index))
                    .filter(|(_, entry)| byte < entry.value.span.end.max(entry.key.end))
                    .map(|(name, entry)| (name.clone(), &entry.value))
            }
            Kind::List(items) => {
                let next = items.partition_point(|item| item.span.start <= byte);
                next.checked_sub(1)
                    .filter(|index| byte < items[*index].span.end)
                    .map(|index| (index.to_string(), &items[index]))
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Broken => None,
        };
        match inner {
            Some((token, value)) => {
                pointer = pointer_join(&pointer, &token);
                tree = value;
            }
            None => return pointer,
        }
    }
}
