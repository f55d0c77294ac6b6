//! The size of a value as compact JSON, without writing it down.

use std::io::{self, Write};

use serde_json::Value;

/// Whether `value` as compact JSON has at most `limit` bytes; stops counting at the limit.
pub(crate) fn fits(value: &Value, limit: usize) -> bool {
    serde_json::to_writer(Counter { left: limit }, value).is_ok()
}

/// Takes `left` bytes and then refuses.
struct Counter {
    left: usize,
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_count_is_that_of_the_written_text() {
        for value in [
            json!(null),
            json!("ä\"\n"),
            json!({ "a": [1, 2.5, "x"], "b": {} }),
            json!([]),
        ] {
            let size = value.to_string().len();
            assert!(fits(&value, size), "{value}");
            assert!(!fits(&value, size - 1), "{value}");
        }
    }
}
