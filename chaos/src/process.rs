//! Processes that are killed, stopped and waited for.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often something is looked at that tells nobody when it changes.
pub(crate) const LOOK: Duration = Duration::from_millis(4);

/// A process of ours; it does not outlive this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) name: String,
    /// Where its standard error goes.
    pub(crate) said: PathBuf,
}

impl Process {
    /// Starts a program whose output goes to files in `logs`.
    pub(crate) fn start(mut command: Command, logs: &Path, name: &str) -> io::Result<Self> {
        let (said, gave) = (
            logs.join(format!("{name}.err")),
            logs.join(format!("{name}.out")),
        );
        let child = command
            .stdin(Stdio::null())
            .stdout(appended(&gave)?)
            .stderr(appended(&said)?)
            .spawn()?;
        Ok(Self {
            child,
            name: name.to_owned(),
            said,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL; nothing of it runs on.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) -> io::Result<()> {
        send(self.id(), name)
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// How it ended, if it does so in time.
    pub(crate) fn ends_within(&mut self, bound: Duration) -> Option<ExitStatus> {
        let mut status = None;
        until(bound, || {
            status = self.ended();
            status.is_some()
        });
        status
    }
}

/// Sends a signal by its name to a process.
pub(crate) fn send(process: u32, name: &str) -> io::Result<()> {
    let mut command = Command::new("kill");
    command.args([&format!("-{name}"), &process.to_string()]);
    // Who has ended in between hears nothing.
    command.stderr(Stdio::null()).status().map(drop)
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.kill();
        }
    }
}

/// How a process ended, in words.
pub(crate) fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

fn appended(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Looks again and again until something holds; false if that is not so within `bound`.
pub(crate) fn until(bound: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() >= bound {
            return false;
        }
        thread::sleep(LOOK);
    }
    true
}
