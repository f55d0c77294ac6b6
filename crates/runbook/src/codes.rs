//! Every code that this crate emits.

macro_rules! codes {
    ($($name:ident = $code:literal: $text:literal,)*) => {
        $(pub(crate) const $name: &str = $code;)*

        /// Every code that this crate emits, each with what it means.
        #[must_use]
        pub fn codes() -> &'static [(&'static str, &'static str)] {
            &[$(($code, $text)),*]
        }
    };
}

codes! {
    TYPE = "RUNBOOK_TYPE": "a value is of another type than its field",
    UNKNOWN_FIELD = "RUNBOOK_UNKNOWN_FIELD": "the format of runbooks has no such field",
    MISSING_FIELD = "RUNBOOK_MISSING_FIELD": "a field that must be there is missing",
    VALUE = "RUNBOOK_VALUE": "a value is of the right type and still not allowed",
    ACTION = "RUNBOOK_ACTION": "a step names an action that runbooks do not have",
    DUPLICATE_STEP = "RUNBOOK_DUPLICATE_STEP": "two steps have the same id",
    UNKNOWN_STEP = "RUNBOOK_UNKNOWN_STEP": "a step that is asked about does not exist, or comes later",
    EXPRESSION = "RUNBOOK_EXPRESSION": "an expression or a template cannot be read",
    NAME = "RUNBOOK_NAME": "an expression names something that runbooks do not have",
    CAPABILITY = "RUNBOOK_CAPABILITY": "a step looks at a computed address and asks for no capability",
}
