//! The provider: what it says of itself, its keys, and the exchange of a code.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use nebula_access::{Consent, OAuthClient, authorize_url, token_request};
use nebula_action::{
    Egress, Grants, HttpClient, HttpLimits, HttpRequest, RequestBody, Sender, origin_of,
};
use nebula_core::{ByteSize, Clock, ExposeSecret as _, SecretString, TenantId};
use nebula_ports::{Role, SecretsStore};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::{
    Expected, IdToken, IdTokenError, KeySet, OidcSettings, check, config::secure,
    id_token::verified_email,
};

/// How long the provider's document and its keys are taken to be what they were.
pub const KEYS_LAST: Duration = Duration::from_hours(1);

/// How seldom its keys are asked for because a token names one that is not among them.
pub const KEYS_AGAIN: Duration = Duration::from_secs(60);

/// How soon it is asked again after it did not answer.
pub const AGAIN: Duration = Duration::from_secs(5);

/// The largest document and set of keys.
pub const MAX_DOCUMENT: ByteSize = ByteSize::kib(256);

/// The longest time for one of them.
const FETCH: Duration = Duration::from_secs(10);

/// What a provider is asked over.
#[derive(Debug, Clone)]
pub struct ProviderPorts {
    /// The way out.
    pub http: Arc<dyn HttpClient>,
    /// Where the client's secret lies.
    pub secrets: Arc<dyn SecretsStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whose people log in.
    pub tenant: TenantId,
}

/// Who somebody is, as the provider has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Who says so.
    pub issuer: String,
    /// Who they are for that one, for ever.
    pub subject: String,
    /// Their verified email.
    pub email: Option<String>,
    /// How they are called; may be empty.
    pub name: String,
    /// What they are in all projects if they come for the first time.
    pub role: Option<Role>,
}

/// What a browser brings back.
#[derive(Debug, Clone, Copy)]
pub struct Back<'a> {
    /// The code.
    pub code: &'a SecretString,
    /// The verifier of the [`Consent`] with which it began.
    pub verifier: &'a SecretString,
    /// Its address to come back to.
    pub redirect_uri: &'a str,
    /// What went along with it.
    pub nonce: &'a str,
    /// Who answers, where the answer says so (RFC 9207).
    pub issuer: Option<&'a str>,
}

/// Why nobody knows who somebody is.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The provider does not answer, or answers that it is busy.
    #[error("the provider of identities cannot be asked now: {0}")]
    Unavailable(String),
    /// What is set here, or what the provider says of itself, cannot work.
    #[error("the provider of identities cannot be used as it is set up: {0}")]
    Unusable(String),
    /// Another provider answers than was asked (RFC 9207).
    #[error("the answer does not come from the provider that was asked")]
    OtherIssuer,
    /// The provider takes the code for none: it was used before, or is over.
    #[error("the provider of identities does not take the code: it answers `{0}`")]
    Refused(String),
    /// What it gave for the code is not believed.
    #[error(transparent)]
    Token(#[from] IdTokenError),
    /// What it tells beside the token is of somebody else (OpenID Connect Core 1.0, section 5.3.2).
    #[error("what the provider of identities tells of somebody is of somebody else")]
    OtherSubject,
    /// Nobody of this domain, or without a verified email, is let in.
    #[error("only people with a verified email of certain domains are let in here")]
    Domain,
}

/// What the provider says of itself (OpenID Connect Discovery 1.0).
#[derive(Debug)]
struct Metadata {
    authorize: Url,
    token: Url,
    keys: Url,
    /// Where it says more of somebody.
    userinfo: Option<Url>,
    /// Whether the secret goes in a header.
    basic: bool,
    /// Whether each answer says who gives it.
    says_issuer: bool,
}

/// What was given for a code.
struct Given {
    id: String,
    access: Option<SecretString>,
}

/// Something that was fetched.
#[derive(Debug)]
struct Fetched<T> {
    value: Option<(Arc<T>, Duration)>,
    failed: Option<(Duration, ProviderError)>,
}

impl<T> Default for Fetched<T> {
    fn default() -> Self {
        Self {
            value: None,
            failed: None,
        }
    }
}

