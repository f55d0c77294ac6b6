//! Refreshing over models: a token server that answers as each test says, a clock that tests move.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{join, join_all},
};
use http::header;
use nebula_access::{
    Access, AccessError, AccessPorts, Consent, Consented, LEASE, MARGIN, MAX_ANSWER, TOTAL, UNSAID,
};
use nebula_action::{ErrorClass, HttpErrorKind, Reason, Refused, Sender};
use nebula_core::{Clock, CredentialId, Entropy, ExposeSecret, SecretString, TenantId, Timestamp};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_ports::{CredentialUser, RefreshLease};
use nebula_testkit::{
    AskedHttp, ManualClock, MemoryCredentialRepo, MemorySecretsStore, ScriptedAnswer, ScriptedHttp,
    SeededEntropy, run_timed,
};
use nebula_vault::{Vault, VaultError};
use parking_lot::Mutex;

/// Gives `token-N` for an hour, and a refresh token that is good once.
fn tokens(asked: &AskedHttp) -> ScriptedAnswer {
    let asked = asked.number;
    let body = format!(
        r#"{{"access_token":"token-{asked}","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-{asked}"}}"#
    );
    Ok((200, "", body))
}

struct Place {
    clock: ManualClock,
    vault: Arc<Vault>,
    server: Arc<ScriptedHttp>,
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
    script: impl Fn(&AskedHttp) -> ScriptedAnswer + Send + Sync + 'static,
    test: impl AsyncFnOnce(Place),
) {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async {
        let entropy = Arc::new(SeededEntropy::new(1));
        let repo = Arc::new(MemoryCredentialRepo::new(Arc::new(clock.clone())));
        let secrets = Arc::new(MemorySecretsStore::default());
        let vault = Arc::new(Vault::new(repo, secrets, entropy.clone()));
        let _ = vault.put(&TENANT, &ID, None, credential).await.unwrap();
        let server = ScriptedHttp::new(script);
        let server = Arc::new(server.taking(Arc::new(clock.clone()), Duration::from_secs(1)));
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

fn access(
    clock: &ManualClock,
    vault: &Arc<Vault>,
    server: &Arc<ScriptedHttp>,
    seed: u64,
) -> Access {
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
        assert_eq!(place.server.asked().len(), 1);
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
        let asked = place.server.asked();
        let forms: Vec<_> = asked.iter().map(|it| &*it.body).collect();
        assert_eq!(
            forms,
            [
                "grant_type=refresh_token&refresh_token=refresh-0",
                "grant_type=refresh_token&refresh_token=refresh-1",
            ]
        );
        // RFC 6749, section 2.3.1: both are written as in forms before they are joined.
        let basic = "Basic bmVidWxhJTNBMTpjbGllbnQraHVudGVyMg==";
        assert_eq!(asked[0].headers[header::AUTHORIZATION], basic);
        assert!(asked[0].headers[header::AUTHORIZATION].is_sensitive());
        assert!(asked.iter().all(|it| it.redirects.is_none()));
        // The gates before the way out count for this credential of this tenant.
        let sender = Sender {
            tenant: Some(TENANT.clone()),
            credential: Some(ID.clone()),
        };
        assert_eq!(asked[0].sender, sender);
    });
}

