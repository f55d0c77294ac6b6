//! What the items of a list gave: in segments, of which those that are full are kept as JSON text.
//!
//! A small object takes some 600 bytes as a value and some 15 as text, so a million of them fit
//! into memory only as text. A segment is read when one of its elements is.

use std::{any::Any, collections::BTreeMap, fmt, ops::Range, sync::Arc};

use nebula_action::ActionError;
use nebula_expression::Segmented;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Value, json, value::RawValue};

use crate::{ItemOutcome, Part, Stored, Unread, activation::error_value};

/// How many elements a segment has; a list of no more than this is an ordinary value.
pub const LIST_SEGMENT: u32 = 1_024;

/// What an activation gave: a value, a list in segments, a value that lies in a blob, or an object of
/// such. All are shared, never copied.
///
/// JSON: `{ "value": … }`, `{ "list": … }`, `{ "blob": … }` or `{ "made": … }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// A value.
    Value(Arc<Value>),
    /// A list of more than [`LIST_SEGMENT`] elements, or with elements that are no values.
    List(Arc<List>),
    /// A value that lies in a blob.
    Blob(Arc<Stored>),
    /// An object that was made of what others gave, not all of which is a value.
    Made(Arc<Made>),
}

impl Default for Given {
    fn default() -> Self {
        Self::Value(Arc::default())
    }
}

impl From<Arc<Value>> for Given {
    fn from(value: Arc<Value>) -> Self {
        Self::Value(value)
    }
}

/// A long list as an expression gave it: the same one again, if it is a [`List`].
impl From<Arc<dyn Segmented>> for Given {
    fn from(list: Arc<dyn Segmented>) -> Self {
        let any: Arc<dyn Any + Send + Sync> = list.clone();
        match any.downcast() {
            Ok(list) => Self::List(list),
            Err(_) => Self::Value(Arc::new(list.elements().collect())),
        }
    }
}

impl Given {
    /// The elements of a list from one to another, as many of them as there are; `None` if it is
    /// no list, or not at hand.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Option<Vec<Value>> {
        match self {
            Self::Value(value) => part_of(value, range),
            Self::List(list) => list.is_at_hand().ok().map(|()| list.part(range)),
            Self::Blob(stored) => {
                let value = stored.value().ok()?;
                part_of(&value, range)
            }
            Self::Made(_) => None,
        }
    }

    /// The whole of it as one value. Of a list, that is a copy of everything in it: some forty
    /// times the size of its text, if its elements are small.
    ///
    /// # Errors
    /// [`Unread`]: it lies in a blob, and is not at hand.
    pub fn value(&self) -> Result<Arc<Value>, Unread> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::List(list) => {
                list.is_at_hand()?;
                Ok(Arc::new(list.to_value()))
            }
            Self::Blob(stored) => stored.value(),
            Self::Made(made) => made.value().map(Arc::new),
        }
    }

    /// The same, out of its blob if it lies in one.
    ///
    /// # Errors
    /// As [`Given::value`].
    pub fn at_hand(self) -> Result<Self, Unread> {
        match self {
            Self::Blob(stored) => stored.value().map(Self::Value),
            Self::Made(made) => Ok(Self::Value(Arc::new(made.value()?))),
            given => Ok(given),
        }
    }

    /// Calls `found` for every part of it that lies in a blob.
    pub fn each_stored<'g>(&'g self, found: &mut impl FnMut(&'g Arc<Stored>)) {
        match self {
            Self::Value(_) => {}
            Self::List(list) => list.apart.values().for_each(|it| it.each_stored(found)),
            Self::Blob(stored) => found(stored),
            Self::Made(made) => made.fields.iter().for_each(|(_, it)| it.each_stored(found)),
        }
    }

    /// Whether readers of journals and snapshots before blobs know it: a value, or a list of values.
    pub(crate) fn is_plain(&self) -> bool {
        match self {
            Self::Value(_) => true,
            Self::List(list) => list.apart.is_empty(),
            Self::Blob(_) | Self::Made(_) => false,
        }
    }

    /// An object of what others gave: a value, if they all are.
    pub(crate) fn object(fields: Vec<(String, Self)>) -> Self {
        let values = fields.iter().all(|(_, it)| matches!(it, Self::Value(_)));
        if !values {
            return Self::Made(Arc::new(Made { fields }));
        }
        let values = fields.into_iter().filter_map(|(name, given)| match given {
            Self::Value(value) => Some((name, Arc::unwrap_or_clone(value))),
            _ => None,
        });
        Self::Value(Arc::new(Value::Object(values.collect())))
    }
}

