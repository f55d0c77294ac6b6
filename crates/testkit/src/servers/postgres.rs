//! A private PostgreSQL.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use nebula_postgres::Address;

use super::guarded::{Guarded, folder, missing};

/// Who asks it; there is no password, since the folder of its socket is closed to others.
pub(super) const USER: &str = "nebula";

/// Who owns databases, and is no superuser: whoever is, is held to no policy.
pub(super) const OWNER: &str = "plain";

/// How often a start is looked at, 20 ms apart.
pub(super) const LOOKS: u32 = 1500;

/// A server for all tests of a binary.
#[derive(Debug, Default)]
pub struct TestPostgres {
    server: OnceLock<Option<Postgres>>,
    waits_for_the_disk: bool,
}

impl TestPostgres {
    /// None yet. It will not wait for the disk: for tests in which nothing is switched off.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            server: OnceLock::new(),
            waits_for_the_disk: false,
        }
    }

    /// None yet. It will keep what it confirms, as the programs of a fleet demand.
    #[must_use]
    pub const fn lasting() -> Self {
        Self {
            server: OnceLock::new(),
            waits_for_the_disk: true,
        }
    }

    /// The server, which is started for the first who asks.
    ///
    /// # Panics
    /// It does not start, or there is none and there must be one.
    pub fn get(&self) -> Option<&Postgres> {
        let sync = match self.waits_for_the_disk {
            true => "fsync=on",
            false => "fsync=off",
        };
        let server = self.server.get_or_init(|| Postgres::start(&["-c", sync]));
        server.as_ref()
    }
}

/// A server with a data folder of its own.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    user: Option<(u32, u32)>,
    settings: Vec<String>,
    process: Mutex<Option<Guarded>>,
    templates: Mutex<Vec<String>>,
    next: AtomicU32,
}

/// A database, which is dropped with this.
#[derive(Debug)]
pub struct Database<'s> {
    server: &'s Postgres,
    name: String,
}

impl Postgres {
    /// Starts a server with these arguments, such as `-c` and `max_connections=50`.
    ///
    /// # Panics
    /// It does not start, or there is none and there must be one.
    #[must_use]
    pub fn start(settings: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            missing("PostgreSQL (no `initdb`)");
            return None;
        };
        let user = user();
        let folder = folder("pg", user).expect("the folder for temporary files can be written");
        let data = folder.join("data");
        let mut init = Command::new(programs.join("initdb"));
        init.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        init.args(["--username", USER, "--pgdata"]).arg(&data);
        as_user(&mut init, user);
        let made = init.current_dir(&folder).output().expect("`initdb` runs");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "`initdb` failed: {said}");
        let server = Self {
            folder,
            user,
            settings: settings.iter().map(|&it| it.to_owned()).collect(),
            process: Mutex::new(None),
            templates: Mutex::default(),
            next: AtomicU32::new(0),
        };
        server.go_on();
        server.ask(&format!("CREATE ROLE {OWNER} LOGIN"));
        Some(server)
    }

    /// Starts it again, after [`Postgres::end`].
    ///
    /// # Panics
    /// It does not start.
    pub fn go_on(&self) {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "the server runs");
        let programs = programs().expect("it was there before");
        let (postgres, data) = (programs.join("postgres"), self.folder.join("data"));
        let socket = format!("unix_socket_directories={}", self.folder.display());
        let (postgres, data) = (text(&postgres), text(&data));
        let mut arguments = vec![
            postgres,
            "-D",
            data,
            "-c",
            "listen_addresses=",
            "-c",
            &socket,
        ];
        arguments.extend(self.settings.iter().map(String::as_str));
        let mut said = String::new();
        for _ in 0..LOOKS {
            // What is left of one that was killed can hold up the next start.
            let guarded = match process.take() {
                Some(guarded) => guarded,
                None => Guarded::start(&self.folder, self.user, "INT", &arguments)
                    .expect("the server can be started"),
            };
            if self.asked("SELECT 1").is_ok() {
                *process = Some(guarded);
                return;
            }
            said = guarded.said();
            if said.contains("is still in use") || said.contains("already exists") {
                guarded.end("KILL");
            } else {
                *process = Some(guarded);
            }
            pause();
        }
        panic!("PostgreSQL does not start: {said}");
    }

    /// Ends it: `INT` as one ends a server, `KILL` as a machine does. What its disk has stays.
    ///
    /// # Panics
    /// It does not run.
    pub fn end(&self, signal: &str) {
        let process = self.process.lock().unwrap().take();
        process.expect("the server runs").end(signal);
    }

    /// The address of one of its databases.
    ///
    /// # Panics
    /// Never: what it makes is an address.
    #[must_use]
    pub fn address(&self, database: &str) -> String {
        self.address_as(USER, database)
    }

    fn address_as(&self, user: &str, database: &str) -> String {
        format!(
            "postgres://{user}@/{database}?host={}",
            self.folder.display()
        )
    }

    /// The id of its first process, of which all others are children.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        let file = self.folder.join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).expect("the server runs");
        let pid = text
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok());
        pid.expect("its file begins with its id")
    }

    /// The folder of its socket, which is for port 5432.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// An empty database.
    ///
    /// # Panics
    /// The server does not answer.
    #[must_use]
    pub fn database(&self) -> Database<'_> {
        self.copy("template0")
    }

    /// A copy of the database `name`, which `make` fills the first time, by its address.
    ///
    /// # Panics
    /// The server does not answer.
    #[must_use]
    pub fn copy_of(&self, name: &str, make: impl FnOnce(String)) -> Database<'_> {
        {
            let mut templates = self.templates.lock().unwrap();
            if !templates.iter().any(|it| it == name) {
                self.ask(&format!(
                    "CREATE DATABASE {name} TEMPLATE template0 OWNER {OWNER}"
                ));
                make(self.address_as(OWNER, name));
                templates.push(name.to_owned());
            }
        }
        self.copy(name)
    }

    fn copy(&self, template: &str) -> Database<'_> {
        let name = format!("test_{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.ask(&format!(
            "CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}"
        ));
        Database { server: self, name }
    }

    /// Runs statements in the database `postgres`, as its superuser.
    ///
    /// # Panics
    /// They fail.
    pub fn ask(&self, sql: &str) {
        // A template that somebody has just left can be in use for a moment.
        for _ in 0..LOOKS {
            match self.asked(sql) {
                Ok(()) => return,
                Err(said) if said.contains("being accessed by other users") => pause(),
                Err(said) => panic!("{sql}: {said}"),
            }
        }
        panic!("{sql}: somebody else uses it");
    }

    fn asked(&self, sql: &str) -> Result<(), String> {
        run_sql(&self.address("postgres"), sql)
    }
}

