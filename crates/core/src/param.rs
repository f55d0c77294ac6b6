//! What an author wrote for a parameter: expression, template or literal, at any depth.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

/// A parameter as it was written.
///
/// JSON shape: that of the value itself. A string that holds one `{{ … }}` and else only white
/// space is an expression and keeps its value's type; a string with `{{ … }}` inside other text is
/// a template and gives a string; `\{{` stands for `{{`. Objects and arrays without any expression
/// inside are one literal, so an object that happens to have a key `raw` stays an object.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    /// The text between `{{` and `}}`, trimmed.
    Expression(Segment),
    /// Text with expressions inside.
    Template(TemplateText),
    /// A value without expressions.
    Literal(Value),
    /// An object of which some value is dynamic; keys in the author's order.
    Object(IndexMap<String, ParamValue>),
    /// An array of which some element is dynamic.
    Array(Vec<ParamValue>),
}

/// One expression, with the byte offset of its first character in the string that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The expression without its braces.
    pub source: String,
    /// Where `source` begins in the whole string, so that an error can be drawn there.
    pub offset: usize,
}

/// A string with expressions inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateText {
    /// The string as it was written.
    pub raw: String,
    /// Literal texts around the expressions; one more than there are expressions.
    pub texts: Vec<String>,
    /// The expressions, in order.
    pub expressions: Vec<Segment>,
}

/// Why a string is not a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// `{{` without its `}}`.
    #[error("`{{{{` at byte {at} has no `}}}}`")]
    Unclosed {
        /// JSON pointer of the string within the parameter.
        pointer: String,
        /// Byte offset in the string.
        at: usize,
    },
    /// `{{ }}` with nothing inside.
    #[error("`{{{{ }}}}` at byte {at} is empty")]
    Empty {
        /// JSON pointer of the string within the parameter.
        pointer: String,
        /// Byte offset in the string.
        at: usize,
    },
}

impl ParamError {
    /// JSON pointer of the string within the parameter.
    #[must_use]
    pub fn pointer(&self) -> &str {
        match self {
            Self::Unclosed { pointer, .. } | Self::Empty { pointer, .. } => pointer,
        }
    }

    /// Byte offset in the string.
    #[must_use]
    pub fn at(&self) -> usize {
        match self {
            Self::Unclosed { at, .. } | Self::Empty { at, .. } => *at,
        }
    }
}

impl ParamValue {
    /// Tells expressions, templates and literals apart, at every depth.
    ///
    /// The caller bounds the depth of `value`: definitions are limited where they are read.
    ///
    /// # Errors
    /// Every string whose braces do not match, in reading order.
    pub fn parse(value: &Value) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        let parsed = parse(value, &mut String::new(), &mut errors);
        if errors.is_empty() {
            Ok(parsed)
        } else {
            Err(errors)
        }
    }

    /// Whether anything in it must be evaluated.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        !matches!(self, Self::Literal(_))
    }

    /// The JSON that was written.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Expression(segment) => Value::from(format!("{{{{ {} }}}}", segment.source)),
            Self::Template(template) => Value::from(template.raw.as_str()),
            Self::Literal(value) => escape(value),
            Self::Object(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect(),
            Self::Array(items) => items.iter().map(Self::to_json).collect(),
        }
    }
}

impl From<Value> for ParamValue {
    /// Takes a value that never was an author's text: nothing in it is parsed.
    fn from(value: Value) -> Self {
        Self::Literal(value)
    }
}

impl Serialize for ParamValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ParamValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::parse(&value).map_err(|errors| D::Error::custom(&errors[0]))
    }
}

