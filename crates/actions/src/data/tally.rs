//! What is computed over a group, one value at a time.

use std::collections::HashSet;

use nebula_core::canonical_json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Number, Value};

use crate::{item, order};

/// What to compute over the values of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    /// How many there are.
    Count,
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The smallest.
    Min,
    /// The greatest.
    Max,
    /// The first element's.
    First,
    /// The last element's.
    Last,
    /// All of them, in order.
    List,
    /// Each once, in the order in which they first appear.
    Unique,
}

impl Op {
    /// Whether it makes sense over the elements themselves.
    pub(crate) fn takes_elements(self) -> bool {
        matches!(
            self,
            Self::Count | Self::List | Self::Unique | Self::First | Self::Last
        )
    }
}

/// The values of one field of one group, so far.
#[derive(Debug)]
pub(crate) struct Tally {
    op: Op,
    seen: bool,
    count: u64,
    sum: Sum,
    kept: Value,
    list: Vec<Value>,
    known: HashSet<String>,
}

/// Exact as long as all are whole; else with the error of each addition carried along (Neumaier's
/// variant of Kahan's summation), so that the order of the elements hardly matters.
#[derive(Debug, Default)]
struct Sum {
    whole: i128,
    fractions: bool,
    sum: f64,
    carried: f64,
}

impl Sum {
    fn add(&mut self, number: &Number) {
        match order::whole(number) {
            Some(whole) => self.whole += whole,
            None => {
                self.fractions = true;
                self.add_float(number.as_f64().unwrap_or_default());
            }
        }
    }

    fn add_float(&mut self, value: f64) {
        let total = self.sum + value;
        self.carried += if self.sum.abs() >= value.abs() {
            (self.sum - total) + value
        } else {
            (value - total) + self.sum
        };
        self.sum = total;
    }

    fn value(mut self) -> f64 {
        self.add_float(self.whole as f64);
        self.sum + self.carried
    }

    fn number(self) -> Value {
        if self.fractions {
            return number(self.value());
        }
        let signed = i64::try_from(self.whole).map(Value::from);
        let whole = signed.or_else(|_| u64::try_from(self.whole).map(Value::from));
        whole.unwrap_or_else(|_| number(self.value()))
    }
}

/// A number as JSON has it: whole ones without a fraction, as JavaScript writes them.
fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

impl Tally {
    pub(crate) fn new(op: Op) -> Self {
        Self {
            op,
            seen: false,
            count: 0,
            sum: Sum::default(),
            kept: Value::Null,
            list: Vec::new(),
            known: HashSet::new(),
        }
    }

    /// Takes the value of one element; the error is the type that is no number.
    pub(crate) fn add(&mut self, value: Option<&Value>) -> Result<(), &'static str> {
        if matches!(self.op, Op::First | Op::Last) {
            if self.op == Op::Last || !self.seen {
                self.kept = value.cloned().unwrap_or_default();
            }
            self.seen = true;
            return Ok(());
        }
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return Ok(());
        };
        self.count += 1;
        match self.op {
            Op::Sum | Op::Avg => match value {
                Value::Number(number) => self.sum.add(number),
                other => return Err(item::type_name(other)),
            },
            Op::Min => self.keep_if(value, |new, old| order::compare(new, old).is_lt()),
            Op::Max => self.keep_if(value, |new, old| order::compare(new, old).is_gt()),
            Op::List => self.list.push(value.clone()),
            Op::Unique => {
                if self.known.insert(canonical_json(value)) {
                    self.list.push(value.clone());
                }
            }
            Op::Count | Op::First | Op::Last => {}
        }
        Ok(())
    }

    fn keep_if(&mut self, value: &Value, better: impl Fn(&Value, &Value) -> bool) {
        if !self.seen || better(value, &self.kept) {
            self.kept = value.clone();
            self.seen = true;
        }
    }

    pub(crate) fn finish(self) -> Value {
        match self.op {
            Op::Count => Value::from(self.count),
            Op::Sum => self.sum.number(),
            Op::Avg if self.count == 0 => Value::Null,
            Op::Avg => number(self.sum.value() / self.count as f64),
            Op::Min | Op::Max | Op::First | Op::Last => self.kept,
            Op::List | Op::Unique => Value::Array(self.list),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(op: Op, values: &Value, expected: &Value) {
        let mut tally = Tally::new(op);
        let added = values
            .as_array()
            .unwrap()
            .iter()
            .try_for_each(|value| tally.add(Some(value)));
        let shown = added.map_or_else(|found| json!({ "error": found }), |()| tally.finish());
        assert_eq!(shown, *expected, "{op:?} {values}");
    }

    #[test]
    fn sums_are_exact_where_numbers_are_whole_and_close_elsewhere() {
        check(Op::Sum, &json!([1, 2, null]), &json!(3));
        check(
            Op::Sum,
            &json!([i64::MAX, 1]),
            &json!(9_223_372_036_854_775_808_u64),
        );
        check(Op::Sum, &json!([0.1, 0.2, 0.3]), &json!(0.6));
        check(Op::Sum, &json!([1e100, 1, -1e100]), &json!(1));
        check(Op::Sum, &json!([]), &json!(0));
        check(Op::Sum, &json!(["1"]), &json!({ "error": "a string" }));
        check(Op::Avg, &json!([1, 2]), &json!(1.5));
        check(Op::Avg, &json!([]), &json!(null));
    }

    #[test]
    fn the_others_pass_over_null_save_first_and_last() {
        let values = json!([null, 3, "a", 3, 1]);
        check(Op::Count, &values, &json!(4));
        check(Op::Min, &values, &json!(1));
        check(Op::Max, &values, &json!("a"));
        check(Op::First, &values, &json!(null));
        check(Op::Last, &values, &json!(1));
        check(Op::List, &values, &json!([3, "a", 3, 1]));
        check(Op::Unique, &values, &json!([3, "a", 1]));
    }
}
