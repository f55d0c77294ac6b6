//! A pooler before a private PostgreSQL, which gives each transaction whatever connection is free.

use std::{fs, path::PathBuf, process::Command};

use super::{
    guarded::{Guarded, folder, missing},
    postgres::{LOOKS, OWNER, Postgres, USER, pause, run_sql, user},
};

/// Its port, in the name of its socket.
const PORT: u16 = 6432;

/// A running `PgBouncer`.
#[derive(Debug)]
pub struct Pooler {
    folder: PathBuf,
    process: Guarded,
}

impl Pooler {
    /// Starts one before `server`, with so many connections to each database.
    ///
    /// # Panics
    /// It does not start, or there is none and there must be one.
    #[must_use]
    pub fn before(server: &Postgres, connections: u16) -> Option<Self> {
        let found = Command::new("pgbouncer").arg("--version").output();
        if !found.is_ok_and(|it| it.status.success()) {
            missing("PgBouncer (no `pgbouncer`)");
            return None;
        }
        let user = user();
        let folder = folder("pool", user).expect("the folder for temporary files can be written");
        let shown = folder.display();
        let users = folder.join("users");
        fs::write(&users, format!("\"{USER}\" \"\"\n\"{OWNER}\" \"\"\n"))
            .expect("the folder can be written");
        let settings = format!(
            "[databases]\n* = host={}\n\n[pgbouncer]\nunix_socket_dir = {shown}\nlisten_port = {PORT}\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = {connections}\n",
            server.socket_folder().display(),
            users.display(),
        );
        let file = folder.join("pooler.ini");
        fs::write(&file, settings).expect("the folder can be written");
        let file = file.to_str().expect("the folder has a text");
        let process = Guarded::start(&folder, user, "INT", &["pgbouncer", "-q", file])
            .expect("`pgbouncer` can be started");
        let pooler = Self { folder, process };
        for _ in 0..LOOKS {
            if run_sql(&pooler.address("postgres"), "SELECT 1").is_ok() {
                return Some(pooler);
            }
            pause();
        }
        panic!("PgBouncer does not start: {}", pooler.process.said());
    }

    /// The address of a database behind it.
    #[must_use]
    pub fn address(&self, database: &str) -> String {
        let folder = self.folder.display();
        format!("postgres://{OWNER}@/{database}?host={folder}&port={PORT}")
    }
}