fn parse(value: &Value, pointer: &mut String, errors: &mut Vec<ParamError>) -> ParamValue {
    match value {
        Value::String(text) => parse_text(text, pointer, errors),
        Value::Array(items) => {
            let mut parsed = Vec::with_capacity(items.len());
            for (i, item) in items.iter().enumerate() {
                parsed.push(at(pointer, &i.to_string(), |p| parse(item, p, errors)));
            }
            if parsed.iter().any(ParamValue::is_dynamic) {
                return ParamValue::Array(parsed);
            }
            ParamValue::Literal(parsed.into_iter().map(literal).collect())
        }
        Value::Object(map) => {
            let mut parsed = IndexMap::with_capacity(map.len());
            for (key, item) in map {
                let value = at(pointer, key, |p| parse(item, p, errors));
                parsed.insert(key.clone(), value);
            }
            if parsed.values().any(ParamValue::is_dynamic) {
                return ParamValue::Object(parsed);
            }
            let entries = parsed.into_iter().map(|(key, value)| (key, literal(value)));
            ParamValue::Literal(entries.collect())
        }
        leaf => ParamValue::Literal(leaf.clone()),
    }
}

fn literal(value: ParamValue) -> Value {
    match value {
        ParamValue::Literal(value) => value,
        // Only called on children of which none is dynamic.
        other => other.to_json(),
    }
}

/// Runs `f` with `key` appended to the JSON pointer (RFC 6901: `~` and `/` are escaped).
fn at<T>(pointer: &mut String, key: &str, f: impl FnOnce(&mut String) -> T) -> T {
    let len = pointer.len();
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    let result = f(pointer);
    pointer.truncate(len);
    result
}

fn parse_text(text: &str, pointer: &str, errors: &mut Vec<ParamError>) -> ParamValue {
    if !text.contains("{{") {
        return ParamValue::Literal(Value::from(text));
    }
    let (mut texts, mut expressions) = (vec![String::new()], Vec::new());
    let mut pos = 0;
    while let Some(found) = text[pos..].find("{{") {
        let open = pos + found;
        let last = texts.len() - 1;
        if text[..open].ends_with('\\') {
            texts[last].push_str(&text[pos..open - 1]);
            texts[last].push_str("{{");
            pos = open + 2;
            continue;
        }
        texts[last].push_str(&text[pos..open]);
        let Some(close) = closing(text, open + 2) else {
            errors.push(ParamError::Unclosed {
                pointer: pointer.to_owned(),
                at: open,
            });
            return ParamValue::Literal(Value::Null);
        };
        let inside = &text[open + 2..close];
        let source = inside.trim();
        if source.is_empty() {
            errors.push(ParamError::Empty {
                pointer: pointer.to_owned(),
                at: open,
            });
        }
        let offset = open + 2 + (inside.len() - inside.trim_start().len());
        expressions.push(Segment {
            source: source.to_owned(),
            offset,
        });
        texts.push(String::new());
        pos = close + 2;
    }
    let last = texts.len() - 1;
    texts[last].push_str(&text[pos..]);
    if expressions.is_empty() {
        return ParamValue::Literal(Value::from(texts.swap_remove(0)));
    }
    if expressions.len() == 1 && texts.iter().all(|text| text.trim().is_empty()) {
        return ParamValue::Expression(expressions.swap_remove(0));
    }
    ParamValue::Template(TemplateText {
        raw: text.to_owned(),
        texts,
        expressions,
    })
}

/// Where the `}}` stands that closes an expression which begins at `from`: the first one outside of
/// strings and of braces that the expression itself opened, so `{{ { a: { b: 1 } } }}` is whole.
///
/// The scan knows just enough of the expression language's lexis for that. Text that it cannot
/// balance closes at the first `}}`, and the expression's own parser then says what is wrong.
fn closing(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    // For each open template literal: the brace depth outside of it.
    let mut templates: Vec<usize> = Vec::new();
    let mut in_template = false;
    let mut i = from;
    while i < bytes.len() {
        let byte = bytes[i];
        if in_template {
            match byte {
                b'\\' => i += 1,
                b'`' => {
                    templates.pop();
                    in_template = false;
                }
                b'$' if bytes.get(i + 1) == Some(&b'{') => {
                    depth += 1;
                    in_template = false;
                    i += 1;
                }
                _ => {}
            }
            i += 1;
            continue;
        }
        match byte {
            b'"' | b'\'' => match string_end(bytes, i) {
                Some(end) => i = end,
                None => break,
            },
            b'`' => {
                templates.push(depth);
                in_template = true;
            }
            b'{' => depth += 1,
            b'}' if depth == 0 && bytes.get(i + 1) == Some(&b'}') => return Some(i),
            b'}' if depth > 0 => {
                depth -= 1;
                in_template = templates.last() == Some(&depth);
            }
            _ => {}
        }
        i += 1;
    }
    text[from..].find("}}").map(|found| from + found)
}

