//! Revisions of workflows as entity tags: the last save never silently wins.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use nebula_core::WorkflowId;

use crate::problem::Problem;

/// The revision from which the caller began, read from `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// `If-Match: "7"`.
    Revision(u64),
    /// `If-Match: *`: whatever is there.
    Any,
    /// `If-None-Match: *`: nothing may be there.
    Nothing,
}

impl Expected {
    /// Reads the condition of a request.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let fits = one(headers, &header::IF_MATCH)?;
        let differs = one(headers, &header::IF_NONE_MATCH)?;
        match (fits, differs) {
            (None, None) => Ok(None),
            (Some("*"), None) => Ok(Some(Self::Any)),
            (None, Some("*")) => Ok(Some(Self::Nothing)),
            (Some(tag), None) => revision(tag).map(Self::Revision).map(Some),
            _ => Err(bad(
                "`If-None-Match` takes `*` alone, and not beside `If-Match`",
            )),
        }
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut all = headers.get_all(name).iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(bad("a condition may be given once"));
    }
    let text = first.to_str().map_err(|_| bad("a condition is text"))?;
    Ok(Some(text.trim()))
}

fn revision(tag: &str) -> Result<u64, Problem> {
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let digits = inner.filter(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
    let revision = digits.and_then(|digits| digits.parse().ok());
    revision.ok_or_else(|| bad("`If-Match` takes one entity tag, such as \"7\", or `*`"))
}

fn bad(message: &str) -> Problem {
    Problem::bad("BAD_CONDITION", message)
        .hint("send the ETag of the answer with which you read the workflow")
}

/// The entity tag of a revision.
pub(crate) fn tag(revision: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("digits and quotes are visible ASCII")
}

/// Somebody else saved or published since.
pub(crate) fn outdated(id: &WorkflowId, revision: u64) -> Problem {
    let message = format!("the workflow `{id}` has revision {revision} now: somebody changed it");
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "REVISION_OUTDATED",
        message,
    )
    .hint("read it again, merge, and send the new ETag; `If-Match: *` overrides what is there")
}

/// What changes a workflow says from which revision it began.
pub(crate) fn required(id: &WorkflowId) -> Problem {
    let message = format!("the workflow `{id}` is there, and the request has no condition");
    Problem::new(
        StatusCode::PRECONDITION_REQUIRED,
        "REVISION_REQUIRED",
        message,
    )
    .hint("send `If-Match` with its ETag, or `If-Match: *` to override whatever is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fits: &[&str], differs: &[&str]) -> Result<Option<Expected>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in fits {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        for value in differs {
            headers.append(header::IF_NONE_MATCH, value.parse().unwrap());
        }
        Expected::read(&headers).map_err(|problem| problem.code())
    }

    #[test]
    fn a_condition_is_one_tag_or_a_star() {
        assert_eq!(read(&[], &[]), Ok(None));
        assert_eq!(read(&["\"7\""], &[]), Ok(Some(Expected::Revision(7))));
        assert_eq!(read(&[" * "], &[]), Ok(Some(Expected::Any)));
        assert_eq!(read(&[], &["*"]), Ok(Some(Expected::Nothing)));
        for (fits, differs) in [
            (&["7"][..], &[][..]),
            (&["\"\""], &[]),
            (&["\"-7\""], &[]),
            (&["\"7\", \"8\""], &[]),
            (&["W/\"7\""], &[]),
            (&["\"99999999999999999999\""], &[]),
            (&["\"7\"", "\"7\""], &[]),
            (&["*"], &["*"]),
            (&[], &["\"7\""]),
        ] {
            assert_eq!(
                read(fits, differs),
                Err("BAD_CONDITION"),
                "{fits:?} {differs:?}"
            );
        }
        assert_eq!(tag(7), "\"7\"");
    }
}
