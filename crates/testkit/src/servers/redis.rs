//! A private Redis.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock},
    time::Duration,
};

use super::guarded::{Guarded, folder, missing};

/// How often a start is looked at, 10 ms apart.
const LOOKS: u32 = 3_000;

/// A server for all tests of a binary, which keep apart by the names of their keys.
#[derive(Debug, Default)]
pub struct TestRedis(OnceLock<Option<Redis>>);

impl TestRedis {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The server, which is started for the first who asks.
    ///
    /// # Panics
    /// It does not start, or there is none and there must be one.
    pub fn get(&self) -> Option<&Redis> {
        self.0.get_or_init(|| Redis::start(&[])).as_ref()
    }
}

/// A server that keeps nothing on the disk: after its end it begins empty.
#[derive(Debug)]
pub struct Redis {
    folder: PathBuf,
    settings: Vec<String>,
    process: Mutex<Option<Guarded>>,
}

impl Redis {
    /// Starts a server with these arguments, such as `--maxmemory` and `10mb`.
    ///
    /// # Panics
    /// It does not start, or there is none and there must be one.
    #[must_use]
    pub fn start(settings: &[&str]) -> Option<Self> {
        let mut version = Command::new("redis-server");
        version.arg("--version").stdout(Stdio::null());
        if version.status().is_err() {
            missing("Redis (no `redis-server`)");
            return None;
        }
        let server = Self {
            folder: folder("redis", None).expect("the folder for temporary files can be written"),
            settings: settings.iter().map(|&it| it.to_owned()).collect(),
            process: Mutex::new(None),
        };
        server.go_on();
        Some(server)
    }

    /// Starts it again, after [`Redis::end`].
    ///
    /// # Panics
    /// It does not start.
    pub fn go_on(&self) {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "the server runs");
        let socket = self.socket();
        let _ = std::fs::remove_file(&socket);
        let mut arguments = vec!["redis-server", "--port", "0", "--save", ""];
        arguments.extend(["--unixsocket", text(&socket), "--dir", text(&self.folder)]);
        arguments.extend(self.settings.iter().map(String::as_str));
        let guarded = Guarded::start(&self.folder, None, "KILL", &arguments);
        let guarded = guarded.expect("the server can be started");
        for _ in 0..LOOKS {
            if UnixStream::connect(&socket).is_ok() {
                *process = Some(guarded);
                return;
            }
            pause();
        }
        panic!("Redis does not start: {}", guarded.said());
    }

    /// Ends it: `TERM` as one ends a server, `KILL` as a machine does. What it had is gone.
    ///
    /// # Panics
    /// It does not run.
    pub fn end(&self, signal: &str) {
        let process = self.process.lock().unwrap().take();
        process.expect("the server runs").end(signal);
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Where its socket is.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// What it answers to a command that is not answered with a list.
    ///
    /// # Panics
    /// It does not answer, or refuses.
    #[must_use]
    pub fn asked(&self, command: &[&str]) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("the server listens");
        let mut out = format!("*{}\r\n", command.len());
        for word in command {
            out.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(out.as_bytes()).expect("it reads");
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line).expect("it answers");
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "+" | ":" => rest.to_owned(),
            "$" if rest != "-1" => {
                let mut bytes = vec![0; rest.parse().expect("a length")];
                answer.read_exact(&mut bytes).expect("all of it");
                String::from_utf8(bytes).expect("text")
            }
            _ => panic!("{command:?}: {line}"),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // What was ended before leaves its folder to this.
        drop(self.process.get_mut().map(Option::take));
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server of another process takes the time that it takes"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

fn text(path: &Path) -> &str {
    path.to_str()
        .expect("the folder for temporary files has a text")
}
