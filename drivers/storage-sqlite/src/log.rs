//! Whether a write-ahead log that somebody left behind has lost what was acknowledged.
//!
//! SQLite takes a log up to the first frame whose sum is wrong: what a crash has torn off was never
//! acknowledged. A byte that changed later looks the same to it, and every commit behind it would be
//! forgotten in silence. They can be told apart: each commit waits for the disk before the next one
//! is written, so what is torn is the last commit. The format is that of
//! <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

/// Bytes before the first frame.
const HEADER: usize = 32;

/// Bytes of a frame before its page.
const FRAME_HEADER: usize = 24;

/// The header's first word, but for its last bit, which says how sums are made.
const MAGIC: u32 = 0x377f_0682;

/// What a log is for pages of these sizes.
const PAGE_SIZES: std::ops::RangeInclusive<usize> = 512..=65_536;

/// Two words over everything so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum(u32, u32);

impl Sum {
    /// Goes on over whole pairs of words.
    fn over(self, bytes: &[u8], big_endian: bool) -> Self {
        let word = match big_endian {
            true => u32::from_be_bytes,
            false => u32::from_le_bytes,
        };
        let (mut a, mut b) = (self.0, self.1);
        for pair in bytes.chunks_exact(8) {
            let x = word([pair[0], pair[1], pair[2], pair[3]]);
            let y = word([pair[4], pair[5], pair[6], pair[7]]);
            a = a.wrapping_add(x).wrapping_add(b);
            b = b.wrapping_add(y).wrapping_add(a);
        }
        Self(a, b)
    }
}

/// What is damaged in the log at `path`, if more is than a crash can have torn off.
///
/// Finds nothing in the last commit, which may have been torn; nor where no log is.
pub(crate) fn damage(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    let mut log = BufReader::new(file);
    let mut header = [0; HEADER];
    if length <= (HEADER + FRAME_HEADER) as u64 {
        return Ok(None);
    }
    log.read_exact(&mut header)?;
    let page = word(&header, 8) as usize;
    let big_endian = word(&header, 0) & 1 == 1;
    let begin = Sum(0, 0).over(&header[..24], big_endian);
    let sound = word(&header, 0) & !1 == MAGIC
        && begin == Sum(word(&header, 24), word(&header, 28))
        && PAGE_SIZES.contains(&page);
    if !sound {
        // Nothing was synchronised yet where the disk has only made room for it.
        let nothing = header.iter().all(|byte| *byte == 0);
        return Ok((!nothing).then(|| "the header of its write-ahead log is damaged".to_owned()));
    }
    frames(&mut log, (&header[16..24], page), begin, big_endian)
}

/// Looks for a frame whose sum is wrong, and for commits behind it.
fn frames(
    log: &mut impl Read,
    (salts, page): (&[u8], usize),
    mut sum: Sum,
    big_endian: bool,
) -> io::Result<Option<String>> {
    let mut frame = vec![0; FRAME_HEADER + page];
    let (mut number, mut wrong, mut commits) = (0_u64, None, 0);
    loop {
        match log.read_exact(&mut frame) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        number += 1;
        let same_log = frame[8..16] == *salts;
        if wrong.is_none() {
            sum = sum.over(&frame[..8], big_endian);
            sum = sum.over(&frame[FRAME_HEADER..], big_endian);
            let sound = same_log && sum == Sum(word(&frame, 16), word(&frame, 20));
            wrong = (!sound).then_some(number);
        }
        if let Some(wrong) = wrong {
            commits += u32::from(same_log && word(&frame, 4) != 0);
            // The first may be that of the frame itself; before the second was written, it was safe.
            if commits > 1 {
                return Ok(Some(format!(
                    "frame {wrong} of its write-ahead log is damaged, and commits follow it"
                )));
            }
        }
    }
}

/// The big-endian word at a place.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;

    /// A log with `commits` commits, in the folder of its database.
    fn logged(commits: i64) -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        let mode = "PRAGMA journal_mode = WAL";
        connection.query_row(mode, [], |_| Ok(())).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        for n in 1..commits {
            connection.execute("INSERT INTO t VALUES (?)", [n]).unwrap();
        }
        let log = fs::read(folder.path().join("a.db-wal")).unwrap();
        (folder, log)
    }

    #[track_caller]
    fn check(log: &[u8], damaged: bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, log).unwrap();
        assert_eq!(damage(&path).unwrap().is_some(), damaged);
    }

    #[test]
    fn what_a_crash_leaves_is_no_damage() {
        let (_folder, log) = logged(6);
        check(&log, false);
        check(&log[..log.len() - 5_000], false);
        check(&log[..40], false);
        check(&[], false);
        let mut torn = log.clone();
        let end = torn.len();
        torn[end - 100] ^= 1;
        check(&torn, false);
        let mut made_room = vec![0; 32];
        made_room.extend_from_slice(&log[32..]);
        check(&made_room, false);
    }

    #[test]
    fn a_changed_byte_before_later_commits_is_damage() {
        let (_folder, log) = logged(6);
        let frame = FRAME_HEADER + 4096;
        for at in [
            0,
            9,
            17,
            30,
            HEADER,
            HEADER + 5,
            HEADER + 9,
            HEADER + 17,
            HEADER + 100,
            HEADER + 2 * frame + 3_000,
        ] {
            let mut damaged = log.clone();
            damaged[at] ^= 4;
            check(&damaged, true);
        }
    }

    /// The same log as a machine of the other byte order writes it: the sums are over other words.
    fn of_the_other_order(mut log: Vec<u8>) -> Vec<u8> {
        let big_endian = cfg!(target_endian = "little");
        let order = MAGIC | u32::from(big_endian);
        log[..4].copy_from_slice(&order.to_be_bytes());
        let put = |place: &mut [u8], sum: Sum| {
            place[..4].copy_from_slice(&sum.0.to_be_bytes());
            place[4..].copy_from_slice(&sum.1.to_be_bytes());
        };
        let mut sum = Sum(0, 0).over(&log[..24], big_endian);
        put(&mut log[24..32], sum);
        for frame in log[HEADER..].chunks_exact_mut(FRAME_HEADER + 4096) {
            sum = sum.over(&frame[..8], big_endian);
            sum = sum.over(&frame[FRAME_HEADER..], big_endian);
            put(&mut frame[16..24], sum);
        }
        log
    }

    #[test]
    fn a_log_of_another_machine_is_read_in_its_order() {
        let (_folder, log) = logged(6);
        let other = of_the_other_order(log.clone());
        assert_ne!(other, log);
        check(&other, false);
        let mut damaged = other;
        damaged[HEADER + 100] ^= 4;
        check(&damaged, true);
    }

    #[test]
    fn frames_of_an_older_log_are_no_commits_of_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("a.db")).unwrap();
        let asks = |sql: &str| connection.query_row(sql, [], |_| Ok(())).unwrap();
        asks("PRAGMA journal_mode = WAL");
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        let insert = || connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
        for _ in 0..40 {
            insert();
        }
        asks("PRAGMA wal_checkpoint(RESTART)");
        insert();
        let log = fs::read(folder.path().join("a.db-wal")).unwrap();
        assert!(log.len() > 20 * 4096, "the old frames are there still");
        check(&log, false);
    }
}
