//! How long the disk takes to acknowledge.

use std::{
    fs::OpenOptions,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

use nebula_core::Clock;

use crate::Samples;

/// Bytes of one write of the probe: a page.
const PAGE: usize = 4096;

/// Writes that the probe goes round over, so that the file does not grow while it is measured.
const PAGES: usize = 256;

/// Times `count` writes of one page, each followed by `fdatasync`, to a file in `folder`.
///
/// # Errors
/// Those of the file system.
pub fn probe(folder: &Path, count: usize, clock: &dyn Clock) -> io::Result<Samples> {
    let path = folder.join("disk-probe");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)?;
    file.write_all(&vec![0; PAGE * PAGES])?;
    file.sync_all()?;
    let (page, mut samples) = ([0x5A; PAGE], Samples::default());
    for n in 0..count {
        file.seek(SeekFrom::Start(((n % PAGES) * PAGE) as u64))?;
        let begin = clock.monotonic();
        file.write_all(&page)?;
        file.sync_data()?;
        samples.add(clock.monotonic().saturating_sub(begin));
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(samples)
}
