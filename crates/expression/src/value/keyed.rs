//! What `Set` and `Map` have in common: distinct keys in the order of their insertion, found by
//! hash.
//!
//! Keys are equal as ECMA-262's SameValueZero has it. Objects are hashed by their address, which
//! differs from run to run, so they have an index of their own whose use costs the same whatever
//! the addresses are; texts and numbers have the same hash everywhere, and each probe is paid for.

use super::{Text, Val, strictly_equal};
use crate::{error::Fault, machine::Machine};

/// Distinct keys, and for a `Map` the values at the same positions.
#[derive(Clone, Copy)]
pub(crate) struct Keyed<'a> {
    pub(crate) keys: &'a [Val<'a>],
    /// Empty for a `Set`.
    pub(crate) values: &'a [Val<'a>],
    pub(crate) index: [&'a [Slot]; 2],
}

/// A place of an index: the hash in the upper half, one more than the key's position in the lower;
/// zero is free.
pub(crate) type Slot = u64;

/// Where a key was looked for.
pub(crate) enum Place {
    /// The position of the key.
    Known(usize),
    /// The slot that it would take.
    Free(usize),
}

/// A key's hash and which of the two indices it belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Hashed {
    pub(crate) hash: u32,
    pub(crate) index: usize,
}

const PRIMITIVES: usize = 0;
const OBJECTS: usize = 1;

/// An odd constant whose bits look random: 2^64 divided by the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

impl<'a> Keyed<'a> {
    /// The position of a key.
    pub(crate) fn position(
        &self,
        m: &mut Machine<'a>,
        key: Val<'a>,
    ) -> Result<Option<usize>, Fault> {
        let hashed = hashed(m, key)?;
        match find(m, self.index[hashed.index], self.keys, hashed, key)? {
            Some(Place::Known(at)) => Ok(Some(at)),
            _ => Ok(None),
        }
    }
}

/// Hashes a key; long texts are paid for.
pub(crate) fn hashed(m: &mut Machine<'_>, key: Val<'_>) -> Result<Hashed, Fault> {
    let number = |n: f64| {
        // Both zeros are one key, and so is all that is not a number.
        let n = if n.is_nan() { f64::NAN } else { n + 0.0 };
        mix(1, n.to_bits())
    };
    let (hash, index) = match key {
        Val::Undefined => (mix(2, 0), PRIMITIVES),
        Val::Null => (mix(3, 0), PRIMITIVES),
        Val::Bool(b) => (mix(4, u64::from(b)), PRIMITIVES),
        Val::Num(n) => (number(n), PRIMITIVES),
        // Equal to a double if it is the nearest one, so it has that one's hash.
        Val::Exact(n) => (number(n.as_f64().unwrap_or(f64::NAN)), PRIMITIVES),
        Val::Str(_) | Val::Temp(_) | Val::Wide(_) => {
            let text = key.text().unwrap_or(Text::Utf8(""));
            m.scan(text.size())?;
            (hash_text(text), PRIMITIVES)
        }
        Val::JsonArray(at) => (address(at), OBJECTS),
        Val::Long(at) => (address(at), OBJECTS),
        Val::JsonObject(at) => (address(at), OBJECTS),
        Val::Array(at) => (address(at), OBJECTS),
        Val::Object(at) => (address(at), OBJECTS),
        Val::Instance(at) => (address(at), OBJECTS),
        Val::Callback(at) => (address(at), OBJECTS),
    };
    let hash = spread(hash);
    Ok(Hashed { hash, index })
}

fn mix(so_far: u64, word: u64) -> u64 {
    (so_far.rotate_left(5) ^ word).wrapping_mul(MIX)
}

/// Half of the bits, each of which depends on all: those of a small number's double, of an address
/// or of a text's last bytes differ at one end only.
fn spread(hash: u64) -> u32 {
    let hash = (hash ^ hash >> 32).wrapping_mul(MIX);
    let hash = (hash ^ hash >> 29).wrapping_mul(MIX);
    (hash >> 32) as u32
}

fn address<T>(at: &T) -> u64 {
    mix(0, std::ptr::from_ref(at).addr() as u64)
}

fn hash_text(text: Text<'_>) -> u64 {
    let hash = match text {
        Text::Utf8(s) => {
            let (words, rest) = s.as_bytes().as_chunks::<8>();
            let hash = words
                .iter()
                .fold(0, |h, word| mix(h, u64::from_le_bytes(*word)));
            rest.iter().fold(hash, |h, b| mix(h, u64::from(*b)))
        }
        Text::Wide(units) => units.iter().fold(0, |h, unit| mix(h, u64::from(*unit))),
    };
    mix(hash, text.size() as u64)
}

/// Looks a key up; `None` where there is no index yet.
pub(crate) fn find<'a>(
    m: &mut Machine<'a>,
    slots: &[Slot],
    keys: &[Val<'a>],
    Hashed { hash, index }: Hashed,
    key: Val<'a>,
) -> Result<Option<Place>, Fault> {
    m.charge(1)?;
    let Some(mask) = slots.len().checked_sub(1) else {
        return Ok(None);
    };
    let mut at = hash as usize & mask;
    // An index is never full, so this ends.
    while slots[at] != 0 {
        if (slots[at] >> 32) as u32 == hash {
            // The lower half, less the one that tells it from a free slot.
            let position = (slots[at] as u32 - 1) as usize;
            if same_value_zero(m, keys[position], key)? {
                return Ok(Some(Place::Known(position)));
            }
        }
        if index == PRIMITIVES {
            m.charge(1)?;
        }
        at = (at + 1) & mask;
    }
    Ok(Some(Place::Free(at)))
}

/// Puts a position where a key is not yet known.
pub(crate) fn occupy(slots: &mut [Slot], at: usize, hash: u32, position: usize) {
    // At most `Limits::array_len` keys, far below 2^32.
    slots[at] = u64::from(hash) << 32 | (position as u64 + 1);
}

/// Copies all that an index holds into a larger one.
pub(crate) fn copy_index(from: &[Slot], to: &mut [Slot]) {
    let mask = to.len() - 1;
    for slot in from.iter().filter(|slot| **slot != 0) {
        let mut at = (*slot >> 32) as usize & mask;
        while to[at] != 0 {
            at = (at + 1) & mask;
        }
        to[at] = *slot;
    }
}

fn same_value_zero<'a>(m: &mut Machine<'a>, a: Val<'a>, b: Val<'a>) -> Result<bool, Fault> {
    if let (Val::Num(a), Val::Num(b)) = (a, b)
        && a.is_nan()
    {
        return Ok(b.is_nan());
    }
    if let (Some(a), Some(b)) = (a.text(), b.text()) {
        m.scan(a.size().min(b.size()))?;
    }
    Ok(strictly_equal(a, b))
}
