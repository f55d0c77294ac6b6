//! The programs of a fleet and the servers that they stand on, each behind a proxy.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use nebula_testkit::{
    servers::{Postgres, Proxy, Redis},
    simulation::checks,
};
use serde_json::Value;

use super::faults::Way;
use crate::{
    Failed, Told,
    process::{Process, until, words},
};

/// How many control planes there are: one at a time does each duty, and both answer.
pub(crate) const PLANES: usize = 2;

/// How long the term of a duty lasts.
pub(crate) const TERM: Duration = Duration::from_secs(5);

/// How many workers there are.
pub(crate) const WORKERS: usize = 3;

/// How long the leases of workers last.
pub(crate) const LEASE: Duration = Duration::from_millis(1_200);

/// How long a program may take to say that it is there.
const STARTS: Duration = Duration::from_secs(30);

/// How long one may take to stop.
const STOPS: Duration = Duration::from_secs(30);

/// How long after its end a program is started again that ended by itself.
const AGAIN: Duration = Duration::from_millis(400);

/// The exit code of a program whose surroundings are not there.
const ENVIRONMENT: i32 = 3;

/// What a program may be told, beside where its servers are. A lease is short, so that what a dead worker had
/// is soon another's.
const SETTINGS: &[(&str, &str, &[Part])] = &[
    ("NEBULA_WORKER__LEASE_TTL", "1200ms", &[Part::Worker]),
    ("NEBULA_WORKER__LEASE_MARGIN", "300ms", &[Part::Worker]),
    ("NEBULA_WORKER__GRACE", "5s", &[Part::Worker]),
    ("NEBULA_ENGINE__ATTEMPT_TIMEOUT", "3s", &[Part::Plane]),
    ("NEBULA_ENGINE__SWEEP_INTERVAL", "200ms", &[Part::Plane]),
    ("NEBULA_ENGINE__RING_AGAIN", "1s", &[Part::Plane]),
    ("NEBULA_SERVE__GRACE", "2s", &[Part::Plane]),
];

/// What a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Plane,
    Worker,
}

/// One place in the fleet, and the program that runs there now.
#[derive(Debug)]
pub(crate) struct Place {
    part: Part,
    name: String,
    process: Option<Process>,
    /// Whether the program that runs there has said that it is there.
    begun: bool,
    /// When another one is started, where the one before ended by itself.
    again: Option<Instant>,
    starts: u64,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Fleet {
    folder: PathBuf,
    programs: PathBuf,
    /// Where the control planes listen, also after they were started again.
    ports: Vec<u16>,
    settings: Vec<(&'static str, String)>,
    pub(crate) places: Vec<Place>,
    /// Programs that found nothing to stand on, and were started again.
    pub(crate) started_again: u64,
}

/// The servers.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    to_postgres: Proxy,
    to_redis: Proxy,
    database: String,
}

impl Servers {
    /// Starts them; none where one of them is not on this computer.
    pub(crate) fn start() -> Result<Option<Self>, Failed> {
        let Some((postgres, redis)) =
            Postgres::start(&["-c", "max_connections=400"]).zip(Redis::start(&[]))
        else {
            return Ok(None);
        };
        let database = "fleet".to_owned();
        postgres.ask(&format!("CREATE DATABASE {database} TEMPLATE template0"));
        Ok(Some(Self {
            to_postgres: Proxy::before(&postgres.socket_folder().join(".s.PGSQL.5432"))?,
            to_redis: Proxy::before(&redis.socket())?,
            postgres,
            redis,
            database,
        }))
    }

    /// The way to one of them.
    pub(crate) fn way(&self, way: Way) -> &Proxy {
        match way {
            Way::Postgres => &self.to_postgres,
            Way::Redis => &self.to_redis,
        }
    }

    /// Where the database is, past the proxy.
    pub(crate) fn database(&self) -> String {
        self.postgres.address(&self.database)
    }

    fn through_proxy(&self) -> String {
        let at = self.to_postgres.address();
        format!("postgres://nebula@{at}/{}", self.database)
    }