/// An object of which some fields are no values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    fields: Vec<(String, Given)>,
}

impl Made {
    fn value(&self) -> Result<Value, Unread> {
        let fields = self.fields.iter().map(|(name, given)| {
            let value = given.value().map(Arc::unwrap_or_clone);
            Ok((name.clone(), value?))
        });
        fields.collect::<Result<_, _>>().map(Value::Object)
    }

    pub(crate) fn givens(&self) -> impl Iterator<Item = &Given> {
        self.fields.iter().map(|(_, given)| given)
    }
}

/// What a node runs for, element by element.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// The elements of a list.
    Given(Given),
    /// Whole numbers: `from`, `from + step` and so on, `count` of them. None is kept.
    Range {
        /// The first.
        from: i64,
        /// From one to the next.
        step: i64,
        /// How many.
        count: u32,
    },
    /// Those of a part, each at the index that it has in the whole list.
    Part(Arc<Part>),
}

impl Elements {
    /// How many there are; `None` if it is no list.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Given(Given::Value(value)) => value.as_array().map(Vec::len),
            Self::Given(Given::List(list)) => Some(list.len()),
            Self::Given(Given::Blob(stored)) => stored.value().ok()?.as_array().map(Vec::len),
            Self::Given(Given::Made(_)) => None,
            Self::Range { count, .. } => Some(*count as usize),
            Self::Part(part) => Some(part.items().end as usize),
        }
    }

    /// One of them, if it is no value.
    #[must_use]
    pub fn apart(&self, index: u32) -> Option<&Given> {
        match self {
            Self::Given(Given::List(list)) => list.apart.get(&index),
            Self::Part(part) => part.apart.get(&index),
            Self::Given(_) | Self::Range { .. } => None,
        }
    }

    /// One of them, if it is a value.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Value> {
        match self {
            Self::Given(Given::Value(value)) => value.get(index as usize).cloned(),
            Self::Given(Given::List(list)) => list.get(index as usize),
            Self::Given(Given::Blob(stored)) => stored.value().ok()?.get(index as usize).cloned(),
            Self::Given(Given::Made(_)) => None,
            Self::Range { from, step, count } if index < *count => {
                Some(Value::from(from + i64::from(index) * step))
            }
            Self::Range { .. } => None,
            Self::Part(part) => {
                let index = index.checked_sub(part.from)?;
                part.elements.get(index as usize).cloned()
            }
        }
    }
}

/// A list in segments of JSON text, readable by index and from end to end.
///
/// An element that is no value stands apart, by its index, and as null in its segment.
///
/// JSON: `{ "len": …, "segments": [[…], …], "apart": { "7": { "blob": … } } }`.
#[derive(Clone, Serialize)]
pub struct List {
    len: u32,
    segments: Vec<Text>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    apart: BTreeMap<u32, Given>,
}

/// The text of a JSON list.
type Text = Arc<RawValue>;

impl List {
    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes its text has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.segments.iter().map(|text| text.get().len()).sum()
    }

    /// The text of each segment.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(|text| text.get())
    }

    /// The elements that are no values, by index.
    #[must_use]
    pub fn apart(&self) -> &BTreeMap<u32, Given> {
        &self.apart
    }

    /// Whether every element can be read now.
    ///
    /// # Errors
    /// [`Unread`]: one lies in a blob, and is not at hand.
    pub fn is_at_hand(&self) -> Result<(), Unread> {
        let mut away = Ok(());
        let mut look = |stored: &Arc<Stored>| {
            if away.is_ok() {
                away = stored.value().map(|_| ());
            }
        };
        for given in self.apart.values() {
            given.each_stored(&mut look);
        }
        away
    }

    /// One element; its segment is read for it. One that is not at hand is null.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        let segment = LIST_SEGMENT as usize;
        let mut elements = self.segment(index / segment);
        (index % segment < elements.len()).then(|| elements.swap_remove(index % segment))
    }

    /// The elements from `number` times [`LIST_SEGMENT`] on, up to so many. What is not at hand is null.
    #[must_use]
    pub fn segment(&self, number: usize) -> Vec<Value> {
        let mut elements = self.segments.get(number).map_or_else(Vec::new, elements);
        let first = number as u32 * LIST_SEGMENT;
        let apart = self.apart.range(first..first.saturating_add(LIST_SEGMENT));
        for (index, given) in apart {
            if let Ok(value) = given.value() {
                elements[(index - first) as usize] = Arc::unwrap_or_clone(value);
            }
        }
        elements
    }

    /// The elements from one to another, as many of them as there are.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Vec<Value> {
        let segment = LIST_SEGMENT as usize;
        let end = range.end.min(self.len());
        let first = range.start / segment;
        let segments = (first..end.div_ceil(segment)).flat_map(|number| self.segment(number));
        let before = range.start - first * segment;
        segments
            .skip(before)
            .take(end.saturating_sub(range.start))
            .collect()
    }

    /// All elements in their order; one segment at a time is in memory.
    pub fn iter(&self) -> impl Iterator<Item = Value> {
        (0..self.segments.len()).flat_map(|number| self.segment(number))
    }

    /// All of it as one value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut all = Vec::with_capacity(self.len());
        all.extend(self.iter());
        Value::Array(all)
    }
}

