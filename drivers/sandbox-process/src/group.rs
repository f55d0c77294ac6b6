//! One program in its process group, from its start until it has been waited for.

use std::{
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    pin::{Pin, pin},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use nebula_core::{ByteSize, Clock};
use nebula_ports::{Captured, ProgramCall, ProgramEnded, ProgramError, ProgramExit};
use rustix::{
    io::Errno,
    process::{Pid, Signal as Kill, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{ChildStderr, ChildStdin, ChildStdout},
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::{
    folder::Folder,
    programs::{DRAIN, KILL_AFTER},
};

/// How much of an output is read at a time.
const PART: usize = 8 << 10;

/// A program that has begun. Dropping it kills its group, if it has not been waited for.
pub(crate) struct Group {
    child: Child,
    /// The program, and its group: it leads it.
    leader: Pid,
    waited: bool,
    pipes: Option<Pipes>,
    /// Wakes when some child of this process has ended.
    ended: Signal,
    clock: Arc<dyn Clock>,
}

struct Pipes {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

impl Group {
    /// Starts the program.
    pub(crate) fn start(call: &ProgramCall, clock: Arc<dyn Clock>) -> Result<Self, ProgramError> {
        let program = call.program.path().display().to_string();
        let failed = |error: io::Error| ProgramError::Start {
            program: program.clone(),
            passing: passing(&error),
            why: error.to_string(),
        };
        // Before the start, so that no end is missed.
        let ended = signal(SignalKind::child()).map_err(failed)?;
        let folder = Folder::open(call.folder.as_ref())?;
        let stdin = match call.stdin.is_empty() {
            true => Stdio::null(),
            false => Stdio::piped(),
        };
        let variables = call.environment.iter().map(|(name, value)| (name, value));
        let mut child = Command::new(call.program.path())
            .args(&call.arguments)
            .env_clear()
            .envs(variables)
            .current_dir(folder.path())
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let number = i32::try_from(child.id()).ok();
        let mut group = Self {
            leader: number
                .and_then(Pid::from_raw)
                .expect("a child has a number above zero"),
            child,
            waited: false,
            pipes: None,
            ended,
            clock,
        };
        let (stdout, stderr) = stdout.zip(stderr).expect("both were asked for");
        let pipes = || -> io::Result<Pipes> {
            Ok(Pipes {
                stdin: stdin.map(ChildStdin::from_std).transpose()?,
                stdout: ChildStdout::from_std(stdout)?,
                stderr: ChildStderr::from_std(stderr)?,
            })
        };
        group.pipes = Some(pipes().map_err(failed)?);
        Ok(group)
    }

    /// Sees the program to its end, and tells of it.
    pub(crate) async fn watch(
        mut self,
        call: ProgramCall,
        mut tell: oneshot::Sender<ProgramEnded>,
    ) {
        let (clock, leader) = (Arc::clone(&self.clock), self.leader);
        let started = clock.monotonic();
        let Some(pipes) = self.pipes.take() else {
            return;
        };
        let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
        let exit = {
            let max = call.max_output;
            let transfer = async {
                tokio::join!(
                    feed(pipes.stdin, &call.stdin),
                    capture(pipes.stdout, max, &mut stdout),
                    capture(pipes.stderr, max, &mut stderr),
                );
            };
            let mut transfer = Beside {
                work: pin!(transfer),
                done: false,
            };
            let timeout = async {
                match call.timeout {
                    Some(timeout) => clock.sleep(timeout).await,
                    None => std::future::pending().await,
                }
            };
            let stopped = transfer
                .until(async {
                    tokio::select! {
                        biased;
                        () = leader_ended(leader, &mut self.ended) => None,
                        () = call.stop.cancelled() => Some(ProgramExit::Stopped),
                        () = tell.closed() => Some(ProgramExit::Stopped),
                        () = timeout => Some(ProgramExit::TimedOut),
                    }
                })
                .await;
            if stopped.is_some() {
                let _ = kill_process_group(leader, Kill::TERM);
                transfer
                    .until(async {
                        tokio::select! {
                            () = leader_ended(leader, &mut self.ended) => {}
                            () = clock.sleep(KILL_AFTER) => {}
                        }
                    })
                    .await;
            }
            // The leader has not been waited for, so its number still means this group and no other.
            let _ = kill_process_group(leader, Kill::KILL);
            transfer.until(leader_ended(leader, &mut self.ended)).await;
            let status = self.wait();
            let drained = clock.sleep(DRAIN);
            transfer.finish_or(drained).await;
            stopped.unwrap_or_else(|| exit(status.ok()))
        };
        let took = clock.monotonic().saturating_sub(started);
        // Whoever asked may have left.
        let _ = tell.send(ProgramEnded {
            exit,
            stdout,
            stderr,
            took,
        });
    }

    /// Takes the program's status, so that no zombie stays. Only for one that has ended, or was killed.
    fn wait(&mut self) -> io::Result<ExitStatus> {
        self.waited = true;
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.waited {
            let _ = kill_process_group(self.leader, Kill::KILL);
            let _ = self.wait();
        }
    }
}

/// Reading and writing that goes on beside whatever is waited for.
struct Beside<'a, F> {
    work: Pin<&'a mut F>,
    done: bool,
}

impl<F: Future<Output = ()>> Beside<'_, F> {
    async fn until<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        loop {
            tokio::select! {
                biased;
                value = &mut other => return value,
                () = &mut self.work, if !self.done => self.done = true,
            }
        }
    }

    async fn finish_or(&mut self, limit: impl Future<Output = ()>) {
        if self.done {
            return;
        }
        tokio::select! {
            biased;
            () = &mut self.work => self.done = true,
            () = limit => {}
        }
    }
}

/// Ends when the process has ended; its status stays to be taken.
async fn leader_ended(leader: Pid, ended: &mut Signal) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(leader), options) {
            Ok(None) => {}
            Err(Errno::INTR) => continue,
            Ok(Some(_)) | Err(_) => return,
        }
        if ended.recv().await.is_none() {
            return;
        }
    }
}

async fn feed(stdin: Option<ChildStdin>, bytes: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A program need not read what it is given.
        let _ = stdin.write_all(bytes).await;
    }
}

/// Reads to the end, and keeps the beginning.
async fn capture(mut from: impl AsyncRead + Unpin, max: ByteSize, into: &mut Captured) {
    let mut part = vec![0; PART];
    loop {
        let count = match from.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let kept = count.min(max.as_usize() - into.bytes.len());
        into.bytes.extend_from_slice(&part[..kept]);
        into.cut |= kept < count;
    }
}

fn exit(status: Option<ExitStatus>) -> ProgramExit {
    // Without one, somebody else in this process has taken it.
    let Some(status) = status else {
        return ProgramExit::Stopped;
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => ProgramExit::Code(code),
        (None, Some(signal)) => ProgramExit::Signal(signal),
        (None, None) => ProgramExit::Stopped,
    }
}

/// Whether the same start may succeed later.
fn passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::ExecutableFileBusy
            | io::ErrorKind::Interrupted
    )
}
