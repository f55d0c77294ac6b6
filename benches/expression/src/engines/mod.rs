//! Other engines, each with the same document and twelve expressions in its own language.
//!
//! An engine holds the document in its own form, so that a bare evaluation can be told from one
//! that converts the document first and the result afterwards. Expressions are compiled
//! beforehand, as ours are.

mod boa;
mod jaq;
mod quickjs;
mod rhai;

use std::error::Error;

use serde_json::Value;

/// What goes wrong in an engine.
pub type Failed = Box<dyn Error>;

/// One engine, ready to evaluate.
pub trait Engine {
    /// Its name in a table.
    fn name(&self) -> &'static str;

    /// Evaluates the expression at this index over the document in the engine's own form, and
    /// drops the result there.
    fn bare(&mut self, index: usize);

    /// Converts the document, evaluates the expression at this index and converts the result.
    ///
    /// # Errors
    /// Those of the engine.
    fn whole(&mut self, index: usize, document: &Value) -> Result<Value, Failed>;
}

/// Every engine.
///
/// # Errors
/// Those of an engine that cannot be set up or cannot compile an expression.
pub fn all(document: &Value) -> Result<Vec<Box<dyn Engine>>, Failed> {
    Ok(vec![
        Box::new(quickjs::QuickJs::new(document)?),
        Box::new(boa::Boa::new(document)?),
        Box::new(rhai::Rhai::new(document)?),
        Box::new(jaq::Jaq::new(document)?),
    ])
}

/// A whole number as JSON's integer, as our border has it: engines differ in that only.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(n) if number.is_f64() && n.fract() == 0.0 && n.abs() < 9e15 => {
                Value::from(n as i64)
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, whole_numbers(value)))
            .collect(),
        other => other,
    }
}
