//! A size as a parameter of an action.

use std::borrow::Cow;

use nebula_core::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// A number of bytes as people write it: `16 MiB`. In the schema of parameters it is a text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub struct Size(pub ByteSize);

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Size")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ *(B|kB|MB|GB|KiB|MiB|GiB)?$" })
    }
}
