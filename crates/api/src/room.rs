//! Room for so many of a kind at once, whose number may change meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Counts those that are there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room(Arc<AtomicUsize>);

/// One that is there, until it is dropped.
#[derive(Debug)]
#[must_use = "its drop makes room"]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Room {
    /// A place, if fewer than `most` are there.
    pub(crate) fn take(&self, most: usize) -> Option<Place> {
        let more = |there: usize| (there < most).then_some(there + 1);
        // It guards no memory: only the number counts.
        let taken = self.0.fetch_update(Relaxed, Relaxed, more);
        taken.is_ok().then(|| Place(self.0.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_as_many_as_are_allowed_now() {
        let room = Room::default();
        let (first, second) = (room.take(2), room.take(2));
        assert!(first.is_some() && second.is_some());
        assert!(room.take(2).is_none());
        let third = room.take(3);
        assert!(third.is_some());
        drop((first, second));
        assert!(room.take(1).is_none(), "the third is still there");
        drop(third);
        assert!(room.take(1).is_some());
    }
}
