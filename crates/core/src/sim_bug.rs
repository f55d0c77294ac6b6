//! Defects that are put in on purpose, to see that the simulation finds them.
//!
//! None of this exists but under `--cfg sim_bug`, and even there every defect sleeps until its name
//! is woken on the thread: `cargo xtask simulate --planted` does both.

use std::cell::RefCell;

thread_local! {
    static AWAKE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From now on the defect of this name happens on this thread, and no other.
pub fn wake(name: &str) {
    AWAKE.with_borrow_mut(|awake| name.clone_into(awake));
}

/// Whether the defect of this name happens now.
#[must_use]
pub fn is_awake(name: &str) -> bool {
    AWAKE.with_borrow(|awake| awake == name)
}
