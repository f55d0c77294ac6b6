//! Pages that ask people for the input of a workflow: what they show, and what was filled in.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nebula_core::Digest;
use serde_json::{Map, Value};

use crate::{Auth, reader::Reader};

/// The longest text that a trigger may put on its page, in characters.
pub const MAX_FORM_TEXT: usize = 2_000;
/// The most fields of a page.
pub const MAX_FORM_FIELDS: usize = 100;
/// The name of what makes one page one delivery, however often it is sent.
pub const FORM_ONCE: &str = "_once";

/// A text of more characters is asked for in several lines.
const LINE: u64 = 200;

/// The fields of a trigger of the type `form`.
pub(crate) const FIELDS: [&str; 8] = [
    "auth",
    "path",
    "ips",
    "filter",
    "title",
    "description",
    "submit",
    "thanks",
];

/// What a page says beside its fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// Above everything; the name of the workflow where nothing is said.
    pub title: Option<String>,
    /// Below that.
    pub description: Option<String>,
    /// On the button.
    pub submit: Option<String>,
    /// Once it was sent.
    pub thanks: Option<String>,
}

/// What is wrong with what was filled in: the name of a field, or none, and why.
pub type FormProblem = (Option<String>, String);

impl Form {
    pub(crate) fn read(reader: &mut Reader<'_>, auth: Option<&Auth>) -> Self {
        if !matches!(auth, None | Some(Auth::None | Auth::Basic { .. })) {
            reader.wrong(
                "auth",
                "a browser shows no such proof; write `none`, or `{ type: basic, user, secret }`",
            );
        }
        let mut text = |field: &str| {
            let text = reader.text(field)?;
            if text.chars().count() > MAX_FORM_TEXT {
                reader.wrong(
                    field,
                    format!("it has more than {MAX_FORM_TEXT} characters"),
                );
            }
            Some(text.to_owned())
        };
        Self {
            title: text("title"),
            description: text("description"),
            submit: text("submit"),
            thanks: text("thanks"),
        }
    }
}

/// Why a workflow with this input schema has no form.
///
/// # Errors
/// The text says what is missing.
pub fn check_form(schema: Option<&Value>) -> Result<(), String> {
    let Some(schema) = schema else {
        return Err(
            "a form asks for what `input` of the workflow describes, and there is none".to_owned(),
        );
    };
    let fields = schema["properties"].as_object().map_or(0, Map::len);
    match (fields, schema["properties"].get(FORM_ONCE)) {
        (0, _) => Err(
            "a form asks for the `properties` of the workflow's `input`, and it has none"
                .to_owned(),
        ),
        (_, Some(_)) => Err(format!(
            "`{FORM_ONCE}` is a field of every form, and cannot be one of `input`"
        )),
        (MAX_FORM_FIELDS.., _) if fields > MAX_FORM_FIELDS => Err(format!(
            "`input` has {fields} properties; a form has at most {MAX_FORM_FIELDS}"
        )),
        _ => Ok(()),
    }
}

/// How a property is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Line(&'static str),
    Lines,
    Number,
    Tick,
    One,
    Several,
    Json,
}

fn asked(property: &Value) -> Asked {
    let kind = property["type"].as_str();
    if property["enum"].is_array() {
        return Asked::One;
    }
    match kind {
        Some("boolean") => Asked::Tick,
        Some("integer" | "number") => Asked::Number,
        Some("array") if property["items"]["enum"].is_array() => Asked::Several,
        Some("string") => match property["format"].as_str() {
            Some("email") => Asked::Line("email"),
            Some("date") => Asked::Line("date"),
            Some("time") => Asked::Line("time"),
            Some("uri") => Asked::Line("url"),
            Some("password") => Asked::Line("password"),
            _ if property["maxLength"].as_u64().is_some_and(|it| it > LINE) => Asked::Lines,
            _ => Asked::Line("text"),
        },
        _ => Asked::Json,
    }
}

