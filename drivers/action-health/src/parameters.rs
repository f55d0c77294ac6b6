//! What `health.check` takes.

use std::{borrow::Cow, time::Duration};

use nebula_core::serde_duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// The parameters of `health.check`: exactly one of `url`, `tcp`, `program` and `sql`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckIn {
    /// Asked with GET.
    pub(crate) url: Option<String>,
    /// With `url`: the statuses that are well; any of 200 to 299 if nothing is said.
    #[serde(default)]
    #[schemars(length(max = 100), inner(range(min = 100, max = 599)))]
    pub(crate) expected_status: Vec<u16>,
    /// With `url`: a text that stands in the answer.
    pub(crate) contains: Option<String>,
    /// With `url`: a condition over the answer, `$item`, which is `{ status, body }`, with what is JSON read
    /// as such: `$item.body.queue < 100`. With `sql`: over `{ rows }`, a list of objects by the names of the
    /// columns: `$item.rows[0].waiting < 100`.
    pub(crate) query: Option<Formula>,
    /// A `host:port` to which a connection is made.
    pub(crate) tcp: Option<String>,
    /// A program that ends with 0 where the service is well, by its absolute path.
    pub(crate) program: Option<String>,
    /// With `program`: its arguments.
    #[serde(default)]
    #[schemars(length(max = 1_024))]
    pub(crate) args: Vec<String>,
    /// With `program`: the exit codes that are well; 0 if nothing is said.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(crate) expected_exit: Vec<i32>,
    /// One statement for PostgreSQL that gives rows, such as `SELECT count(*) AS waiting FROM jobs`. The
    /// credential in the slot `auth`, of type `database_url`, says where. Nothing can be changed by it.
    #[schemars(length(max = 65_536))]
    pub(crate) sql: Option<String>,
    /// What takes longer is not well, such as `500ms`.
    pub(crate) max_latency: Option<Span>,
    /// What has not answered by then is not well; `10s` if nothing is said, at most `5m`.
    pub(crate) timeout: Option<Span>,
}

/// A duration as people write it: `500ms`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(crate) struct Span(#[serde(with = "serde_duration")] pub(crate) Duration);

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Span")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]" })
    }
}

/// Stands for an expression, which the engine hands over in the context.
#[derive(Debug)]
pub(crate) struct Formula;

impl<'de> Deserialize<'de> for Formula {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Formula {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Formula")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "boolean", "null"] })
    }
}
