//! Triggers that look again and again, with an action that reads, as a definition has them.

use std::{cmp::Ordering, collections::HashSet, time::Duration};

use jiff::{civil, tz::TimeZone};
use nebula_core::{Digest, Timestamp};
use serde_json::{Map, Number, Value, json};

use crate::{FieldError, FirstLook, Intake, MAX_LOOK_EVERY, Sight, intake::INTAKE, reader::Reader};

/// The most items that one look may find.
pub const MAX_POLLED: usize = 10_000;
/// How many keys are remembered: those of the last look, and the newest of those before.
pub const MAX_POLL_KEYS: usize = 10_000;
/// The most items that one look tells; the next look, at once, tells more.
pub const MAX_POLL_EVENTS: usize = 1_000;
/// About how many bytes one look tells at most, as JSON; at least one item.
pub const MAX_POLL_BYTES: usize = 8 << 20;
/// The longest time that a look may take.
pub const MAX_POLL_TIMEOUT: Duration = Duration::from_secs(300);
/// The node of the workflow that is a look.
pub const LOOK_NODE: &str = "look";

/// How often is looked at most.
const MIN_EVERY: Duration = Duration::from_secs(1);
/// How often is looked where nothing is said.
const EVERY: Duration = Duration::from_secs(60);
/// How long a look may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(30);

const FIELDS: [&str; 6] = ["every", "timeout", "look", "items", "cursor", "first"];
/// The fields of a node that a look has.
const LOOK: [&str; 5] = ["action", "parameters", "requires", "credentials", "retry"];

/// What a trigger looks at, and what of it is new.
#[derive(Debug, Clone, PartialEq)]
pub struct Poll {
    /// How often is looked.
    pub every: Duration,
    /// How long a look may take.
    pub timeout: Duration,
    /// Fields of a node: the action, and what it gets.
    pub look: Map<String, Value>,
    /// An expression over `$json`, the result of the action: a list; `None` is the result itself.
    pub items: Option<String>,
    /// What says whether an item is new.
    pub cursor: CursorBy,
    /// What becomes of items that are there at the first look.
    pub first: FirstLook,
    /// What it takes of what is told.
    pub intake: Intake,
}

/// What says whether an item is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorBy {
    /// A value of it, by this expression over `$item`, that none had before.
    Key(String),
    /// A date or number of it, by this expression over `$item`, that is later than all before.
    Time(String),
    /// Itself: nothing equal was there before.
    Whole,
}

/// An item that a look has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Polled {
    /// What the expression of [`CursorBy`] gives for it; itself without one.
    pub mark: Value,
    /// The item.
    pub item: Value,
}

impl Poll {
    /// Reads the fields of a trigger of the type `poll`; `None` for another type.
    ///
    /// | field | |
    /// |---|---|
    /// | `look` | the fields of a node, and needed: `action`, `parameters`, `requires`, `credentials`, `retry` |
    /// | `every`, `timeout` | spans, at least `1s` |
    /// | `items` | an expression over `$json` |
    /// | `cursor` | `{ key: … }` or `{ time: … }`, expressions over `$item` |
    /// | `first` | `skip` or `start` |
    /// | `filter`, `key`, `debounce`, `batch` | as those of [`Intake`] |
    ///
    /// # Errors
    /// Inside, every [`FieldError`].
    #[must_use]
    pub fn read(kind: &str, fields: &Map<String, Value>) -> Option<Result<Self, Vec<FieldError>>> {
        if kind != "poll" {
            return None;
        }
        let mut reader = Reader::new(fields);
        reader.refuse_others(FIELDS.into_iter().chain(INTAKE));
        let every = reader.span("every", MAX_LOOK_EVERY);
        if every.is_some_and(|every| every < MIN_EVERY) {
            reader.wrong("every", "it is too short; at least 1s");
        }
        let timeout = reader.span("timeout", MAX_POLL_TIMEOUT);
        if timeout.is_some_and(|timeout| timeout < MIN_EVERY) {
            reader.wrong("timeout", "it is too short; at least 1s");
        }
        let firsts = [("skip", FirstLook::Skip), ("start", FirstLook::Start)];
        let poll = Self {
            every: every.unwrap_or(EVERY),
            timeout: timeout.unwrap_or(TIMEOUT),
            look: reader.look(),
            items: reader.text("items").map(str::to_owned),
            cursor: reader.cursor_by(),
            first: reader.choice("first", &firsts),
            intake: Intake::read(&mut reader),
        };
        let errors = reader.errors();
        Some(match errors.is_empty() {
            true => Ok(poll),
            false => Err(errors),
        })
    }

    /// What is looked at, in words: another one begins anew.
    #[must_use]
    pub fn pace(&self) -> String {
        let look = Digest::of_json(&Value::Object(self.look.clone()));
        let items = self.items.as_deref().unwrap_or("$json");
        let by = match &self.cursor {
            CursorBy::Key(key) => format!("key {key}"),
            CursorBy::Time(time) => format!("time {time}"),
            CursorBy::Whole => "whole".to_owned(),
        };
        format!("poll of {items} by {by} in {look}")
    }

