//! Invitations: who may be invited to what, and what a token is good for.

use std::{sync::Arc, time::Duration};

use http::Method;
use nebula_core::TenantId;
use nebula_ports::AuditLog as _;
use nebula_testkit::ManualClock;
use serde_json::{Value, json};

use crate::{
    oidc::Stage,
    support::{Answer, World},
};

const PATH: &str = "/api/v1/invitations";
const WEEK: Duration = Duration::from_hours(24 * 7);

impl World {
    async fn invite(&self, email: &str, more: Value) -> Value {
        let mut body = json!({ "email": email, "role": "viewer" });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.post(PATH, body).await.ok(201)
    }

    /// Without anything shown but the token.
    async fn accept(&self, token: &Value, password: &str) -> Answer {
        let body = json!({ "token": token, "password": password, "for": "browser" });
        let path = format!("{PATH}/accept");
        self.ask_as(&[], Method::POST, &path, body).await
    }

    async fn waiting(&self) -> Vec<Value> {
        let listed = self.get(PATH).await.ok(200);
        listed["invitations"].as_array().unwrap().clone()
    }

    async fn revoke(&self, user: &Value) -> Answer {
        let path = format!("{PATH}/{}", user.as_str().unwrap());
        self.send(Method::DELETE, &path, &[], "").await
    }
}

/// Guards: a token counts once, sets a password that is long enough, and gives what was said.
#[tokio::test]
async fn whoever_is_invited_accepts_once() {
    let world = World::new().await;
    world.project("shop").await;
    let shop = json!({ "project": "shop", "role": "operator", "name": "Ann" });
    let invited = world.invite(" Ann@Example.org", shop).await;
    let waiting = world.waiting().await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(
        (&waiting[0]["email"], &waiting[0]["expired"]),
        (&json!("ann@example.org"), &json!(false))
    );
    assert_eq!(
        waiting[0]["roles"],
        json!([{ "project": "shop", "role": "operator" }])
    );
    // Nobody logs in as them before.
    let body = json!({ "login": "ann@example.org", "password": "" });
    let answer = world.ask_as(&[], Method::POST, "/api/v1/login", body).await;
    answer.problem(401, "WRONG_LOGIN");
    // What is too short does not cost the invitation.
    let short = world.accept(&invited["token"], "short").await;
    short.problem(422, "NOT_POSSIBLE");
    let accepted = world.accept(&invited["token"], "correct horse").await;
    assert!(accepted.header("set-cookie").contains("HttpOnly"));
    let accepted = accepted.ok(201);
    assert_eq!(
        (&accepted["me"]["user"], &accepted["me"]["name"]),
        (&invited["user"], &json!("Ann"))
    );
    assert_eq!(
        accepted["me"]["roles"],
        json!([{ "project": "shop", "role": "operator" }])
    );
    world
        .accept(&invited["token"], "another horse")
        .await
        .problem(401, "WRONG_INVITATION");
    let body = json!({ "login": "ann@example.org", "password": "correct horse" });
    world
        .ask_as(&[], Method::POST, "/api/v1/login", body)
        .await
        .ok(200);
    assert!(world.waiting().await.is_empty());
    // Who is here is not invited, and not revoked.
    let again = json!({ "email": "ann@example.org", "role": "viewer" });
    world.post(PATH, again).await.problem(409, "TAKEN");
    world.revoke(&invited["user"]).await.problem(404, "UNKNOWN");
    let entries = world
        .audit
        .entries(&TenantId::local(), 0, 100)
        .await
        .unwrap();
    for what in ["users.invite", "invitations.accept"] {
        assert!(entries.iter().any(|it| it.new.what == what), "{what}");
    }
    let token = invited["token"].as_str().unwrap();
    assert!(entries.iter().all(|it| !format!("{it:?}").contains(token)));
    world.stopped().await;
}

