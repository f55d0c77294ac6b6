//! Running the program that prints keys: no shell, within a time and a number of bytes.

use std::{
    io::Read as _,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use zeroize::Zeroizing;

use crate::{
    config::{KeyCommand, MAX_KEY_TEXT},
    error::Fault,
};

/// How often it is looked whether a program that closed its output has ended.
const LOOK: Duration = Duration::from_millis(5);

/// What the program prints.
///
/// # Errors
/// It cannot be started, fails, takes too long or prints too much; then nothing that it started in
/// its process group runs on.
pub(crate) fn output(command: &KeyCommand) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let shown = command.program.display();
    let mut start = Command::new(&command.program);
    start
        .args(&command.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut start, 0);
    let failed = |why: String| Fault::key(format!("the command for the key, {shown}, {why}"));
    let child = start.spawn();
    let mut child = child.map_err(|error| failed(format!("cannot be started: {error}")))?;
    let ended = wait(&mut child, command.timeout);
    if ended.is_err() {
        stop(&mut child);
    }
    ended.map_err(failed)
}

fn wait(child: &mut Child, timeout: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let out = child.stdout.take().ok_or("has no output")?;
    let (give, take) = sync_channel(1);
    #[expect(
        clippy::disallowed_methods,
        reason = "a read with a limit of time needs a thread; it ends with the program's output"
    )]
    let reader = thread::Builder::new()
        .name("nebula-key-command".to_owned())
        .spawn(move || {
            // Nobody listens any more once the time is up.
            let _ = give.send(read(out));
        });
    reader.map_err(|error| format!("cannot be read: {error}"))?;
    let late = || format!("took longer than {timeout:?}");
    let bytes = match take.recv_timeout(timeout) {
        Ok(read) => read.map_err(|error| format!("cannot be read: {error}"))?,
        Err(RecvTimeoutError::Timeout) => return Err(late()),
        Err(RecvTimeoutError::Disconnected) => return Err("cannot be read".to_owned()),
    };
    if bytes.len() > MAX_KEY_TEXT {
        return Err(format!("printed more than {MAX_KEY_TEXT} bytes"));
    }
    let mut waited = Duration::ZERO;
    loop {
        match child.try_wait() {
            Err(error) => return Err(format!("cannot be waited for: {error}")),
            Ok(Some(status)) if status.success() => return Ok(bytes),
            Ok(Some(status)) => return Err(format!("failed with {status}")),
            Ok(None) if waited >= timeout => return Err(late()),
            Ok(None) => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the end of a process is no event that can be waited for with a limit; this is a blocking thread"
                )]
                thread::sleep(LOOK);
                waited += LOOK;
            }
        }
    }
}

/// At most one byte more than is allowed, in a buffer that does not grow.
fn read(mut out: ChildStdout) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; MAX_KEY_TEXT + 1]);
    let mut length = 0;
    loop {
        match out.read(&mut bytes[length..])? {
            0 => break,
            more => length += more,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Kills the program with its process group. What left the group by itself is not followed.
fn stop(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// What a shell script prints within a time: a shell only so that there is something to run.
    fn script(script: &str, timeout: Duration) -> Result<String, String> {
        let command = KeyCommand {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            timeout,
        };
        let printed = output(&command).map_err(|fault| fault.during("read").message)?;
        Ok(String::from_utf8(printed.to_vec()).unwrap())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn it_gives_what_the_program_prints() {
        assert_eq!(script("printf '%s' key", LONG).unwrap(), "key");
    }

    #[test]
    fn arguments_are_not_read_by_a_shell() {
        let command = KeyCommand {
            program: "/bin/echo".into(),
            arguments: vec!["$(id); `id` && x".to_owned()],
            timeout: LONG,
        };
        assert_eq!(*output(&command).unwrap(), b"$(id); `id` && x\n");
    }

    #[test]
    fn a_program_that_fails_gives_no_key() {
        let failed = script("printf key; exit 3", LONG).unwrap_err();
        assert!(failed.contains("exit status: 3"), "{failed}");
        assert!(!failed.contains("key\n"), "{failed}");
        let command = KeyCommand {
            program: "/nowhere/at/all".into(),
            arguments: Vec::new(),
            timeout: LONG,
        };
        let failed = output(&command).unwrap_err().during("read").message;
        assert!(failed.contains("cannot be started"), "{failed}");
    }

    #[test]
    fn a_program_that_prints_without_end_is_stopped() {
        let failed = script("while :; do echo 0123456789abcdef; done", LONG).unwrap_err();
        assert!(failed.contains("more than 4096 bytes"), "{failed}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_stopped_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let shown = file.display();
        // The grandchild keeps the output open, so that only the whole group can be waited for.
        let text = format!("sleep 600 & echo $! > {shown}; wait");
        let failed = script(&text, Duration::from_secs(3)).unwrap_err();
        assert!(failed.contains("took longer than 3s"), "{failed}");
        let pid = std::fs::read_to_string(&file).unwrap();
        let gone = |pid: &str| {
            // A dead process whose new parent has not looked yet counts as gone.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        for _ in 0..10_000 {
            if gone(&pid) {
                return;
            }
            thread::yield_now();
        }
        panic!("{pid} runs on");
    }

    #[test]
    fn a_program_that_closes_its_output_and_stays_is_stopped() {
        let failed = script(
            "printf key; exec >&-; sleep 600",
            Duration::from_millis(300),
        );
        assert!(failed.unwrap_err().contains("took longer"));
    }
}
