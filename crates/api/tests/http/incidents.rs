//! What is wrong with services, over HTTP.

use http::Method;
use nebula_core::{TenantId, WorkflowId};
use nebula_ports::{AuditLog as _, IncidentRepo as _, Operation};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{GREET, World, incident};

/// Opens one, as a workflow would.
async fn open(world: &World, number: u32, key: &str, tenant: &TenantId) -> Uuid {
    let id = Uuid::from_u128(u128::from(number));
    let operation = Operation {
        key: format!("{key} {number}"),
        by: "execution:x/watch".to_owned(),
    };
    let new = incident(key, WorkflowId::new("watch").unwrap());
    let opened = world.incidents.open(tenant, id, &operation, new).await;
    let _ = opened.unwrap();
    id
}

#[tokio::test]
async fn an_incident_is_seen_taken_and_resolved() {
    let world = World::idle().await;
    let local = TenantId::local();
    let id = open(&world, 1, "shop", &local).await;
    open(&world, 2, "mill", &local).await;
    let _ = open(&world, 3, "shop", &local).await;
    let other = open(&world, 9, "theirs", &TenantId::new("beta").unwrap()).await;

    let seen = world.get("/api/v1/incidents").await.ok(200);
    let list = seen["incidents"].as_array().unwrap();
    assert_eq!(list.len(), 2, "{seen}");
    let shop = list.iter().find(|it| it["key"] == "shop").unwrap();
    assert_eq!(
        (&shop["occurrences"], &shop["status"]),
        (&json!(2), &json!("open"))
    );

    let path = format!("/api/v1/incidents/{id}");
    let shown = world.get(&format!("{path}?limit=1")).await.ok(200);
    assert_eq!(shown["timeline"][0]["what"], "opened");
    assert_eq!(shown["next"], 1);
    let rest = world.get(&format!("{path}?after=1")).await.ok(200);
    assert_eq!(rest["timeline"][0]["what"], "again");
    assert_eq!(rest["next"], json!(null));

    let taken = world
        .post(&format!("{path}/acknowledge"), json!({}))
        .await
        .ok(200);
    assert_eq!(taken["status"], "acknowledged");
    let again = world
        .post(&format!("{path}/acknowledge"), json!({}))
        .await
        .ok(200);
    assert_eq!(again["acknowledged"], taken["acknowledged"]);
    let body = json!({ "resolution": "restarted" });
    let resolved = world.post(&format!("{path}/resolve"), body).await.ok(200);
    assert_eq!(
        (&resolved["status"], &resolved["resolution"]),
        (&json!("resolved"), &json!("restarted"))
    );
    // A repetition after a lost answer gives the same.
    let body = json!({ "resolution": "another" });
    let again = world.post(&format!("{path}/resolve"), body).await.ok(200);
    assert_eq!(again["resolution"], "restarted");
    world
        .post(&format!("{path}/acknowledge"), json!({}))
        .await
        .problem(409, "INCIDENT_RESOLVED");
    let shown = world.get(&path).await.ok(200);
    assert_eq!(shown["timeline"].as_array().unwrap().len(), 4);

    let open = world
        .get("/api/v1/incidents?status=open,acknowledged")
        .await
        .ok(200);
    assert_eq!(open["incidents"].as_array().unwrap().len(), 1);
    let bad = world
        .get("/api/v1/incidents?severity=critical")
        .await
        .ok(200);
    assert_eq!(bad["incidents"], json!([]));
    let others = world.get("/api/v1/incidents?service=another").await.ok(200);
    assert_eq!(others["incidents"], json!([]));
    let first = world.get("/api/v1/incidents?limit=1").await.ok(200);
    let next = first["next"].as_str().unwrap();
    let second = format!("/api/v1/incidents?limit=1&cursor={next}");
    let second = world.get(&second).await.ok(200);
    assert_ne!(first["incidents"][0], second["incidents"][0]);
    assert_eq!(second["next"], json!(null));
    for query in ["status=gone", "severity=bad", "limit=0"] {
        let path = format!("/api/v1/incidents?{query}");
        world.get(&path).await.problem(400, "BAD_QUERY");
    }
    world
        .get("/api/v1/incidents?cursor=x")
        .await
        .problem(400, "BAD_CURSOR");
    let long = json!({ "resolution": "x".repeat(8_193) });
    let theirs = format!("/api/v1/incidents/{other}");
    world.get(&theirs).await.problem(404, "UNKNOWN_INCIDENT");
    world
        .post(&format!("{theirs}/resolve"), json!({}))
        .await
        .problem(404, "UNKNOWN_INCIDENT");
    world
        .post(&format!("{path}/resolve"), long)
        .await
        .problem(400, "BAD_BODY");

    let entries = world.audit.entries(&local, 0, 100).await.unwrap();
    let what: Vec<&str> = entries.iter().map(|it| it.new.what.as_str()).collect();
    assert!(what.contains(&"incidents.acknowledge"), "{what:?}");
    assert!(what.contains(&"incidents.resolve"), "{what:?}");
    let resolved = entries
        .iter()
        .find(|it| it.new.what == "incidents.resolve")
        .unwrap();
    assert_eq!(resolved.new.target, format!("incident:{id}"));
    world.stopped().await;
}

/// Guard: what is wrong in a project is for those who may look at it.
#[tokio::test]
async fn incidents_are_listed_for_those_who_may_look_at_their_project() {
    let world = World::idle().await;
    let local = TenantId::local();
    for project in ["ops", "shop"] {
        world.project(project).await;
    }
    world.publish_in("ops", "watch", GREET).await;
    open(&world, 1, "shop", &local).await;
    world.person("olga", &[("ops", "viewer")]).await;
    world.person("paul", &[("shop", "admin")]).await;
    for (login, many) in [("olga", 1), ("paul", 0)] {
        let (shown, _) = world.program(login).await;
        let shown = [("authorization", shown.as_str())];
        let seen = world.ask_as(&shown, Method::GET, "/api/v1/incidents", Value::Null);
        let seen = seen.await.ok(200);
        assert_eq!(
            seen["incidents"].as_array().unwrap().len(),
            many,
            "{login}: {seen}"
        );
    }
    world.stopped().await;
}
