//! Spans of time, as people write them: `200ms`, `10s`, `5m`, `1h30m`, `2d`.

use std::time::Duration;

/// Units from the largest; `w d h m s ms`.
const UNITS: &[(&str, u64)] = &[
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a span of time; write numbers with w, d, h, m, s or ms, such as `1h30m` or `200ms`"
)]
pub struct DurationError(String);

/// Reads a span of time: one or more whole numbers, each with a unit, the largest unit first.
///
/// # Errors
/// [`DurationError`]: anything else, also a bare number, whose unit nobody can know.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(text.chars().take(40).collect());
    let mut rest = text.trim();
    let (mut millis, mut smallest) = (0_u64, u64::MAX);
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
        let (unit, after) =
            after.split_at(after.bytes().take_while(u8::is_ascii_alphabetic).count());
        let size = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(error)?
            .1;
        if size >= smallest {
            return Err(error());
        }
        smallest = size;
        let number: u64 = number.parse().map_err(|_| error())?;
        let part = number.checked_mul(size).ok_or_else(error)?;
        millis = millis.checked_add(part).ok_or_else(error)?;
        rest = after.trim_start();
    }
    // The journal counts time in signed milliseconds.
    i64::try_from(millis).map_err(|_| error())?;
    Ok(Duration::from_millis(millis))
}

/// Writes a span of time so that [`parse_duration`] reads it back; parts below a millisecond are cut.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, size) in UNITS {
        let count = millis / size;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            millis %= size;
        }
    }
    if text.is_empty() {
        text.push_str("0ms");
    }
    text
}

/// For `#[serde(with = "nebula_core::serde_duration")]`: a [`Duration`] as its text.
pub mod serde_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// Writes the text form.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::duration_text(*duration))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// The text is not a span of time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        super::parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// The same for an optional span.
    pub mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

        /// Writes the text form, or null.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(
            duration: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => super::serialize(duration, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Reads the text form, or null.
        ///
        /// # Errors
        /// The text is not a span of time.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Duration>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            let parsed = text.map(|text| crate::parse_duration(&text)).transpose();
            parsed.map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_back_from_their_text() {
        for text in ["200ms", "10s", "1h30m", "2d", "1w1ms", "0ms"] {
            assert_eq!(duration_text(parse_duration(text).unwrap()), text);
        }
        assert_eq!(parse_duration(" 1h 30m "), Ok(Duration::from_secs(5400)));
        for bad in [
            "",
            "5",
            "s",
            "5 x",
            "1m1h",
            "1s1s",
            "-1s",
            "1.5s",
            "99999999999999999w",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
