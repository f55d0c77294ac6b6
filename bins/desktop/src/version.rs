//! Which version of a workflow somebody means: `orders`, `orders@3`, `orders@draft`, `orders@published`.

use nebula_core::WorkflowId;
use nebula_ports::{StoredWorkflow, WorkflowSummary, WorkflowVersions};

use crate::{
    failure::Failure,
    session::Session,
    settings::{Loaded, Place},
};

/// A version as it is written on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionWanted {
    pub(crate) id: WorkflowId,
    pub(crate) which: Which,
}

/// Which version of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// None was said.
    Any,
    /// The latest one.
    Draft,
    /// The one that was published.
    Published,
    /// The one with this number.
    Number(u32),
}

impl VersionWanted {
    /// Reads what was written.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let (id, which) = match text.split_once('@') {
            None => (text, Which::Any),
            Some((id, "draft")) => (id, Which::Draft),
            Some((id, "published")) => (id, Which::Published),
            Some((id, number)) => {
                let plain = number.bytes().all(|byte| byte.is_ascii_digit());
                let number = number.parse().ok().filter(|number| plain && *number > 0);
                let number = number.ok_or_else(|| {
                    Failure::invalid("USAGE", format!("`{text}` names no version"))
                        .advice("write ID@3, ID@draft or ID@published")
                })?;
                (id, Which::Number(number))
            }
        };
        let id = id.parse().map_err(|error| {
            Failure::invalid("USAGE", format!("`{text}` names no workflow: {error}"))
        })?;
        Ok(Self { id, which })
    }

    /// Finds the workflow and the version, of which `any` says the number where none was written.
    pub(crate) async fn find(
        &self,
        session: &Session,
        any: impl FnOnce(&WorkflowSummary) -> u32,
    ) -> Result<(WorkflowSummary, StoredWorkflow), Failure> {
        let workflow = versions(session, &self.id, 0).await?.workflow;
        let version = match self.which {
            Which::Any => any(&workflow),
            Which::Draft => workflow.latest,
            Which::Number(number) => number,
            Which::Published => workflow.published.ok_or_else(|| {
                let message = format!("no version of `{}` is published", self.id);
                Failure::invalid("NOT_PUBLISHED", message).advice(format!(
                    "publish one: nebula workflows publish {}@{}",
                    self.id, workflow.latest
                ))
            })?,
        };
        let stored = session.reach.stored(&self.id, version).await?;
        let stored = stored.ok_or_else(|| unknown_version(&self.id, version))?;
        Ok((workflow, stored))
    }
}

/// The failure for a version that was never saved.
pub(crate) fn unknown_version(id: &WorkflowId, version: u32) -> Failure {
    let message = format!("`{id}` has no version {version}");
    Failure::invalid("UNKNOWN_VERSION", message)
        .advice(format!("`nebula workflows versions {id}` lists them"))
}

/// A workflow and the newest of its versions, at most `limit`.
pub(crate) async fn versions(
    session: &Session,
    id: &WorkflowId,
    limit: usize,
) -> Result<WorkflowVersions, Failure> {
    let found = session.reach.versions(id, limit).await?;
    found.ok_or_else(|| unknown(id, &session.place))
}

/// The failure where a word may be a file or a workflow, and is neither.
pub(crate) fn neither(failure: Failure, id: &WorkflowId) -> Failure {
    match failure.code.as_ref() {
        "UNKNOWN_WORKFLOW" => {
            let message = format!("there is neither a file nor a saved workflow `{id}`");
            Failure::environment("UNKNOWN_WORKFLOW", message)
                .advice("check the path, or run the workflow's file once")
        }
        _ => failure,
    }
}

/// Opens the database that must have the workflow.
pub(crate) async fn open(loaded: &Loaded, id: &WorkflowId) -> Result<Session, Failure> {
    let session = Session::open_existing(loaded).await?;
    session.ok_or_else(|| unknown(id, &loaded.place))
}

/// The failure for a workflow that nobody saved.
pub(crate) fn unknown(id: &WorkflowId, place: &Place) -> Failure {
    let message = format!("there is no workflow `{id}` {}", place.words());
    Failure::environment("UNKNOWN_WORKFLOW", message).advice(format!(
        "`nebula workflows list{}` shows what is there; check {}, or push its file",
        place.flag(),
        place.check()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_or_one_of_two_words() {
        let which = |text: &str| VersionWanted::parse(text).map(|wanted| wanted.which).ok();
        assert_eq!(which("a.b-c"), Some(Which::Any));
        assert_eq!(which("a@12"), Some(Which::Number(12)));
        assert_eq!(which("a@draft"), Some(Which::Draft));
        assert_eq!(which("a@published"), Some(Which::Published));
        for bad in [
            "a@",
            "a@0",
            "a@+1",
            "a@v1",
            "a@1@2",
            "@1",
            "",
            "a@99999999999",
        ] {
            assert_eq!(which(bad), None, "{bad}");
        }
    }
}
