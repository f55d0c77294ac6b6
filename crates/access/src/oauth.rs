//! What is sent to an authorisation server: where somebody is asked, and what a client asks for tokens with
//! (RFC 6749, RFC 7636). Values alone.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use nebula_action::{Egress, Grants, HttpLimits, HttpRequest, RequestBody, Sender};
use nebula_core::{Digest, ExposeSecret as _, SecretString};
use url::{Url, form_urlencoded::Serializer};
use zeroize::Zeroizing;

use crate::token::{Consent, MAX_ANSWER, TOTAL};

/// Who asks for tokens.
#[derive(Debug, Clone, Copy)]
pub struct OAuthClient<'a> {
    /// Its id, which is no secret.
    pub id: &'a str,
    /// What it shows; a public client has none.
    pub secret: Option<&'a SecretString>,
    /// Whether it shows that in a header (`client_secret_basic`), else in the form (`client_secret_post`).
    pub basic: bool,
}

/// Where somebody is asked, for one answer to `redirect_uri` with `state` (RFC 6749, section 4.1.1; RFC 7636,
/// section 4.3).
#[must_use]
pub fn authorize_url(mut url: Url, client: &str, asked: &Consent<'_>, scope: Option<&str>) -> Url {
    let challenge = Digest::of(asked.verifier.expose_secret().as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(challenge.as_bytes());
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", client)
        .append_pair("redirect_uri", asked.redirect_uri)
        .append_pair("state", asked.state)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .extend_pairs(scope.map(|scope| ("scope", scope)));
    url
}

/// The request for what `form` has a right to, and the way that leads to `url` and nowhere else; `None` if the
/// client's secret fits no header.
#[must_use]
pub fn token_request<'a>(
    url: Url,
    client: &OAuthClient<'a>,
    mut form: Vec<(&'a str, &'a str)>,
    sender: Sender,
) -> Option<(Egress, HttpRequest)> {
    let mut headers = HeaderMap::new();
    match client.secret.map(SecretString::expose_secret) {
        Some(secret) if client.basic => {
            headers.insert(header::AUTHORIZATION, basic(client.id, secret)?);
        }
        secret => {
            form.push(("client_id", client.id));
            form.extend(secret.map(|secret| ("client_secret", secret)));
        }
    }
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, kind);
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::ACCEPT, json);
    let body = Serializer::new(String::new()).extend_pairs(form).finish();
    let request = HttpRequest {
        method: Method::POST,
        headers,
        body: RequestBody::Bytes(Bytes::from(body)),
        limits: HttpLimits {
            total: TOTAL,
            head: TOTAL,
            idle: TOTAL,
            max_body: MAX_ANSWER,
            // What is sent is for this one alone.
            redirects: None,
            ..HttpLimits::default()
        },
        url,
        sender,
    };
    let egress = Egress::new(&Grants::new(Egress::needed(&request.url)));
    Some((egress, request))
}

/// How the client shows who it is (RFC 6749, section 2.3.1).
fn basic(client: &str, secret: &str) -> Option<HeaderValue> {
    let coded = |text: &str| {
        let bytes = url::form_urlencoded::byte_serialize(text.as_bytes());
        Zeroizing::new(bytes.collect::<String>())
    };
    let both = Zeroizing::new([&coded(client), ":", &coded(secret)].concat());
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(&*both)));
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
