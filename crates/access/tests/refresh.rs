//! Refreshing over models: a token server that answers as each test says, a clock that tests move.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use nebula_access::{Access, AccessError, AccessPorts, LEASE, MARGIN, UNSAID};
use nebula_action::{
    Egress, ErrorClass, HttpBody, HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    RequestBody,
};
use nebula_core::{Clock, CredentialId, Entropy, ExposeSecret, SecretString, TenantId};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_ports::{CredentialUser, RefreshLease};
use nebula_testkit::{
    ManualClock, MemoryCredentialRepo, MemorySecretsStore, SeededEntropy, run_timed,
};
use nebula_vault::{Vault, VaultError};
use parking_lot::Mutex;

type Answer = Result<(u16, &'static str, String), HttpErrorKind>;
type Script = dyn Fn(usize) -> Answer + Send + Sync;

/// Takes a second for each answer, and keeps what it was sent.
struct Server {
    clock: ManualClock,
    asked: AtomicUsize,
    answered: AtomicUsize,
    script: Box<Script>,
    bodies: Mutex<Vec<(HeaderMap, String)>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

#[derive(Debug)]
struct Whole(Option<Bytes>);

#[async_trait]
impl HttpBody for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        Ok(self.0.take())
    }
}

#[async_trait]
impl HttpClient for Server {
    async fn send(&self, egress: &Egress, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let origin = nebula_action::origin_of(&request.url);
        let failed = |kind, sent| HttpError {
            kind,
            origin: origin.clone(),
            sent,
        };
        egress
            .target(&request.url)
            .map_err(|refusal| failed(HttpErrorKind::Denied(refusal), false))?;
        assert_eq!(request.limits.redirects, None);
        let RequestBody::Bytes(body) = &request.body else {
            panic!("the body is a form");
        };
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.bodies.lock().push((request.headers, body));
        let asked = self.asked.fetch_add(1, SeqCst) + 1;
        self.clock.sleep(Duration::from_secs(1)).await;
        let (status, head, body) = (self.script)(asked).map_err(|kind| failed(kind, true))?;
        self.answered.fetch_add(1, SeqCst);
        let mut headers = HeaderMap::new();
        for line in head.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            let name = HeaderName::try_from(name).unwrap();
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            url: request.url,
            redirects: 0,
            body: Box::new(Whole(Some(body.into()))),
        })
    }
}

/// Gives `token-N` for an hour, and a refresh token that is good once.
fn tokens(asked: usize) -> Answer {
    let body = format!(
        r#"{{"access_token":"token-{asked}","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-{asked}"}}"#
    );
    Ok((200, "", body))
}

struct Place {
    clock: ManualClock,
    vault: Arc<Vault>,
    server: Arc<Server>,
    access: Access,
}

static TENANT: LazyLock<TenantId> = LazyLock::new(TenantId::local);

static ID: LazyLock<CredentialId> = LazyLock::new(|| CredentialId::new("shop").unwrap());

fn credential(kind: CredentialType, more: &[(&str, &str)]) -> Credential {
    let all = [
        &[
            ("token_url", "https://id.example/token"),
            ("client_id", "nebula:1"),
            ("client_secret", "client hunter2"),
        ],
        more,
    ];
    let fields = all.concat().into_iter();
    let fields = fields.map(|(name, value)| (name.to_owned(), SecretString::from(value)));
    let hosts = AllowedHosts::parse(["api.example"]).unwrap();
    Credential::new(kind, fields.collect::<BTreeMap<_, _>>(), hosts).unwrap()
}

fn refreshing() -> Credential {
    credential(
        CredentialType::OAuth2Refresh,
        &[("refresh_token", "refresh-0")],
    )
}

/// Runs a test with a credential in the vault and a server that answers so.
fn with(
    credential: &Credential,
    script: impl Fn(usize) -> Answer + Send + Sync + 'static,
    test: impl AsyncFnOnce(Place),
) {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async {
        let entropy = Arc::new(SeededEntropy::new(1));
        let repo = Arc::new(MemoryCredentialRepo::new(Arc::new(clock.clone())));
        let secrets = Arc::new(MemorySecretsStore::default());
        let vault = Arc::new(Vault::new(repo, secrets, entropy.clone()));
        let _ = vault.put(&TENANT, &ID, None, credential).await.unwrap();
        let server = Arc::new(Server {
            clock: clock.clone(),
            asked: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            script: Box::new(script),
            bodies: Mutex::default(),
        });
        let access = access(&clock, &vault, &server, 2);
        test(Place {
            clock,
            vault,
            server,
            access,
        })
        .await;
    });
}

fn access(clock: &ManualClock, vault: &Arc<Vault>, server: &Arc<Server>, seed: u64) -> Access {
    Access::new(AccessPorts {
        vault: vault.clone(),
        http: Some(server.clone()),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SeededEntropy::new(seed)),
    })
}

