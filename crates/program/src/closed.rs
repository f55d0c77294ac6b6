//! Files and folders that no grant opens.

use std::path::{Path, PathBuf};

use nebula_action::Protected;

/// Paths under construction, each also by the path to which links lead.
#[derive(Debug, Default)]
pub struct Closed(Vec<PathBuf>);

impl Closed {
    /// A path with each of these at its end; an empty one is the path itself.
    pub fn add(&mut self, path: &Path, suffixes: &[&str]) {
        for suffix in suffixes {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            self.0.push(name.into());
        }
    }

    /// What they close.
    #[must_use]
    pub fn protected(self) -> Protected {
        let mut real = Vec::new();
        for path in &self.0 {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            // The file itself may not be there yet; its folder mostly is.
            if let Ok(folder) = folder.canonicalize() {
                real.push(folder.join(name));
            }
            real.extend(path.canonicalize());
        }
        let mut closed = self.0;
        closed.extend(real);
        Protected::new(closed)
    }
}
