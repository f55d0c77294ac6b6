//! Triggers that are called over HTTP, as a definition has them.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use nebula_core::ByteSize;
use serde_json::{Map, Value};

use crate::{Auth, FieldError, Form, auth, form, reader::Reader};

/// The largest body of a delivery that a trigger may ask for: what is in `$trigger` is in the journal.
pub const MAX_HOOK_BODY: ByteSize = ByteSize::mib(4);
/// The largest body of a delivery where nothing is said.
pub const HOOK_BODY: ByteSize = ByteSize::kib(256);
/// The largest delivery with files that a trigger may ask for.
pub const MAX_UPLOAD: ByteSize = ByteSize::mib(1024);
/// The largest delivery with files where nothing is said.
pub const UPLOAD: ByteSize = ByteSize::mib(16);
/// The longest path that a trigger may ask for, in segments.
pub const MAX_SEGMENTS: usize = 16;
/// The most entries of each list: methods, addresses, origins.
pub const MAX_LISTED: usize = 64;
/// For how long a delivery is kept waiting for its answer at most.
pub const MAX_HOOK_WAIT: Duration = Duration::from_secs(300);
/// For how long it is where nothing is said.
const HOOK_WAIT: Duration = Duration::from_secs(30);

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const FIELDS: [&str; 15] = [
    "path",
    "method",
    "methods",
    "auth",
    "body",
    "max_body",
    "max_file",
    "body_schema",
    "filter",
    "dedupe",
    "ips",
    "cors",
    "respond",
    "wait",
    "status",
];

/// What a trigger takes from whom, and how it answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// What follows the address, by segments.
    pub path: HookPath,
    /// The methods that it takes; default `POST`.
    pub methods: Vec<&'static str>,
    /// How whoever calls proves who they are.
    pub auth: Auth,
    /// What its bodies are. It is fixed here, whatever a caller says.
    pub body: BodyKind,
    /// The largest body, at most [`MAX_HOOK_BODY`], or [`MAX_UPLOAD`] with files.
    pub max_body: ByteSize,
    /// The largest of its files.
    pub max_file: ByteSize,
    /// A JSON Schema that a body must fit.
    pub body_schema: Option<Value>,
    /// An expression over `$trigger`: a delivery for which it is false starts nothing.
    pub filter: Option<String>,
    /// An expression over `$trigger`: of deliveries with the same value one starts an execution.
    pub dedupe: Option<String>,
    /// From where it may be called; empty is from everywhere.
    pub ips: Vec<IpNet>,
    /// The origins whose pages may call it; `*` is any.
    pub cors: Vec<String>,
    /// What a delivery is answered with.
    pub respond: Respond,
    /// For how long an answer is waited for, at most [`MAX_HOOK_WAIT`].
    pub wait: Duration,
    /// The status of an answer at once, 200 to 299; default 202.
    pub status: u16,
    /// The page that asks for what it takes, if it is a form.
    pub form: Option<Form>,
}

/// What the bodies of deliveries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyKind {
    /// `application/json`, or `application/…+json`.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `text/…` in UTF-8.
    Text,
    /// `multipart/form-data`: texts, and files, which go into blobs.
    Multipart,
    /// Anything, in base64.
    Raw,
    /// There is none.
    None,
}

/// What a delivery is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Respond {
    /// The execution's id, at once.
    #[default]
    Now,
    /// The execution's output, once it has ended.
    LastNode,
    /// What the first `flow.respond` says.
    RespondNode,
    /// What each `flow.respond` says, one after the other, until the execution ends.
    Stream,
}

