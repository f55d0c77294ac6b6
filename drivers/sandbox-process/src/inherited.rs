//! Open files that whoever started the engine left to it.

use std::{fs, os::fd::BorrowedFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// The first file that is none of the three standard ones.
const FIRST: i32 = 3;

/// Marks every open file to be closed where a program begins. The engine opens its own ones so; what it
/// was started with is not its own.
pub(crate) fn keep_from_programs() {
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number: &i32| *number >= FIRST) {
        #[expect(
            unsafe_code,
            reason = "a file that another program left open has a number and no owner"
        )]
        // SAFETY: the number is not -1. Where the file is closed meanwhile, both calls fail with EBADF or
        // find another file of this process, which opens all of its files with this mark anyway.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(file) {
            let _ = fcntl_setfd(file, flags | FdFlags::CLOEXEC);
        }
    }
}