/// The value that was filled in, as the schema of the workflow wants it: numbers, truth values, choices
/// and JSON are no texts any more. What was left empty is not there. What cannot be read stays a text, so
/// that the schema says what is wrong with it.
#[must_use]
pub fn filled_in(schema: &Value, sent: &Map<String, Value>) -> Value {
    let mut found = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let texts: Vec<&str> = match sent.get(name) {
            None => Vec::new(),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(one) => one.as_str().into_iter().collect(),
        };
        let last = texts.last().copied().filter(|it| !it.is_empty());
        let value = match asked(property) {
            Asked::Tick => Some(Value::from(last.is_some())),
            Asked::Several => {
                let all = texts
                    .iter()
                    .filter_map(|text| choice(&property["items"], text));
                Some(Value::Array(all.collect()))
            }
            Asked::One => last.map(|text| choice(property, text).unwrap_or_else(|| text.into())),
            Asked::Number | Asked::Json => {
                last.map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into()))
            }
            // Lines end as everywhere else.
            Asked::Line(_) | Asked::Lines => last.map(|text| text.replace("\r\n", "\n").into()),
        };
        if let Some(value) = value {
            found.insert(name.clone(), value);
        }
    }
    Value::Object(found)
}

/// Which of the choices was taken: they are sent by their numbers, since they may be of any kind.
fn choice(property: &Value, text: &str) -> Option<Value> {
    let at: usize = text.parse().ok()?;
    property["enum"].get(at).cloned()
}

/// A page, and the policy under which it is shown: nothing of it may run, load or be framed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// HTML.
    pub html: String,
    /// `Content-Security-Policy`.
    pub policy: String,
}

const STYLE: &str = ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#cfd6e0;--paper:#fff;--ground:#f3f5f9;--accent:#3552d6;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf3;--soft:#a0abbb;--line:#3a4454;--paper:#1b222d;--ground:#11161e;--accent:#8ea2ff;--bad:#ff8a80}}\
*{box-sizing:border-box}body{margin:0;min-height:100vh;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif;padding:2rem 1rem}\
main{max-width:38rem;margin:0 auto;background:var(--paper);border:1px solid var(--line);border-radius:14px;padding:2rem;box-shadow:0 8px 30px #0001}\
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem}p{margin:.25rem 0 1rem;white-space:pre-line}.hint{color:var(--soft);font-size:.875rem;margin:.125rem 0 .375rem}\
.field{margin:1.25rem 0;border:0;padding:0;min-width:0}label,legend{font-weight:600;padding:0}.tick label,.choice{font-weight:400}\
input:not([type=checkbox]),select,textarea{display:block;width:100%;margin-top:.25rem;padding:.625rem .75rem;border:1px solid var(--line);border-radius:8px;background:var(--paper);color:inherit;font:inherit}\
textarea{min-height:7rem;resize:vertical}.json textarea{font-family:ui-monospace,monospace;font-size:.875rem}\
input[type=checkbox]{width:1.125rem;height:1.125rem;margin:0 .5rem 0 0;vertical-align:-.125rem;accent-color:var(--accent)}.choice{display:block;margin:.25rem 0}\
:focus-visible{outline:3px solid var(--accent);outline-offset:1px}.bad input,.bad select,.bad textarea{border-color:var(--bad)}.error{color:var(--bad);font-size:.875rem;margin:.25rem 0 0}\
button{margin-top:.5rem;padding:.75rem 1.5rem;border:0;border-radius:8px;background:var(--accent);color:var(--paper);font:inherit;font-weight:600;cursor:pointer}.need{color:var(--bad)}";

fn page(title: &str, body: &str) -> Page {
    let title = escaped(title);
    let style = STANDARD.encode(Digest::of(STYLE.as_bytes()).as_bytes());
    Page {
        html: format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n"
        ),
        policy: format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    }
}

