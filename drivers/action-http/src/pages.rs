//! One page after the other.

use nebula_action::{ActionContext, ActionError, Deferred, origin_of};
use nebula_expression::ExpressionError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// How many pages are read where `max_pages` says nothing.
pub const DEFAULT_PAGES: u32 = 100;

/// The most that `max_pages` may ask for.
pub const MAX_PAGES: u32 = 10_000;

/// A query parameter that counts pages.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageParameter {
    /// Its name, such as `page` or `offset`.
    pub(crate) parameter: String,
    /// Its value for the first page; 1 if nothing is said.
    #[serde(default = "one")]
    pub(crate) start: i64,
    /// What is added for each further page; 1 if nothing is said.
    #[serde(default = "one")]
    pub(crate) step: i64,
}

fn one() -> i64 {
    1
}

/// How the pages of a call follow each other.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    next: Option<&'a Deferred>,
    items: Option<&'a Deferred>,
    until: Option<&'a Deferred>,
    counted: Option<&'a PageParameter>,
    max_pages: u32,
}

impl<'a> Pages<'a> {
    /// The rule of a call; `None` if it has one answer only.
    pub(crate) fn of(
        ctx: &'a ActionContext,
        counted: Option<&'a PageParameter>,
        max_pages: Option<u32>,
    ) -> Result<Option<Self>, ActionError> {
        let wrong = |pointer: &str, message: &str| {
            Err(ActionError::invalid_input("HTTP_PAGES", pointer, message))
        };
        let program = |name: &str| ctx.deferred.get(name);
        let (next, items, until) = (program("next"), program("items"), program("until"));
        let max_pages = match max_pages {
            Some(0) => return wrong("/max_pages", "`max_pages` must be at least 1"),
            Some(most) if most > MAX_PAGES => {
                let message = format!("at most {MAX_PAGES} pages are read by one node");
                return wrong("/max_pages", &message);
            }
            most => most.unwrap_or(DEFAULT_PAGES),
        };
        if next.is_some() && counted.is_some() {
            return wrong("/page", "`next` and `page` exclude each other");
        }
        if next.is_none() && counted.is_none() {
            if items.is_some() || until.is_some() {
                return wrong(
                    "/next",
                    "`items` and `until` are about pages; write `next` or `page` as well",
                );
            }
            return Ok(None);
        }
        Ok(Some(Self {
            next,
            items,
            until,
            counted,
            max_pages,
        }))
    }

    /// The URL of the first page.
    pub(crate) fn first(&self, url: &Url) -> Url {
        self.counted
            .map_or_else(|| url.clone(), |by| set(url, by, 0))
    }

    /// The elements of a page: what `items` says, else the body if it is a list, else the body itself.
    pub(crate) fn items(&self, page: &Value, index: usize) -> Result<Vec<Value>, ActionError> {
        let found = match self.items {
            Some(program) => program
                .value(page, index)
                .map_err(|it| failed("items", &it))?,
            None => page.get("body").cloned(),
        };
        match found {
            Some(Value::Array(items)) => Ok(items),
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(other) if self.items.is_none() => Ok(vec![other]),
            Some(_) => {
                let message = format!("`items` gave no list for page {}", index + 1);
                Err(ActionError::fatal("HTTP_PAGES", message))
            }
        }
    }

    /// The URL of the page after this one; `None` if it was the last.
    pub(crate) fn next(
        &self,
        first: &Url,
        (page, url): (&Value, &Url),
        (index, found): (usize, usize),
    ) -> Result<Option<Url>, ActionError> {
        if let Some(until) = self.until
            && until
                .holds(page, index)
                .map_err(|it| failed("until", &it))?
        {
            return Ok(None);
        }
        let next = match (self.next, self.counted) {
            (Some(program), _) => match program
                .value(page, index)
                .map_err(|it| failed("next", &it))?
            {
                None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
                Some(Value::String(text)) if text.is_empty() => return Ok(None),
                Some(Value::String(text)) => url.join(&text).map_err(|_| {
                    let message = format!("`next` gave no URL for page {}", index + 1);
                    ActionError::fatal("HTTP_PAGES", message)
                })?,
                Some(_) => {
                    let message =
                        format!("`next` gave neither a URL nor null for page {}", index + 1);
                    return Err(ActionError::fatal("HTTP_PAGES", message));
                }
            },
            // A page without elements is behind the last one, unless `until` says when to stop.
            (None, Some(_)) if found == 0 && self.until.is_none() => return Ok(None),
            (None, Some(by)) => set(first, by, index + 1),
            (None, None) => return Ok(None),
        };
        if next.origin() != first.origin() {
            // What the first server says must not carry headers to another one.
            let message = format!(
                "`next` leads from {} to {}; the pages of one node come from one origin",
                origin_of(first),
                origin_of(&next)
            );
            return Err(ActionError::fatal("HTTP_NEXT_ELSEWHERE", message));
        }
        if u32::try_from(index + 1).is_ok_and(|pages| pages >= self.max_pages) {
            let message = format!(
                "there are more than {} pages; raise `max_pages`, or stop earlier with `until`",
                self.max_pages
            );
            return Err(ActionError::limit("HTTP_TOO_MANY_PAGES", message));
        }
        Ok(Some(next))
    }
}

/// `url` with the value of the page parameter for the page `index`, counted from 0.
fn set(url: &Url, by: &PageParameter, index: usize) -> Url {
    let steps = i64::try_from(index).unwrap_or(i64::MAX);
    let value = by.start.saturating_add(by.step.saturating_mul(steps));
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| *name != by.parameter.as_str())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = url.clone();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair(&by.parameter, &value.to_string());
    url
}

fn failed(name: &str, error: &ExpressionError) -> ActionError {
    ActionError::fatal(error.code, format!("`{name}`: {error}"))
}