#[test]
fn a_client_asks_in_its_own_name() {
    let own = [("scope", "read write"), ("client_auth", "body")];
    let client = credential(CredentialType::OAuth2ClientCredentials, &own);
    // How long it is good is not said.
    let script = |asked: &AskedHttp| {
        let number = asked.number;
        Ok((200, "", format!(r#"{{"access_token":"token-{number}"}}"#)))
    };
    with(&client, script, async |place| {
        assert_eq!(place.token().await.unwrap(), "token-1");
        place
            .clock
            .advance(UNSAID - MARGIN - Duration::from_secs(2));
        assert_eq!(place.token().await.unwrap(), "token-1");
        place.clock.advance(Duration::from_secs(3));
        assert_eq!(place.token().await.unwrap(), "token-2");
        let asked = place.server.asked();
        assert_eq!(
            asked[0].body,
            "grant_type=client_credentials&scope=read+write&client_id=nebula%3A1&client_secret=client+hunter2"
        );
        assert!(!asked[0].headers.contains_key(header::AUTHORIZATION));
    });
}

#[test]
fn a_token_that_ends_at_once_serves_who_asked_for_it() {
    let script = |asked: &AskedHttp| {
        let number = asked.number;
        let body = format!(r#"{{"access_token":"token-{number}","expires_in":"1"}}"#);
        Ok((200, "", body))
    };
    with(&refreshing(), script, async |place| {
        assert_eq!(place.token().await.unwrap(), "token-1");
        assert_eq!(place.token().await.unwrap(), "token-2");
    });
}

/// What the gates before the way out say that let nothing through.
fn held(reason: Reason) -> HttpErrorKind {
    let after = Duration::from_secs(9);
    HttpErrorKind::Held(Refused { reason, after })
}

#[test]
fn a_token_that_is_good_can_be_asked_for_again() {
    with(&refreshing(), tokens, async |place| {
        assert_eq!(place.token().await.unwrap(), "token-1");
        let renewed = place.access.renew(&TENANT, &ID, &CredentialUser::Test);
        let renewed = renewed.await.unwrap();
        let token = renewed.credential.field("access_token").unwrap();
        assert_eq!((token.expose_secret(), renewed.version), ("token-2", 3));
        assert_eq!(place.token().await.unwrap(), "token-2");
    });
}

#[test]
fn another_way_out_takes_the_place_of_one_and_not_of_none() {
    with(&refreshing(), tokens, async |place| {
        let other = Arc::new(ScriptedHttp::new(|_| {
            Ok((200, "", r#"{"access_token":"other"}"#.to_owned()))
        }));
        assert_eq!(
            token(&place.access.over(other.clone())).await.unwrap(),
            "other"
        );
        assert_eq!((other.asked().len(), place.server.asked().len()), (1, 0));
        let none = Access::new(AccessPorts {
            vault: place.vault.clone(),
            http: None,
            clock: Arc::new(place.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(5)),
        });
        place.clock.advance(UNSAID);
        let error = token(&none.over(other)).await.unwrap_err();
        assert!(matches!(error, AccessError::NoWay { .. }), "{error}");
    });
}

#[test]
fn a_refusal_is_final_and_trouble_is_not() {
    let refused = |status, body: &str| Ok((status, "", body.to_owned()));
    let cases: Vec<(ScriptedAnswer, &str)> = vec![
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
            Ok((429, "retry-after: 999999", String::new())),
            "CREDENTIAL_REFRESH after 3600",
        ),
        (
            Err(HttpErrorKind::Connect("refused".to_owned())),
            "CREDENTIAL_REFRESH retryable",
        ),
        (Err(held(Reason::Rate)), "CREDENTIAL_REFRESH deferred"),
        (Err(held(Reason::BreakerOpen)), "CREDENTIAL_REFRESH after 9"),
        (
            Err(HttpErrorKind::Tls("unknown issuer".to_owned())),
            "CREDENTIAL_REFUSED fatal",
        ),
    ];
    for (answer, expected) in cases {
        let first = Mutex::new(Some(answer));
        let script = move |asked: &AskedHttp| first.lock().take().unwrap_or_else(|| tokens(asked));
        with(&refreshing(), script, async |place| {
            let error = place.token().await.unwrap_err();
            assert_eq!(code(&error), expected, "{error}");
            // Nobody is kept away by what failed.
            let failed = place.clock.monotonic();
            assert_eq!(place.token().await.unwrap(), "token-2");
            assert!(place.clock.monotonic() - failed < LEASE / 2);
        });
    }
}

#[test]
fn what_a_server_says_instead_of_a_code_is_not_repeated() {
    let long = "x".repeat(41);
    let script = move |_: &AskedHttp| Ok((400, "", format!(r#"{{"error":"{long}"}}"#)));
    with(&refreshing(), script, async |place| {
        let error = place.token().await.unwrap_err();
        assert!(error.to_string().ends_with("answers `400`"), "{error}");
    });
}

#[test]
fn only_a_type_with_tokens_has_them_renewed() {
    let fields = BTreeMap::from([("token".to_owned(), SecretString::from("hunter2"))]);
    let bearer = Credential::new(CredentialType::Bearer, fields, AllowedHosts::default()).unwrap();
    with(&bearer, tokens, async |place| {
        let renewed = place.access.renew(&TENANT, &ID, &CredentialUser::Test);
        let error = renewed.await.unwrap_err().to_string();
        assert!(error.contains("its type bearer has no tokens"), "{error}");
        assert_eq!(place.server.asked().len(), 0);
    });
}

#[test]
fn a_refresh_token_is_kept_where_the_type_has_one() {
    let client = credential(CredentialType::OAuth2ClientCredentials, &[]);
    with(&client, tokens, async |place| {
        assert_eq!(place.token().await.unwrap(), "token-1");
        let opened = place.vault.open(&TENANT, &ID, &CredentialUser::Test);
        let opened = opened.await.unwrap().credential;
        assert!(opened.field("refresh_token").is_none());
    });
}

#[test]
fn a_token_without_end_counts_for_a_year() {
    let script = |_: &AskedHttp| {
        let body = r#"{"access_token":"a","expires_in":18446744073709551615}"#;
        Ok((200, "", body.to_owned()))
    };
    with(&refreshing(), script, async |place| {
        assert_eq!(place.token().await.unwrap(), "a");
        let opened = place.vault.open(&TENANT, &ID, &CredentialUser::Test);
        let opened = opened.await.unwrap().credential;
        let until = opened.field("expires_at").unwrap().expose_secret();
        let until: Timestamp = until.parse().unwrap();
        let left = until.since(place.clock.now());
        assert!(left <= Duration::from_hours(24 * 365), "{left:?}");
    });
}

#[test]
fn a_request_for_a_token_has_limits_of_its_own() {
    with(&refreshing(), tokens, async |place| {
        place.token().await.unwrap();
        let asked = &place.server.asked()[0];
        assert_eq!((asked.max_body, asked.total), (MAX_ANSWER, TOTAL));
        assert!(TOTAL < LEASE, "nobody else begins while it is under way");
    });
}

#[test]
fn a_refusal_says_to_connect_again() {
    let script = |_: &AskedHttp| Ok((400, "", r#"{"error":"invalid_grant"}"#.to_owned()));
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
        while place.server.asked().is_empty() {
            assert!((&mut first).now_or_never().is_none());
        }
        drop(first);
        assert_eq!(place.server.answered(), 0);
        assert_eq!(place.token().await.unwrap(), "token-1");
        assert_eq!(place.server.asked().len(), 1, "it was not asked again");
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
fn a_lease_that_another_process_gives_back_is_seen_soon() {
    with(&refreshing(), tokens, async |place| {
        let holder = SeededEntropy::new(9).uuid();
        let lease = place.vault.lease_refresh(&TENANT, &ID, 1, holder, LEASE);
        let _ = lease.await.unwrap();
        let start = place.clock.monotonic();
        let gives_back = async {
            place.clock.sleep(Duration::from_secs(1)).await;
            let released = place.vault.release_refresh(&TENANT, &ID, holder);
            released.await.unwrap();
        };
        let (token, ()) = join(place.token(), gives_back).await;
        assert_eq!(token.unwrap(), "token-1");
        assert!(place.clock.monotonic() - start < LEASE / 4);
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
        while place.server.asked().is_empty() {
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
        assert_eq!(place.server.asked().len(), 0);
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

const BACK: &str = "https://nebula.example/api/v1/credentials/shop/callback";

/// Guards: without a consent nothing is sent; the challenge is the hash of the verifier (RFC 7636, appendix B);
/// the code is exchanged for the version that it was asked for; what comes is refreshed from then on.
#[test]
fn what_somebody_consented_to_gives_tokens_which_are_refreshed_from_then_on() {
    let more = [
        ("authorize_url", "https://id.example/auth?prompt=consent"),
        ("scope", "read write"),
    ];
    let consented = credential(CredentialType::OAuth2Code, &more);
    with(&consented, tokens, async |place| {
        let refused = place.token().await.unwrap_err();
        assert_eq!(code(&refused), "CREDENTIAL_REFUSED fatal");
        assert_eq!(place.server.asked().len(), 0);
        let verifier = SecretString::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let asked = Consent {
            redirect_uri: BACK,
            state: "s/1",
            verifier: &verifier,
        };
        let (url, version) = place.access.consent(&TENANT, &ID, &asked).await.unwrap();
        assert_eq!(version, 1);
        assert_eq!(
            url.as_str(),
            "https://id.example/auth?prompt=consent&response_type=code&client_id=nebula%3A1\
             &redirect_uri=https%3A%2F%2Fnebula.example%2Fapi%2Fv1%2Fcredentials%2Fshop%2Fcallback\
             &state=s%2F1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
             &code_challenge_method=S256&scope=read+write"
        );
        let given = SecretString::from("c 1");
        let given = Consented {
            version,
            code: &given,
            verifier: &verifier,
            redirect_uri: BACK,
        };
        let next = place.access.consented(&TENANT, &ID, &given).await.unwrap();
        assert_eq!(next, 2);
        let asked = place.server.asked();
        assert_eq!(
            asked[0].body,
            "grant_type=authorization_code&code=c+1\
             &redirect_uri=https%3A%2F%2Fnebula.example%2Fapi%2Fv1%2Fcredentials%2Fshop%2Fcallback\
             &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
        assert!(
            asked[0].redirects.is_none() && asked[0].headers.contains_key(header::AUTHORIZATION)
        );
        assert_eq!(place.token().await.unwrap(), "token-1");
        // It is another version now: somebody may have given it another server.
        let stale = place
            .access
            .consented(&TENANT, &ID, &given)
            .await
            .unwrap_err();
        assert!(matches!(stale, AccessError::NoWay { .. }), "{stale}");
        assert_eq!(place.server.asked().len(), 1);
        place.clock.advance(Duration::from_secs(3_600));
        assert_eq!(place.token().await.unwrap(), "token-2");
        let asked = place.server.asked();
        assert_eq!(
            asked[1].body,
            "grant_type=refresh_token&refresh_token=refresh-1&scope=read+write"
        );
    });
}

#[test]
fn nobody_consents_to_another_type() {
    with(&refreshing(), tokens, async |place| {
        let asked = Consent {
            redirect_uri: BACK,
            state: "s",
            verifier: &SecretString::from("v"),
        };
        let refused = place
            .access
            .consent(&TENANT, &ID, &asked)
            .await
            .unwrap_err();
        assert!(matches!(refused, AccessError::NoWay { .. }), "{refused}");
    });
}