impl Form {
    /// The page that asks for the properties of `schema`; `name` is that of the workflow. With what was
    /// filled in before, and what is wrong with it. `once` is sent along, and makes the page one delivery.
    #[must_use]
    pub fn page(
        &self,
        (name, schema): (&str, &Value),
        sent: &Map<String, Value>,
        problems: &[FormProblem],
        once: &str,
    ) -> Page {
        let title = self.title.as_deref().unwrap_or(name);
        let mut body = format!("<h1>{}</h1>\n", escaped(title));
        if let Some(text) = &self.description {
            let _ = writeln!(body, "<p>{}</p>", escaped(text));
        }
        let known = |name: &str| schema["properties"].get(name).is_some();
        for (field, why) in problems {
            if field.as_deref().is_none_or(|field| !known(field)) {
                let _ = writeln!(
                    body,
                    "<p class=\"error\" role=\"alert\">{}</p>",
                    escaped(why)
                );
            }
        }
        body.push_str("<form method=\"post\" accept-charset=\"utf-8\">\n");
        let _ = writeln!(
            body,
            "<input type=\"hidden\" name=\"{FORM_ONCE}\" value=\"{}\">",
            escaped(once)
        );
        let needed: Vec<_> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        for (n, (name, property)) in schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let field = Field {
                id: format!("f{n}"),
                name,
                property,
                needed: needed.iter().any(|it| *it == name),
                sent: sent.get(name),
                fresh: sent.is_empty(),
                problems: problems
                    .iter()
                    .filter(|(field, _)| field.as_ref() == Some(name))
                    .map(|it| it.1.as_str())
                    .collect(),
            };
            field.write(&mut body);
        }
        let submit = escaped(self.submit.as_deref().unwrap_or("Send"));
        let _ = write!(body, "<button type=\"submit\">{submit}</button>\n</form>");
        page(title, &body)
    }

    /// The page once it was sent.
    #[must_use]
    pub fn sent(&self, name: &str) -> Page {
        let title = self.title.as_deref().unwrap_or(name);
        let thanks = escaped(self.thanks.as_deref().unwrap_or("Thank you. It was sent."));
        page(
            title,
            &format!(
                "<h1>{}</h1>\n<p role=\"status\">{thanks}</p>",
                escaped(title)
            ),
        )
    }
}

/// One field of a page.
struct Field<'f> {
    id: String,
    name: &'f str,
    property: &'f Value,
    needed: bool,
    sent: Option<&'f Value>,
    /// Whether nothing was filled in yet, so that defaults are shown.
    fresh: bool,
    problems: Vec<&'f str>,
}

