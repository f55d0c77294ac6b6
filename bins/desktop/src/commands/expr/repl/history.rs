//! What was typed before: kept in the user's data folder, bounded, and the user's alone.

use std::path::{Path, PathBuf};

use reedline::{
    FileBackedHistory, History, HistoryItem, HistoryItemId, HistorySessionId, ReedlineError,
    ReedlineErrorVariants, SearchQuery,
};

use crate::{
    failure::{Failure, reason},
    private::{make_private, open_private},
    settings,
};

/// The file's name in the data folder.
const FILE_NAME: &str = "expr-history.txt";
/// The most lines that are kept; the oldest go first.
const MAX_ENTRIES: usize = 1_000;
/// The longest line that is kept, in bytes; a longer one can be called back only until it is left.
const MAX_ENTRY_BYTES: usize = 4 << 10;
/// The largest file that is read: as many of the longest lines, with every line end written as four
/// bytes.
const MAX_FILE_BYTES: u64 = (MAX_ENTRIES * (4 * MAX_ENTRY_BYTES + 1)) as u64;

/// The history, and why it is not kept, if it is not.
pub(super) fn open() -> (Kept, Option<String>) {
    let kept = settings::folders().and_then(|folders| Kept::in_folder(&folders.data));
    match kept {
        Ok(kept) => (kept, None),
        Err(failure) => {
            let advice = failure
                .advice
                .map_or_else(String::new, |advice| format!("; {advice}"));
            let why = failure.message;
            (
                Kept::default(),
                Some(format!("the history is not kept: {why}{advice}")),
            )
        }
    }
}

/// A history that refuses lines which are too long for its bounds.
#[derive(Debug)]
pub(super) struct Kept(FileBackedHistory);

impl Default for Kept {
    /// In memory only.
    fn default() -> Self {
        let memory = FileBackedHistory::new(MAX_ENTRIES);
        Self(memory.expect("only the greatest capacity of all is refused"))
    }
}

impl Kept {
    fn in_folder(folder: &Path) -> Result<Self, Failure> {
        let path: PathBuf = folder.join(FILE_NAME);
        let failed = |error: std::io::Error| Failure::file(&path, "keep", &error);
        make_private(folder).map_err(failed)?;
        let refused = |why: String| {
            let message = format!("{} {why}", path.display());
            Err(Failure::environment("HISTORY", message).advice("move it away"))
        };
        // Opening something else, such as a pipe, could wait for ever.
        match std::fs::metadata(&path) {
            Ok(found) if !found.is_file() => return refused("is no regular file".to_owned()),
            Ok(found) if found.len() > MAX_FILE_BYTES => {
                let len = found.len();
                return refused(format!(
                    "has {len} bytes; at most {MAX_FILE_BYTES} are read"
                ));
            }
            _ => {}
        }
        open_private(&path).map_err(failed)?;
        match FileBackedHistory::with_file(MAX_ENTRIES, path.clone()) {
            Ok(history) => Ok(Self(history)),
            Err(ReedlineError(ReedlineErrorVariants::IOError(error))) => {
                refused(format!("cannot be read: {}", reason(&error)))
            }
            Err(ReedlineError(other)) => refused(format!("cannot be read: {other}")),
        }
    }
}

impl History for Kept {
    fn save(&mut self, entry: HistoryItem) -> reedline::Result<HistoryItem> {
        if entry.command_line.len() > MAX_ENTRY_BYTES {
            let why = ReedlineErrorVariants::OtherHistoryError("the line is too long to be kept");
            return Err(ReedlineError(why));
        }
        self.0.save(entry)
    }

    fn load(&self, id: HistoryItemId) -> reedline::Result<HistoryItem> {
        self.0.load(id)
    }

    fn count(&self, query: SearchQuery) -> reedline::Result<i64> {
        self.0.count(query)
    }

    fn search(&self, query: SearchQuery) -> reedline::Result<Vec<HistoryItem>> {
        self.0.search(query)
    }

    fn update(
        &mut self,
        id: HistoryItemId,
        updater: &dyn Fn(HistoryItem) -> HistoryItem,
    ) -> reedline::Result<()> {
        self.0.update(id, updater)
    }

    fn clear(&mut self) -> reedline::Result<()> {
        self.0.clear()
    }

    fn delete(&mut self, id: HistoryItemId) -> reedline::Result<()> {
        self.0.delete(id)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.0.sync()
    }

    fn session(&self) -> Option<HistorySessionId> {
        self.0.session()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use reedline::{History as _, HistoryItem, SearchDirection, SearchQuery};

    use super::{FILE_NAME, Kept, MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_FILE_BYTES};

    fn lines(kept: &Kept) -> Vec<String> {
        let all = SearchQuery::everything(SearchDirection::Forward, None);
        let found = kept.search(all).unwrap();
        found.into_iter().map(|item| item.command_line).collect()
    }

    fn save(kept: &mut Kept, line: &str) -> bool {
        let saved = kept.save(HistoryItem::from_command_line(line));
        kept.sync().unwrap();
        saved.is_ok()
    }

    #[test]
    fn lines_are_there_again_in_the_next_conversation() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut kept = Kept::in_folder(&data).unwrap();
        assert!(save(&mut kept, "$json.a"));
        assert!(save(&mut kept, "[1,\n2]"));
        assert_eq!(
            lines(&Kept::in_folder(&data).unwrap()),
            ["$json.a", "[1,\n2]"]
        );
    }

    #[test]
    fn lines_and_their_number_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::in_folder(folder.path()).unwrap();
        assert!(!save(&mut kept, &"x".repeat(MAX_ENTRY_BYTES + 1)));
        let path = folder.path().join(FILE_NAME);
        let many: String = (0..MAX_ENTRIES + 5).map(|n| format!("{n}\n")).collect();
        fs::write(&path, many).unwrap();
        let mut kept = Kept::in_folder(folder.path()).unwrap();
        assert!(save(&mut kept, "last"));
        let found = lines(&Kept::in_folder(folder.path()).unwrap());
        assert_eq!((found.len(), &*found[0]), (MAX_ENTRIES, "6"));
        assert_eq!(found.last().unwrap(), "last");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_becomes_the_users_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "$json\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut kept = Kept::in_folder(folder.path()).unwrap();
        assert!(save(&mut kept, "1"));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_used_says_why() {
        let check = |make: &dyn Fn(&std::path::Path), wanted: &str| {
            let folder = tempfile::tempdir().unwrap();
            make(&folder.path().join(FILE_NAME));
            let failure = Kept::in_folder(folder.path()).unwrap_err();
            assert!(failure.message.contains(wanted), "{}", failure.message);
            assert!(failure.advice.is_some());
        };
        check(&|path| fs::create_dir(path).unwrap(), "is no regular file");
        check(
            &|path| fs::write(path, b"\xff\xfe\n").unwrap(),
            "cannot be read",
        );
        check(
            &|path| {
                fs::File::create(path)
                    .unwrap()
                    .set_len(MAX_FILE_BYTES + 1)
                    .unwrap();
            },
            "bytes; at most",
        );
    }
}
