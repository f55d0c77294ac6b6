//! What was delivered too often, and the settings.

use std::time::Duration;

use http::Method;
use nebula_core::{Priority, TenantId};
use nebula_ports::{Task, TaskQueue as _};
use serde_json::{Value, json};

use crate::support::{GREET, World};

/// A task of an execution of `workflow` that was delivered until nobody tried it any more.
async fn dead(world: &World, workflow: &str, tenant: TenantId, number: u8) {
    let task = Task {
        tenant,
        execution: nebula_core::ExecutionId::from_bytes([number; 16]),
        workflow: workflow.parse().unwrap(),
        priority: Priority::Normal,
        group: nebula_core::Group::default(),
    };
    let _ = world.queue.ring(task, Duration::ZERO).await.unwrap();
    loop {
        let (wait, visible) = (Duration::ZERO, Duration::from_secs(60));
        let got = world.queue.receive(1, wait, visible).await.unwrap();
        let Some(delivery) = got.first() else {
            return;
        };
        let given = world
            .queue
            .nack(&delivery.receipt, Duration::ZERO, "broke down")
            .await;
        let _ = given.unwrap();
    }
}

#[tokio::test]
async fn what_was_delivered_too_often_is_seen_by_those_whose_it_is_and_sent_again() {
    // No worker, which would take the tasks.
    let world = World::idle().await;
    let nodes = "nodes: [{ id: a, action: data.set }]\n";
    world.publish("shop-orders", nodes).await;
    dead(&world, "shop-orders", TenantId::local(), 1).await;
    dead(&world, "shop-orders", TenantId::new("beta").unwrap(), 2).await;
    let seen = world.get("/api/v1/dead-letters").await.ok(200);
    let list = seen["dead"].as_array().unwrap();
    assert_eq!(list.len(), 1, "{seen}");
    assert_eq!(
        (
            &list[0]["workflow"],
            &list[0]["reason"],
            &list[0]["priority"]
        ),
        (
            &json!("shop-orders"),
            &json!("broke down"),
            &json!("normal")
        )
    );
    world
        .get("/api/v1/dead-letters?limit=0")
        .await
        .problem(400, "BAD_QUERY");
    let again = world.post("/api/v1/dead-letters/redrive", json!({})).await;
    assert_eq!(again.ok(200), json!({ "redriven": 2 }));
    let seen = world.get("/api/v1/dead-letters").await.ok(200);
    assert_eq!(seen, json!({ "dead": [] }));
    let settings = world.get("/api/v1/settings").await.ok(200);
    assert_eq!(settings["settings"]["serve.listen"]["source"], "default");
    let post = world.send(Method::POST, "/api/v1/settings", &[], "").await;
    assert_eq!(post.status, 405);
    let state = world.get("/api/v1/state").await.ok(200);
    assert_eq!(state, json!({ "lanes": [], "duties": [] }));
    world.stopped().await;
}

/// Guard: of a project, those see it who may look at it.
#[tokio::test]
async fn what_was_delivered_too_often_is_listed_for_those_who_may_look_at_its_project() {
    let world = World::idle().await;
    for project in ["ops", "shop"] {
        world.project(project).await;
    }
    world.publish_in("ops", "watch", GREET).await;
    dead(&world, "watch", TenantId::local(), 1).await;
    world.person("olga", &[("ops", "viewer")]).await;
    world.person("paul", &[("shop", "admin")]).await;
    for (login, many) in [("olga", 1), ("paul", 0)] {
        let (shown, _) = world.program(login).await;
        let shown = [("authorization", shown.as_str())];
        let path = "/api/v1/dead-letters";
        let seen = world.ask_as(&shown, Method::GET, path, Value::Null);
        let seen = seen.await.ok(200);
        assert_eq!(
            seen["dead"].as_array().unwrap().len(),
            many,
            "{login}: {seen}"
        );
    }
    world.stopped().await;
}
