//! The expressions of parameters as their author wrote them, to be rewritten one by one.

use std::ops::Range;

use indexmap::IndexMap;
use nebula_action::ExpressionMark;
use nebula_core::{ParamValue, TemplateText};
use serde_json::Value;

use crate::{compile::child, parameters::marks_of};

/// An expression where its author wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// JSON pointer of the string that holds it.
    pub pointer: &'a str,
    /// The expression, without braces.
    pub source: &'a str,
    /// The byte of the value at which it begins.
    offset: usize,
    /// The whole value, if it is a literal: there `\{{` has been read as `{{`.
    literal: Option<&'a str>,
}

impl Written<'_> {
    /// The bytes of the string as written that a range of the source takes.
    #[must_use]
    pub fn place(&self, range: Range<usize>) -> Range<usize> {
        let byte = |byte: usize| {
            let at = self.offset + byte;
            let escapes = self
                .literal
                .map_or(0, |text| text[..at].matches("{{").count());
            at + escapes
        };
        byte(range.start)..byte(range.end)
    }
}

/// Gives an expression its new source; `None` leaves it as it is.
pub type Rewrite<'a> = dyn FnMut(&Written<'_>) -> Option<String> + 'a;

/// Rewrites the expressions of a node's parameters, those included that the action's marks make
/// out of text without braces. `pointer` is that of the parameters.
///
/// Offsets of segments are moved with what stands before them.
pub fn rewrite_parameters(
    parameters: &mut IndexMap<String, ParamValue>,
    marks: &[ExpressionMark],
    pointer: &str,
    rewrite: &mut Rewrite<'_>,
) {
    for (name, value) in parameters {
        let at = child(pointer, name);
        let (whole, each) = marks_of(marks, name);
        match (value, each) {
            (value, _) if whole.is_some() => bare(value, &at, rewrite),
            (ParamValue::Object(entries), Some(_)) => {
                for (key, value) in entries {
                    bare(value, &child(&at, key), rewrite);
                }
            }
            (ParamValue::Literal(Value::Object(entries)), Some(_)) => {
                for (key, value) in entries {
                    bare_literal(value, &child(&at, key), rewrite);
                }
            }
            (value, _) => rewrite_value(value, &at, rewrite),
        }
    }
}

/// Rewrites the expressions in braces of a value at `pointer`.
pub fn rewrite_value(value: &mut ParamValue, pointer: &str, rewrite: &mut Rewrite<'_>) {
    match value {
        ParamValue::Literal(_) => {}
        ParamValue::Expression(segment) => {
            let written = Written {
                pointer,
                source: &segment.source,
                offset: segment.offset,
                literal: None,
            };
            if let Some(source) = rewrite(&written) {
                segment.source = source;
            }
        }
        ParamValue::Template(template) => rewrite_template(template, pointer, rewrite),
        ParamValue::Object(entries) => {
            for (key, value) in entries {
                rewrite_value(value, &child(pointer, key), rewrite);
            }
        }
        ParamValue::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                rewrite_value(value, &child(pointer, &index.to_string()), rewrite);
            }
        }
    }
}

fn rewrite_template(template: &mut TemplateText, pointer: &str, rewrite: &mut Rewrite<'_>) {
    let mut raw = String::with_capacity(template.raw.len() + 16);
    let mut read = 0;
    for segment in &mut template.expressions {
        raw.push_str(&template.raw[read..segment.offset]);
        read = segment.offset + segment.source.len();
        let written = Written {
            pointer,
            source: &segment.source,
            offset: segment.offset,
            literal: None,
        };
        let rewritten = rewrite(&written);
        segment.offset = raw.len();
        if let Some(source) = rewritten {
            segment.source = source;
        }
        raw.push_str(&segment.source);
    }
    raw.push_str(&template.raw[read..]);
    template.raw = raw;
}

/// A value whose text is an expression without braces.
fn bare(value: &mut ParamValue, pointer: &str, rewrite: &mut Rewrite<'_>) {
    match value {
        ParamValue::Literal(value) => bare_literal(value, pointer, rewrite),
        value => rewrite_value(value, pointer, rewrite),
    }
}

fn bare_literal(value: &mut Value, pointer: &str, rewrite: &mut Rewrite<'_>) {
    let Value::String(text) = value else {
        return;
    };
    let source = text.trim();
    let offset = text.len() - text.trim_start().len();
    let written = Written {
        pointer,
        source,
        offset,
        literal: Some(text),
    };
    if let Some(rewritten) = rewrite(&written) {
        let end = offset + source.len();
        text.replace_range(offset..end, &rewritten);
    }
}
