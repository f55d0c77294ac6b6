//! Providers whose tokens say nothing of an email, and tell it where more is told.

use serde_json::{Value, json};

use super::{ISSUER, Stage};

const WITHOUT: &str = r#"{ "email": null, "email_verified": null }"#;

impl Stage {
    /// The provider tells more there, and answers so.
    fn tells(&self, at: &str, answer: (u16, Value)) {
        let mut says = self.idp.0.lock();
        says.document["userinfo_endpoint"] = at.into();
        says.userinfo = answer;
    }
}

/// Guards: it is asked with the token of this login, only where the token says nothing of an email, and
/// follows nobody elsewhere.
#[tokio::test]
async fn an_email_that_the_token_leaves_out_is_asked_for() {
    let stage = Stage::new().await;
    let ann = stage.added("ann@example.org").await;
    let told = json!({ "sub": "7", "email": "Ann@Example.org", "email_verified": true });
    stage.tells(&format!("{ISSUER}/userinfo"), (200, told));
    let without: Value = serde_json::from_str(WITHOUT).unwrap();
    let answer = stage.logs_in(without.clone()).await.ok(200);
    assert_eq!(answer["me"]["user"], json!(ann));
    let asked = stage.world.http.asked();
    let userinfo: Vec<_> = asked.iter().filter(|it| it.path == "/userinfo").collect();
    assert_eq!(userinfo.len(), 1);
    assert_eq!(userinfo[0].headers["authorization"], "Bearer a");
    assert!(userinfo[0].redirects.is_none());
    stage.logs_in(json!({})).await.ok(200);
    // What the token says of it counts, also that it is not verified.
    let other = json!({ "sub": "9", "email_verified": false });
    stage.logs_in(other).await.problem(403, "NO_ACCOUNT");
    assert_eq!(stage.asked("/userinfo"), 1);
    stage.world.stopped().await;
}

/// Guards: what is told of somebody else, or was not verified, is believed of nobody.
#[tokio::test]
async fn what_is_told_of_somebody_else_is_not_believed() {
    let stage = Stage::new().await;
    stage.added("ann@example.org").await;
    let without: Value = serde_json::from_str(WITHOUT).unwrap();
    let email = json!({ "email": "ann@example.org", "email_verified": true });
    let at = format!("{ISSUER}/userinfo");
    for (change, status, answered, code) in [
        (json!({ "sub": "8" }), 200, 403, "LOGIN_REFUSED"),
        (json!({}), 200, 403, "LOGIN_REFUSED"),
        (
            json!({ "sub": "7", "email_verified": false }),
            200,
            403,
            "NO_ACCOUNT",
        ),
        (
            json!({ "sub": "7", "email_verified": "true" }),
            200,
            403,
            "NO_ACCOUNT",
        ),
        (
            json!({ "sub": "7", "email": "ann" }),
            200,
            403,
            "NO_ACCOUNT",
        ),
        (json!({ "sub": "7" }), 500, 503, "PROVIDER_UNAVAILABLE"),
        (json!({ "sub": "7" }), 401, 503, "PROVIDER_UNAVAILABLE"),
    ] {
        let mut told = email.clone();
        for (key, value) in change.as_object().unwrap() {
            told[key] = value.clone();
        }
        stage.tells(&at, (status, told));
        let answer = stage.logs_in(without.clone()).await;
        answer.problem(answered, code);
    }
    stage.world.stopped().await;
}

#[tokio::test]
async fn a_provider_that_tells_more_without_encryption_is_not_used() {
    let stage = Stage::new().await;
    stage.tells("http://id.example/userinfo", (200, json!({})));
    let answer = stage.anonymous(super::LOGIN, &[]).await;
    answer.problem(409, "PROVIDER_UNUSABLE");
    stage.world.stopped().await;
}