impl Place {
    async fn token(&self) -> Result<String, AccessError> {
        token(&self.access).await
    }
}

async fn token(access: &Access) -> Result<String, AccessError> {
    let opened = access.open(&TENANT, &ID, &CredentialUser::Test).await?;
    let token = opened.credential.field("access_token").unwrap();
    Ok(token.expose_secret().to_owned())
}

fn code(error: &AccessError) -> String {
    let error = error.of_attempt();
    assert!(!format!("{error:?}").contains("hunter2"));
    match error.class {
        ErrorClass::Retryable { after: Some(after) } => {
            format!("{} after {}", error.code, after.as_secs())
        }
        class => format!("{} {}", error.code, class.as_str()),
    }
}

#[test]
fn sixty_four_users_of_three_processes_cause_one_request() {
    with(&refreshing(), tokens, async |place| {
        let others: Vec<_> = (3..5)
            .map(|seed| access(&place.clock, &place.vault, &place.server, seed))
            .collect();
        let all = [&place.access, &others[0], &others[1]];
        let users = (0..64).map(|user| token(all[user % 3]));
        for token in join_all(users).await {
            assert_eq!(token.unwrap(), "token-1");
        }
        assert_eq!(place.server.asked.load(SeqCst), 1);
        // What came of it is the credential now.
        let opened = place.vault.open(&TENANT, &ID, &CredentialUser::Test);
        let opened = opened.await.unwrap();
        assert_eq!(opened.version, 2);
        let field = |name: &str| opened.credential.field(name).unwrap().expose_secret();
        assert_eq!(field("refresh_token"), "refresh-1");
        assert_eq!(field("client_secret"), "client hunter2");
    });
}

#[test]
fn a_token_is_used_until_shortly_before_its_end() {
    with(&refreshing(), tokens, async |place| {
        let hour = Duration::from_secs(3_600);
        assert_eq!(place.token().await.unwrap(), "token-1");
        place.clock.advance(hour - MARGIN - Duration::from_secs(2));
        assert_eq!(place.token().await.unwrap(), "token-1");
        place.clock.advance(Duration::from_secs(3));
        assert_eq!(place.token().await.unwrap(), "token-2");
        let bodies = place.server.bodies.lock().clone();
        let forms: Vec<_> = bodies.iter().map(|(_, body)| &**body).collect();
        assert_eq!(
            forms,
            [
                "grant_type=refresh_token&refresh_token=refresh-0",
                "grant_type=refresh_token&refresh_token=refresh-1",
            ]
        );
        // RFC 6749, section 2.3.1: both are written as in forms before they are joined.
        let basic = "Basic bmVidWxhJTNBMTpjbGllbnQraHVudGVyMg==";
        assert_eq!(bodies[0].0[header::AUTHORIZATION], basic);
        assert!(bodies[0].0[header::AUTHORIZATION].is_sensitive());
    });
}

