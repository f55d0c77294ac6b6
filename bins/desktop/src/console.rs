//! The only writer to standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::{arguments::Global, failure::Failure};

/// How a piece of text stands out on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Red,
    Green,
    Yellow,
    Cyan,
    Bold,
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
pub(crate) struct Colours(pub(crate) bool);

impl Colours {
    pub(crate) fn paint(self, paint: Paint, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if self.0 {
            format!("{}{text}\u{1b}[0m", paint.escape())
        } else {
            text.to_owned()
        }
    }
}

/// Where results, notes and errors go, and how they look there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    /// Results are JSON.
    pub(crate) json: bool,
    quiet: bool,
    pretty: bool,
    /// For what goes to standard output.
    pub(crate) out: Colours,
    /// For what goes to standard error.
    pub(crate) err: Colours,
    /// Whether standard error is a terminal on which a picture may move.
    pub(crate) live: bool,
    /// Whether a question can be put: somebody sees it and can answer.
    pub(crate) asks: bool,
}

impl Console {
    /// As the flags, the environment and the terminal say.
    pub(crate) fn new(global: &Global) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let colours = !global.no_color
            && nebula_system::variable("NO_COLOR").is_none()
            && nebula_system::variable("TERM").is_none_or(|term| term != "dumb");
        Self {
            json: global.json || !out,
            quiet: global.quiet,
            pretty: out,
            out: Colours(colours && out),
            err: Colours(colours && err),
            live: err && !global.quiet && global.log.is_none(),
            asks: err && io::stdin().is_terminal(),
        }
    }

    /// A result for programs: one line, or several on a terminal.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = if self.pretty {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.line(&text.map_err(|error| Failure::environment("OUTPUT", error.to_string()))?)
    }

    /// A result for programs that must stay on one line, as one of many.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value);
        self.line(&text.map_err(|error| Failure::environment("OUTPUT", error.to_string()))?)
    }

    /// A result as text.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// A result that is a file: these bytes and nothing else.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
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
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.error_text(text);
        }
    }

    /// Something that is said even with `--quiet`. Nobody is left to tell if it cannot be written.
    pub(crate) fn error_text(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = err.write_all(b"\n");
        }
        let _ = err.flush();
    }

    /// Puts a question and gives the answer's first line; empty at the end of input.
    pub(crate) fn ask(&self, question: &str) -> String {
        let mut err = io::stderr().lock();
        let _ = err.write_all(question.as_bytes());
        let _ = err.flush();
        let mut answer = String::new();
        let _ = io::stdin().read_line(&mut answer);
        answer.trim().to_owned()
    }

    /// A failure, for people and, where results are JSON, for programs.
    pub(crate) fn failure(&self, failure: &Failure) {
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