    /// The workflow that is a look: the definition of one node, [`LOOK_NODE`], whose result is its output.
    #[must_use]
    pub fn workflow(&self, id: &str, timezone: &str) -> Value {
        let mut node = self.look.clone();
        node.insert("id".to_owned(), LOOK_NODE.into());
        json!({
            "id": id,
            "timezone": timezone,
            "nodes": [node],
            "limits": { "timeout": nebula_core::duration_text(self.timeout) },
        })
    }

    /// What a look is told of the one before, as `$trigger.cursor`: `time`, the last one that was told, where
    /// that says what is new; null where nothing was told yet.
    #[must_use]
    pub fn shown(cursor: Option<&Value>) -> Value {
        json!({ "time": cursor.map_or(&Value::Null, |cursor| &cursor["time"]) })
    }

    /// What a look tells that has found these items; `cursor` is that of the look before.
    ///
    /// By key, an item is told once, as long as its key is among [`MAX_POLL_KEYS`] that were seen last. By
    /// time, items are told from the earliest on, those of one time each once.
    ///
    /// # Errors
    /// What is wrong with an item, or that there are more than [`MAX_POLLED`]; the text is for people.
    pub fn compare(&self, cursor: Option<&Value>, found: Vec<Polled>) -> Result<Sight, String> {
        if found.len() > MAX_POLLED {
            let many = found.len();
            return Err(format!(
                "it found {many} items; {MAX_POLLED} are the limit: ask for those that are new, or for one page"
            ));
        }
        let tells = cursor.is_some() || self.first == FirstLook::Start;
        match self.cursor {
            CursorBy::Time(_) => by_time(cursor, found, tells),
            CursorBy::Key(_) => Ok(by_key(cursor, found, (tells, false))),
            CursorBy::Whole => Ok(by_key(cursor, found, (tells, true))),
        }
    }
}

/// What is told of one look, up to its limits.
#[derive(Default)]
struct Telling {
    items: Vec<Value>,
    bytes: usize,
    /// Something more is to be told at once.
    more: bool,
}

impl Telling {
    /// Whether there was room for it.
    fn tell(&mut self, told: Value) -> bool {
        let bytes = told.to_string().len();
        let full = self.items.len() >= MAX_POLL_EVENTS || self.bytes + bytes > MAX_POLL_BYTES;
        if full && !self.items.is_empty() {
            self.more = true;
            return false;
        }
        self.bytes += bytes;
        self.items.push(told);
        true
    }

    fn sight(self, cursor: Option<Value>) -> Sight {
        Sight {
            items: self.items,
            cursor,
            again: self.more.then_some(Duration::ZERO),
        }
    }
}

/// What stands for a value among others: 64 bits of its digest, of which two of [`MAX_POLL_KEYS`] are alike once
/// in 300 billion times.
fn short(value: &Value) -> String {
    let mut text = Digest::of_json(value).to_string();
    text.truncate(16);
    text
}

fn by_key(cursor: Option<&Value>, found: Vec<Polled>, (tells, whole): (bool, bool)) -> Sight {
    let known = cursor.and_then(|it| it["keys"].as_array());
    let known: Vec<&str> = known
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let before: HashSet<&str> = known.iter().copied().collect();
    let (mut seen, mut keys) = (HashSet::new(), Vec::new());
    let told = |item: Value, mark: &Value| match whole {
        true => json!({ "item": item }),
        false => json!({ "item": item, "key": mark }),
    };
    let mut telling = Telling::default();
    for Polled { mark, item } in found {
        let key = short(&mark);
        if seen.contains(&key) {
            continue;
        }
        let is_new = tells && !before.contains(key.as_str());
        // What is not told now is new at the next look.
        if is_new && (telling.more || !telling.tell(told(item, &mark))) {
            continue;
        }
        seen.insert(key.clone());
        keys.push(key);
    }
    let older = known.iter().filter(|key| !seen.contains(**key));
    let older: Vec<_> = older.map(|key| (*key).to_owned()).collect();
    keys.extend(older);
    keys.truncate(MAX_POLL_KEYS);
    let same = cursor.is_some() && keys.iter().map(String::as_str).eq(known);
    telling.sight((!same).then(|| json!({ "keys": keys })))
}