/// To an expression it is a list as any other.
impl Segmented for List {
    fn count(&self) -> u32 {
        self.len
    }

    fn segment_len(&self) -> u32 {
        LIST_SEGMENT
    }

    fn segment(&self, number: u32) -> Vec<Value> {
        Self::segment(self, number as usize)
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, bytes) = (self.len, self.bytes());
        write!(f, "List({len} elements, {bytes} bytes)")
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Text, &Text)| a.get() == b.get();
        self.len == other.len
            && self.segments.len() == other.segments.len()
            && self.apart == other.apart
            && self.segments.iter().zip(&other.segments).all(same)
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Read {
            len: u32,
            segments: Vec<Text>,
            #[serde(default)]
            apart: BTreeMap<u32, Given>,
        }
        let Read {
            len,
            segments,
            apart,
        } = Read::deserialize(deserializer)?;
        let within = apart.keys().all(|index| *index < len);
        match within && segments.iter().all(is_list) && segments.len() == segments_of(len) {
            true => Ok(Self {
                len,
                segments,
                apart,
            }),
            false => Err(D::Error::custom("a list has other segments than it says")),
        }
    }
}

/// The elements of a value from one to another; `None` if it is no list.
pub(crate) fn part_of(value: &Value, range: Range<usize>) -> Option<Vec<Value>> {
    let items = value.as_array()?;
    let range = range.start.min(items.len())..range.end.min(items.len());
    Some(items[range].to_vec())
}

fn segments_of(len: u32) -> usize {
    len.div_ceil(LIST_SEGMENT) as usize
}

/// The text is JSON already; what is left to know is which kind.
fn is_list(text: &Text) -> bool {
    text.get().starts_with('[')
}

fn elements(text: &Text) -> Vec<Value> {
    serde_json::from_str(text.get()).expect("it was checked to be a list when it was read")
}

fn text_of(elements: &[Value]) -> Text {
    let text = serde_json::value::to_raw_value(elements);
    Arc::from(text.expect("values have string keys and finite numbers"))
}

/// What has become of the items of a list that ended, by index.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcomes {
    /// Those of segments that are not full.
    loose: BTreeMap<u32, ItemOutcome>,
    /// Full segments, by number.
    full: BTreeMap<u32, Full>,
}

/// A segment all of whose items have ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Full {
    /// The list of results; null for what failed.
    results: Text,
    /// What failed, by index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<u32, ActionError>,
    /// The results that are no values, by index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    apart: BTreeMap<u32, Given>,
}

impl PartialEq for Full {
    fn eq(&self, other: &Self) -> bool {
        let same = self.results.get() == other.results.get();
        same && self.errors == other.errors && self.apart == other.apart
    }
}

impl Outcomes {
    /// Whether an item has ended.
    #[must_use]
    pub fn has(&self, item: u32) -> bool {
        self.full.contains_key(&(item / LIST_SEGMENT)) || self.loose.contains_key(&item)
    }

    /// Behind an item of which something is known: the next one, or the next segment where this one is full.
    pub(crate) fn behind(&self, item: u32) -> u32 {
        match self.full.contains_key(&(item / LIST_SEGMENT)) {
            true => (item / LIST_SEGMENT)
                .saturating_add(1)
                .saturating_mul(LIST_SEGMENT),
            false => item.saturating_add(1),
        }
    }

