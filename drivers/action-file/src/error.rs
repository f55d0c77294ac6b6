//! Errors of the operating system, as errors of an action.

use std::io;

use nebula_action::{Access, ActionError, Capability, ErrorClass, GrantedPath};

/// Words an error of the operating system for the path that it happened at.
///
/// `began` says that something may have been written already: what is not known to have left the
/// disk as it was is then of class `Unknown`.
pub(crate) fn of(
    error: &io::Error,
    path: &GrantedPath,
    access: Access,
    began: bool,
) -> ActionError {
    use io::ErrorKind as Kind;

    let at = path.path().display();
    match error.kind() {
        Kind::NotFound => ActionError::fatal(
            "FILE_NOT_FOUND",
            format!("{at} does not exist; check the path{}", folders(access)),
        ),
        Kind::AlreadyExists => exists(path),
        // The sandboxed lookup itself says no without an error number of the system.
        Kind::PermissionDenied if error.raw_os_error().is_none() => leaves(path, access),
        Kind::PermissionDenied => ActionError::fatal(
            "FILE_DENIED_BY_SYSTEM",
            format!(
                "the operating system denies access to {at}; check the owner and the mode of the file and of its folders"
            ),
        ),
        Kind::ReadOnlyFilesystem => ActionError::fatal(
            "FILE_READ_ONLY",
            format!("{at} is on a read-only file system; write to another place"),
        ),
        Kind::StorageFull => disk_full(path, "the disk is full"),
        Kind::QuotaExceeded => disk_full(path, "the quota of this user is used up"),
        Kind::IsADirectory => folder(path),
        Kind::NotADirectory => ActionError::fatal(
            "FILE_NOT_A_FOLDER",
            format!("a part of {at} that should be a folder is a file; check the path"),
        ),
        Kind::FileTooLarge => ActionError::fatal(
            "FILE_TOO_LARGE",
            format!("{at} would grow past the largest file that the system allows"),
        ),
        Kind::InvalidFilename => ActionError::invalid_input(
            "FILE_PATH",
            "/path",
            format!(
                "{at} has a part that the file system does not take, such as a name that is too long"
            ),
        ),
        kind => {
            let class = if began {
                ErrorClass::Unknown
            } else {
                ErrorClass::Retryable { after: None }
            };
            ActionError::new("FILE_IO", format!("{at}: {kind}"), class)
        }
    }
}

fn folders(access: Access) -> &'static str {
    match access {
        Access::Read => "",
        Access::Write => ", or set `make_folders: true` if its folder is missing",
    }
}

fn disk_full(path: &GrantedPath, why: &str) -> ActionError {
    let at = path.path().display();
    ActionError::fatal(
        "DISK_FULL",
        format!("{at} was not written: {why}; free some space and run the execution again"),
    )
}

/// A file is there that must not be.
pub(crate) fn exists(path: &GrantedPath) -> ActionError {
    let message = format!(
        "{} exists already; write `mode: overwrite` or `mode: append`, or choose another name",
        path.path().display()
    );
    ActionError::fatal("FILE_EXISTS", message)
}

/// A folder stands where a file should.
pub(crate) fn folder(path: &GrantedPath) -> ActionError {
    let at = path.path().display();
    ActionError::fatal(
        "FILE_IS_FOLDER",
        format!("{at} is a folder; name a file in it"),
    )
}

/// A file that other names lead to as well.
pub(crate) fn has_other_names(path: &GrantedPath) -> ActionError {
    let message = format!(
        "{} has other names (hard links), which would get what is added to it, wherever they are; write with `mode: overwrite`, which leaves those as they are, or append to a copy",
        path.path().display()
    );
    ActionError::fatal("FILE_HARD_LINKED", message)
}

/// Neither file nor folder: a FIFO, a socket, a device.
pub(crate) fn not_regular(path: &GrantedPath) -> ActionError {
    let at = path.path().display();
    let message = format!("{at} is no regular file; only regular files are read and written");
    ActionError::fatal("FILE_NOT_REGULAR", message)
}

/// The engine's own, or version control's.
pub(crate) fn protected(path: &GrantedPath) -> ActionError {
    let message = format!(
        "{} leads to a place that belongs to the engine or to version control; no grant opens it",
        path.path().display()
    );
    let capability = String::new();
    ActionError::new("PATH_PROTECTED", message, ErrorClass::Denied { capability })
}

/// A symbolic link on the way leads out of what was granted.
pub(crate) fn leaves(path: &GrantedPath, access: Access) -> ActionError {
    let real = std::fs::canonicalize(path.path()).unwrap_or_else(|_| path.path().to_path_buf());
    let capability = Capability::File(access, real.clone()).to_string();
    let message = format!(
        "{} leaves the granted {} through a symbolic link; name {} itself and grant `{capability}`",
        path.path().display(),
        path.root().display(),
        real.display(),
    );
    ActionError::new(
        "PATH_LEAVES_GRANT",
        message,
        ErrorClass::Denied { capability },
    )
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use nebula_action::{Grants, Protected};
    use nebula_core::{ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};

    use super::*;

    fn granted() -> GrantedPath {
        let context = nebula_action::ActionContext {
            tenant: TenantId::local(),
            execution: ExecutionId::from_bytes([0; 16]),
            workflow: WorkflowId::new("w").unwrap(),
            node: NodeId::new("n").unwrap(),
            attempt: 1,
            idempotency_key: String::new(),
            now: Timestamp::default(),
            seed: 0,
            timeout: std::time::Duration::from_secs(1),
            deadline: None,
            cancellation: tokio_util::sync::CancellationToken::new(),
            heartbeat: nebula_action::Heartbeat::default(),
            grants: Grants::new([Capability::parse("fs:write:/x", Path::new("/")).unwrap()]),
            protected: Protected::default(),
            http: None,
            blobs: None,
            credentials: nebula_action::Credentials::default(),
            folder: Arc::from(Path::new("/x")),
            deferred: indexmap::IndexMap::new(),
        };
        context.file(Access::Write, "a.md").unwrap()
    }

    fn check(number: i32, began: bool, expected: &str) {
        let error = of(
            &io::Error::from_raw_os_error(number),
            &granted(),
            Access::Write,
            began,
        );
        assert_eq!(format!("{} {}", error.code, error.class.as_str()), expected);
        assert!(error.message.contains("/x/a.md"), "{}", error.message);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn errors_of_the_system_say_what_to_do() {
        check(2, false, "FILE_NOT_FOUND fatal");
        check(13, false, "FILE_DENIED_BY_SYSTEM fatal");
        check(1, false, "FILE_DENIED_BY_SYSTEM fatal");
        check(17, false, "FILE_EXISTS fatal");
        check(28, true, "DISK_FULL fatal");
        check(122, true, "DISK_FULL fatal");
        check(30, false, "FILE_READ_ONLY fatal");
        check(36, false, "FILE_PATH invalid_input");
        check(5, false, "FILE_IO retryable");
        check(5, true, "FILE_IO unknown");
    }
}