/// The index of the quote that closes the string at `open`; `None` if the line or text ends before.
fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut i = open + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 1,
            b'\n' => return None,
            byte if byte == bytes[open] => return Some(i),
            _ => {}
        }
        i += 1;
    }
    None
}

fn escape(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains("{{") => Value::from(text.replace("{{", "\\{{")),
        Value::Array(items) => items.iter().map(escape).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), escape(v))).collect(),
        leaf => leaf.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match ParamValue::parse(&json!(text)) {
            Ok(ParamValue::Expression(segment)) => {
                format!("expr {}@{}", segment.source, segment.offset)
            }
            Ok(ParamValue::Template(template)) => {
                let mut shown = format!("text {:?}", template.texts[0]);
                for (segment, text) in template.expressions.iter().zip(&template.texts[1..]) {
                    shown.push_str(&format!(" {}@{} {text:?}", segment.source, segment.offset));
                }
                shown
            }
            Ok(other) => format!("literal {}", literal(other)),
            Err(errors) => format!("error {}", errors[0]),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn expressions_templates_and_literals_are_told_apart() {
        check("plain", "literal \"plain\"");
        check("{{ $json.a }}", "expr $json.a@3");
        check("  {{$json.a}}\n", "expr $json.a@4");
        check("Hi {{ $input.name }}!", r#"text "Hi " $input.name@6 "!""#);
        check("{{ a }}{{ b }}", r#"text "" a@3 "" b@10 """#);
        check(r"\{{ not }}", r#"literal "{{ not }}""#);
        check(r"\{{ x }} {{ y }}", r#"text "{{ x }} " y@12 """#);
    }

    #[test]
    fn an_expression_ends_at_its_own_braces() {
        check("{{ { a: { b: 1 } } }}", "expr { a: { b: 1 } }@3");
        check("{{ {a:{b:1}}}}", "expr {a:{b:1}}@3");
        check(r#"{{ "}}" + '}}' }}"#, r#"expr "}}" + '}}'@3"#);
        check("{{ `a${ {b:1}.b }}}` }}", "expr `a${ {b:1}.b }}}`@3");
        check("{{ `a}}b` }}", "expr `a}}b`@3");
        check("{{ it's }} {{ x }}", r#"text "" it's@3 " " x@14 """#);
    }

    #[test]
    fn braces_that_do_not_match_are_errors() {
        check("a {{ b", "error `{{` at byte 2 has no `}}`");
        check("{{ }}", "error `{{ }}` at byte 0 is empty");
    }

    #[test]
    fn every_error_names_its_place() {
        let errors = ParamValue::parse(&json!({ "a/b": ["{{", "x {{  }}"] })).unwrap_err();
        let places: Vec<_> = errors.iter().map(|e| (e.pointer(), e.at())).collect();
        assert_eq!(places, [("/a~1b/0", 0), ("/a~1b/1", 2)]);
    }

    #[test]
    fn a_literal_object_with_telling_keys_stays_a_literal() {
        let value = json!({ "raw": "x", "template": { "expression": 1 } });
        assert_eq!(ParamValue::parse(&value), Ok(ParamValue::Literal(value)));
    }

    #[test]
    fn what_was_written_is_written_again() {
        let value =
            json!({ "a": "{{ x }}", "b": ["y {{ z }}", "\\{{ q }}", 1], "c": { "d": "\\{{" } });
        let parsed = ParamValue::parse(&value).unwrap();
        assert_eq!(parsed.to_json(), value);
        assert_eq!(serde_json::from_value::<ParamValue>(value).unwrap(), parsed);
    }
}
