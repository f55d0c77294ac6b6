//! What an attempt is given beside its input: who it is, how long it may take, what it may touch.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use nebula_core::{ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    Access, ActionError, AttemptBlobs, Capability, Credentials, Deferred, Egress, ErrorClass,
    Grants, Heartbeat, Http, Progress, normalize, origin_of,
};

/// Places that stay closed under any grant: the engine's data, its configuration, its keys.
///
/// A folder named `.git` is closed wherever it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protected(Arc<[PathBuf]>);

impl Protected {
    /// Closes these paths and everything below them; each is absolute.
    #[must_use]
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| normalize(&path)).collect())
    }

    /// Whether `path` is closed. For a path that follows links, ask again with where it really leads.
    #[must_use]
    pub fn closes(&self, path: &Path) -> bool {
        self.0.iter().any(|closed| path.starts_with(closed))
            || path.components().any(|part| part.as_os_str() == ".git")
    }
}

/// One attempt's identity, limits and gated handles.
#[derive(Debug, Clone)]
pub struct ActionContext {
    /// Whose execution it is.
    pub tenant: TenantId,
    /// The execution.
    pub execution: ExecutionId,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// The node.
    pub node: NodeId,
    /// Which try of this instance it is, from 1.
    pub attempt: u32,
    /// The same for every attempt of an instance; send it along with every write.
    pub idempotency_key: String,
    /// The instance's journalled time: `$now`.
    pub now: Timestamp,
    /// The instance's seed: `$random`.
    pub seed: u64,
    /// The longest time that the attempt may take; the sandbox enforces it.
    pub timeout: Duration,
    /// When the execution is over at the latest, and every body that the node stands in; what the
    /// attempt asks of others should be given up by then.
    pub deadline: Option<Timestamp>,
    /// Told when the attempt should stop.
    pub cancellation: CancellationToken,
    /// Where its signs of life arrive.
    pub heartbeat: Heartbeat,
    /// What the attempt may touch.
    pub grants: Grants,
    /// What it may not touch even so.
    pub protected: Protected,
    /// Its way out; `None` without a `net:…` capability. [`ActionContext::http`] says what is missing.
    pub http: Option<Http>,
    /// The blobs of its tenant; `None` without the capability `blob`. [`ActionContext::blobs`] says what is
    /// missing.
    pub blobs: Option<Arc<dyn AttemptBlobs>>,
    /// The credentials that the node names, by the slots of its action. [`HttpClient`](crate::HttpClient)s
    /// get one through [`Http::send`].
    pub credentials: Credentials,
    /// Where relative paths begin: the workflow's folder. Absolute.
    pub folder: Arc<Path>,
    /// Parameters that are programs over `$item` and `$index`, by their path: `condition`, `cases/high`.
    pub deferred: IndexMap<String, Deferred>,
}

/// A path that was checked against the grants; only [`ActionContext::file`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedPath {
    root: PathBuf,
    path: PathBuf,
    protected: Protected,
}

impl GrantedPath {
    /// The granted path that covers it; a driver opens this once and never leaves it.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The whole path, absolute, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The part below the root; empty if the grant names the path itself.
    #[must_use]
    pub fn relative(&self) -> &Path {
        self.path.strip_prefix(&self.root).unwrap_or(Path::new(""))
    }

    /// Whether the engine keeps `real` closed, where links have been followed.
    #[must_use]
    pub fn closes(&self, real: &Path) -> bool {
        self.protected.closes(real)
    }
}

/// A program that was checked against the grants; only [`ActionContext::program`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedProgram(PathBuf);

