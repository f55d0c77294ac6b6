//! Which world lives on this thread, and whose future is polled: actions are compiled once for all
//! worlds, and find out here for whom they act.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use super::{scheduler::Life, world::World};

thread_local! {
    static WORLD: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
    static LIFE: Cell<Option<Life>> = const { Cell::new(None) };
}

/// Where an action is called.
pub(super) struct Here {
    pub(super) world: Arc<World>,
    pub(super) life: Life,
}

impl Here {
    /// Where the future that is polled now belongs.
    pub(super) fn now() -> Self {
        let world = WORLD.with_borrow(Clone::clone);
        Self {
            world: world.expect("actions run in worlds only"),
            life: LIFE.get().expect("actions run in processes only"),
        }
    }
}

/// Whether a world lives on this thread.
pub(super) fn is_in_world() -> bool {
    WORLD.with_borrow(Option::is_some)
}

/// From now on this world lives on the thread, or none.
pub(super) fn set_world(world: Option<Arc<World>>) {
    WORLD.set(world);
}

/// From now on a future of this process is polled, or one of none.
pub(super) fn set_life(life: Option<Life>) {
    LIFE.set(life);
}
