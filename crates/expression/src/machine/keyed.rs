//! Making sets and maps.

use super::{List, Machine};
use crate::{
    error::Fault,
    value::{Instance, Items, Keyed, Place, Slot, Val, copy_index, find, hashed, occupy},
};

/// Slots of the first index.
const FIRST_SLOTS: usize = 8;

/// A `Set` or `Map` under construction.
pub(crate) struct KeyedBuilder<'a> {
    keys: List<'a>,
    values: List<'a>,
    index: [&'a mut [Slot]; 2],
    used: [usize; 2],
}

impl<'a> KeyedBuilder<'a> {
    pub(crate) fn new(m: &mut Machine<'a>) -> Result<Self, Fault> {
        Ok(Self {
            keys: m.list(0)?,
            values: m.list(0)?,
            index: [&mut [], &mut []],
            used: [0, 0],
        })
    }

    /// The position of a key, which is put behind the others if it is new; says whether it was.
    pub(crate) fn key(
        &mut self,
        m: &mut Machine<'a>,
        key: Val<'a>,
    ) -> Result<(usize, bool), Fault> {
        let hashed = hashed(m, key)?;
        let which = hashed.index;
        // A quarter stays free, so that a search is short.
        if (self.used[which] + 1) * 4 > self.index[which].len() * 3 {
            self.grow(m, which)?;
        }
        let keys = self.keys.items();
        let position = keys.len();
        match find(m, self.index[which], keys, hashed, key)? {
            Some(Place::Known(position)) => return Ok((position, false)),
            Some(Place::Free(at)) => occupy(self.index[which], at, hashed.hash, position),
            None => {}
        }
        m.check_array(position + 1)?;
        self.used[which] += 1;
        // Of the two zeros the positive one is kept.
        let key = match key {
            Val::Num(n) => Val::Num(n + 0.0),
            key => key,
        };
        self.keys.push(m, key)?;
        Ok((position, true))
    }

    /// Sets the value of a key.
    pub(crate) fn entry(
        &mut self,
        m: &mut Machine<'a>,
        key: Val<'a>,
        value: Val<'a>,
    ) -> Result<(), Fault> {
        match self.key(m, key)? {
            (_, true) => self.values.push(m, value),
            (position, false) => {
                self.values.items_mut()[position] = value;
                Ok(())
            }
        }
    }

    /// Adds each element as a key.
    pub(crate) fn keys(&mut self, m: &mut Machine<'a>, keys: Items<'a>) -> Result<(), Fault> {
        m.walk(keys.len())?;
        for key in keys.iter() {
            self.key(m, key)?;
        }
        Ok(())
    }

    fn grow(&mut self, m: &mut Machine<'a>, which: usize) -> Result<(), Fault> {
        let old = &*self.index[which];
        let len = (old.len() * 2).max(FIRST_SLOTS);
        m.charge(old.len() as u64)?;
        m.reserve(len * size_of::<Slot>())?;
        let slots = m.arena.alloc_slice_fill_copy(len, 0);
        copy_index(old, slots);
        self.index[which] = slots;
        Ok(())
    }

    fn finish(self) -> Keyed<'a> {
        let [primitives, objects] = self.index;
        Keyed {
            keys: self.keys.into_slice(),
            values: self.values.into_slice(),
            index: [primitives, objects],
        }
    }

    pub(crate) fn into_set(self, m: &mut Machine<'a>) -> Result<Val<'a>, Fault> {
        m.instance(Instance::Set(self.finish()))
    }

    /// A map whose values were set with the keys.
    pub(crate) fn into_map(self, m: &mut Machine<'a>) -> Result<Val<'a>, Fault> {
        m.instance(Instance::Map(self.finish()))
    }

    /// A map with these values, one for each key in the order of their positions.
    pub(crate) fn into_map_of(
        mut self,
        m: &mut Machine<'a>,
        values: List<'a>,
    ) -> Result<Val<'a>, Fault> {
        assert_eq!(self.keys.len(), values.len(), "each key has a value");
        self.values = values;
        self.into_map(m)
    }
}

impl<'a> Machine<'a> {
    pub(crate) fn instance(&mut self, instance: Instance<'a>) -> Result<Val<'a>, Fault> {
        self.reserve(size_of::<Instance<'_>>())?;
        Ok(Val::Instance(self.arena.alloc(instance)))
    }
}
