//! The arguments of `#[action(…)]`, read and checked.

use proc_macro2::{Span, TokenStream};
use syn::{
    Error, Ident, LitInt, LitStr, Path, Result, Token, braced, bracketed, parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    token,
};

const KNOWN: &str = "id, version, title, effect, expressions, deferred, defaults, files, urls, \
                     addresses, programs, credentials, timeout, attempts, lineage, reconcile, examples";
const EFFECTS: [&str; 5] = ["pure", "read", "idempotent", "keyed", "at_most_once"];

/// What stands in `#[action(…)]`.
pub(crate) struct Arguments {
    pub(crate) id: LitStr,
    pub(crate) version: (u32, u32),
    pub(crate) title: LitStr,
    pub(crate) effect: Effect,
    pub(crate) expressions: Vec<LitStr>,
    pub(crate) deferred: Vec<LitStr>,
    pub(crate) defaults: Option<TokenStream>,
    pub(crate) files: Vec<FileRule>,
    pub(crate) urls: Vec<LitStr>,
    pub(crate) addresses: Vec<LitStr>,
    pub(crate) programs: Vec<LitStr>,
    pub(crate) credentials: Vec<Slot>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) attempts: Option<u32>,
    pub(crate) lineage: bool,
    pub(crate) reconcile: Option<Reconcile>,
    pub(crate) examples: Option<Examples>,
}

pub(crate) enum Effect {
    Fixed(LitStr),
    ByParameter {
        parameter: LitStr,
        cases: Vec<(String, LitStr)>,
        absent: LitStr,
    },
}

pub(crate) struct FileRule {
    pub(crate) write: bool,
    pub(crate) parameter: LitStr,
}

pub(crate) struct Slot {
    pub(crate) name: Ident,
    pub(crate) types: Vec<LitStr>,
    pub(crate) required: bool,
}

pub(crate) struct Reconcile {
    pub(crate) span: Span,
    pub(crate) function: Option<Path>,
}

pub(crate) enum Examples {
    Function(Path),
    Json(TokenStream),
}

