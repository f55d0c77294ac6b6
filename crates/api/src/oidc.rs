//! Logging in by a provider of identities, in a browser (OpenID Connect, the code flow).
//!
//! What belongs to one login (its state, the proof of who asked, what goes into the token) lies in a cookie of
//! the browser that began it, signed here; so nobody else can end it, and whoever begins many fills nothing.

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use nebula_access::Consent;
use nebula_core::{ExposeSecret as _, SecretString};
use nebula_identity::{Issued, LoggedIn, NotAuthenticated, Provided, What};
use nebula_oidc::{AGAIN, Back, Claimed, Provider, ProviderError};
use nebula_trigger::escaped;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use utoipa::IntoParams;
use zeroize::Zeroizing;

use crate::{
    access::{self, Origin, refused},
    api::{Inner, Shared},
    consent::{MAX_GIVEN, random},
    extract::{Asked, Hidden},
    page::{page, problem_page, wants_page},
    problem::Problem,
    sessions::{self, LetIn, agent},
};

/// How long somebody may take to log in at the provider.
const LOGIN: Duration = Duration::from_mins(10);

/// What the cookies and states of a login are for.
const PURPOSE: &str = "oidc-login";

/// The cookie of a login that was begun.
const COOKIE: &str = "nebula_oidc";

/// Where that cookie is sent, and nowhere else.
const PLACE: &str = "/api/v1/oidc";

/// The longest address on this server to go to after a login, in bytes.
const MAX_RETURN: usize = 512;

/// The longest token of an invitation, in bytes.
const MAX_INVITATION: usize = 256;

/// What is remembered until the browser comes back.
#[derive(Serialize, Deserialize)]
struct Begun {
    state: String,
    nonce: String,
    verifier: String,
    redirect_uri: String,
    return_to: Option<String>,
    invitation: Option<String>,
}

/// Where to go after a login.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    /// A path on this server, such as `/workflows`; without one a page says that it is done.
    return_to: Option<String>,
    /// The token of an invitation, whoever shows which has from then on the identity that the provider names.
    #[param(value_type = Option<String>)]
    invitation: Option<Hidden>,
}

/// Sends a browser to the provider of identities, to log in there. It comes back within ten minutes, once, and
/// in the same browser.
#[utoipa::path(
    get, path = "/api/v1/oidc/login", tag = "access", params(Begin),
    responses((status = 303, description = "The provider's address, and a cookie for this login."))
)]
pub(crate) async fn begin(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Asked(asked): Asked<Begin>,
) -> Response {
    let page_wanted = wants_page(&headers);
    let begun = begun(&shared, asked).await;
    begun.unwrap_or_else(|problem| failed(problem, page_wanted))
}

async fn begun(shared: &Inner, asked: Begin) -> Result<Response, Problem> {
    let provider = provider(shared)?;
    if asked.return_to.as_deref().is_some_and(|it| !is_here(it)) {
        let message = "return_to is no path on this server";
        return Err(Problem::bad("BAD_RETURN_TO", message)
            .hint("give a path that begins with one `/`, such as /workflows"));
    }
    let invitation = asked.invitation.map(|it| it.0.expose_secret().to_owned());
    if invitation
        .as_ref()
        .is_some_and(|it| it.len() > MAX_INVITATION)
    {
        let message = "invitation: it is longer than any token";
        return Err(Problem::bad("BAD_QUERY", message).hint("give the token of the invitation"));
    }
    let text = || random(shared).expose_secret().to_owned();
    let begun = Begun {
        state: text(),
        nonce: text(),
        verifier: text(),
        redirect_uri: format!("{}/callback", shared.public(PLACE)?),
        return_to: asked.return_to,
        invitation,
    };
    let verifier = SecretString::from(begun.verifier.as_str());
    let consent = Consent {
        redirect_uri: &begun.redirect_uri,
        state: &begun.state,
        verifier: &verifier,
    };
    let url = provider.begin(&consent, &begun.nonce).await;
    let url = url.map_err(|error| not_provided(&error))?;
    let content = Zeroizing::new(serde_json::to_string(&begun).unwrap_or_default());
    let identity = &shared.identity;
    let sealed = identity
        .seal(&shared.tenant, PURPOSE, &content, LOGIN)
        .await?;
    let mut response = Redirect::to(url.as_str()).into_response();
    put(
        &mut response,
        &cookie(shared, sealed.expose_secret(), LOGIN.as_secs()),
    );
    Ok(response)
}