/// Guards: what was taken back, was given anew, or is a week old opens nothing; nor does a token of another kind.
#[tokio::test]
async fn a_token_that_counts_no_more_opens_nothing() {
    let clock = Arc::new(ManualClock::default());
    let world = World::timed(crate::support::roomy(), clock.clone()).await;
    let refused = async |token: &Value| {
        world
            .accept(token, "correct horse")
            .await
            .problem(401, "WRONG_INVITATION");
    };
    let gone = world.invite("gone@example.org", json!({})).await;
    assert_eq!(world.revoke(&gone["user"]).await.status, 204);
    refused(&gone["token"]).await;
    world.revoke(&gone["user"]).await.problem(404, "UNKNOWN");

    let first = world.invite("ann@example.org", json!({})).await;
    let second = world
        .invite("ann@example.org", json!({ "role": "editor" }))
        .await;
    assert_eq!(first["user"], second["user"]);
    refused(&first["token"]).await;
    let accepted = world
        .accept(&second["token"], "correct horse")
        .await
        .ok(201);
    assert_eq!(
        accepted["me"]["roles"],
        json!([{ "project": null, "role": "editor" }])
    );

    let shut = world.invite("shut@example.org", json!({})).await;
    let path = format!("/api/v1/users/{}/disabled", shut["user"].as_str().unwrap());
    let json = [("content-type", "application/json")];
    world
        .send(Method::PUT, &path, &json, r#"{"disabled":true}"#)
        .await
        .ok(200);
    refused(&shut["token"]).await;

    let late = world.invite("late@example.org", json!({})).await;
    clock.advance(WEEK - Duration::from_millis(1));
    let early = world.invite("early@example.org", json!({})).await;
    assert_eq!(
        world
            .waiting()
            .await
            .iter()
            .filter(|it| it["expired"] == true)
            .count(),
        0
    );
    clock.advance(Duration::from_millis(1));
    assert_eq!(
        world
            .waiting()
            .await
            .iter()
            .filter(|it| it["expired"] == true)
            .count(),
        1
    );
    refused(&late["token"]).await;
    world.accept(&early["token"], "correct horse").await.ok(201);
    let ticket = world.post("/api/v1/tickets", Value::Null).await.ok(201);
    for wrong in [&ticket["ticket"], &json!(""), &json!("nbo_local_x")] {
        refused(wrong).await;
    }
    world.stopped().await;
}

/// Guards: nobody invites to more than they are, or where they are not; owners are made, not invited.
#[tokio::test]
async fn nobody_invites_to_more_than_they_are() {
    let world = World::new().await;
    for project in ["shop", "other"] {
        world.project(project).await;
    }
    world
        .person("adam", &[("shop", "admin"), ("other", "viewer")])
        .await;
    let body = json!({ "login": "adam", "password": "correct horse" });
    let adam = world
        .ask_as(&[], Method::POST, "/api/v1/login", body)
        .await
        .ok(200);
    let bearer = format!("Bearer {}", adam["access"].as_str().unwrap());
    let shown = [("authorization", &*bearer)];
    let asks = async |body: Value| world.ask_as(&shown, Method::POST, PATH, body).await;
    let of = |role: &str, project: Value| json!({ "email": "ann@example.org", "role": role, "project": project });
    asks(of("viewer", json!("other")))
        .await
        .problem(403, "DENIED");
    asks(of("viewer", Value::Null)).await.problem(403, "DENIED");
    asks(of("viewer", json!("none")))
        .await
        .problem(404, "UNKNOWN_PROJECT");
    asks(of("owner", json!("shop")))
        .await
        .problem(403, "DENIED");
    asks(of("king", json!("shop")))
        .await
        .problem(400, "BAD_BODY");
    asks(json!({ "email": "ann", "role": "viewer", "project": "shop" }))
        .await
        .problem(422, "NOT_POSSIBLE");
    let invited = asks(of("admin", json!("shop"))).await.ok(201);
    // Somebody with more than he sees is neither shown to him nor his to revoke or to invite anew.
    let both = world
        .invite("bob@example.org", json!({ "role": "editor" }))
        .await;
    let listed = world
        .ask_as(&shown, Method::GET, PATH, Value::Null)
        .await
        .ok(200);
    let listed: Vec<_> = listed["invitations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["user"])
        .collect();
    assert_eq!(listed, [&invited["user"]]);
    let path = |it: &Value| format!("{PATH}/{}", it["user"].as_str().unwrap());
    let answer = world
        .ask_as(&shown, Method::DELETE, &path(&both), Value::Null)
        .await;
    answer.problem(404, "UNKNOWN");
    let anew = json!({ "email": "bob@example.org", "role": "viewer", "project": "shop" });
    asks(anew).await.problem(403, "DENIED");
    let answer = world
        .ask_as(&shown, Method::DELETE, &path(&invited), Value::Null)
        .await;
    assert_eq!(answer.status, 204);
    let owner = json!({ "email": "eve@example.org", "role": "owner" });
    world.post(PATH, owner).await.problem(422, "NOT_POSSIBLE");
    world.stopped().await;
}

/// Guards: whoever shows the token and logs in at the provider has that identity from then on, whatever their
/// email, once.
#[tokio::test]
async fn an_invitation_takes_an_identity_of_a_provider() {
    let stage = Stage::new().await;
    let invited = stage.world.invite("work@example.org", json!({})).await;
    let token = invited["token"].as_str().unwrap();
    let query = format!("?invitation={token}");
    let change = json!({ "email": "home@example.net", "email_verified": false });
    let accepted = stage.logs_in_with(&query, change.clone()).await.ok(200);
    assert_eq!(
        (&accepted["me"]["user"], &accepted["me"]["login"]),
        (&invited["user"], &json!("work@example.org"))
    );
    stage.logs_in(change).await.ok(200);
    let other = stage.logs_in_with(&query, json!({ "sub": "8" })).await;
    other.problem(403, "NO_ACCOUNT");
    stage
        .world
        .accept(&invited["token"], "correct horse")
        .await
        .problem(401, "WRONG_INVITATION");
    let long = format!("{}?invitation={}", crate::oidc::LOGIN, "x".repeat(257));
    stage.anonymous(&long, &[]).await.problem(400, "BAD_QUERY");
    stage.world.stopped().await;
}
