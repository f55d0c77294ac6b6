//! The engine behind HTTP, as small as it can be: start, wait for the result, answer with it.
//!
//! It runs in a process of its own (`nebula-bench-front`), so that what it costs is not mixed with what the
//! load costs. `POST /start/W1` with the input answers with the output; `GET /usage` says what the
//! process spent so far.

use std::{io::Write, path::Path, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path as Named, State},
    http::StatusCode,
    routing::{get, post},
};
use nebula::{Nebula, engine::Installed, execution::StartOptions};
use nebula_core::TenantId;
use nebula_storage_sqlite::Sqlite;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    engine::{Failed, Running},
    process,
    work::Work,
};

/// What the server spent since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Processor time of all its threads, in milliseconds.
    pub cpu_ms: u64,
    /// Bytes that it gave to the disk.
    pub written: u64,
    /// Memory in use now, in bytes.
    pub rss: u64,
    /// Commits of its database.
    pub commits: u64,
}

impl Spent {
    /// What was spent since `earlier`; memory is that of now.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms - earlier.cpu_ms,
            written: self.written - earlier.written,
            rss: self.rss,
            commits: self.commits - earlier.commits,
        }
    }
}

/// What the routes share.
struct Front {
    nebula: Nebula,
    store: Arc<Sqlite>,
    installed: Vec<(Work, Installed)>,
}

/// Serves over a new database in `folder` until `stop` is over: a line on standard output tells the
/// port first.
///
/// # Errors
/// There is no port or no database.
pub async fn serve(
    folder: &Path,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failed> {
    let running = Running::open(folder).await?;
    let mut installed = Vec::new();
    for work in Work::ALL {
        installed.push((work, running.install(&work.definition()).await?));
    }
    let front = Front {
        nebula: running.nebula.clone(),
        store: running.store.clone(),
        installed,
    };
    let routes = Router::new()
        .route("/start/{work}", post(start))
        .route("/usage", get(usage))
        .with_state(Arc::new(front));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    writeln!(std::io::stdout().lock(), "{port}")?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop)
        .await?;
    running.stop().await
}

async fn start(
    State(front): State<Arc<Front>>,
    Named(work): Named<String>,
    Json(input): Json<Value>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let wanted = Work::named(&work);
    let found = front
        .installed
        .iter()
        .find(|(work, _)| Some(*work) == wanted);
    let Some((_, installed)) = found else {
        return Err((StatusCode::NOT_FOUND, format!("there is no {work}")));
    };
    let failed =
        |error: &dyn std::fmt::Display| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let (tenant, nebula) = (TenantId::local(), &front.nebula);
    let executed = nebula.execute(&tenant, installed, input, StartOptions::default());
    let (_, end) = executed.await.map_err(|error| failed(&error))?;
    // Nobody else holds it any more.
    let output = end.output.map(Arc::unwrap_or_clone).map(Json);
    output.ok_or_else(|| failed(&end.status))
}

async fn usage(State(front): State<Arc<Front>>) -> Json<Spent> {
    Json(spent(&front.store))
}

fn spent(store: &Sqlite) -> Spent {
    let usage = process::usage();
    Spent {
        cpu_ms: u64::try_from(usage.cpu.as_millis()).unwrap_or(u64::MAX),
        written: usage.written,
        rss: process::rss(),
        commits: store.stats().commits,
    }
}
