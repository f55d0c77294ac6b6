//! One total order of all JSON values.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Compares two values: `false`, `true`, numbers by size, strings by their code points, lists
/// element by element, objects. Two objects are equal. `null` is greater than everything.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let different = a
                .iter()
                .zip(b)
                .map(|(a, b)| compare(a, b))
                .find(|o| o.is_ne());
            different.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

/// Whole numbers are compared exactly, also with fractions: an order through `f64` alone would not
/// be transitive beyond 2^53.
fn numbers(a: &Number, b: &Number) -> Ordering {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => with_fraction(a, fraction(b)),
        (None, Some(b)) => with_fraction(b, fraction(a)).reverse(),
        (None, None) => fraction(a).total_cmp(&fraction(b)),
    }
}

fn with_fraction(a: i128, b: f64) -> Ordering {
    // Whole numbers have 64 bits, so a saturating cast of anything larger compares right.
    let floor = b.floor();
    match a.cmp(&(floor as i128)) {
        Ordering::Equal if b > floor => Ordering::Less,
        order => order,
    }
}

pub(crate) fn whole(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

fn fraction(number: &Number) -> f64 {
    // Adding zero makes `-0.0` equal to `0.0`.
    number.as_f64().unwrap_or(0.0) + 0.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_is_total_and_exact() {
        let big = 9_007_199_254_740_993_i64;
        let sorted = json!([
            false,
            true,
            -2,
            -1.5,
            0,
            0.5,
            1,
            1.5,
            9_007_199_254_740_992.0,
            big,
            u64::MAX,
            1e300,
            "A",
            "a",
            "ä",
            [],
            [1],
            [1, 2],
            [2],
            {},
            null
        ]);
        let sorted = sorted.as_array().unwrap();
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(compare(&json!(-0.0), &json!(0)), Ordering::Equal);
        assert_eq!(compare(&json!(2.0), &json!(2)), Ordering::Equal);
    }
}
