//! A server that gives an access token for a refresh token, and another refresh token with it: each is
//! good once, until what replaced it is used (RFC 6749, section 6, and RFC 9700, section 4.14.2, with the
//! patience for lost answers that servers have).
//!
//! Half of the worlds with credentials have it. It fails as the store of credentials does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use nebula::access::MARGIN;
use nebula_action::{
    Egress, HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, RequestBody, origin_of,
};
use nebula_core::{Clock as _, CredentialId, TenantId, Timestamp};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use serde_json::json;
use url::form_urlencoded;

use super::{
    checks,
    credentials::{told, value},
    scheduler::Life,
    swarm::{Recovery, Swarm},
    wire::Wire,
    world::World,
};
use crate::scripted_http::Whole;

/// How long a token is good: little longer than it must be for whoever asks.
const LIFETIME: Duration = Duration::from_secs(MARGIN.as_secs() + 2);

impl Swarm {
    /// Whether there are credentials with tokens.
    pub(super) fn has_tokens(&self) -> bool {
        self.has_secrets() && self.seed.is_multiple_of(2)
    }
}

/// What the server knows, and what is known of those who ask it.
#[derive(Debug, Default)]
pub(super) struct TokenServer {
    /// What was given for a refresh token: an access token and the next refresh token.
    given: BTreeMap<String, (String, String)>,
    /// Which version of a credential each process was last given the right to refresh, and until when.
    granted: BTreeMap<Place, (u32, Timestamp)>,
    /// Who has asked, and has no answer yet.
    under_way: BTreeSet<Place>,
}

type Place = (Life, TenantId, CredentialId);

/// A version of a credential as a person makes it: with a refresh token of a family of its own.
pub(super) fn made(tenant: &TenantId, id: &CredentialId, version: u32, unique: u64) -> Credential {
    let fields = [
        ("token_url", "https://auth.example/token".to_owned()),
        ("client_id", "nebula".to_owned()),
        ("refresh_token", value(tenant, id, version, unique)),
    ];
    let fields = fields.map(|(name, text)| (name.to_owned(), text.into()));
    let hosts = AllowedHosts::parse(["api.example"]).expect("a good host");
    Credential::new(CredentialType::OAuth2Refresh, fields.into(), hosts).expect("a good credential")
}

impl World {
    /// A process was given the right to refresh a version.
    pub(super) fn may_refresh(
        &self,
        life: Life,
        (tenant, id, version): (&TenantId, &CredentialId, u32),
        until: Timestamp,
    ) {
        let place = (life, tenant.clone(), id.clone());
        let granted = &mut self.held.lock().tokens.granted;
        granted.insert(place, (version, until));
    }

    /// What the server answers: a status and a body.
    fn answer(&self, life: Life, token: &str) -> (StatusCode, String) {
        let refused = || {
            let body = json!({ "error": "invalid_grant" });
            (StatusCode::BAD_REQUEST, body.to_string())
        };
        let Some((tenant, id, version)) = told(token) else {
            self.complain(checks::KEPT, format!("{life} sends a token of nobody"));
            return refused();
        };
        let unique = [self.fresh(), self.fresh()];
        let mut held = self.held.lock();
        let server = &mut held.tokens;
        let place = (life, tenant.clone(), id.clone());
        let granted = server.granted.get(&place).map(|(version, _)| *version);
        let known = server.given.get(token).cloned();
        // Who uses what replaced it has its answer.
        let is_replaced = matches!(&known, Some((_, next)) if server.given.contains_key(next));
        let given = known.clone().unwrap_or_else(|| {
            let new = |unique| value(&tenant, &id, version + 1, unique);
            let given = unique.map(new).into();
            server.given.insert(token.to_owned(), given);
            server.given[token].clone()
        });
        drop(held);
        if granted != Some(version) {
            let what = format!(
                "{life} sends the token of version {version} of {id} of {tenant}, and may refresh {granted:?}"
            );
            self.complain(checks::REFRESHER, what);
        }
        if is_replaced {
            self.note("spent", format_args!("{life} {id} {version}"));
            return refused();
        }
        self.recovered(match known {
            None => Recovery::TokenRefreshed,
            Some(_) => Recovery::TokenAskedAgain,
        });
        let (access, next) = given;
        let body = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": LIFETIME.as_secs(),
            "refresh_token": next,
        });
        (StatusCode::OK, body.to_string())
    }
}

/// The way of one process to the server.
#[derive(Debug)]
pub(super) struct Way(pub(super) Arc<Wire>);

/// A request from its call until it has an answer, or nobody wants one any more.
struct Turn<'a> {
    world: &'a World,
    place: Place,
}

impl<'a> Turn<'a> {
    fn begin(world: &'a World, place: Place, version: u32) -> Self {
        let now = world.clock.now();
        let mut held = world.held.lock();
        let server = &mut held.tokens;
        // Whose right is over may be late; who has it is asked for by nobody else.
        let has_right = |other: &&Place| {
            let same = (&other.1, &other.2) == (&place.1, &place.2);
            let right = server.granted.get(*other);
            // A version that was put meanwhile ends the right to refresh the one before.
            same && right.is_some_and(|(of, until)| *of == version && *until > now)
        };
        let other = server.under_way.iter().find(has_right).cloned();
        server.under_way.insert(place.clone());
        drop(held);
        if let Some((other, ..)) = other {
            let (life, tenant, id) = &place;
            let what = format!("{life} asks for a token of {id} of {tenant} while {other} does");
            world.complain(checks::ONE_REFRESH, what);
        }
        Self { world, place }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.world.held.lock().tokens.under_way.remove(&self.place);
    }
}

#[async_trait]
impl HttpClient for Way {
    async fn send(&self, _: &Egress, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (world, life) = (&self.0.world, self.0.life);
        let HttpRequest {
            url, body, sender, ..
        } = request;
        let RequestBody::Bytes(body) = body else {
            unreachable!("a request for a token has a form");
        };
        let mut form = form_urlencoded::parse(&body);
        let token = form.find(|(name, _)| name == "refresh_token");
        let token = token
            .map(|(_, token)| token.into_owned())
            .unwrap_or_default();
        let (Some(tenant), Some(id)) = (sender.tenant, sender.credential) else {
            unreachable!("it is sent on somebody's behalf");
        };
        let known = told(&token).filter(|(of, which, _)| (of, which) == (&tenant, &id));
        if known.is_none() {
            let what = format!("{life} sends a token of another than {id} of {tenant}");
            world.complain(checks::TENANT, what);
        }
        let turn = Turn::begin(world, (life, tenant, id), known.map_or(0, |it| it.2));
        let answered = self
            .0
            .ask_for_token(move |world, life| Ok(world.answer(life, &token)));
        let answered = answered.await;
        drop(turn);
        let (status, body) = answered.map_err(|error| HttpError {
            kind: HttpErrorKind::Protocol(error.to_string()),
            origin: origin_of(&url),
            sent: true,
        })?;
        Ok(HttpResponse {
            status,
            headers: HeaderMap::new(),
            url,
            redirects: 0,
            body: Box::new(Whole(Bytes::from(body))),
        })
    }
}
