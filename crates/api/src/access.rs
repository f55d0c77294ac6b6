//! Who may do what.

use std::fmt;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use nebula_core::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{api::Shared, problem::Problem};

/// One thing that may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Permission {
    /// Look at workflows and their versions.
    WorkflowsRead,
    /// Save versions, archive.
    WorkflowsWrite,
    /// Publish a version, which grants what it asks for; start one that is not published.
    WorkflowsPublish,
    /// Look at executions, their journals and their events.
    ExecutionsRead,
    /// Start executions, also again.
    ExecutionsStart,
    /// Cancel, pause, unpause, decide about what is parked.
    ExecutionsControl,
    /// Send signals.
    SignalsSend,
    /// See what is asked.
    ApprovalsRead,
    /// Approve, reject, defer.
    ApprovalsDecide,
    /// See which actions there are.
    CatalogRead,
    /// Evaluate expressions.
    ExpressionsEvaluate,
}

impl Permission {
    /// How it is written: `workflows:read`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkflowsRead => "workflows:read",
            Self::WorkflowsWrite => "workflows:write",
            Self::WorkflowsPublish => "workflows:publish",
            Self::ExecutionsRead => "executions:read",
            Self::ExecutionsStart => "executions:start",
            Self::ExecutionsControl => "executions:control",
            Self::SignalsSend => "signals:send",
            Self::ApprovalsRead => "approvals:read",
            Self::ApprovalsDecide => "approvals:decide",
            Self::CatalogRead => "catalog:read",
            Self::ExpressionsEvaluate => "expressions:evaluate",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: anybody may call it, and it shows nothing that is anybody's.
    Nothing,
    /// A permission.
    Permission(Permission),
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Permission(permission) => permission.fmt(f),
        }
    }
}

/// Who is let in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Access {
    /// Whoever shows the one token of this server may do everything.
    Local(LocalToken),
}

/// The one token of a server for one person. Only its digest is kept.
#[derive(Clone)]
pub struct LocalToken([u8; 32]);

impl LocalToken {
    /// The fewest characters of a token: 160 bits in base 32.
    pub const MIN: usize = 32;

    /// `None` if the token is so short that it could be guessed.
    #[must_use]
    pub fn new(token: &SecretString) -> Option<Self> {
        let token = token.expose_secret();
        (token.len() >= Self::MIN).then(|| Self(Sha256::digest(token).into()))
    }

    /// Whether this is the token. How long that takes says nothing about it.
    fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.ct_eq(&shown).into()
    }
}

impl fmt::Debug for LocalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalToken")
    }
}

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    /// What they are called, in votes and records.
    pub(crate) name: String,
}

impl Principal {
    /// Whether they may.
    pub(crate) fn may(&self, _permission: Permission) -> bool {
        // The local token is its owner's.
        true
    }
}

impl FromRequestParts<Shared> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let who = parts.extensions.get::<Self>().cloned();
        who.ok_or_else(unauthenticated)
    }
}

impl Access {
    fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        let Self::Local(token) = self;
        match bearer(headers) {
            Some(shown) if token.is(shown) => Ok(Principal {
                name: "local".to_owned(),
            }),
            _ => Err(unauthenticated()),
        }
    }
}

/// The token of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let text = all.next()?.to_str().ok()?;
    // Two of them mean two things to two readers.
    if all.next().is_some() {
        return None;
    }
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthenticated() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "UNAUTHENTICATED",
        "this needs a token, and none that is valid was shown",
    )
    .hint("send `Authorization: Bearer TOKEN`; `nebula serve` says where its token lies")
}

fn denied(permission: Permission) -> Problem {
    let message = format!("this needs the permission {permission}");
    Problem::new(StatusCode::FORBIDDEN, "DENIED", message)
        .hint("ask whoever manages this installation for a role that has it")
}

/// Settles whether the caller may, before anything of the request but its head is read.
pub(crate) async fn authorise(
    State((shared, needs)): State<(Shared, Needs)>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Needs::Permission(permission) = needs {
        match shared.access.authenticate(request.headers()) {
            Err(problem) => return problem.into_response(),
            Ok(who) if !who.may(permission) => return denied(permission).into_response(),
            Ok(who) => {
                request.extensions_mut().insert(who);
            }
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn one_bearer_token_counts_and_nothing_else() {
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bEaReR  abc "])), Some("abc"));
        for wrong in [
            &["Basic abc"][..],
            &["Bearer"],
            &["abc"],
            &["Bearer abc", "Bearer abc"],
            &[],
        ] {
            assert_eq!(bearer(&headers(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_the_very_token_is_let_in() {
        let token = "k".repeat(LocalToken::MIN);
        let local = LocalToken::new(&token.clone().into()).unwrap();
        assert!(local.is(&token));
        for wrong in [token.to_uppercase(), format!("{token}k"), String::new()] {
            assert!(!local.is(&wrong));
        }
        assert!(LocalToken::new(&"k".repeat(LocalToken::MIN - 1).into()).is_none());
        assert_eq!(format!("{local:?}"), "LocalToken");
    }
}