impl Database<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, as its owner has it, who is no superuser.
    #[must_use]
    pub fn address(&self) -> String {
        self.server.address_as(OWNER, &self.name)
    }

    /// Its address, as the superuser has it.
    #[must_use]
    pub fn address_of_superuser(&self) -> String {
        self.server.address(&self.name)
    }

    /// Runs statements in it, as its superuser.
    ///
    /// # Panics
    /// They fail.
    pub fn ask(&self, sql: &str) {
        let address = self.address_of_superuser();
        run_sql(&address, sql).unwrap_or_else(|said| panic!("{sql}: {said}"));
    }

    /// Runs statements in it, as its owner.
    ///
    /// # Panics
    /// They fail.
    pub fn ask_as_owner(&self, sql: &str) {
        run_sql(&self.address(), sql).unwrap_or_else(|said| panic!("{sql}: {said}"));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // What was ended before leaves its folder to this.
        drop(self.process.get_mut().map(Option::take));
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = self.server.asked(&sql);
    }
}

/// Runs statements in a runtime of its own.
pub(super) fn run_sql(address: &str, sql: &str) -> Result<(), String> {
    let (address, sql) = (address.to_owned(), sql.to_owned());
    let asks = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let address = Address::parse(&address, &[]).map_err(|error| error.to_string())?;
            let connected = address.connect().await;
            let (client, mut connection) = connected.map_err(|error| error.to_string())?;
            tokio::select! {
                done = client.batch_execute(&sql) => {
                    done.map_err(|error| nebula_postgres::message(&error))
                }
                ended = &mut connection => Err(format!("the connection ended: {ended:?}")),
            }
        })
    };
    // The caller can be in a runtime already, and a thread of its own is in none.
    std::thread::scope(|scope| scope.spawn(asks).join())
        .unwrap_or_else(|_| Err("the question panicked".to_owned()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server of another process takes the time that it takes"
)]
pub(super) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

fn text(path: &Path) -> &str {
    path.to_str()
        .expect("the folder for temporary files has a text")
}

/// Where the programs of the newest version are.
fn programs() -> Option<PathBuf> {
    let runs = |folder: &Path| {
        Command::new(folder.join("initdb"))
            .arg("--version")
            .output()
            .is_ok()
    };
    let by_path = Command::new("initdb").arg("--version").output().is_ok();
    if by_path {
        return Some(PathBuf::new());
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|it| Some(it.ok()?.path().join("bin")))
        .filter(|it| runs(it))
        .collect();
    found.sort();
    found.pop()
}

/// Who may run a server: it refuses root.
pub(super) fn user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let said = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(said.stdout).ok()?.trim().parse().ok()
    };
    match id(&["-u"])? {
        0 => Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)),
        _ => None,
    }
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) {
    use std::os::unix::process::CommandExt as _;
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
}
