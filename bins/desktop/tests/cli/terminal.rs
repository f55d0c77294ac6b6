//! The binary on a terminal: what is typed, and what the screen shows.

use std::{
    io::{Read as _, Write},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::support::{BOUND, User};

const ROWS: u16 = 30;
const COLUMNS: u16 = 100;

/// A terminal with the binary on it.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser<Asked>,
    /// Closing it would hang up.
    master: Box<dyn MasterPty + Send>,
}

/// How often the program has asked where the cursor is, without an answer yet.
#[derive(Default)]
struct Asked(usize);

impl vt100::Callbacks for Asked {
    fn unhandled_csi(
        &mut self,
        _: &mut vt100::Screen,
        _: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        c: char,
    ) {
        if c == 'n' && parameters == [[6]] {
            self.0 += 1;
        }
    }
}

impl Terminal {
    /// Starts the binary with this user's home, and variables beside those of a terminal.
    #[expect(
        clippy::disallowed_methods,
        reason = "what a program writes can only be waited for with a limit on another thread"
    )]
    pub(crate) fn start(user: &User, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let size = PtySize {
            rows: ROWS,
            cols: COLUMNS,
            ..PtySize::default()
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_nebula"));
        command.args(arguments);
        command.cwd(user.work());
        command.env_clear();
        command.env("NEBULA_HOME", user.home());
        command.env("TERM", "xterm-256color");
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        // The end of the output comes only when nobody else holds this side.
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is the hang-up of the other side.
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let size = (ROWS.try_into().unwrap(), COLUMNS.try_into().unwrap());
        Self {
            child,
            keys: pair.master.take_writer().unwrap(),
            output,
            screen: vt100::Parser::new_with_callbacks(size.0, size.1, 0, Asked::default()),
            master: pair.master,
        }
    }

    /// Types.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// Waits until the screen shows a text.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        while !self.screen().contents().contains(text) {
            let more = self.read();
            assert!(more, "{text:?} is not on the screen:\n{}", self.picture());
        }
    }

    /// Waits for an empty line behind this prompt.
    #[track_caller]
    pub(crate) fn asks(&mut self, prompt: &str) {
        loop {
            let (row, column) = self.screen().cursor_position();
            let line = self.screen().rows(0, COLUMNS).nth(usize::from(row));
            let line = line.unwrap_or_default();
            if line.trim_end() == prompt && usize::from(column) == prompt.chars().count() + 1 {
                return;
            }
            let more = self.read();
            assert!(more, "{prompt:?} does not ask:\n{}", self.picture());
        }
    }

    /// Waits until the program has ended, and gives its exit code.
    #[track_caller]
    pub(crate) fn ends(mut self) -> u32 {
        self.ended()
    }

    /// The same, of a terminal that is still looked at.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> u32 {
        while self.read() {}
        self.child.wait().unwrap().exit_code()
    }

    /// Sends a signal to the program.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.process_id().unwrap().to_string();
        let mut kill = std::process::Command::new("kill");
        kill.args(["-s", name, &pid]);
        assert!(kill.status().unwrap().success());
    }

    /// Whether it shows what is typed.
    #[cfg(unix)]
    pub(crate) fn echoes(&self) -> bool {
        let modes = self.master.get_termios().unwrap().local_flags;
        modes.iter_names().any(|(name, _)| name == "ECHO")
    }

    /// Takes some output; false if there is no more.
    #[track_caller]
    fn read(&mut self) -> bool {
        let bytes = match self.output.recv_timeout(BOUND) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing more in {BOUND:?}:\n{}", self.picture())
            }
        };
        self.screen.process(&bytes);
        for _ in 0..std::mem::take(&mut self.screen.callbacks_mut().0) {
            let (row, column) = self.screen().cursor_position();
            self.keys(&format!("\u{1b}[{};{}R", row + 1, column + 1));
        }
        true
    }

    fn picture(&self) -> String {
        self.screen().contents()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, or a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