/// What a provider sends a browser back with; more than this may be there, and means nothing here.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Came {
    /// What is exchanged for what the provider says of somebody, once.
    #[param(value_type = Option<String>)]
    code: Option<Hidden>,
    /// That of the address where somebody logged in.
    #[param(value_type = Option<String>)]
    state: Option<Hidden>,
    /// Who answers (RFC 9207).
    iss: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// Lets somebody in whom the provider names: their browser gets a session, and goes where the login was begun
/// for. Only the browser that began it can end it, once.
#[utoipa::path(
    get, path = "/api/v1/oidc/callback", tag = "access", params(Came),
    responses(
        (status = 200, body = LetIn),
        (status = 303, description = "The session's cookie, and where the login was begun for."),
    )
)]
pub(crate) async fn callback(
    State(shared): State<Shared>,
    Origin(from): Origin,
    headers: HeaderMap,
    Asked(came): Asked<Came>,
) -> Response {
    let page_wanted = wants_page(&headers);
    let ended = came_back(&shared, &from, &headers, came).await;
    let mut response = match ended {
        Ok((begun, who)) => let_in(&shared, &begun, who, page_wanted),
        Err(problem) => failed(problem, page_wanted),
    };
    // Whatever came of it, it counts no more.
    put(&mut response, &cookie(&shared, "", 0));
    response
}

async fn came_back(
    shared: &Inner,
    from: &str,
    headers: &HeaderMap,
    came: Came,
) -> Result<(Begun, LoggedIn), Problem> {
    let provider = provider(shared)?;
    let (identity, tenant) = (&shared.identity, &shared.tenant);
    let counted = identity.count_from(tenant, from).await;
    counted.map_err(|error| refused(shared, error))?;
    let state = came.state.as_ref().map_or("", |it| it.0.expose_secret());
    let begun = match access::cookie_named(headers, COOKIE) {
        Some(sealed) if state.len() <= MAX_GIVEN => {
            let sealed = SecretString::from(sealed);
            identity.unseal(tenant, PURPOSE, &sealed).await?
        }
        _ => None,
    };
    let begun = begun.and_then(|it| serde_json::from_str::<Begun>(&it).ok());
    let same = |it: &Begun| bool::from(it.state.as_bytes().ct_eq(state.as_bytes()));
    let Some(begun) = begun.filter(same) else {
        return Err(unknown_state(shared, from).await?);
    };
    if !identity.first_time(tenant, PURPOSE, state, LOGIN).await? {
        return Err(unknown_state(shared, from).await?);
    }
    if let Some(error) = came.error {
        let plain = |it: &char| it.is_ascii_lowercase() || *it == '_';
        let code: String = error.chars().filter(plain).take(40).collect();
        let why = format!("the provider answers `{code}`");
        return Err(not_believed(shared, from, &why).await?);
    }
    let code = came
        .code
        .filter(|it| (1..=MAX_GIVEN).contains(&it.0.expose_secret().len()));
    let code = code.ok_or_else(|| Problem::bad("BAD_QUERY", "code: it is missing, or too long"))?;
    let back = Back {
        code: &code.0,
        verifier: &SecretString::from(begun.verifier.as_str()),
        redirect_uri: &begun.redirect_uri,
        nonce: &begun.nonce,
        issuer: came.iss.as_deref(),
    };
    let claimed = match provider.finish(&back).await {
        Ok(claimed) => claimed,
        Err(error @ (ProviderError::Unavailable(_) | ProviderError::Unusable(_))) => {
            return Err(not_provided(&error));
        }
        Err(error) => return Err(not_believed(shared, from, &error.to_string()).await?),
    };
    let Claimed {
        issuer,
        subject,
        email,
        name,
        role,
    } = claimed;
    let provided = Provided {
        issuer,
        subject,
        email,
        name,
        role,
        invitation: begun.invitation.clone(),
    };
    let agent = agent(headers);
    let found = identity
        .login_by_provider(tenant, &provided, &agent, from)
        .await;
    match found {
        Ok(who) => Ok((begun, who)),
        // They have proved who they are, so they may know it; whether they were shut out, they are not told.
        Err(NotAuthenticated::NoAccount | NotAuthenticated::Refused) => {
            let message = "the provider knows who you are, and nobody has added you here";
            Err(Problem::new(StatusCode::FORBIDDEN, "NO_ACCOUNT", message).hint(
                "ask whoever manages this installation to add your verified email as a login without a password",
            ))
        }
        Err(error) => Err(refused(shared, error)),
    }
}

