//! Secret text from a file, standard input or a prompt that shows nothing; never from an argument.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::Path,
    time::Duration,
};

use nebula_core::{Clock as _, ExposeSecret as _, SecretString, secret_text};
use nebula_ports::MAX_SECRET_BYTES;
use nebula_system::ShutdownSignal;
#[cfg(unix)]
use nebula_system::{Shutdown, SystemClock};
use zeroize::Zeroizing;

use crate::failure::{self, Exit, Failure};

/// How long a prompt that was interrupted has to end by itself.
#[cfg(unix)]
const PROMPT_ENDS: Duration = Duration::from_millis(250);

/// Reads the value of `what` from `from`, else from standard input, else from a prompt.
pub(crate) fn read(from: Option<&Path>, exact: bool, what: &str) -> Result<SecretString, Failure> {
    let stdin = Path::new("-");
    match from {
        Some(path) if path != stdin => {
            let file = File::open(path).map_err(|error| Failure::file(path, "read", &error))?;
            take(file, path, exact)
        }
        None if io::stdin().is_terminal() => prompt(what, true),
        _ => take(io::stdin().lock(), stdin, exact),
    }
}

/// The same of a value that is somewhere already, so that one typing is enough.
pub(crate) fn read_once(from: Option<&Path>, what: &str) -> Result<SecretString, Failure> {
    match from {
        None if io::stdin().is_terminal() => prompt(what, false),
        from => read(Some(from.unwrap_or(Path::new("-"))), false, what),
    }
}

/// Asks; twice for what is new, since nobody sees what was typed.
fn prompt(what: &str, twice: bool) -> Result<SecretString, Failure> {
    let no_answer = |error: io::Error| {
        // Ctrl-C, which a prompt reads as a key.
        if error.kind() == io::ErrorKind::Interrupted {
            let exit = Exit::from(ShutdownSignal::Interrupt);
            return Failure::new(exit, "INTERRUPTED", "interrupted; nothing was written");
        }
        let reason = failure::reason(&error);
        Failure::environment("PROMPT", format!("the terminal gives no answer: {reason}"))
            .advice("write the value to standard input instead, or give --from FILE")
    };
    // Before anything is asked, and over both questions: who types early, or pastes both answers at
    // once, is not shown either.
    let _hushed = Hushed::begin().map_err(no_answer)?;
    let ask = |text: String| {
        let answer = rpassword::prompt_password(text).map(SecretString::from);
        answer.map_err(no_answer)
    };
    let first = ask(format!("value of {what} (not shown): "))?;
    if !twice {
        return Ok(first);
    }
    let second = ask("the same again: ".to_owned())?;
    if first.expose_secret() != second.expose_secret() {
        return Err(
            Failure::invalid("INPUT", "the two values differ; nothing was written")
                .advice("try again"),
        );
    }
    Ok(first)
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Hushed {
    #[cfg(unix)]
    before: rustix::termios::Termios,
}

impl Hushed {
    #[cfg(unix)]
    fn begin() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

        let before = tcgetattr(io::stdin())?;
        let mut hushed = before.clone();
        hushed.local_modes -= LocalModes::ECHO | LocalModes::ECHONL;
        Self::heed_signals(before.clone())?;
        tcsetattr(io::stdin(), OptionalActions::Now, &hushed)?;
        Ok(Self { before })
    }

    /// Who is interrupted while it is hushed gets a terminal back that shows what is typed: a signal
    /// that ends the process leaves nothing time to be dropped. What follows a prompt takes no time, so
    /// signals end the process from here on to its end.
    #[cfg(unix)]
    #[expect(
        clippy::disallowed_methods,
        reason = "a prompt keeps its thread, and the process ends with this"
    )]
    fn heed_signals(before: rustix::termios::Termios) -> io::Result<()> {
        use rustix::termios::{OptionalActions, tcsetattr};

        let mut shutdown = Shutdown::listen()?;
        tokio::spawn(async move {
            let request = shutdown.requested().await;
            // Of Ctrl-C the prompt learns by itself, and puts back what it has changed.
            SystemClock::default().sleep(PROMPT_ENDS).await;
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
            let _ = io::Write::write_all(&mut io::stderr(), b"\n");
            std::process::exit(request.signal.exit_code().into());
        });
        Ok(())
    }

    /// The console of Windows is only hushed while a question waits for its answer.
    #[cfg(not(unix))]
    fn begin() -> io::Result<Self> {
        Ok(Self {})
    }
}

#[cfg(unix)]
impl Drop for Hushed {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};

        // A terminal that is gone has nothing to show.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// A buffer that does not grow: nothing of a value is left behind in memory.
fn take(mut from: impl Read, path: &Path, exact: bool) -> Result<SecretString, Failure> {
    // Room for a line end behind the largest value, and for one byte that shows that it is larger.
    let mut bytes = Zeroizing::new(vec![0; MAX_SECRET_BYTES + 3]);
    let mut length = 0;
    while length < bytes.len() {
        match from.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::file(path, "read", &error)),
        }
    }
    bytes.truncate(length);
    if !exact {
        let without = match &**bytes {
            [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text.len(),
            text => text.len(),
        };
        bytes.truncate(without);
    }
    let shown = path.display();
    let wrong = |message: String, advice: &str| Failure::invalid("INPUT", message).advice(advice);
    if bytes.len() > MAX_SECRET_BYTES {
        let message =
            format!("{shown} has more than {MAX_SECRET_BYTES} bytes, the limit of a secret");
        return Err(wrong(
            message,
            "keep larger things in a file, and its key as a secret",
        ));
    }
    if bytes.is_empty() {
        let message = format!("{shown} is empty, and a secret is not");
        return Err(wrong(message, "write its value there"));
    }
    secret_text(bytes).map_err(|_| {
        let message = format!("{shown} is no text in UTF-8, and a secret is");
        wrong(message, "encode it, in base64 for example")
    })
}

#[cfg(test)]
mod tests {
    use nebula_core::ExposeSecret;

    use super::*;

    fn check(bytes: &[u8], exact: bool, expected: Result<&str, &str>) {
        let read = take(bytes, Path::new("-"), exact);
        let text = read.as_ref().map(ExposeSecret::expose_secret);
        let text = text.map_err(|failure| failure.message.split(',').next().unwrap_or_default());
        assert_eq!(text, expected);
    }

    #[test]
    fn one_line_end_does_not_belong_to_a_value() {
        check(b"a\n", false, Ok("a"));
        check(b"a\r\n", false, Ok("a"));
        check(b"a\n\n", false, Ok("a\n"));
        check(b" a\nb ", false, Ok(" a\nb "));
        check(b"a\n", true, Ok("a\n"));
    }

    #[test]
    fn what_is_empty_too_large_or_no_text_is_refused() {
        for empty in [&b""[..], b"\n", b"\r\n"] {
            check(empty, false, Err("- is empty"));
        }
        check(b"\xff", false, Err("- is no text in UTF-8"));
        let largest = "x".repeat(MAX_SECRET_BYTES);
        check(format!("{largest}\r\n").as_bytes(), false, Ok(&largest));
        let refused = Err("- has more than 65536 bytes");
        check(format!("{largest}y\n").as_bytes(), false, refused);
        check(&vec![b'x'; 1 << 20], false, refused);
    }
}
