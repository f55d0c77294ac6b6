//! W3C Trace Context: which trace a piece of work belongs to, across processes.
//!
//! Source: <https://www.w3.org/TR/trace-context-2/>, sections 3.2 (`traceparent`) and 3.3 (`tracestate`).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Digest, ExecutionId};

/// The most members of a `tracestate` (section 3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// The longest key, and the parts of one with a tenant (section 3.3.1.3.1).
const MAX_KEY: usize = 256;
const MAX_TENANT: usize = 241;
const MAX_SYSTEM: usize = 14;
/// The longest value (section 3.3.1.3.2).
const MAX_VALUE: usize = 256;
/// The longest `tracestate` that is passed on; vendors pass on at least 512 bytes (section 3.3.1.5), and
/// what is longer would lie in every journal.
const MAX_STATE: usize = 4_096;

/// The bits of the flags that have a meaning: sampled, and a random trace id.
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b01;

/// The id of a trace: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span of a trace: 8 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// That of an execution which begins a trace: its own id.
    #[must_use]
    pub fn of_execution(execution: ExecutionId) -> Self {
        Self(*execution.as_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 8] {
        self.0
    }

    /// The span of a part of an execution: the same whenever it is asked for, so that a replay and another
    /// holder give the same ids. An empty part is the execution itself.
    #[must_use]
    pub fn of(execution: ExecutionId, part: &str) -> Self {
        let digest = Digest::of(format!("span {execution} {part}").as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest.as_bytes()[..8]);
        // One in 2^64 has to make way.
        Self(if bytes == [0; 8] { [1; 8] } else { bytes })
    }
}

/// The position of a caller in a trace: who is asked to do something belongs below it.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span that asks.
    pub parent: SpanId,
    flags: u8,
    /// What other vendors have told, as it is passed on; may be empty.
    state: Box<str>,
}

impl TraceContext {
    /// Reads the values of all headers `traceparent` and `tracestate` of a request, in their order. `None`
    /// where there is no valid `traceparent`, or more than one: then a trace begins. A `tracestate` that is
    /// not valid is left out as a whole.
    #[must_use]
    pub fn read<'h>(
        parents: impl IntoIterator<Item = &'h [u8]>,
        states: impl IntoIterator<Item = &'h [u8]>,
    ) -> Option<Self> {
        let mut parents = parents.into_iter();
        let (first, None) = (parents.next()?, parents.next()) else {
            return None;
        };
        let (trace, parent, flags) = parent_of(str::from_utf8(first).ok()?)?;
        Some(Self {
            trace,
            parent,
            flags,
            state: state_of(states).unwrap_or_default().into(),
        })
    }

    /// That of an execution which nobody asked for within a trace: its id is that of the trace.
    #[must_use]
    pub fn of_execution(execution: ExecutionId) -> Self {
        Self {
            trace: TraceId::of_execution(execution),
            parent: SpanId::of(execution, ""),
            flags: SAMPLED,
            state: Box::default(),
        }
    }

    /// The same trace, asked from within another span.
    #[must_use]
    pub fn within(&self, span: SpanId) -> Self {
        Self {
            parent: span,
            ..self.clone()
        }
    }

    /// Whether the caller records it.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The value of the header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace, self.parent, self.flags)
    }

    /// The value of the header `tracestate`; empty if there is none.
    #[must_use]
    pub fn tracestate(&self) -> &str {
        &self.state
    }
}

/// `version-trace-parent-flags`; of a later version, perhaps with more.
fn parent_of(text: &str) -> Option<(TraceId, SpanId, u8)> {
    let text = text.trim_matches([' ', '\t']);
    let mut parts = text.splitn(5, '-');
    let [version] = hex::<1>(parts.next()?)?;
    let trace = hex::<16>(parts.next()?).filter(|it| *it != [0; 16])?;
    let parent = hex::<8>(parts.next()?).filter(|it| *it != [0; 8])?;
    let [flags] = hex::<1>(parts.next()?)?;
    let more = parts.next().is_some();
    let known = match version {
        0 => !more,
        0xff => false,
        _ => true,
    };
    known.then_some((TraceId(trace), SpanId(parent), flags & KNOWN_FLAGS))
}

/// Lower case hexadecimal digits, two for each byte.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// All members of all headers, in their order; `None` if one of them is not valid.
fn state_of<'h>(headers: impl IntoIterator<Item = &'h [u8]>) -> Option<String> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    let mut length = 0;
    for header in headers {
        let header = str::from_utf8(header).ok()?;
        for member in header.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            let twice = members.iter().any(|(known, _)| *known == key);
            length += member.len() + 1;
            if !is_key(key) || !is_value(value) || twice || members.len() == MAX_MEMBERS {
                return None;
            }
            members.push((key, value));
        }
    }
    if length > MAX_STATE {
        return None;
    }
    let members = members.iter().map(|(key, value)| format!("{key}={value}"));
    Some(members.collect::<Vec<_>>().join(","))
}

fn is_key(key: &str) -> bool {
    let part = |part: &str, most: usize, digit_first: bool| {
        let first = part.bytes().next();
        let begins =
            first.is_some_and(|it| it.is_ascii_lowercase() || (digit_first && it.is_ascii_digit()));
        let inner = |it: u8| {
            it.is_ascii_lowercase()
                || it.is_ascii_digit()
                || matches!(it, b'_' | b'-' | b'*' | b'/')
        };
        begins && part.len() <= most && part.bytes().all(inner)
    };
    match key.split_once('@') {
        None => part(key, MAX_KEY, false),
        Some((tenant, system)) => part(tenant, MAX_TENANT, true) && part(system, MAX_SYSTEM, false),
    }
}

/// Printable ASCII without `,` and `=`; what stands around it was cut off.
fn is_value(value: &str) -> bool {
    let allowed = |it: u8| matches!(it, 0x20..=0x7e) && it != b',' && it != b'=';
    (1..=MAX_VALUE).contains(&value.len()) && value.bytes().all(allowed)
}

macro_rules! shown_as_hex {
    ($($id:ident),+) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($id))
            }
        }
    )+};
}

shown_as_hex!(TraceId, SpanId);

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceContext")
            .field(&self.traceparent())
            .field(&self.state)
            .finish()
    }
}

/// In journals: `["00-…", "key=value"]`, the values of both headers.
impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.traceparent(), &*self.state).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (parent, state) = <(String, String)>::deserialize(deserializer)?;
        let read = Self::read([parent.as_bytes()], [state.as_bytes()]);
        read.ok_or_else(|| D::Error::custom(format!("`{parent}` is no traceparent")))
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