    /// What has become of an item that ended.
    #[must_use]
    pub fn get(&self, item: u32) -> Option<ItemOutcome> {
        let Some(full) = self.full.get(&(item / LIST_SEGMENT)) else {
            return self.loose.get(&item).cloned();
        };
        if let Some(error) = full.errors.get(&item) {
            return Some(ItemOutcome::Error(error.clone()));
        }
        if let Some(given) = full.apart.get(&item) {
            return Some(ItemOutcome::Apart(given.clone()));
        }
        let mut results = elements(&full.results);
        let at = (item % LIST_SEGMENT) as usize;
        (at < results.len()).then(|| ItemOutcome::Ok(Arc::new(results.swap_remove(at))))
    }

    /// The ends that are kept as values.
    pub(crate) fn loose(&self) -> impl Iterator<Item = &ItemOutcome> {
        self.loose.values()
    }

    /// The texts of the segments that are full.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.full.values().map(|full| full.results.get())
    }

    /// The results that are no values, by index; those of full segments first.
    pub(crate) fn apart(&self) -> impl Iterator<Item = (u32, &Given)> {
        let full = self.full.values().flat_map(|full| &full.apart);
        let loose = self
            .loose
            .iter()
            .filter_map(|(item, outcome)| match outcome {
                ItemOutcome::Apart(given) => Some((item, given)),
                ItemOutcome::Ok(_) | ItemOutcome::Error(_) => None,
            });
        full.chain(loose).map(|(item, given)| (*item, given))
    }

    /// Takes in the end of an item that has not ended before.
    pub(crate) fn insert(&mut self, item: u32, outcome: ItemOutcome) {
        self.loose.insert(item, outcome);
        let number = item / LIST_SEGMENT;
        let first = number * LIST_SEGMENT;
        let of_segment = first..first.saturating_add(LIST_SEGMENT);
        if self.loose.len() < LIST_SEGMENT as usize
            || self.loose.range(of_segment.clone()).count() < LIST_SEGMENT as usize
        {
            return;
        }
        let (mut errors, mut apart) = (BTreeMap::new(), BTreeMap::new());
        let results: Vec<_> = of_segment
            .map(|item| match self.loose.remove(&item) {
                Some(ItemOutcome::Ok(value)) => Arc::unwrap_or_clone(value),
                Some(ItemOutcome::Error(error)) => {
                    errors.insert(item, error);
                    Value::Null
                }
                Some(ItemOutcome::Apart(given)) => {
                    apart.insert(item, given);
                    Value::Null
                }
                None => Value::Null,
            })
            .collect();
        let full = Full {
            results: text_of(&results),
            errors,
            apart,
        };
        self.full.insert(number, full);
    }

    /// The list of what `count` items gave: a failed one stands in it as
    /// `{ "error": { code, message, class } }`, one that has not ended as null.
    #[must_use]
    pub(crate) fn list(&self, count: u32) -> Given {
        let segments = 0..segments_of(count) as u32;
        let apart: BTreeMap<_, _> = self.apart().map(|(at, it)| (at, it.clone())).collect();
        if count <= LIST_SEGMENT && apart.is_empty() {
            let elements = segments.flat_map(|number| self.elements(number, count));
            return Given::Value(Arc::new(elements.collect()));
        }
        // Most of a list that was complete early has not run.
        let mut untouched: Option<Text> = None;
        let segments = segments.map(|number| match self.full.get(&number) {
            Some(full) if full.errors.is_empty() => full.results.clone(),
            None if (number + 1) * LIST_SEGMENT <= count && !self.touches(number) => untouched
                .get_or_insert_with(|| text_of(&vec![Value::Null; LIST_SEGMENT as usize]))
                .clone(),
            _ => text_of(&self.elements(number, count)),
        });
        Given::List(Arc::new(List {
            len: count,
            segments: segments.collect(),
            apart,
        }))
    }

    /// The results and the errors of `count` items apart: `{ results, errors }`. What gave no result
    /// is null among the results; an error is `{ index, code, message, class }`.
    pub(crate) fn collected(&self, count: u32) -> Given {
        let mut errors: BTreeMap<u32, &ActionError> = BTreeMap::new();
        let (mut results, mut segment) = (Vec::new(), 0);
        while segment * LIST_SEGMENT < count {
            results.extend(match self.full.get(&segment) {
                Some(full) => elements(&full.results),
                None => self.elements(segment, count),
            });
            segment += 1;
        }
        for (item, outcome) in &self.loose {
            if let ItemOutcome::Error(error) = outcome {
                errors.insert(*item, error);
                results[*item as usize] = Value::Null;
            }
        }
        errors.extend(
            self.full
                .values()
                .flat_map(|full| &full.errors)
                .map(|(item, error)| (*item, error)),
        );
        let errors = errors.into_iter().map(|(item, error)| {
            let mut value = json!({ "index": item });
            if let (Value::Object(to), Value::Object(from)) = (&mut value, error_value(error)) {
                to.extend(from);
            }
            value
        });
        let errors = Value::Array(errors.collect());
        let apart: BTreeMap<_, _> = self.apart().map(|(at, it)| (at, it.clone())).collect();
        let results = match apart.is_empty() {
            true => Given::Value(Arc::new(Value::Array(results))),
            false => Given::List(Arc::new(List {
                len: count,
                segments: results.chunks(LIST_SEGMENT as usize).map(text_of).collect(),
                apart,
            })),
        };
        let errors = Given::Value(Arc::new(errors));
        Given::object(vec![("results".into(), results), ("errors".into(), errors)])
    }

    fn touches(&self, number: u32) -> bool {
        let first = number * LIST_SEGMENT;
        let last = first + (LIST_SEGMENT - 1);
        self.loose.range(first..=last).next().is_some()
    }

    /// The elements of one segment of the list.
    fn elements(&self, number: u32, count: u32) -> Vec<Value> {
        let failed = |error: &ActionError| json!({ "error": error_value(error) });
        let first = number * LIST_SEGMENT;
        if let Some(full) = self.full.get(&number) {
            let mut results = elements(&full.results);
            for (item, error) in &full.errors {
                results[(item - first) as usize] = failed(error);
            }
            return results;
        }
        let items = first..count.min(first.saturating_add(LIST_SEGMENT));
        let element = |item| match self.loose.get(&item) {
            Some(ItemOutcome::Ok(value)) => Value::clone(value),
            Some(ItemOutcome::Error(error)) => failed(error),
            Some(ItemOutcome::Apart(_)) | None => Value::Null,
        };
        items.map(element).collect()
    }
}