impl Field<'_> {
    fn write(&self, out: &mut String) {
        let how = asked(self.property);
        let (id, name) = (&self.id, escaped(self.name));
        let label = self.property["title"].as_str().unwrap_or(self.name);
        let mark = match self.needed && how != Asked::Tick {
            true => " <span class=\"need\" aria-hidden=\"true\">*</span>",
            false => "",
        };
        let label = format!("{}{mark}", escaped(label));
        let hint = self.property["description"].as_str().map(escaped);
        let hint = hint.map_or_else(String::new, |hint| {
            format!("<p class=\"hint\" id=\"{id}h\">{hint}</p>")
        });
        let class = match how {
            Asked::Tick => "field tick",
            Asked::Json => "field json",
            _ => "field",
        };
        let bad = if self.problems.is_empty() { "" } else { " bad" };
        let group = if how == Asked::Several {
            "fieldset"
        } else {
            "div"
        };
        let _ = writeln!(out, "<{group} class=\"{class}{bad}\">");
        let common = format!(
            "id=\"{id}\" name=\"{name}\"{}",
            self.attributes(how, !hint.is_empty())
        );
        let text = escaped(&self.text());
        match how {
            Asked::Tick => {
                let checked = if self.ticked() { " checked" } else { "" };
                let _ = writeln!(
                    out,
                    "<label for=\"{id}\"><input type=\"checkbox\" value=\"true\" {common}{checked}>{label}</label>{hint}"
                );
            }
            Asked::Several => {
                let _ = writeln!(out, "<legend>{label}</legend>{hint}");
                for (at, choice) in choices(&self.property["items"]).enumerate() {
                    let checked = if self.has(at, choice) { " checked" } else { "" };
                    let shown = escaped(&plain(choice));
                    let _ = writeln!(
                        out,
                        "<label class=\"choice\"><input type=\"checkbox\" name=\"{name}\" value=\"{at}\"{checked}>{shown}</label>"
                    );
                }
            }
            Asked::One => {
                let _ = writeln!(
                    out,
                    "<label for=\"{id}\">{label}</label>{hint}<select {common}>"
                );
                out.push_str("<option value=\"\"></option>");
                for (at, choice) in choices(self.property).enumerate() {
                    let selected = if self.has(at, choice) {
                        " selected"
                    } else {
                        ""
                    };
                    let shown = escaped(&plain(choice));
                    let _ = write!(out, "<option value=\"{at}\"{selected}>{shown}</option>");
                }
                out.push_str("</select>\n");
            }
            Asked::Lines | Asked::Json => {
                // The first line end after the tag is not a part of it.
                let _ = writeln!(
                    out,
                    "<label for=\"{id}\">{label}</label>{hint}<textarea {common}>\n{text}</textarea>"
                );
            }
            Asked::Number => {
                let _ = writeln!(
                    out,
                    "<label for=\"{id}\">{label}</label>{hint}<input type=\"number\" {common} value=\"{text}\">"
                );
            }
            Asked::Line(kind) => {
                // What is secret is not sent back.
                let text = if kind == "password" {
                    String::new()
                } else {
                    text
                };
                let _ = writeln!(
                    out,
                    "<label for=\"{id}\">{label}</label>{hint}<input type=\"{kind}\" {common} value=\"{text}\">"
                );
            }
        }
        for why in &self.problems {
            let _ = writeln!(
                out,
                "<p class=\"error\" role=\"alert\">{}</p>",
                escaped(why)
            );
        }
        let _ = writeln!(out, "</{group}>");
    }

    /// What the browser checks before it sends; the server checks all of it again.
    fn attributes(&self, how: Asked, hinted: bool) -> String {
        let mut all = String::new();
        let property = self.property;
        if self.needed && !matches!(how, Asked::Tick | Asked::Several) {
            all.push_str(" required");
        }
        if hinted {
            let _ = write!(all, " aria-describedby=\"{}h\"", self.id);
        }
        if !self.problems.is_empty() {
            all.push_str(" aria-invalid=\"true\"");
        }
        if matches!(how, Asked::Line(_) | Asked::Lines) {
            for (keyword, attribute) in [("minLength", "minlength"), ("maxLength", "maxlength")] {
                if let Some(bound) = property[keyword].as_u64() {
                    let _ = write!(all, " {attribute}=\"{bound}\"");
                }
            }
        }
        if how == Asked::Number {
            for (keyword, attribute) in [("minimum", "min"), ("maximum", "max")] {
                if let Some(bound) = property[keyword].as_f64() {
                    let _ = write!(all, " {attribute}=\"{bound}\"");
                }
            }
            let whole = property["type"] == "integer";
            all.push_str(if whole {
                " step=\"1\""
            } else {
                " step=\"any\""
            });
        }
        all
    }

    /// What stands in it: what was filled in, or the default on a fresh page.
    fn text(&self) -> String {
        match (self.sent, self.fresh) {
            (Some(Value::Array(all)), _) => all.last().map(plain).unwrap_or_default(),
            (Some(sent), _) => plain(sent),
            (None, true) => self.property.get("default").map(plain).unwrap_or_default(),
            (None, false) => String::new(),
        }
    }

    fn ticked(&self) -> bool {
        match self.fresh {
            true => self.property["default"] == true,
            false => self.sent.is_some(),
        }
    }

    fn has(&self, at: usize, choice: &Value) -> bool {
        let at = at.to_string();
        match (self.sent, self.fresh) {
            (Some(Value::Array(all)), _) => all.iter().any(|it| *it == at.as_str()),
            (Some(sent), _) => *sent == at.as_str(),
            (None, true) => match &self.property["default"] {
                Value::Array(all) => all.contains(choice),
                one => one == choice,
            },
            (None, false) => false,
        }
    }
}

fn choices(property: &Value) -> impl Iterator<Item = &Value> {
    property["enum"].as_array().into_iter().flatten()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text as it stands in HTML, between tags and in attributes: no part of it is markup.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