    /// Keeps the database where a person can look into it.
    pub(crate) fn keep(&self, folder: &Path) -> Result<(), Failed> {
        self.postgres.end("INT");
        let mut copy = Command::new("cp");
        copy.arg("-a")
            .arg(self.postgres.socket_folder().join("data"));
        copy.arg(folder.join("postgres")).status()?;
        Ok(())
    }
}

/// Ports that are free now; whoever listens at one keeps it over its restarts.
fn free_ports(count: usize) -> std::io::Result<Vec<u16>> {
    let listeners = (0..count).map(|_| TcpListener::bind("127.0.0.1:0"));
    let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
    let ports = listeners.iter().map(|it| Ok(it.local_addr()?.port()));
    ports.collect()
}

impl Fleet {
    /// Starts control planes and workers.
    pub(crate) fn start(folder: &Path, programs: &Path, servers: &Servers) -> Result<Self, Failed> {
        for name in ["home", "work", "work/made", "logs"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let ports = free_ports(PLANES)?;
        let part = |part, name: &str| Place {
            part,
            name: name.to_owned(),
            process: None,
            begun: false,
            again: None,
            starts: 0,
        };
        let planes = (1..=PLANES).map(|n| part(Part::Plane, &format!("control-plane-{n}")));
        let mut places: Vec<_> = planes.collect();
        places.extend((1..=WORKERS).map(|n| part(Part::Worker, &format!("worker-{n}"))));
        let mut fleet = Self {
            folder: folder.to_owned(),
            programs: programs.to_owned(),
            ports,
            settings: vec![
                ("NEBULA_STORAGE__ADDRESS", servers.through_proxy()),
                (
                    "NEBULA_QUEUE__ADDRESS",
                    format!("redis://{}", servers.to_redis.address()),
                ),
            ],
            places,
            started_again: 0,
        };
        // The first one makes what all share.
        for at in 0..fleet.places.len() {
            fleet.begin(at)?;
            if !until(STARTS, || fleet.has_begun(at)) {
                return Err(format!(
                    "{} does not start: {}",
                    fleet.places[at].name,
                    fleet.said(at)
                )
                .into());
            }
        }
        Ok(fleet)
    }

    /// Where the control planes answer.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let ports = self.ports.iter();
        ports
            .map(|port| SocketAddr::from(([127, 0, 0, 1], *port)))
            .collect()
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// The file with the token of the control planes.
    pub(crate) fn token_file(&self) -> Result<PathBuf, Failed> {
        let told: Value = serde_json::from_str(&self.told(0))?;
        let file = told["token_file"].as_str();
        Ok(file
            .ok_or("the control plane names no file of a token")?
            .into())
    }

    /// Starts the program of a place at which none runs.
    pub(crate) fn begin(&mut self, at: usize) -> Result<(), Failed> {
        let place = &mut self.places[at];
        place.starts += 1;
        let name = format!("{}-{}", place.name, place.starts);
        let (program, flags) = match place.part {
            Part::Plane => (
                "nebula-control-plane",
                [
                    "--listen".to_owned(),
                    format!("127.0.0.1:{}", self.ports[at]),
                ],
            ),
            Part::Worker => (
                "nebula-worker",
                ["--health".to_owned(), "127.0.0.1:0".to_owned()],
            ),
        };
        let mut command = Command::new(self.programs.join(program));
        command
            .args(flags)
            .current_dir(self.folder.join("work"))
            .env_clear()
            .env("NEBULA_HOME", self.folder.join("home"))
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        let part = place.part;
        let own = SETTINGS
            .iter()
            .filter(|(_, _, parts)| parts.contains(&part));
        command.envs(own.map(|(name, value, _)| (name, value)));
        let started = Process::start(command, &self.folder.join("logs"), &name)?;
        place.process = Some(started);
        place.begun = false;
        place.again = None;
        Ok(())
    }

    fn told(&self, at: usize) -> String {
        let place = &self.places[at];
        let file = format!("logs/{}-{}.out", place.name, place.starts);
        fs::read_to_string(self.folder.join(file)).unwrap_or_default()
    }

    fn said(&self, at: usize) -> String {
        let process = self.places[at].process.as_ref();
        let text = process.and_then(|it| fs::read_to_string(&it.said).ok());
        let text = text.unwrap_or_default();
        text.lines().last().unwrap_or_default().to_owned()
    }

    /// Whether the program of this place has said that it is there.
    pub(crate) fn has_begun(&mut self, at: usize) -> bool {
        if !self.places[at].begun {
            let told: Value = serde_json::from_str(&self.told(at)).unwrap_or_default();
            self.places[at].begun = told.get("url").or(told.get("health")).is_some();
        }
        self.places[at].begun
    }

    pub(crate) fn name(&self, at: usize) -> &str {
        &self.places[at].name
    }

    pub(crate) fn process(&self, at: usize) -> Option<&Process> {
        self.places[at].process.as_ref()
    }

    /// SIGKILL; the place is empty then.
    pub(crate) fn kill(&mut self, at: usize) -> Result<(), Failed> {
        if let Some(mut process) = self.places[at].process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts again what found nothing to stand on, as whoever watches over programs does. Once one of them has
    /// said that it is there, it ends by itself never.
    pub(crate) fn watch(&mut self, told: &mut Told) -> Result<(), Failed> {
        for at in 0..self.places.len() {
            let begun = self.has_begun(at);
            let process = self.places[at].process.as_mut();
            let ended = process.and_then(Process::ended);
            if let Some(status) = ended {
                if begun || status.code() != Some(ENVIRONMENT) {
                    let (name, how) = (&self.places[at].name, words(status));
                    let said = self.said(at);
                    told.wrong(format!("{name} ended by itself with {how}: {said}"));
                }
                let place = &mut self.places[at];
                place.process = None;
                place.again = Some(Instant::now() + AGAIN);
            }
            if self.places[at].again.is_some_and(|at| at <= Instant::now()) {
                self.started_again += 1;
                self.begin(at)?;
            }
        }
        Ok(())
    }

    /// Whatever a program survives, it does not panic.
    pub(crate) fn panics(&self, told: &mut Told) -> Result<(), Failed> {
        for file in fs::read_dir(self.folder.join("logs"))? {
            let file = file?;
            let text = fs::read(file.path())?;
            let text = String::from_utf8_lossy(&text);
            for line in text.lines().filter(|line| line.contains("panicked at")) {
                let what = format!("{}: {line}", file.file_name().display());
                told.wrong(format!("[{}] {what}", checks::LIVES));
            }
        }
        Ok(())
    }

    /// Tells everything to stop; each gives up what it holds and ends with 0.
    pub(crate) fn stop(&mut self, told: &mut Told) -> Result<(), Failed> {
        // The control plane last: workers are done with its executions then.
        for at in (0..self.places.len()).rev() {
            if let Some(process) = self.process(at) {
                process.signal("TERM")?;
            }
        }
        for at in 0..self.places.len() {
            let Some(mut process) = self.places[at].process.take() else {
                continue;
            };
            match process.ends_within(STOPS) {
                Some(status) if status.success() => {}
                Some(status) => {
                    told.wrong(format!("{} ended with {}", process.name, words(status)));
                }
                None => told.wrong(format!("{} does not end within {STOPS:?}", process.name)),
            }
        }
        Ok(())
    }
}