fn let_in(shared: &Inner, begun: &Begun, who: LoggedIn, page_wanted: bool) -> Response {
    let (value, lives) = match &who.issued {
        Issued::Browser {
            cookie, ends_at, ..
        } => (cookie.clone(), ends_at.since(shared.clock.now()).as_secs()),
        Issued::Program { .. } => (SecretString::default(), 0),
    };
    let mut response = match &begun.return_to {
        Some(path) => Redirect::to(path).into_response(),
        None if page_wanted => {
            let name = escaped(who.principal.name());
            page(
                "You are logged in",
                &format!("<p>As {name}. This page may be closed.</p>"),
            )
        }
        None => return sessions::let_in(shared, StatusCode::OK, who),
    };
    let session = access::set_cookie(
        value.expose_secret(),
        Some(lives),
        shared.config().secure_cookies,
    );
    put(&mut response, &session);
    response
}

/// The answer for a login that came to nothing: for a browser a page.
fn failed(problem: Problem, page_wanted: bool) -> Response {
    if !page_wanted {
        return problem.into_response();
    }
    let again = "<p><a href=\"/api/v1/oidc/login\">Log in again</a></p>";
    problem_page("You are not logged in", problem, again)
}

fn provider(shared: &Inner) -> Result<&Provider, Problem> {
    shared.provider.as_ref().ok_or_else(|| {
        let message = "this server knows no provider of identities";
        Problem::conflict("NO_PROVIDER", message)
            .hint("log in with POST /api/v1/login, or have the operator set `serve.oidc`")
    })
}

/// Whether an address is a path on this server, however a browser reads it: it takes `\` for `/`, and leaves
/// out tabs and line ends.
fn is_here(path: &str) -> bool {
    let mut bytes = path.bytes();
    let begins = bytes.next() == Some(b'/') && !path.starts_with("//");
    begins
        && path.len() <= MAX_RETURN
        && path.bytes().all(|it| it.is_ascii_graphic() && it != b'\\')
}

async fn unknown_state(shared: &Inner, from: &str) -> Result<Problem, Problem> {
    record(shared, from, "the state is none that is waited for").await?;
    Ok(Problem::conflict(
        "UNKNOWN_STATE",
        "this browser waits for no login with this `state`: it was used before, it is too old, or another browser began it",
    )
    .hint("begin again: GET /api/v1/oidc/login"))
}

async fn not_believed(shared: &Inner, from: &str, why: &str) -> Result<Problem, Problem> {
    record(shared, from, why).await?;
    let message = format!("nobody is let in: {why}");
    Ok(
        Problem::new(StatusCode::FORBIDDEN, "LOGIN_REFUSED", message)
            .hint("begin again: GET /api/v1/oidc/login"),
    )
}

async fn record(shared: &Inner, from: &str, why: &str) -> Result<(), Problem> {
    let what = What {
        change: json!({ "why": why }),
        ..What::denied("sessions.open", "oidc", from)
    };
    shared
        .identity
        .record_anonymous(&shared.tenant, what)
        .await?;
    Ok(())
}

/// What is wrong with the provider, and not with whoever logs in.
fn not_provided(error: &ProviderError) -> Problem {
    let message = error.to_string();
    match error {
        ProviderError::Unavailable(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "PROVIDER_UNAVAILABLE",
            message,
        )
        .hint("try again")
        .try_after(AGAIN),
        _ => Problem::conflict("PROVIDER_UNUSABLE", message).hint(
            "have the operator look at `serve.oidc` and at the provider's settings for this client",
        ),
    }
}

fn cookie(shared: &Inner, value: &str, lives: u64) -> String {
    let secure = if shared.config().secure_cookies {
        "; Secure"
    } else {
        ""
    };
    format!("{COOKIE}={value}; Path={PLACE}; Max-Age={lives}; HttpOnly; SameSite=Lax{secure}")
}

fn put(response: &mut Response, cookie: &str) {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guard: nobody is sent to another server after a login.
    #[test]
    fn a_path_on_this_server_leads_nowhere_else() {
        for here in [
            "/",
            "/workflows",
            "/a/b?c=d#e",
            "/a//b",
            "/%2f/x",
            "/@evil.example",
        ] {
            assert!(is_here(here), "{here}");
        }
        let long = format!("/{}", "x".repeat(MAX_RETURN));
        for away in [
            "",
            "workflows",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " /x",
            "/x y",
            "/ä",
            "https://evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "@evil.example",
            &long,
        ] {
            assert!(!is_here(away), "{away}");
        }
    }
}
