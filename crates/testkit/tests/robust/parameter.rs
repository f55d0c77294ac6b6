//! What must hold for any text that is taken for a parameter.

use nebula_core::ParamValue;
use serde_json::Value;

/// A parameter is told apart once, and what was written can be read from it.
pub(crate) fn parameter(bytes: &[u8]) {
    let Ok(written) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    match ParamValue::parse(&written) {
        Ok(value) => {
            let json = value.to_json();
            let again = ParamValue::parse(&json).map(|again| again.to_json());
            assert_eq!(again.as_ref(), Ok(&json), "{written}");
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                let found = written.pointer(error.pointer()).and_then(Value::as_str);
                let found = found.expect("it lies in a string");
                assert!(found.is_char_boundary(error.at()), "{error:?}");
            }
        }
    }
}