/// Up to format 4 of snapshots: a list with null for each item that has not ended.
impl<'de> Deserialize<'de> for Outcomes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Outcomes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outcomes by index")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Outcomes, A::Error> {
                let (mut read, mut item) = (Outcomes::default(), 0);
                while let Some(outcome) = list.next_element::<Option<ItemOutcome>>()? {
                    if let Some(outcome) = outcome {
                        read.insert(item, outcome);
                    }
                    item += 1;
                }
                Ok(read)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Outcomes, A::Error> {
                #[derive(Deserialize)]
                struct Read {
                    loose: BTreeMap<u32, ItemOutcome>,
                    full: BTreeMap<u32, Full>,
                }
                let Read { loose, full } = Read::deserialize(MapAccessDeserializer::new(map))?;
                if !full.values().all(|full| is_list(&full.results)) {
                    return Err(A::Error::custom("a segment is no list"));
                }
                Ok(Outcomes { loose, full })
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

#[cfg(test)]
mod tests {
    use nebula_action::ErrorClass;

    use super::*;

    fn ok(n: u32) -> ItemOutcome {
        ItemOutcome::Ok(Arc::new(json!({ "n": n })))
    }

    fn error() -> ItemOutcome {
        ItemOutcome::Error(ActionError::new("NO", "no", ErrorClass::Fatal))
    }

    fn outcomes(items: impl IntoIterator<Item = u32>) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for item in items {
            outcomes.insert(item, if item == 7 { error() } else { ok(item) });
        }
        outcomes
    }

    #[test]
    fn a_part_of_a_long_list_is_that_of_its_value() {
        let list = outcomes(0..2_500).list(2_500);
        let value = Given::Value(list.value().unwrap());
        for range in [
            0..0,
            0..1,
            3..1_024,
            1_000..1_100,
            1_024..2_048,
            5..2_500,
            2_499..9_000,
            2_500..2_501,
            7_000..8_000,
        ] {
            assert_eq!(
                list.part(range.clone()),
                value.part(range.clone()),
                "{range:?}"
            );
        }
        assert_eq!(Given::default().part(0..1), None);
    }

    #[test]
    fn a_full_segment_is_kept_as_text_and_read_by_index() {
        let outcomes = outcomes((0..LIST_SEGMENT + 2).rev());
        assert_eq!((outcomes.loose.len(), outcomes.full.len()), (2, 1));
        assert_eq!(outcomes.get(3), Some(ok(3)));
        assert_eq!(outcomes.get(7), Some(error()));
        assert_eq!(outcomes.get(LIST_SEGMENT + 1), Some(ok(LIST_SEGMENT + 1)));
        assert_eq!(outcomes.get(LIST_SEGMENT + 2), None);
        assert!(outcomes.has(0) && !outcomes.has(LIST_SEGMENT + 2));
    }

    #[test]
    fn a_long_list_has_what_failed_and_what_did_not_run_in_its_place() {
        let count = 4 * LIST_SEGMENT + 3;
        let Given::List(list) = outcomes((0..LIST_SEGMENT + 1).chain([4_096])).list(count) else {
            panic!("it is long");
        };
        let value = list.to_value();
        assert_eq!(
            (list.len(), value.as_array().unwrap().len()),
            (4_099, 4_099)
        );
        for index in [0, 7, 1_024, 1_025, 3_000, 4_096, 4_098, 4_099] {
            assert_eq!(list.get(index).as_ref(), value.get(index), "{index}");
        }
        assert_eq!(
            value[7],
            json!({ "error": { "code": "NO", "message": "no", "class": "fatal" } })
        );
        assert_eq!(
            (&value[1_024], &value[3_000]),
            (&json!({ "n": 1_024 }), &Value::Null)
        );
        assert_eq!(list.segment(1).len(), 1_024);
    }

    #[test]
    fn what_failed_in_a_later_segment_is_in_its_place() {
        let (failed, end) = (LIST_SEGMENT + 9, 2 * LIST_SEGMENT);
        let mut outcomes = outcomes(0..LIST_SEGMENT);
        for item in LIST_SEGMENT..end {
            outcomes.insert(item, if item == failed { error() } else { ok(item) });
        }
        assert_eq!((outcomes.loose.len(), outcomes.full.len()), (0, 2));
        assert!(outcomes.has(failed) && outcomes.has(end - 1) && !outcomes.has(end));
        let value = outcomes.list(end).value().unwrap();
        let place = |item: u32| &value[item as usize];
        assert_eq!(place(failed)["error"]["code"], "NO");
        assert_eq!(place(failed - 1), &json!({ "n": failed - 1 }));
        assert_eq!(place(failed + 1), &json!({ "n": failed + 1 }));
    }

    #[test]
    fn a_short_list_is_a_value() {
        let expected = json!([{ "n": 0 }, null, { "n": 2 }]);
        assert_eq!(outcomes([2, 0]).list(3), Given::Value(Arc::new(expected)));
        let Given::Value(list) = outcomes(0..LIST_SEGMENT).list(LIST_SEGMENT) else {
            panic!("it is short");
        };
        assert_eq!(list[1_023], json!({ "n": 1_023 }));
    }

    #[test]
    fn both_forms_read_back() {
        let outcomes = outcomes((0..LIST_SEGMENT).chain([5_000]));
        let text = serde_json::to_string(&outcomes).unwrap();
        assert_eq!(serde_json::from_str::<Outcomes>(&text).unwrap(), outcomes);
        let list = outcomes.list(6_000);
        let Given::List(list) = list else {
            panic!("it is long")
        };
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<List>(&text).unwrap(), *list);
        for damaged in [
            r#"{"len":2,"segments":[{}]}"#,
            r#"{"len":2,"segments":[[],[]]}"#,
        ] {
            assert!(serde_json::from_str::<List>(damaged).is_err(), "{damaged}");
        }
        let damaged = r#"{"loose":{},"full":{"0":{"results":7}}}"#;
        assert!(serde_json::from_str::<Outcomes>(damaged).is_err());
    }

    #[test]
    fn outcomes_of_earlier_snapshots_are_read() {
        let read: Outcomes = serde_json::from_str(r#"[null,{"ok":{"n":1}}]"#).unwrap();
        assert_eq!(read, outcomes([1]));
    }

    #[test]
    fn numbers_that_no_list_holds_are_as_many_as_they_say() {
        let range = Elements::Range {
            from: 10,
            step: -3,
            count: 3,
        };
        let elements: Vec<_> = (0..5).map(|index| range.get(index)).collect();
        let numbers = [10, 7, 4].map(|number| Some(json!(number)));
        assert_eq!(elements, [&numbers[..], &[None, None]].concat());
        assert_eq!(range.count(), Some(3));
    }
}