impl Webhook {
    /// Reads the fields of a trigger of the type `webhook` or `form`; `None` for another type.
    ///
    /// | field | |
    /// |---|---|
    /// | `auth` | [`Auth`]; it must be there: `none` lets in whoever knows the address |
    /// | `path` | what follows the address: `orders/{order}`; a name in braces is a part of `$trigger.params` |
    /// | `method`, `methods` | one or more of `GET`, `POST`, `PUT`, `PATCH`, `DELETE` |
    /// | `body` | `json`, `form`, `multipart`, `text`, `raw`, `none` |
    /// | `max_body`, `max_file`, `body_schema` | sizes; a JSON Schema |
    /// | `filter`, `dedupe` | expressions over `$trigger` |
    /// | `ips` | addresses and ranges: `192.0.2.0/24` |
    /// | `cors` | origins: `https://shop.example` |
    /// | `respond`, `wait`, `status` | `now`, `last_node`, `respond_node` or `stream`; a span of time; 200 to 299 |
    ///
    /// A form has `auth` (`none` or `basic`), `path`, `ips` and `filter` of these, and `title`,
    /// `description`, `submit` and `thanks`, which are texts.
    ///
    /// # Errors
    /// Inside, every [`FieldError`].
    #[must_use]
    pub fn read(kind: &str, fields: &Map<String, Value>) -> Option<Result<Self, Vec<FieldError>>> {
        if kind == "form" {
            return Some(Self::read_form(fields));
        }
        if kind != "webhook" {
            return None;
        }
        let mut reader = Reader::new(fields);
        reader.refuse_others(FIELDS);
        let path = reader.path();
        let methods = reader.methods();
        let auth = auth::read(&mut reader);
        let bodies = [
            ("json", BodyKind::Json),
            ("form", BodyKind::Form),
            ("multipart", BodyKind::Multipart),
            ("text", BodyKind::Text),
            ("raw", BodyKind::Raw),
            ("none", BodyKind::None),
        ];
        let body = reader.choice("body", &bodies);
        let answers = [
            ("now", Respond::Now),
            ("last_node", Respond::LastNode),
            ("respond_node", Respond::RespondNode),
            ("stream", Respond::Stream),
        ];
        let respond = reader.choice("respond", &answers);
        let max_body = reader.max_body(body);
        let hook = Self {
            path,
            methods,
            auth: auth.unwrap_or(Auth::None),
            body,
            max_body,
            max_file: reader.max_file(body, max_body),
            body_schema: reader.get("body_schema").cloned(),
            filter: reader.text("filter").map(str::to_owned),
            dedupe: reader.text("dedupe").map(str::to_owned),
            ips: reader.ips(),
            cors: reader.cors(),
            respond,
            wait: reader.span("wait", MAX_HOOK_WAIT).unwrap_or(HOOK_WAIT),
            status: reader.status(),
            form: None,
        };
        if body == BodyKind::None && hook.body_schema.is_some() {
            reader.wrong("body_schema", "there is no body, as `body: none` says");
        }
        if body == BodyKind::Multipart && hook.auth.reads_body() {
            let message = "files are taken as they come, and a signature counts once all of them have: `auth` is `basic`, `header`, `jwt` or `none` here";
            reader.wrong("body", message);
        }
        let errors = reader.errors();
        Some(if errors.is_empty() {
            Ok(hook)
        } else {
            Err(errors)
        })
    }

    fn read_form(fields: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut reader = Reader::new(fields);
        reader.refuse_others(form::FIELDS);
        let path = reader.path();
        let auth = auth::read(&mut reader);
        let form = Form::read(&mut reader, auth.as_ref());
        let hook = Self {
            path,
            methods: vec!["GET", "POST"],
            auth: auth.unwrap_or(Auth::None),
            body: BodyKind::Form,
            max_body: HOOK_BODY,
            max_file: HOOK_BODY,
            body_schema: None,
            filter: reader.text("filter").map(str::to_owned),
            dedupe: None,
            ips: reader.ips(),
            cors: Vec::new(),
            respond: Respond::Now,
            wait: HOOK_WAIT,
            status: 200,
            form: Some(form),
        };
        let errors = reader.errors();
        match errors.is_empty() {
            true => Ok(hook),
            false => Err(errors),
        }
    }

    /// Whether this address may call it.
    #[must_use]
    pub fn lets_in(&self, from: IpAddr) -> bool {
        self.ips.is_empty() || self.ips.iter().any(|range| range.contains(&from))
    }

    /// What pages of this origin are told: the origin that may call; `None` if none may.
    #[must_use]
    pub fn allows_origin(&self, origin: &str) -> Option<&str> {
        let known = |it: &&String| *it == "*" || it.eq_ignore_ascii_case(origin);
        self.cors.iter().find(known).map(String::as_str)
    }
}

/// What follows the address of a webhook, by segments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HookPath(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Fixed(String),
    Named(String),
}

impl HookPath {
    fn read(written: &str) -> Result<Self, String> {
        let mut segments: Vec<Segment> = Vec::new();
        for text in written.trim_matches('/').split('/') {
            let named = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
            let plain = |it: &str| {
                let letter = |it: u8| it.is_ascii_alphanumeric() || b"-_.~".contains(&it);
                !it.is_empty() && it.bytes().all(letter)
            };
            segments.push(match named {
                _ if written.trim_matches('/').is_empty() => continue,
                Some(name) if plain(name) => {
                    let twice = |it: &Segment| matches!(it, Segment::Named(other) if other == name);
                    if segments.iter().any(twice) {
                        return Err(format!("`{name}` is in it twice"));
                    }
                    Segment::Named(name.to_owned())
                }
                None if plain(text) && text != "." && text != ".." => {
                    Segment::Fixed(text.to_owned())
                }
                _ => {
                    let text: String = text.chars().take(40).collect();
                    return Err(format!(
                        "`{text}` is no segment; one has letters, digits, `-`, `_`, `.` and `~`, or is a name in braces"
                    ));
                }
            });
        }
        match segments.len() > MAX_SEGMENTS {
            true => Err(format!("it has more than {MAX_SEGMENTS} segments")),
            false => Ok(Self(segments)),
        }
    }