/// The same with everything still open.
#[derive(Default)]
struct Open {
    seen: Vec<Ident>,
    id: Option<LitStr>,
    version: Option<(u32, u32)>,
    title: Option<LitStr>,
    effect: Option<Effect>,
    expressions: Vec<LitStr>,
    deferred: Vec<LitStr>,
    defaults: Option<TokenStream>,
    files: Vec<FileRule>,
    urls: Vec<LitStr>,
    addresses: Vec<LitStr>,
    programs: Vec<LitStr>,
    credentials: Vec<Slot>,
    timeout_ms: Option<u64>,
    attempts: Option<u32>,
    lineage: bool,
    reconcile: Option<Reconcile>,
    examples: Option<Examples>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut open = Open::default();
        while !input.is_empty() {
            open.argument(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = |name: &str, example: &str| {
            Error::new(
                Span::call_site(),
                format!("an action needs `{name}`, such as {example}"),
            )
        };
        Ok(Self {
            id: open
                .id
                .ok_or_else(|| missing("id", "id = \"text.parse\""))?,
            version: open
                .version
                .ok_or_else(|| missing("version", "version = \"1.0\""))?,
            title: open
                .title
                .ok_or_else(|| missing("title", "title = \"Parse text\""))?,
            effect: open
                .effect
                .ok_or_else(|| missing("effect", "effect = \"pure\""))?,
            expressions: open.expressions,
            deferred: open.deferred,
            defaults: open.defaults,
            files: open.files,
            urls: open.urls,
            addresses: open.addresses,
            programs: open.programs,
            credentials: open.credentials,
            timeout_ms: open.timeout_ms,
            attempts: open.attempts,
            lineage: open.lineage,
            reconcile: open.reconcile,
            examples: open.examples,
        })
    }
}

impl Open {
    fn argument(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name: Ident = input.parse()?;
        if self.seen.contains(&name) {
            return Err(Error::new(
                name.span(),
                format!("`{name}` stands here twice"),
            ));
        }
        match name.to_string().as_str() {
            "id" => self.id = Some(checked(value(input)?, action_id)?),
            "version" => self.version = Some(version(&value(input)?)?),
            "title" => self.title = Some(value(input)?),
            "effect" => self.effect = Some(effect(input)?),
            "expressions" => self.expressions = list(input)?,
            "deferred" => self.deferred = list(input)?,
            "defaults" => self.defaults = Some(json_object(input)?),
            "files" => self.files = files(input)?,
            "urls" => self.urls = list(input)?,
            "addresses" => self.addresses = list(input)?,
            "programs" => self.programs = list(input)?,
            "credentials" => self.credentials = credentials(input)?,
            "timeout" => self.timeout_ms = Some(millis(&value(input)?)?),
            "attempts" => self.attempts = Some(attempts(input)?),
            "lineage" => self.lineage = true,
            "reconcile" => self.reconcile = Some(reconcile(input, name.span())?),
            "examples" => self.examples = Some(examples(input)?),
            _ => {
                let message = format!("`{name}` is no argument of an action; known are {KNOWN}");
                return Err(Error::new(name.span(), message));
            }
        }
        self.seen.push(name);
        Ok(())
    }
}

fn value(input: ParseStream<'_>) -> Result<LitStr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn list(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    input.parse::<Token![=]>()?;
    let inside;
    bracketed!(inside in input);
    let items = Punctuated::<LitStr, Token![,]>::parse_terminated_with(&inside, Parse::parse)?;
    Ok(items.into_iter().collect())
}

fn checked(literal: LitStr, check: fn(&str) -> Option<&'static str>) -> Result<LitStr> {
    match check(&literal.value()) {
        Some(message) => Err(Error::new(literal.span(), message)),
        None => Ok(literal),
    }
}

/// The alphabet of `nebula_core::ActionId`, with the namespace that the catalog asks for.
fn action_id(text: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let parts: Vec<_> = text.split('.').collect();
    let shaped = parts.len() >= 2 && parts.iter().all(|part| !part.is_empty());
    let fine = shaped
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(allowed)
        && text.len() <= 128;
    (!fine).then_some(
        "an action id is `namespace.name` in lower-case letters, digits, `_` and `-`, such as \"text.parse\"",
    )
}

fn version(literal: &LitStr) -> Result<(u32, u32)> {
    let text = literal.value();
    let parts = text.split_once('.');
    let numbers = parts.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers.ok_or_else(|| {
        let message = "an interface version is `major.minor`, such as \"1.0\"";
        Error::new(literal.span(), message)
    })
}

fn class(literal: LitStr) -> Result<LitStr> {
    checked(literal, |text| {
        (!EFFECTS.contains(&text))
            .then_some("an effect class is pure, read, idempotent, keyed or at_most_once")
    })
}

fn effect(input: ParseStream<'_>) -> Result<Effect> {
    if !input.peek(token::Paren) {
        return Ok(Effect::Fixed(class(value(input)?)?));
    }
    let inside;
    let parens = parenthesized!(inside in input);
    let (mut parameter, mut absent, mut cases) = (None, None, Vec::new());
    while !inside.is_empty() {
        let name: Ident = inside.parse()?;
        match name.to_string().as_str() {
            "parameter" => parameter = Some(value(&inside)?),
            "absent" => absent = Some(class(value(&inside)?)?),
            "cases" => {
                let listed;
                parenthesized!(listed in inside);
                while !listed.is_empty() {
                    let case: Ident = listed.parse()?;
                    cases.push((case.to_string(), class(value(&listed)?)?));
                    if !listed.is_empty() {
                        listed.parse::<Token![,]>()?;
                    }
                }
            }
            _ => {
                let message = "here stand `parameter`, `cases` and `absent`";
                return Err(Error::new(name.span(), message));
            }
        }
        if !inside.is_empty() {
            inside.parse::<Token![,]>()?;
        }
    }
    let missing = |what: &str| {
        let message = format!("an effect that follows from a parameter needs `{what}`");
        Error::new(parens.span.join(), message)
    };
    if cases.is_empty() {
        return Err(missing("cases(…)"));
    }
    Ok(Effect::ByParameter {
        parameter: parameter.ok_or_else(|| missing("parameter"))?,
        cases,
        absent: absent.ok_or_else(|| missing("absent"))?,
    })
}

fn json_object(input: ParseStream<'_>) -> Result<TokenStream> {
    input.parse::<Token![=]>()?;
    let inside;
    braced!(inside in input);
    inside.parse()
}

fn files(input: ParseStream<'_>) -> Result<Vec<FileRule>> {
    let inside;
    parenthesized!(inside in input);
    let mut rules = Vec::new();
    while !inside.is_empty() {
        let access: Ident = inside.parse()?;
        let write = match access.to_string().as_str() {
            "read" => false,
            "write" => true,
            _ => {
                return Err(Error::new(
                    access.span(),
                    "files are read or written: `read = \"path\"`, `write = \"path\"`",
                ));
            }
        };
        rules.push(FileRule {
            write,
            parameter: value(&inside)?,
        });
        if !inside.is_empty() {
            inside.parse::<Token![,]>()?;
        }
    }
    Ok(rules)
}

fn credentials(input: ParseStream<'_>) -> Result<Vec<Slot>> {
    let inside;
    parenthesized!(inside in input);
    let mut slots = Vec::new();
    while !inside.is_empty() {
        let need: Ident = inside.parse()?;
        let required = match need.to_string().as_str() {
            "required" => true,
            "optional" => false,
            _ => {
                return Err(Error::new(
                    need.span(),
                    "slots of credentials are `required(…)` or `optional(…)`, such as \
                     `optional(auth = [\"bearer\"])`",
                ));
            }
        };
        let listed;
        parenthesized!(listed in inside);
        while !listed.is_empty() {
            slots.push(Slot {
                name: listed.parse()?,
                types: list(&listed)?,
                required,
            });
            if !listed.is_empty() {
                listed.parse::<Token![,]>()?;
            }
        }
        if !inside.is_empty() {
            inside.parse::<Token![,]>()?;
        }
    }
    Ok(slots)
}

fn reconcile(input: ParseStream<'_>, span: Span) -> Result<Reconcile> {
    let function = if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        Some(input.parse()?)
    } else {
        None
    };
    Ok(Reconcile { span, function })
}

fn examples(input: ParseStream<'_>) -> Result<Examples> {
    input.parse::<Token![=]>()?;
    if input.peek(token::Bracket) {
        let inside;
        bracketed!(inside in input);
        return Ok(Examples::Json(inside.parse()?));
    }
    Ok(Examples::Function(input.parse()?))
}

fn attempts(input: ParseStream<'_>) -> Result<u32> {
    input.parse::<Token![=]>()?;
    let literal: LitInt = input.parse()?;
    let number = literal.base10_parse::<u32>()?;
    if (1..=1_000).contains(&number) {
        return Ok(number);
    }
    Err(Error::new(
        literal.span(),
        "attempts are 1 to 1000, all together",
    ))
}

fn millis(literal: &LitStr) -> Result<u64> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let text = literal.value();
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let size = UNITS.iter().find(|(name, _)| *name == unit);
    let millis = size.and_then(|(_, size)| number.parse::<u64>().ok()?.checked_mul(*size));
    millis.filter(|millis| *millis > 0).ok_or_else(|| {
        let message = "a timeout is one whole number with ms, s, m or h, such as \"30s\"";
        Error::new(literal.span(), message)
    })
}
