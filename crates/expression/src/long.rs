//! Lists of the data that are kept in another form than values, because there are too many of them.

use std::{any::Any, fmt, sync::Arc, sync::OnceLock};

use serde_json::Value;

/// Where the elements of a [`LongList`] come from: equal segments, but for the last.
pub trait Segmented: Any + fmt::Debug + Send + Sync {
    /// How many elements the list has.
    fn count(&self) -> u32;

    /// How many elements each segment has, but for the last; not 0.
    fn segment_len(&self) -> u32;

    /// The elements of one segment, from 0; the same each time, and none beyond the end.
    fn segment(&self, number: u32) -> Vec<Value>;
}

impl dyn Segmented {
    /// All elements in their order; one segment at a time is in memory.
    pub fn elements(&self) -> impl Iterator<Item = Value> {
        let segments = 0..self.count().div_ceil(self.segment_len());
        segments.flat_map(|number| self.segment(number))
    }
}

impl PartialEq for dyn Segmented {
    fn eq(&self, other: &Self) -> bool {
        self.count() == other.count() && self.elements().eq(other.elements())
    }
}

/// A list of the data of which a segment becomes values when an expression touches it.
///
/// To an expression it is a list as any other. What has become values stays until the list is
/// dropped: who evaluates often over the same source makes a new one each time.
pub struct LongList {
    source: Arc<dyn Segmented>,
    len: u32,
    segment_len: u32,
    /// One for each segment, once the first of them is read.
    segments: OnceLock<Box<[Cell]>>,
}

type Cell = OnceLock<Vec<Value>>;

impl LongList {
    /// A list of which no element is a value yet.
    #[must_use]
    pub fn new(source: Arc<dyn Segmented>) -> Self {
        let (len, segment_len) = (source.count(), source.segment_len().max(1));
        Self {
            source,
            len,
            segment_len,
            segments: OnceLock::new(),
        }
    }

    /// Where its elements come from.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn Segmented> {
        &self.source
    }

    /// How many of its segments have become values.
    #[must_use]
    pub fn touched(&self) -> usize {
        let segments = self.segments.get().into_iter().flatten();
        segments.filter(|segment| segment.get().is_some()).count()
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// One element; its segment becomes values.
    pub(crate) fn get(&self, index: usize) -> Option<&Value> {
        let segments = self.segments.get_or_init(|| {
            let count = self.len.div_ceil(self.segment_len);
            (0..count).map(|_| OnceLock::new()).collect()
        });
        let index = u32::try_from(index).ok()?;
        let (number, place) = (index / self.segment_len, index % self.segment_len);
        let segment = segments.get(number as usize)?;
        let elements = segment.get_or_init(|| self.source.segment(number));
        elements.get(place as usize)
    }

    /// A copy of it; `check` is asked about each element before it is taken. What is no value yet
    /// does not stay one beside the copy.
    pub(crate) fn copy<E>(
        &self,
        mut check: impl FnMut(&Value) -> Result<(), E>,
    ) -> Result<Vec<Value>, E> {
        let mut all = Vec::new();
        for number in 0..self.len.div_ceil(self.segment_len) {
            let segment = self.segments.get();
            let segment = segment.and_then(|all| all.get(number as usize)?.get());
            match segment {
                Some(elements) => {
                    elements.iter().try_for_each(&mut check)?;
                    all.extend_from_slice(elements);
                }
                None => {
                    let elements = self.source.segment(number);
                    elements.iter().try_for_each(&mut check)?;
                    all.extend(elements);
                }
            }
        }
        Ok(all)
    }
}

impl fmt::Debug for LongList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, touched) = (self.len, self.touched());
        write!(f, "LongList({len} elements, {touched} segments read)")
    }
}
