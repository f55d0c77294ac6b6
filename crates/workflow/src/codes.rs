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
    TOO_LARGE = "WORKFLOW_TOO_LARGE": "the definition has more bytes than a definition may have",
    TOO_DEEP = "WORKFLOW_TOO_DEEP": "lists and objects are nested deeper than they may be",
    TOO_MANY_VALUES = "WORKFLOW_TOO_MANY_VALUES": "the definition has more values than it may have",
    TOO_MANY_NODES = "WORKFLOW_TOO_MANY_NODES": "the workflow has more nodes than it may have",
    TOO_MANY_CONNECTIONS = "WORKFLOW_TOO_MANY_CONNECTIONS": "the workflow has more connections than it may have",
    TOO_MANY_PROBLEMS = "WORKFLOW_TOO_MANY_PROBLEMS": "there are more problems than are collected",
    CHARACTER = "WORKFLOW_CHARACTER": "the text has a control character",
    SYNTAX = "WORKFLOW_SYNTAX": "the text is not YAML, or not JSON",
    QUOTE_EXPRESSION = "QUOTE_EXPRESSION": "YAML reads an expression as something else; it needs quotes",
    COMMENT_CUT = "WORKFLOW_COMMENT_CUT": "a ` #` inside an expression begins a YAML comment",
    TAG = "WORKFLOW_YAML_TAG": "a YAML tag such as `!name`; definitions have none",
    ANCHOR = "WORKFLOW_YAML_ANCHOR": "a YAML anchor `&name` or alias `*name`; definitions have none",
    DOCUMENTS = "WORKFLOW_YAML_DOCUMENTS": "the file holds several YAML documents",
    DUPLICATE_KEY = "WORKFLOW_DUPLICATE_KEY": "an object has the same key twice",
    KEY = "WORKFLOW_KEY": "a key is not a string",
    NUMBER = "WORKFLOW_NUMBER": "a number that JSON cannot hold exactly",
    EMPTY = "WORKFLOW_EMPTY": "the file holds no definition",
    TYPE = "WORKFLOW_TYPE": "a value is of another type than its field",
    UNKNOWN_FIELD = "WORKFLOW_UNKNOWN_FIELD": "the format has no such field",
    MISSING_FIELD = "WORKFLOW_MISSING_FIELD": "a field that must be there is missing",
    VALUE = "WORKFLOW_VALUE": "a value is of the right type and still not allowed",
    ID = "WORKFLOW_ID": "a text is not an id",
    DUPLICATE_ID = "WORKFLOW_DUPLICATE_ID": "two nodes or two triggers have the same id",
    NO_NODES = "WORKFLOW_NO_NODES": "the workflow or a body has no nodes",
    UNKNOWN_NODE = "WORKFLOW_UNKNOWN_NODE": "a connection names a node that does not exist",
    CONNECTION = "WORKFLOW_CONNECTION": "the short form of a connection cannot be read",
    DUPLICATE_CONNECTION = "WORKFLOW_DUPLICATE_CONNECTION": "two connections join the same port and input",
    SELF_CONNECTION = "WORKFLOW_SELF_CONNECTION": "a connection leads from a node to itself",
    NO_LOOP = "WORKFLOW_NO_LOOP": "`max_rounds` on a connection that closes no loop",
    UNCLOSED = "WORKFLOW_UNCLOSED_EXPRESSION": "`{{` has no `}}`",
    EMPTY_EXPRESSION = "WORKFLOW_EMPTY_EXPRESSION": "an expression is empty",
    NOT_AN_EXPRESSION = "WORKFLOW_NOT_AN_EXPRESSION": "a field that is an expression as a whole has text around `{{ }}`",
    BRACES = "WORKFLOW_BRACES": "a field that is an expression as a whole needs no `{{ }}`",
}
