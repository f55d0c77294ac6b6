//! Lists that go on in parts, one after the other.

use nebula_action::ActionError;
use serde_json::Value;

use super::no_list;
use crate::{Given, list::part_of};

/// The most elements of a part.
pub const MAX_BATCH: u64 = 1_000_000;

/// What `flow.batches` does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Batch {
    /// This part goes on by the port `loop`.
    Next(Value),
    /// There is no further part: what became of all of them goes on by the port `done`.
    Done,
}

/// Decides about activation `number`, from 1, of `flow.batches`. `input` has its parameters as they
/// were in the first one: every part is of the same list. A long list is no part of it, but `items`.
///
/// # Errors
/// `items` is no list, or `size` is no whole number from 1 to [`MAX_BATCH`].
pub fn batch(input: &Value, items: Option<&Given>, number: u32) -> Result<Batch, ActionError> {
    let wrong =
        |at: &str, message: &str| ActionError::invalid_input("BATCHES", at, message.to_owned());
    let size = input.get("size").and_then(Value::as_u64);
    let size = size.filter(|size| (1..=MAX_BATCH).contains(size));
    let Some(size) = size else {
        let message = "`size` must be a whole number from 1 to 1,000,000";
        return Err(wrong("/size", message));
    };
    // At most `MAX_BATCH` times as many as a `u32` has.
    let from = size * u64::from(number - 1);
    let range = from as usize..(from + size) as usize;
    let part = match items {
        Some(items) => items.part(range),
        None => input.get("items").and_then(|items| part_of(items, range)),
    };
    match part {
        Some(part) if part.is_empty() => Ok(Batch::Done),
        Some(part) => Ok(Batch::Next(Value::Array(part))),
        None => Err(wrong("/items", &no_list(input.get("items")))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn check(input: &Value, number: u32, expected: &str) {
        let shown = match batch(input, None, number) {
            Ok(Batch::Next(part)) => part.to_string(),
            Ok(Batch::Done) => "done".to_owned(),
            Err(error) => error.message,
        };
        assert_eq!(shown, expected, "{input} {number}");
    }

    #[test]
    fn a_list_goes_on_in_parts_of_its_size() {
        let list = json!({ "items": [1, 2, 3, 4, 5], "size": 2 });
        for (number, expected) in [(1, "[1,2]"), (2, "[3,4]"), (3, "[5]"), (4, "done")] {
            check(&list, number, expected);
        }
        check(&json!({ "items": [], "size": 2 }), 1, "done");
        let apart = Given::from(Arc::new(json!([1, 2, 3])));
        let next = batch(&json!({ "size": 2 }), Some(&apart), 2);
        assert_eq!(next, Ok(Batch::Next(json!([3]))));
        assert_eq!(
            batch(&json!({ "size": 2 }), Some(&apart), 3),
            Ok(Batch::Done)
        );
    }

    #[test]
    fn what_is_no_list_and_no_size_is_refused() {
        check(
            &json!({ "items": 7, "size": 2 }),
            1,
            "`items` must give a list, and gave a number",
        );
        for size in [json!(0), json!(1.5), json!("2"), json!(1_000_001)] {
            let input = json!({ "items": [], "size": size });
            check(
                &input,
                1,
                "`size` must be a whole number from 1 to 1,000,000",
            );
        }
    }
}
