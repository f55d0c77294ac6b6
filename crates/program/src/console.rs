//! The only writer to standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::failure::Failure;

/// How a piece of text stands out on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// What failed.
    Red,
    /// What is well.
    Green,
    /// What is doubtful.
    Yellow,
    /// What to do.
    Cyan,
    /// What matters.
    Bold,
    /// What is beside it.
    Dim,
}

impl Paint {
    fn escape(self) -> &'static str {
        match self {
            Self::Red => "\u{1b}[31m",
            Self::Green => "\u{1b}[32m",
            Self::Yellow => "\u{1b}[33m",
            Self::Cyan => "\u{1b}[36m",
            Self::Bold => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
        }
    }
}

/// Colours, where they are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours(
    /// Whether they are.
    pub bool,
);

impl Colours {
    /// The text, as it stands out where colours are wanted.
    #[must_use]
    pub fn paint(self, paint: Paint, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if self.0 {
            format!("{}{text}\u{1b}[0m", paint.escape())
        } else {
            text.to_owned()
        }
    }
}

/// What flags say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Results are JSON, also on a terminal.
    pub json: bool,
    /// Notes are left out.
    pub quiet: bool,
    /// Log lines go to standard error, too.
    pub logs: bool,
    /// Nothing is coloured.
    pub no_color: bool,
}

/// Where results, notes and errors go, and how they look there.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    /// Results are JSON.
    pub json: bool,
    quiet: bool,
    pretty: bool,
    /// For what goes to standard output.
    pub out: Colours,
    /// For what goes to standard error.
    pub err: Colours,
    /// Whether standard error is a terminal on which a picture may move.
    pub live: bool,
    /// Whether a question can be put: somebody sees it and can answer.
    pub asks: bool,
}

impl Console {
    /// As the flags, the environment and the terminal say.
    #[must_use]
    pub fn new(wishes: Wishes) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let colours = !wishes.no_color
            && nebula_system::variable("NO_COLOR").is_none()
            && nebula_system::variable("TERM").is_none_or(|term| term != "dumb");
        Self {
            json: wishes.json || !out,
            quiet: wishes.quiet,
            pretty: out,
            out: Colours(colours && out),
            err: Colours(colours && err),
            live: err && !wishes.quiet && !wishes.logs,
            asks: err && io::stdin().is_terminal(),
        }
    }

    /// A result for programs: one line, or several on a terminal.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = if self.pretty {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.line(&text.map_err(|error| Failure::environment("OUTPUT", error.to_string()))?)
    }

    /// A result for programs that must stay on one line, as one of many.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value);
        self.line(&text.map_err(|error| Failure::environment("OUTPUT", error.to_string()))?)
    }

    /// A result as text.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// A result that is a file: these bytes and nothing else.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            // Whoever read the results has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::environment(
                "OUTPUT",
                format!(
                    "cannot write to standard output: {}",
                    crate::failure::reason(&error)
                ),
            )),
            Ok(()) => Ok(()),
        }
    }

    /// Something to know beside the result.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.error_text(text);
        }
    }

    /// Something that is said even with `--quiet`. Nobody is left to tell if it cannot be written.
    pub fn error_text(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = err.write_all(b"\n");
        }
        let _ = err.flush();
    }

    /// Puts a question and gives the answer's first line; empty at the end of input.
    #[must_use]
    pub fn ask(&self, question: &str) -> String {
        let mut err = io::stderr().lock();
        let _ = err.write_all(question.as_bytes());
        let _ = err.flush();
        let mut answer = String::new();
        let _ = io::stdin().read_line(&mut answer);
        answer.trim().to_owned()
    }

    /// A failure, for people and, where results are JSON, for programs.
    pub fn failure(&self, failure: &Failure) {
        if !failure.drawn.is_empty() {
            self.error_text(&failure.drawn);
        }
        let head = self
            .err
            .paint(Paint::Red, format!("error[{}]", failure.code));
        self.error_text(&format!("{head}: {}", failure.message));
        if let Some(advice) = &failure.advice {
            let label = self.err.paint(Paint::Cyan, "what to do:");
            self.error_text(&format!("  {label} {advice}"));
        }
        if self.json {
            // Standard output may be gone; standard error has said it.
            let _ = self.document(&failure.document());
        }
    }
}
