//! Which execution a user means: by its id, or by enough of its beginning.

use nebula_core::ExecutionId;
use nebula_ports::{ExecutionFilter, ExecutionSummary};

use crate::{
    definition::counted,
    ending,
    failure::Failure,
    session::{self, Session},
    settings::{Loaded, Place},
};

/// The fewest characters of an id that may stand for it.
const SHORTEST: usize = 6;
/// How many characters an id has.
const WHOLE: usize = 36;
/// The most candidates that are named.
const NAMED: usize = 5;

/// What a user wrote for an execution.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Its id.
    Whole(ExecutionId),
    /// The beginning of its id, in lower case.
    Prefix(String),
}

impl Wanted {
    /// Reads it; nothing is looked up.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Whole(id));
        }
        let shown: String = text.chars().take(80).collect();
        if text.len() >= WHOLE || !text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            return Err(
                Failure::invalid("USAGE", format!("`{shown}` is no execution id"))
                    .advice("`nebula executions list` shows the ids"),
            );
        }
        if text.len() < SHORTEST {
            let message = format!("`{shown}` is too short for an execution id");
            return Err(Failure::invalid("USAGE", message).advice(format!(
                "give the id, or at least its first {SHORTEST} characters"
            )));
        }
        Ok(Self::Prefix(text.to_ascii_lowercase()))
    }

    /// Opens the database and finds the execution there.
    pub(crate) async fn open(self, loaded: &Loaded) -> Result<(Session, ExecutionId), Failure> {
        let Some(session) = Session::open_existing(loaded).await? else {
            return Err(self.unknown(&loaded.place));
        };
        let id = self.find(&session).await?;
        Ok((session, id))
    }

    async fn find(self, session: &Session) -> Result<ExecutionId, Failure> {
        let prefix = match &self {
            // Whoever asks about it learns whether it is there.
            Self::Whole(id) => return Ok(*id),
            Self::Prefix(prefix) => prefix,
        };
        if ExecutionId::that_begin(prefix).is_none() {
            return Err(self.unknown(&session.place));
        }
        let filter = ExecutionFilter::default();
        let found = session.reach.list(&filter, Some(prefix), usize::MAX);
        let found = found.await?.items;
        match found.as_slice() {
            [] => Err(self.unknown(&session.place)),
            [one] => Ok(one.id),
            several => Err(ambiguous(prefix, several)),
        }
    }

    fn unknown(&self, place: &Place) -> Failure {
        match self {
            Self::Whole(id) => session::unknown(*id, place),
            Self::Prefix(prefix) => Failure::invalid(
                "UNKNOWN_EXECUTION",
                format!(
                    "the id of no execution {} begins with `{prefix}`",
                    place.words()
                ),
            )
            .advice(format!(
                "`nebula executions list{}` shows what is there; check {}",
                place.flag(),
                place.check()
            )),
        }
    }
}

/// Names the newest candidates.
fn ambiguous(prefix: &str, found: &[ExecutionSummary]) -> Failure {
    let named = found.iter().take(NAMED).map(|summary| {
        let (id, workflow) = (summary.id, &summary.workflow);
        format!("{id} ({workflow}, {})", ending::words(summary.status))
    });
    let mut named = named.collect::<Vec<_>>().join(", ");
    if found.len() > NAMED {
        named.push_str(&format!(" and {} more", found.len() - NAMED));
    }
    let count = counted(found.len(), "execution");
    Failure::invalid(
        "AMBIGUOUS_EXECUTION",
        format!("the ids of {count} begin with `{prefix}`"),
    )
    .advice(format!("give more of the id; there are {named}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_told_from_its_beginning_and_from_anything_else() {
        let id = "01a1fc38-5633-7236-9695-dcef079f585d";
        assert_eq!(id.len(), WHOLE);
        let check = |text: &str, expected: Option<Wanted>| {
            assert_eq!(Wanted::parse(text).ok(), expected, "{text}");
        };
        let prefix = |text: &str| Some(Wanted::Prefix(text.to_owned()));
        check(id, Some(Wanted::Whole(id.parse().unwrap())));
        check("01A1FC", prefix("01a1fc"));
        check(&id[..WHOLE - 1], prefix(&id[..WHOLE - 1]));
        check("01a1f", None);
        check("", None);
        check("not-an-id", None);
        check(&format!("{id}0"), None);
    }
}
