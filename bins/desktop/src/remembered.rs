//! What a user granted a workflow for good: per file and workflow id, in their own config folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nebula_action::{Capability, Grants};
use nebula_core::WorkflowId;
use serde::{Deserialize, Serialize};

use crate::{failure::Failure, input, private::make_private, replace::replace};

/// The file's name in the config folder.
const FILE_NAME: &str = "grants.json";
/// The version of its form.
const FORMAT: u32 = 1;
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// The file. JSON: `{ "format": 1, "workflows": [{ "file", "workflow", "grants": ["fs:read:/x"] }] }`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    format: u32,
    workflows: Vec<Workflow>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Workflow {
    /// Absolute, without links.
    file: PathBuf,
    workflow: WorkflowId,
    grants: Grants,
}

/// What was granted to this file and workflow for good; nothing by default.
pub(crate) fn load(config: &Path, file: &Path, workflow: &WorkflowId) -> Result<Grants, Failure> {
    let remembered = read(&config.join(FILE_NAME))?;
    let found = remembered
        .workflows
        .into_iter()
        .find(|entry| entry.file == file && entry.workflow == *workflow);
    Ok(found.map(|entry| entry.grants).unwrap_or_default())
}

/// Adds to what is granted to this file and workflow for good.
pub(crate) fn add(
    config: &Path,
    file: &Path,
    workflow: &WorkflowId,
    more: &[Capability],
) -> Result<PathBuf, Failure> {
    let path = config.join(FILE_NAME);
    let mut remembered = read(&path)?;
    remembered.format = FORMAT;
    let same = |entry: &&mut Workflow| entry.file == file && entry.workflow == *workflow;
    match remembered.workflows.iter_mut().find(same) {
        Some(entry) => {
            entry.grants = Grants::new(entry.grants.iter().chain(more).cloned());
        }
        None => remembered.workflows.push(Workflow {
            file: file.to_owned(),
            workflow: workflow.clone(),
            grants: Grants::new(more.iter().cloned()),
        }),
    }
    write(&path, &remembered)?;
    Ok(path)
}

fn read(path: &Path) -> Result<Remembered, Failure> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Remembered::default());
        }
        Err(error) => return Err(Failure::file(path, "read", &error)),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o022 != 0 {
            let shown = path.display();
            let message = format!("{shown} can be written by others (mode {mode:03o})");
            return Err(Failure::invalid("GRANTS_FILE", message).advice(format!(
                "look at what it grants, then run `chmod go-w {shown}`"
            )));
        }
    }
    if !metadata.is_file() {
        let message = format!("{} is no regular file", path.display());
        return Err(Failure::invalid("GRANTS_FILE", message).advice("move it away"));
    }
    let bytes = input::read_file(path, MAX_BYTES)?;
    let wrong = |why: String| {
        Failure::invalid("GRANTS_FILE", format!("{}: {why}", path.display()))
            .advice("correct it or move it away; then grants are asked for again")
    };
    let remembered: Remembered =
        serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if remembered.format > FORMAT {
        let format = remembered.format;
        return Err(wrong(format!(
            "it has format {format}; this build reads {FORMAT}"
        )));
    }
    Ok(remembered)
}

/// Replaces the file whole or not at all.
fn write(path: &Path, remembered: &Remembered) -> Result<(), Failure> {
    let failed = |error| Failure::file(path, "write", &error);
    let folder = path.parent().unwrap_or(Path::new("."));
    make_private(folder).map_err(failed)?;
    let mut text = serde_json::to_string_pretty(remembered)
        .map_err(|error| Failure::environment("GRANTS_FILE", error.to_string()))?;
    text.push('\n');
    replace(path, text.as_bytes(), None).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_remembered_per_file_and_workflow() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        let id = WorkflowId::new("w").unwrap();
        let (file, other) = (Path::new("/w/a.yaml"), Path::new("/w/b.yaml"));
        let cap = |text| Capability::parse(text, Path::new("/")).unwrap();
        add(&config, file, &id, &[cap("fs:read:/a")]).unwrap();
        add(&config, file, &id, &[cap("fs:write:/b")]).unwrap();
        let both = Grants::new([cap("fs:read:/a"), cap("fs:write:/b")]);
        assert_eq!(load(&config, file, &id).unwrap(), both);
        assert_eq!(load(&config, other, &id).unwrap(), Grants::default());
        let renamed = WorkflowId::new("w2").unwrap();
        assert_eq!(load(&config, file, &renamed).unwrap(), Grants::default());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_write_grants_nothing() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let id = WorkflowId::new("w").unwrap();
        let file = Path::new("/w/a.yaml");
        let path = add(folder.path(), file, &id, &[Capability::Blob]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let failure = load(folder.path(), file, &id).unwrap_err();
        assert_eq!((&*failure.code, failure.exit.code()), ("GRANTS_FILE", 2));
    }
}
