//! Processes that end with the one that started them, however that ends.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// Starts the server, waits for the end of its input, then ends the server and removes its folder. Its input
/// ends with the process that holds it. A line there ends the server as it says, and keeps the folder.
const GUARD: &str = r#"folder=$1; stop=$2; shift 2
"$@" & server=$!
if read -r kind; then kill -s "$kind" $server; wait $server; exit 0; fi
kill -s "$stop" $server; wait $server; rm -rf "$folder""#;

/// A server process with its folder. Dropping it ends both.
#[derive(Debug)]
pub struct Guarded {
    folder: PathBuf,
    guard: Child,
    input: Option<ChildStdin>,
}

/// Whether a backend may be missing: says loudly what is skipped.
///
/// # Panics
/// With `NEBULA_REQUIRE_BACKENDS=1`.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "whether a skip is a failure is said by the environment, and it is said loudly"
)]
pub fn missing(what: &str) {
    let required = std::env::var("NEBULA_REQUIRE_BACKENDS").is_ok_and(|value| value == "1");
    assert!(!required, "there is no {what} on this computer");
    eprintln!("SKIPPED: there is no {what} on this computer");
}

/// A new folder below the one for temporary files, which `user` may write, if there is one.
///
/// # Errors
/// It cannot be made.
pub(super) fn folder(name: &str, user: Option<(u32, u32)>) -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    // Short: the path of a socket has room for 107 bytes.
    let folder = std::env::temp_dir().join(format!("nb-{name}-{}-{n}", std::process::id()));
    fs::create_dir_all(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    if let Some((uid, gid)) = user {
        chown(&folder, Some(uid), Some(gid))?;
    }
    Ok(folder)
}

impl Guarded {
    /// Starts `program` in `folder`, which goes with it; `stop` is the signal that ends it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(
        folder: &Path,
        user: Option<(u32, u32)>,
        stop: &str,
        program: &[&str],
    ) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(folder).arg(stop);
        command.args(program).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(fs::File::create(folder.join("stderr"))?);
        // Not in the group of the terminal: Ctrl-C is for the tests.
        command.process_group(0);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        let mut guard = command.spawn()?;
        let input = guard.stdin.take();
        Ok(Self {
            folder: folder.to_owned(),
            guard,
            input,
        })
    }

    /// Ends the server by this signal, such as `KILL`, and waits for its end; its folder stays.
    pub fn end(mut self, signal: &str) {
        if let Some(mut input) = self.input.take() {
            let _ = writeln!(input, "{signal}");
        }
        let _ = self.guard.wait();
    }

    /// What the server wrote to its standard error.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.guard.wait();
    }
}