impl GrantedProgram {
    /// Its absolute path, without `.` and `..`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl ActionContext {
    /// Checks that the attempt may run the program at `path`, which is absolute and says no way round:
    /// what a name means would depend on where it is looked for.
    ///
    /// # Errors
    /// Class `InvalidInput`: no such path; class `Denied`, with the capability that is missing or the reason
    /// that none would help.
    pub fn process(&self, path: &str) -> Result<GrantedProgram, ActionError> {
        let plain = Path::new(path);
        if !plain.is_absolute() || path.contains('\0') || normalize(plain).as_os_str() != path {
            let message = "a program is named by its absolute path, without `.` and `..`, such as `/usr/bin/git`";
            let code = "PROCESS_PROGRAM";
            return Err(ActionError::invalid_input(code, "/program", message));
        }
        if self.protected.closes(plain) {
            return Err(closed(plain));
        }
        let capability = Capability::Process(path.to_owned());
        if !self.grants.allow(&capability) {
            let what = format!("node `{}` may not run {path}", self.node);
            return Err(ActionError::denied(what, &capability));
        }
        Ok(GrantedProgram(plain.to_path_buf()))
    }

    /// Checks that the attempt may access `path`; a relative one begins at the workflow's folder.
    ///
    /// # Errors
    /// Class `Denied`, with the capability that is missing or the reason that none would help.
    pub fn file(&self, access: Access, path: &str) -> Result<GrantedPath, ActionError> {
        if path.is_empty() || path.contains('\0') {
            let message = "a path must have at least one character and no NUL";
            return Err(ActionError::invalid_input("FILE_PATH", "/path", message));
        }
        let path = normalize(&self.folder.join(path));
        if self.protected.closes(&path) {
            return Err(closed(&path));
        }
        let Some(root) = self.grants.root_for(access, &path) else {
            let capability = Capability::File(access, path.clone());
            let what = format!("node `{}` may not touch {}", self.node, path.display());
            return Err(ActionError::denied(what, &capability));
        };
        Ok(GrantedPath {
            root: root.to_path_buf(),
            path,
            protected: self.protected.clone(),
        })
    }

    /// The way out, if the attempt may ask for `url`.
    ///
    /// # Errors
    /// Class `Denied`, with the capability that is missing; class `Fatal` where the engine has no way out.
    pub fn http(&self, url: &Url) -> Result<&Http, ActionError> {
        let what = format_args!("node `{}` may not send to {}", self.node, origin_of(url));
        Egress::new(&self.grants)
            .target(url)
            .map_err(|refusal| ActionError::refused(what, &refusal))?;
        self.http.as_ref().ok_or_else(|| {
            let message = "this engine was built without a way out over HTTP";
            ActionError::fatal("HTTP_UNAVAILABLE", message)
        })
    }

    /// The blobs of the tenant, if the attempt may put and read them.
    ///
    /// # Errors
    /// Class `Denied`: the capability `blob` is missing; class `Fatal` where the engine has no blobs.
    pub fn blobs(&self) -> Result<&Arc<dyn AttemptBlobs>, ActionError> {
        if !self.grants.allow(&Capability::Blob) {
            let what = format!("node `{}` may not use blobs", self.node);
            return Err(ActionError::denied(what, &Capability::Blob));
        }
        self.blobs.as_ref().ok_or_else(|| {
            let message = "this engine was built without a store of blobs";
            ActionError::fatal("BLOB_UNAVAILABLE", message)
        })
    }

    /// Says that the attempt is alive, and how far it has come. Cheap: an attempt may say so in every
    /// round of a loop. Watchers are shown it at most every [`Heartbeat::SHOWN_EVERY`].
    pub fn heartbeat(&self, progress: Progress) {
        self.heartbeat.progress(progress);
    }

    /// The program of a deferred parameter.
    ///
    /// # Errors
    /// Class `InvalidInput`: the author gave none.
    pub fn program(&self, path: &str) -> Result<&Deferred, ActionError> {
        self.deferred.get(path).ok_or_else(|| {
            let message = format!("`{path}` is missing; write an expression over `$item`");
            ActionError::invalid_input("PARAMETER_MISSING", format!("/{path}"), message)
        })
    }
}

