//! Which execution a user means: by its id, or by enough of its beginning.

use std::ops::RangeInclusive;

use nebula_core::ExecutionId;
use nebula_ports::{ExecutionFilter, ExecutionSummary};

use crate::{
    definition::counted,
    ending,
    failure::Failure,
    session::{self, Session},
    settings::Loaded,
};

/// The fewest characters of an id that may stand for it.
const SHORTEST: usize = 6;
/// How many characters an id has.
const WHOLE: usize = 36;
/// How many executions are listed at a time.
const PAGE: usize = 500;
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
            return Err(self.unknown());
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
        let Some(ids) = ids_that_begin(prefix) else {
            return Err(self.unknown());
        };
        let filter = ExecutionFilter {
            ids: Some(ids),
            ..ExecutionFilter::default()
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let engine = session.engine();
            let page = engine.list(&session.tenant, &filter, after.as_ref(), PAGE);
            let page = page.await?;
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        match found.as_slice() {
            [] => Err(self.unknown()),
            [one] => Ok(one.id),
            several => Err(ambiguous(prefix, several)),
        }
    }

    fn unknown(&self) -> Failure {
        match self {
            Self::Whole(id) => session::unknown(*id),
            Self::Prefix(prefix) => Failure::invalid(
                "UNKNOWN_EXECUTION",
                format!("the id of no execution in this database begins with `{prefix}`"),
            )
            .advice("`nebula executions list` shows what is there; check --db"),
        }
    }
}

/// The ids whose text begins so; `None` if no text of an id does.
fn ids_that_begin(prefix: &str) -> Option<RangeInclusive<ExecutionId>> {
    let id = |rest: &str| {
        format!("{prefix}{}", rest.get(prefix.len()..)?)
            .parse()
            .ok()
    };
    let first = id("00000000-0000-0000-0000-000000000000")?;
    let last = id("ffffffff-ffff-ffff-ffff-ffffffffffff")?;
    Some(first..=last)
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

    #[test]
    fn the_beginning_of_an_id_is_a_range_of_ids() {
        let check = |prefix: &str, expected: Option<(&str, &str)>| {
            let found = ids_that_begin(prefix);
            let shown = found.map(|ids| (ids.start().to_string(), ids.end().to_string()));
            let expected = expected.map(|(first, last)| (first.to_owned(), last.to_owned()));
            assert_eq!(shown, expected, "{prefix}");
        };
        check(
            "01a1fc",
            Some((
                "01a1fc00-0000-0000-0000-000000000000",
                "01a1fcff-ffff-ffff-ffff-ffffffffffff",
            )),
        );
        check(
            "01a1fc38-5",
            Some((
                "01a1fc38-5000-0000-0000-000000000000",
                "01a1fc38-5fff-ffff-ffff-ffffffffffff",
            )),
        );
        // No id is written with dashes there, or without one where they belong.
        check("01a1-fc", None);
        check("01a1fc385633", None);
    }
}