impl<T> Fetched<T> {
    /// What is there, if it is younger than `age`.
    fn younger(&self, now: Duration, age: Duration) -> Option<Arc<T>> {
        let (value, at) = self.value.as_ref()?;
        (now.saturating_sub(*at) < age).then(|| Arc::clone(value))
    }

    /// Why it is not asked for now.
    fn rests(&self, now: Duration) -> Option<ProviderError> {
        let (at, error) = self.failed.as_ref()?;
        (now.saturating_sub(*at) < AGAIN).then(|| error.clone())
    }

    fn put(
        &mut self,
        now: Duration,
        fetched: Result<T, ProviderError>,
    ) -> Result<Arc<T>, ProviderError> {
        match fetched {
            Ok(value) => {
                let value = Arc::new(value);
                self.value = Some((Arc::clone(&value), now));
                self.failed = None;
                Ok(value)
            }
            Err(error) => {
                self.failed = Some((now, error.clone()));
                Err(error)
            }
        }
    }

    /// What was there before, however old.
    fn old(&self, error: ProviderError) -> Result<Arc<T>, ProviderError> {
        match &self.value {
            Some((value, _)) => {
                tracing::warn!(%error, "what the provider said before is used");
                Ok(Arc::clone(value))
            }
            None => Err(error),
        }
    }
}

/// The provider of identities. One asks for its document and its keys for all.
#[derive(Debug)]
pub struct Provider {
    settings: OidcSettings,
    ports: ProviderPorts,
    metadata: Mutex<Fetched<Metadata>>,
    keys: Mutex<Fetched<KeySet>>,
}

impl Provider {
    /// The provider with these settings; nothing is asked of it yet.
    #[must_use]
    pub fn new(settings: OidcSettings, ports: ProviderPorts) -> Self {
        Self {
            settings,
            ports,
            metadata: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// The address at which somebody logs in; `nonce` comes back in what the provider signs.
    ///
    /// # Errors
    /// `Unavailable`, `Unusable`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn begin(&self, asked: &Consent<'_>, nonce: &str) -> Result<Url, ProviderError> {
        let metadata = self.metadata().await?;
        let settings = &self.settings;
        let url = metadata.authorize.clone();
        let mut url = authorize_url(url, &settings.client_id, asked, Some(&settings.scope));
        url.query_pairs_mut().append_pair("nonce", nonce);
        Ok(url)
    }

    /// Exchanges what came back for what the provider says of somebody.
    ///
    /// # Errors
    /// [`ProviderError`].
    ///
    /// # Cancel safety
    /// The code may be spent; somebody can log in again.
    pub async fn finish(&self, back: &Back<'_>) -> Result<Claimed, ProviderError> {
        let metadata = self.metadata().await?;
        let settings = &self.settings;
        match back.issuer {
            None if metadata.says_issuer => return Err(ProviderError::OtherIssuer),
            Some(issuer) if issuer != settings.issuer => return Err(ProviderError::OtherIssuer),
            _ => {}
        }
        let given = self.exchange(&metadata, back).await?;
        let IdToken {
            subject,
            mut email,
            name,
            claims,
        } = self.believed(&metadata, &given.id, back.nonce).await?;
        // Who says nothing of it there may say it where more is told; what is said there counts.
        if claims.get("email").is_none()
            && let (Some(url), Some(access)) = (&metadata.userinfo, &given.access)
        {
            let more = self.userinfo(url, access).await?;
            // OpenID Connect Core 1.0, section 5.3.2: else it is told of somebody else.
            if more.get("sub").and_then(Value::as_str) != Some(&*subject) {
                return Err(ProviderError::OtherSubject);
            }
            email = verified_email(|name| more.get(name));
        }
        if !settings.admits(email.as_deref()) {
            return Err(ProviderError::Domain);
        }
        Ok(Claimed {
            issuer: settings.issuer.clone(),
            role: settings.role(&claims),
            subject,
            email,
            name,
        })
    }

    /// What the provider tells of somebody for an access token (OpenID Connect Core 1.0, section 5.3).
    async fn userinfo(&self, url: &Url, access: &SecretString) -> Result<Value, ProviderError> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", access.expose_secret()))
            .map_err(|_| ProviderError::Unusable("its access token fits no header".to_owned()))?;
        bearer.set_sensitive(true);
        self.fetch(url.clone(), Some(bearer)).await
    }

