//! Paths without looking at the disk.

use std::path::{Component, Path, PathBuf};

/// Resolves `.` and `..` in an absolute path by its text; `..` above the root stays at the root.
///
/// Symbolic links are not followed here: a driver opens below a granted root with a handle that
/// cannot leave it.
#[must_use]
pub fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_resolved_and_the_root_is_the_end() {
        assert_eq!(normalize(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(normalize(Path::new("/../../x")), Path::new("/x"));
    }
}
