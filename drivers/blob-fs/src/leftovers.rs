//! What puts of dead processes have left behind.

use crate::{error::Fault, folder::Folder, name};

/// Removes the unfinished files of a tenant whose writers have died; says how many there were.
///
/// A living writer holds the lock of its file. What is no regular file is nobody's, and stays.
pub(crate) fn clear(tenant: &Folder) -> Result<usize, Fault> {
    let Some(folder) = tenant.existing(name::INCOMING)? else {
        return Ok(0);
    };
    let mut cleared = 0;
    for name in folder.names()? {
        let name = name?;
        let Ok(Some(found)) = folder.file(&name) else {
            continue;
        };
        let file = found.file.into_std();
        if file.try_lock().is_err() {
            continue;
        }
        // Another who clears up, or the writer that has just ended, may have been quicker.
        if folder.dir().remove_file(&name).is_ok() {
            cleared += 1;
        }
    }
    Ok(cleared)
}

/// The same for every tenant, as far as it goes: what is left is cleared by a later look.
pub(crate) fn clear_all(root: &Folder) -> Result<(), Fault> {
    for name in root.names()? {
        let name = name?;
        if name::tenant(&name).is_none() {
            continue;
        }
        // What is in the place of a tenant's folder is reported to who asks for that tenant.
        if let Ok(Some(tenant)) = root.existing(&name) {
            let _ = clear(&tenant);
        }
    }
    Ok(())
}
