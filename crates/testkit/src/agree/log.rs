//! What was done so far, and the comparison of two answers.

use std::fmt::Debug;

use nebula_ports::Result;

/// The operations of one run, each with what it was about.
#[derive(Debug)]
pub(super) struct Log<K> {
    seed: u64,
    lines: Vec<(Option<K>, String)>,
}

impl<K: PartialEq + Debug> Log<K> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            lines: Vec::new(),
        }
    }

    /// Notes an operation on `about`, or on everything.
    pub(super) fn note(&mut self, about: Option<K>, operation: String) {
        self.lines.push((about, operation));
    }

    /// Compares what model and driver answered to the operation noted last.
    pub(super) fn same<T: PartialEq + Debug>(
        &self,
        model: Result<T>,
        driver: Result<T>,
    ) -> Option<T> {
        match (model, driver) {
            (Ok(model), Ok(driver)) if model == driver => Some(model),
            (Err(model), Err(driver)) if model.kind == driver.kind => None,
            (model, driver) => self.fail(&format!("{model:?}"), &format!("{driver:?}")),
        }
    }

    /// Fails with what was done to the thing that the last operation was about.
    pub(super) fn fail(&self, model: &str, driver: &str) -> ! {
        let about = self.lines.last().and_then(|(about, _)| about.as_ref());
        let concerns = |key: &Option<K>| key.is_none() || about.is_none() || key.as_ref() == about;
        let relevant: Vec<_> = self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, (key, _))| concerns(key))
            .map(|(number, (_, line))| format!("{number:>6} {line}"))
            .collect();
        panic!(
            "seed {}: after {} operations the answers differ\nmodel:  {model}\ndriver: {driver}\nabout {about:?}:\n{}",
            self.seed,
            self.lines.len(),
            relevant.join("\n")
        );
    }
}