/// The error for a path that no grant opens.
fn closed(path: &Path) -> ActionError {
    ActionError::new(
        "PATH_PROTECTED",
        format!(
            "{} belongs to the engine or to version control; no grant opens it",
            path.display()
        ),
        ErrorClass::Denied {
            capability: String::new(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(grants: &[&str]) -> ActionContext {
        let grants = grants
            .iter()
            .map(|text| Capability::parse(text, Path::new("/")).unwrap());
        ActionContext {
            tenant: TenantId::local(),
            execution: ExecutionId::from_bytes([0; 16]),
            workflow: WorkflowId::new("w").unwrap(),
            node: NodeId::new("n").unwrap(),
            attempt: 1,
            idempotency_key: String::new(),
            now: Timestamp::default(),
            seed: 0,
            timeout: Duration::from_secs(1),
            deadline: None,
            cancellation: CancellationToken::new(),
            heartbeat: Heartbeat::default(),
            grants: Grants::new(grants),
            protected: Protected::new([PathBuf::from("/data/nebula")]),
            http: None,
            blobs: None,
            credentials: Credentials::default(),
            folder: Arc::from(Path::new("/home/ada/flows")),
            deferred: IndexMap::new(),
        }
    }

    fn check(grants: &[&str], path: &str, expected: &str) {
        let shown = match context(grants).file(Access::Read, path) {
            Ok(granted) => format!(
                "{} + {}",
                granted.root().display(),
                granted.relative().display()
            ),
            Err(error) => match error.class {
                ErrorClass::Denied { capability } => {
                    let requires = format!("`requires: [\"{capability}\"]`");
                    assert_eq!(error.message.contains(&requires), !capability.is_empty());
                    format!("{} {capability}", error.code)
                }
                _ => error.code.to_string(),
            },
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_path_opens_only_below_a_grant() {
        check(&["fs:read:/var/log"], "/var/log/a/b", "/var/log + a/b");
        check(
            &["fs:read:/var", "fs:read:/var/log"],
            "/var/log/a",
            "/var + log/a",
        );
        check(
            &["fs:read:/home/ada/flows"],
            "data/in.csv",
            "/home/ada/flows + data/in.csv",
        );
        check(&[], "x", "CAPABILITY_DENIED fs:read:/home/ada/flows/x");
        check(
            &["fs:read:/var/log"],
            "/var/log/../secret",
            "CAPABILITY_DENIED fs:read:/var/secret",
        );
        check(
            &["fs:write:/var/log"],
            "/var/log/a",
            "CAPABILITY_DENIED fs:read:/var/log/a",
        );
    }

    fn check_program(grants: &[&str], path: &str, expected: &str) {
        let shown = match context(grants).process(path) {
            Ok(granted) => granted.path().display().to_string(),
            Err(error) => match error.class {
                ErrorClass::Denied { capability } => format!("{} {capability}", error.code),
                _ => error.code.to_string(),
            },
        };
        assert_eq!(shown, expected);
    }

    /// Guard: a program is one path, the one that was granted.
    #[test]
    fn a_program_runs_only_under_its_own_grant() {
        let git = &["process:/usr/bin/git"];
        check_program(git, "/usr/bin/git", "/usr/bin/git");
        check_program(git, "/bin/sh", "CAPABILITY_DENIED process:/bin/sh");
        check_program(&[], "/bin/sh", "CAPABILITY_DENIED process:/bin/sh");
        for path in [
            "git",
            "./git",
            "",
            "/usr/bin/../bin/git",
            "/usr//bin/git",
            "/bin/git\0",
        ] {
            check_program(git, path, "PROCESS_PROGRAM");
        }
        let own = "/data/nebula/tool";
        check_program(&["process:/data/nebula/tool"], own, "PATH_PROTECTED ");
    }

    #[test]
    fn the_engines_own_places_stay_closed_under_any_grant() {
        check(&["fs:read:/"], "/data/nebula/nebula.db", "PATH_PROTECTED ");
        check(&["fs:read:/"], "/repo/.git/config", "PATH_PROTECTED ");
        check(&["fs:read:/"], "/etc/hosts", "/ + etc/hosts");
        check(&["fs:read:/"], "a\0b", "FILE_PATH");
    }
}