    /// The tokens for a code (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    async fn exchange(&self, metadata: &Metadata, back: &Back<'_>) -> Result<Given, ProviderError> {
        let secret = match &self.settings.client_secret {
            None => None,
            Some(id) => {
                let found = self.ports.secrets.get(&self.ports.tenant, id).await;
                let found = found.map_err(|error| ProviderError::Unavailable(error.to_string()))?;
                let missing = || format!("there is no secret `{id}`, which `client_secret` names");
                Some(found.ok_or_else(|| ProviderError::Unusable(missing()))?)
            }
        };
        let client = OAuthClient {
            id: &self.settings.client_id,
            secret: secret.as_ref(),
            basic: metadata.basic,
        };
        let form = vec![
            ("grant_type", "authorization_code"),
            ("code", back.code.expose_secret()),
            ("redirect_uri", back.redirect_uri),
            ("code_verifier", back.verifier.expose_secret()),
        ];
        let url = metadata.token.clone();
        let request = token_request(url, &client, form, self.sender());
        let (egress, request) = request
            .ok_or_else(|| ProviderError::Unusable("its secret fits no header".to_owned()))?;
        let (status, body) = self.asked(&egress, request).await?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        match text("id_token") {
            Some(id) => Ok(Given {
                id: id.to_owned(),
                access: text("access_token").map(SecretString::from),
            }),
            None => Err(IdTokenError::Malformed.into()),
        }
    }

    /// What a token says, with the keys that are known, or else with those that there are now.
    async fn believed(
        &self,
        metadata: &Metadata,
        text: &str,
        nonce: &str,
    ) -> Result<IdToken, ProviderError> {
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce,
            now: self.ports.clock.now(),
        };
        let keys = self.keys(metadata, KEYS_LAST).await?;
        match check(text, &keys, &expected) {
            Err(IdTokenError::UnknownKey) => {
                let keys = self.keys(metadata, KEYS_AGAIN).await?;
                Ok(check(text, &keys, &expected)?)
            }
            done => Ok(done?),
        }
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let mut known = self.metadata.lock().await;
        let now = self.ports.clock.monotonic();
        if let Some(metadata) = known.younger(now, KEYS_LAST) {
            return Ok(metadata);
        }
        if let Some(error) = known.rests(now) {
            return known.old(error);
        }
        let url = self.settings.discovery.clone();
        let fetched = self.document(url).await.and_then(|it| self.read(&it));
        match known.put(now, fetched) {
            Ok(metadata) => Ok(metadata),
            Err(error) => known.old(error),
        }
    }

    /// Its keys, at most so old.
    async fn keys(&self, of: &Metadata, age: Duration) -> Result<Arc<KeySet>, ProviderError> {
        let mut known = self.keys.lock().await;
        let now = self.ports.clock.monotonic();
        if let Some(keys) = known.younger(now, age) {
            return Ok(keys);
        }
        if let Some(error) = known.rests(now) {
            return known.old(error);
        }
        let fetched = self.document(of.keys.clone()).await.and_then(|document| {
            let keys = KeySet::read(&document);
            let why = "its `jwks_uri` answers with no keys".to_owned();
            keys.ok_or(ProviderError::Unusable(why))
        });
        match known.put(now, fetched) {
            Ok(keys) => Ok(keys),
            Err(error) => known.old(error),
        }
    }

    fn read(&self, document: &Value) -> Result<Metadata, ProviderError> {
        let unusable = |why: String| ProviderError::Unusable(why);
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        // Discovery 1.0, section 4.3: else one could speak for another.
        if text("issuer") != Some(&self.settings.issuer) {
            let why = "its document is of another issuer than `issuer`";
            return Err(unusable(why.to_owned()));
        }
        let url = |name: &str| {
            let missing = || unusable(format!("its document has no `{name}`"));
            let url = Egress::url(text(name).ok_or_else(missing)?);
            let url = url.map_err(|error| unusable(format!("`{name}`: {error}")))?;
            match secure(&url, &self.settings.discovery) {
                true => Ok(url),
                false => Err(unusable(format!("`{name}` does not begin with https://"))),
            }
        };
        let has = |name: &str, value: &str| {
            let all = document.get(name)?.as_array()?;
            Some(all.iter().any(|it| it == value))
        };
        if has("code_challenge_methods_supported", "S256") == Some(false) {
            return Err(unusable(
                "it takes no challenge of the kind S256".to_owned(),
            ));
        }
        let basic = has(
            "token_endpoint_auth_methods_supported",
            "client_secret_basic",
        );
        let says_issuer = document.get("authorization_response_iss_parameter_supported");
        Ok(Metadata {
            authorize: url("authorization_endpoint")?,
            token: url("token_endpoint")?,
            keys: url("jwks_uri")?,
            userinfo: match text("userinfo_endpoint") {
                Some(_) => Some(url("userinfo_endpoint")?),
                None => None,
            },
            basic: basic.unwrap_or(true),
            says_issuer: says_issuer == Some(&Value::Bool(true)),
        })
    }

    /// A document of the provider, in JSON.
    async fn document(&self, url: Url) -> Result<Value, ProviderError> {
        self.fetch(url, None).await
    }

    /// What is at `url`, in JSON, for whoever shows `bearer`. Redirects are not followed.
    async fn fetch(&self, url: Url, bearer: Option<HeaderValue>) -> Result<Value, ProviderError> {
        let json = HeaderValue::from_static("application/json");
        let origin = origin_of(&url);
        let egress = Egress::new(&Grants::new(Egress::needed(&url)));
        let mut headers = HeaderMap::from_iter([(header::ACCEPT, json)]);
        if let Some(bearer) = bearer {
            headers.insert(header::AUTHORIZATION, bearer);
        }
        let request = HttpRequest {
            method: Method::GET,
            headers,
            body: RequestBody::Empty,
            limits: HttpLimits {
                total: FETCH,
                head: FETCH,
                idle: FETCH,
                max_body: MAX_DOCUMENT,
                redirects: None,
                ..HttpLimits::default()
            },
            url,
            sender: self.sender(),
        };
        match self.asked(&egress, request).await? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => {
                let why = format!("{origin} answers {}", status.as_u16());
                Err(ProviderError::Unavailable(why))
            }
        }
    }

    /// What is answered; what is no JSON is null.
    async fn asked(
        &self,
        egress: &Egress,
        request: HttpRequest,
    ) -> Result<(StatusCode, Value), ProviderError> {
        let failed =
            |error: nebula_action::HttpError| ProviderError::Unavailable(error.to_string());
        let response = self
            .ports
            .http
            .send(egress, request)
            .await
            .map_err(failed)?;
        let status = response.status;
        let body = response.bytes().await.map_err(failed)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    fn sender(&self) -> Sender {
        Sender {
            tenant: Some(self.ports.tenant.clone()),
            credential: None,
        }
    }
}

/// What a server says that gives no token.
fn refusal(status: StatusCode, body: &Value) -> ProviderError {
    let busy = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    // A code has these characters (RFC 6749, section 5.2); what else a server says may hold anything.
    let plain = |it: &&str| {
        let code = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        (1..=40).contains(&it.len()) && it.bytes().all(code)
    };
    let said = body.get("error").and_then(Value::as_str).filter(plain);
    let code = said.map_or_else(|| status.as_u16().to_string(), str::to_owned);
    match (busy, &*code) {
        (true, _) => ProviderError::Unavailable(format!("it answers `{code}`")),
        // What the operator has to mend (RFC 6749, section 5.2).
        (false, "invalid_client" | "unauthorized_client" | "unsupported_grant_type") => {
            ProviderError::Unusable(format!("it answers `{code}`"))
        }
        _ => ProviderError::Refused(code),
    }
}
