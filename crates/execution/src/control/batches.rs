//! Lists that go on in parts, one after the other.

use nebula_action::ActionError;
use serde_json::Value;

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
/// were in the first one: every part is of the same list.
///
/// # Errors
/// `items` is no list, or `size` is no whole number from 1 to [`MAX_BATCH`].
pub fn batch(input: &Value, number: u32) -> Result<Batch, ActionError> {
    let wrong =
        |at: &str, message: &str| ActionError::invalid_input("BATCHES", at, message.to_owned());
    let Some(Value::Array(items)) = input.get("items") else {
        return Err(wrong("/items", "`items` must give a list"));
    };
    let size = input.get("size").and_then(Value::as_u64);
    let size = size.filter(|size| (1..=MAX_BATCH).contains(size));
    let Some(size) = size else {
        let message = "`size` must be a whole number from 1 to 1,000,000";
        return Err(wrong("/size", message));
    };
    let part = items.chunks(size as usize).nth(number as usize - 1);
    Ok(match part {
        Some(part) => Batch::Next(Value::from(part)),
        None => Batch::Done,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(input: &Value, number: u32, expected: &str) {
        let shown = match batch(input, number) {
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
    }

    #[test]
    fn what_is_no_list_and_no_size_is_refused() {
        check(
            &json!({ "items": 7, "size": 2 }),
            1,
            "`items` must give a list",
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