    /// What the names in it stand for in a path, whose segments are decoded; `None` if it is another path.
    #[must_use]
    pub fn params(&self, segments: &[String]) -> Option<Map<String, Value>> {
        if segments.len() != self.0.len() {
            return None;
        }
        let mut params = Map::new();
        for (own, found) in self.0.iter().zip(segments) {
            match own {
                Segment::Fixed(text) if text == found => {}
                Segment::Fixed(_) => return None,
                Segment::Named(name) => {
                    params.insert(name.clone(), Value::from(found.as_str()));
                }
            }
        }
        Some(params)
    }
}

/// As it was written: `/orders/{order}`; nothing for an empty one.
impl std::fmt::Display for HookPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for segment in &self.0 {
            match segment {
                Segment::Fixed(text) => write!(f, "/{text}")?,
                Segment::Named(name) => write!(f, "/{{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl Reader<'_> {
    fn path(&mut self) -> HookPath {
        let read = HookPath::read(self.text("path").unwrap_or_default());
        read.unwrap_or_else(|error| {
            self.wrong("path", error);
            HookPath::default()
        })
    }

    fn methods(&mut self) -> Vec<&'static str> {
        let several = self.list("methods");
        let written = match (self.text("method"), several.is_empty()) {
            (Some(one), true) => vec![one],
            (Some(_), false) => {
                self.wrong("method", "`methods` is there too; one of the two says it");
                return Vec::new();
            }
            (None, false) => several,
            (None, true) => vec!["POST"],
        };
        let mut found = Vec::new();
        for text in written {
            match METHODS.iter().find(|it| it.eq_ignore_ascii_case(text)) {
                Some(method) => found.push(*method),
                None => {
                    let text: String = text.chars().take(40).collect();
                    let known = METHODS.join(", ");
                    self.wrong("methods", format!("`{text}` is none of {known}"));
                }
            }
        }
        found
    }

    fn max_body(&mut self, body: BodyKind) -> ByteSize {
        match body {
            BodyKind::Multipart => self.size("max_body", (UPLOAD, MAX_UPLOAD)),
            _ => self.size("max_body", (HOOK_BODY, MAX_HOOK_BODY)),
        }
    }

    fn max_file(&mut self, body: BodyKind, max_body: ByteSize) -> ByteSize {
        if body != BodyKind::Multipart && self.get("max_file").is_some() {
            self.wrong("max_file", "there are files in a `body: multipart` only");
            return max_body;
        }
        self.size("max_file", (max_body, max_body))
    }

    fn size(&mut self, field: &str, (usual, most): (ByteSize, ByteSize)) -> ByteSize {
        let Some(text) = self.text(field) else {
            return usual;
        };
        match text.parse::<ByteSize>() {
            Ok(size) if size <= most && size.as_u64() > 0 => return size,
            Ok(_) => self.wrong(field, format!("it is 1 B to {most}")),
            Err(error) => self.wrong(field, error.to_string()),
        }
        usual
    }

    fn ips(&mut self) -> Vec<IpNet> {
        let mut found = Vec::new();
        for text in self.list("ips") {
            let one = || text.parse::<IpAddr>().map(IpNet::from);
            match text.parse::<IpNet>().or_else(|_| one()) {
                Ok(range) => found.push(range),
                Err(_) => {
                    let text: String = text.chars().take(60).collect();
                    let message =
                        format!("`{text}` is neither an address nor a range like `192.0.2.0/24`");
                    self.wrong("ips", message);
                }
            }
        }
        found
    }

    fn cors(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        for text in self.list("cors") {
            let host = text.split_once("://").map(|(_, host)| host);
            let whole = host.is_some_and(|it| !it.is_empty() && !it.contains(['/', ' ', '?', '#']));
            match text == "*" || whole {
                true => found.push(text.to_owned()),
                false => {
                    let text: String = text.chars().take(60).collect();
                    let message =
                        format!("`{text}` is no origin; write it like `https://shop.example`");
                    self.wrong("cors", message);
                }
            }
        }
        found
    }

    fn status(&mut self) -> u16 {
        match self.get("status") {
            None => 202,
            Some(value) => match value.as_u64() {
                Some(status @ 200..=299) => status as u16,
                _ => {
                    self.wrong("status", "it is a number from 200 to 299");
                    202
                }
            },
        }
    }
}
