//! What a bench is asked for on its command line.

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
};

use crate::summary::Summary;

/// Arguments that the benches have in common.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Everything, as `cargo bench` asks for it with `--bench`; else a short run that shows that it works.
    pub whole: bool,
    arguments: Vec<String>,
}

impl Asked {
    /// Those of this process.
    #[must_use]
    pub fn read() -> Self {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        Self {
            whole: arguments.iter().any(|it| it == "--bench"),
            arguments,
        }
    }

    /// What comes behind `name`.
    #[must_use]
    pub fn behind(&self, name: &str) -> Option<&[String]> {
        let at = self.arguments.iter().position(|it| it == name)?;
        Some(&self.arguments[at + 1..])
    }

    /// Whether `what` is wanted: all is, if `--only WHAT` does not say otherwise.
    #[must_use]
    pub fn wants(&self, what: &str) -> bool {
        let only = self.behind("--only").and_then(<[_]>::first);
        only.is_none_or(|only| only == what)
    }

    /// Prints the figures, and adds them to the file that `--summary PATH` names.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn report(&self, measured: &Summary) -> Result<(), Box<dyn Error>> {
        writeln!(io::stdout().lock(), "{measured}")?;
        match self.behind("--summary").and_then(<[_]>::first) {
            None => Ok(()),
            Some(path) => Ok(measured.add_to(&PathBuf::from(path))?),
        }
    }
}