fn by_time(cursor: Option<&Value>, found: Vec<Polled>, tells: bool) -> Result<Sight, String> {
    let last = cursor.map(|it| &it["time"]).filter(|it| !it.is_null());
    let mut last = last.map(|it| (Moment::of(it), it.clone()));
    let told = cursor.and_then(|it| it["told"].as_array());
    let told = told.into_iter().flatten().filter_map(Value::as_str);
    let mut told: Vec<String> = told.map(str::to_owned).collect();
    let mut items = Vec::with_capacity(found.len());
    for (place, Polled { mark, item }) in found.into_iter().enumerate() {
        let Some(moment) = Moment::of(&mark) else {
            let shown: String = mark.to_string().chars().take(60).collect();
            return Err(format!(
                "`cursor.time` of item {place} gives {shown}, which is neither a date nor a number"
            ));
        };
        items.push((moment, mark, item));
    }
    let mut mixed = false;
    items.sort_by(|(one, ..), (other, ..)| {
        one.compare(other).unwrap_or_else(|| {
            mixed = true;
            Ordering::Equal
        })
    });
    if mixed {
        return Err("`cursor.time` gives dates for some items and numbers for others".to_owned());
    }
    let mut telling = Telling::default();
    for (moment, mark, item) in items {
        let order = match &last {
            None => Some(Ordering::Greater),
            // What cannot be read of a cursor is before everything.
            Some((None, _)) => Some(Ordering::Greater),
            Some((Some(last), _)) => moment.compare(last),
        };
        let stamp = short(&item);
        match order {
            Some(Ordering::Less) => continue,
            Some(Ordering::Equal) if told.contains(&stamp) => continue,
            Some(_) => {}
            None => {
                let message = "`cursor.time` gave dates before, and numbers now, or the other way round: another `cursor` begins anew";
                return Err(message.to_owned());
            }
        }
        if tells && !telling.tell(json!({ "item": item, "time": mark })) {
            break;
        }
        if order == Some(Ordering::Greater) {
            told.clear();
            last = Some((Some(moment), mark));
        }
        told.push(stamp);
    }
    let time = last.map(|(_, mark)| mark).unwrap_or_default();
    let after = json!({ "time": time, "told": told });
    let same = cursor.is_some_and(|it| it["time"] == after["time"] && it["told"] == after["told"]);
    Ok(telling.sight((!same).then_some(after)))
}

/// A date or a number, which can be compared with others of its kind.
#[derive(Debug, Clone)]
enum Moment {
    At(jiff::Timestamp),
    Number(Number),
}

impl Moment {
    /// Dates are RFC 3339, RFC 2822, or without a time zone, and then of UTC.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Self::Number(number.clone())),
            Value::String(text) => instant(text.trim()).map(Self::At),
            _ => None,
        }
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::At(one), Self::At(other)) => Some(one.cmp(other)),
            (Self::Number(one), Self::Number(other)) => match (one.as_i128(), other.as_i128()) {
                // Large ids are not exact as floating-point numbers.
                (Some(one), Some(other)) => Some(one.cmp(&other)),
                _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
            },
            _ => None,
        }
    }
}

fn instant(text: &str) -> Option<jiff::Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    if let Ok(at) = jiff::fmt::rfc2822::parse(text) {
        return Some(at.timestamp());
    }
    let civil: civil::DateTime = match text.parse::<civil::DateTime>() {
        Ok(civil) => civil,
        Err(_) => text
            .parse::<civil::Date>()
            .ok()?
            .to_datetime(civil::Time::midnight()),
    };
    let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

impl Reader<'_> {
    fn look(&mut self) -> Map<String, Value> {
        let such = "look: { action: http.request, parameters: { url: \"…\" } }";
        let fields = match self.get("look") {
            None => {
                self.wrong("look", format!("it is missing; write it like `{such}`"));
                return Map::new();
            }
            Some(Value::Object(fields)) => fields,
            Some(_) => {
                self.wrong("look", format!("expected an object like `{such}`"));
                return Map::new();
            }
        };
        let mut inner = Reader::new(fields);
        inner.refuse_others(LOOK);
        let _ = inner.needed("action", "action: http.request");
        self.within("look", inner.errors());
        fields.clone()
    }

    fn cursor_by(&mut self) -> CursorBy {
        let written = match self.get("cursor") {
            None => return CursorBy::Whole,
            Some(Value::Object(fields)) => fields,
            Some(_) => {
                self.wrong("cursor", "expected an object like `{ key: $item.id }`");
                return CursorBy::Whole;
            }
        };
        let mut inner = Reader::new(written);
        inner.refuse_others(["key", "time"]);
        let (key, time) = (inner.text("key"), inner.text("time"));
        let by = match (key, time) {
            (Some(key), None) => CursorBy::Key(key.to_owned()),
            (None, Some(time)) => CursorBy::Time(time.to_owned()),
            _ => {
                if inner.is_right() {
                    let message = "one of both says what is new, like `{ key: $item.id }` or `{ time: $item.updated_at }`";
                    inner.wrong("key", message);
                }
                CursorBy::Whole
            }
        };
        self.within("cursor", inner.errors());
        by
    }
}

/// Until when a look that begins at `now` is for whoever began it; whoever comes then looks anew, since that one
/// is taken for dead.
#[must_use]
pub fn claimed_until(now: Timestamp, timeout: Duration) -> Timestamp {
    // Beside the look itself, its commits and its start.
    now.plus(timeout).plus(Duration::from_secs(10))
}