#[test]
fn a_client_asks_in_its_own_name() {
    let own = [("scope", "read write"), ("client_auth", "body")];
    let client = credential(CredentialType::OAuth2ClientCredentials, &own);
    // How long it is good is not said.
    let script = |asked| Ok((200, "", format!(r#"{{"access_token":"token-{asked}"}}"#)));
    with(&client, script, async |place| {
        assert_eq!(place.token().await.unwrap(), "token-1");
        place
            .clock
            .advance(UNSAID - MARGIN - Duration::from_secs(2));
        assert_eq!(place.token().await.unwrap(), "token-1");
        place.clock.advance(Duration::from_secs(3));
        assert_eq!(place.token().await.unwrap(), "token-2");
        let bodies = place.server.bodies.lock();
        assert_eq!(
            bodies[0].1,
            "grant_type=client_credentials&scope=read+write&client_id=nebula%3A1&client_secret=client+hunter2"
        );
        assert!(!bodies[0].0.contains_key(header::AUTHORIZATION));
    });
}

#[test]
fn a_token_that_ends_at_once_serves_who_asked_for_it() {
    let script = |asked| {
        let body = format!(r#"{{"access_token":"token-{asked}","expires_in":"1"}}"#);
        Ok((200, "", body))
    };
    with(&refreshing(), script, async |place| {
        assert_eq!(place.token().await.unwrap(), "token-1");
        assert_eq!(place.token().await.unwrap(), "token-2");
    });
}

#[test]
fn a_refusal_is_final_and_trouble_is_not() {
    let refused = |status, body: &str| Ok((status, "", body.to_owned()));
    let cases: Vec<(Answer, &str)> = vec![
        (
            refused(
                400,
                r#"{"error":"invalid_grant","error_description":"hunter2"}"#,
            ),
            "CREDENTIAL_REFUSED fatal",
        ),
        (
            refused(401, r#"{"error":"hunter2 is wrong"}"#),
            "CREDENTIAL_REFUSED fatal",
        ),
        (refused(302, ""), "CREDENTIAL_REFUSED fatal"),
        (refused(200, "hunter2"), "CREDENTIAL_REFUSED fatal"),
        (
            refused(200, r#"{"access_token":"a","token_type":"mac"}"#),
            "CREDENTIAL_REFUSED fatal",
        ),
        (
            refused(200, "{\"access_token\":\"a\\r\\nx: hunter2\"}"),
            "CREDENTIAL_REFUSED fatal",
        ),
        (
            refused(400, r#"{"error":"temporarily_unavailable"}"#),
            "CREDENTIAL_REFRESH retryable",
        ),
        (refused(500, "hunter2"), "CREDENTIAL_REFRESH retryable"),
        (
            Ok((429, "retry-after: 7", String::new())),
            "CREDENTIAL_REFRESH after 7",
        ),
        (
            Err(HttpErrorKind::Connect("refused".to_owned())),
            "CREDENTIAL_REFRESH retryable",
        ),
        (
            Err(HttpErrorKind::Tls("unknown issuer".to_owned())),
            "CREDENTIAL_REFUSED fatal",
        ),
    ];
    for (answer, expected) in cases {
        let first = Mutex::new(Some(answer));
        let script = move |asked| first.lock().take().unwrap_or_else(|| tokens(asked));
        with(&refreshing(), script, async |place| {
            let error = place.token().await.unwrap_err();
            assert_eq!(code(&error), expected, "{error}");
            // Nobody is kept away by what failed.
            assert_eq!(place.token().await.unwrap(), "token-2");
        });
    }
}

#[test]
fn a_refusal_says_to_connect_again() {
    let script = |_| Ok((400, "", r#"{"error":"invalid_grant"}"#.to_owned()));
    with(&refreshing(), script, async |place| {
        let error = place.token().await.unwrap_err().of_attempt();
        assert_eq!(
            error.message,
            "the credential `shop` cannot be refreshed: https://id.example answers `invalid_grant`; connect it again: give it new values with `nebula credentials rotate`"
        );
    });
}

#[test]
fn who_gives_up_waiting_loses_no_answer() {
    with(&refreshing(), tokens, async |place| {
        // It is polled until the request is under way, and dropped.
        let mut first = Box::pin(place.token());
        while place.server.asked.load(SeqCst) == 0 {
            assert!((&mut first).now_or_never().is_none());
        }
        drop(first);
        assert_eq!(place.server.answered.load(SeqCst), 0);
        assert_eq!(place.token().await.unwrap(), "token-1");
        assert_eq!(place.server.asked.load(SeqCst), 1, "it was not asked again");
    });
}

#[test]
fn another_process_is_waited_for_and_outlived() {
    with(&refreshing(), tokens, async |place| {
        let holder = SeededEntropy::new(9).uuid();
        let lease = place.vault.lease_refresh(&TENANT, &ID, 1, holder, LEASE);
        let granted = lease.await.unwrap();
        assert!(matches!(granted, RefreshLease::Granted { .. }));
        let start = place.clock.monotonic();
        // It dies and says nothing.
        assert_eq!(place.token().await.unwrap(), "token-1");
        assert!(place.clock.monotonic() - start >= LEASE);
    });
}

#[test]
fn what_a_person_puts_meanwhile_is_used() {
    with(&refreshing(), tokens, async |place| {
        let until = place
            .clock
            .now()
            .plus(Duration::from_secs(7_200))
            .to_string();
        let new = credential(
            CredentialType::OAuth2Refresh,
            &[
                ("refresh_token", "new"),
                ("access_token", "from a person"),
                ("expires_at", &until),
            ],
        );
        let mut waiting = Box::pin(place.token());
        while place.server.asked.load(SeqCst) == 0 {
            assert!((&mut waiting).now_or_never().is_none());
        }
        let _ = place.vault.put(&TENANT, &ID, Some(1), &new).await.unwrap();
        assert_eq!(waiting.await.unwrap(), "from a person");
    });
}

#[test]
fn what_needs_no_token_is_opened_as_it_is() {
    let fields = BTreeMap::from([("token".to_owned(), SecretString::from("hunter2"))]);
    let bearer = Credential::new(CredentialType::Bearer, fields, AllowedHosts::default()).unwrap();
    with(&bearer, tokens, async |place| {
        let opened = place.access.open(&TENANT, &ID, &CredentialUser::Test);
        assert_eq!(opened.await.unwrap().version, 1);
        assert_eq!(place.server.asked.load(SeqCst), 0);
        let other = CredentialId::new("other").unwrap();
        let error = place
            .access
            .open(&TENANT, &other, &CredentialUser::Test)
            .await
            .unwrap_err();
        assert!(matches!(&error, AccessError::Vault(it) if matches!(**it, VaultError::Unknown(_))));
        assert_eq!(code(&error), "CREDENTIAL_UNKNOWN fatal");
    });
}
