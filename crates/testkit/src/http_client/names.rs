//! Names that a test makes up, and what they resolve to.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

/// What names resolve to; all clones are one. The driver under test asks it instead of the network.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<Mutex<BTreeMap<String, Name>>>);

#[derive(Debug, Default)]
struct Name {
    answers: Vec<Vec<IpAddr>>,
    asked: usize,
}

impl Names {
    /// Gives `name` these answers, one after the other; the last one stays.
    ///
    /// # Panics
    /// If an address does not parse.
    pub fn set(&self, name: &str, answers: &[&str]) {
        let parse = |it: &str| it.parse().unwrap_or_else(|_| panic!("{it} is no address"));
        let answer = |answer: &&str| answer.split_whitespace().map(parse).collect();
        let answers = answers.iter().map(answer).collect();
        let asked = 0;
        self.0
            .lock()
            .insert(name.to_owned(), Name { answers, asked });
    }

    /// The next answer; `None` if nobody knows the name.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<Vec<IpAddr>> {
        let mut names = self.0.lock();
        let known = names.entry(name.to_owned()).or_default();
        let last = known.answers.len().checked_sub(1);
        let at = last.map(|last| known.asked.min(last));
        known.asked += 1;
        at.map(|at| known.answers[at].clone())
    }

    /// How often a name was asked for.
    #[must_use]
    pub fn asked(&self, name: &str) -> usize {
        self.0.lock().get(name).map_or(0, |name| name.asked)
    }
}
