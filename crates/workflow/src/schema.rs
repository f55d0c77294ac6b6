//! The JSON Schema of the format, made from the tables that the decoder reads by.

use serde_json::{Map, Value, json};

use crate::{
    fields::{TABLES, WORKFLOW},
    table::{Field, Shape, Table},
};

/// The JSON Schema (draft 2020-12) of a definition, for editors.
///
/// It holds what a schema can say: fields, types, words and bounds. Whether ids exist and are
/// unique, and whether expressions are closed, only reading a definition tells.
#[must_use]
pub fn definition_schema() -> Value {
    let parts = TABLES
        .iter()
        .filter(|table| table.name != WORKFLOW.name)
        .map(|table| (table.name.to_owned(), object(table)))
        .collect::<Map<_, _>>();
    let mut schema = Map::new();
    schema.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    schema.insert("title".into(), "Nebula workflow definition".into());
    if let Value::Object(root) = object(&WORKFLOW) {
        schema.extend(root);
    }
    schema.insert("$defs".into(), Value::Object(parts));
    Value::Object(schema)
}

fn object(table: &Table) -> Value {
    let properties: Map<String, Value> = table
        .fields
        .iter()
        .map(|field| (field.name.to_owned(), property(field)))
        .collect();
    let required: Vec<&str> = table
        .fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    schema.insert("additionalProperties".into(), table.open.into());
    Value::Object(schema)
}

fn property(field: &Field) -> Value {
    let mut schema = shape(&field.shape);
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".into(), field.doc.into());
    }
    schema
}

fn shape(shape: &Shape) -> Value {
    let part = |table: &Table| json!({ "$ref": format!("#/$defs/{}", table.name) });
    let text = || json!({ "type": "string" });
    match shape {
        Shape::Text => text(),
        Shape::Name(pattern) => json!({ "type": "string", "pattern": pattern }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Count(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        // Units go from large to small, each at most once.
        Shape::Duration => json!({
            "type": "string",
            "pattern": "^\\s*(?=[0-9])([0-9]+w\\s*)?([0-9]+d\\s*)?([0-9]+h\\s*)?([0-9]+m\\s*)?([0-9]+s\\s*)?([0-9]+ms\\s*)?$",
        }),
        Shape::Expression => json!({ "type": "string", "minLength": 1 }),
        Shape::CountOrExpression(min, max) => json!({ "anyOf": [
            { "type": "integer", "minimum": min, "maximum": max },
            { "type": "string", "minLength": 1 },
        ] }),
        Shape::Param | Shape::Any => json!({}),
        Shape::Params | Shape::Object => json!({ "type": "object" }),
        Shape::Templates => json!({ "type": "array", "items": text() }),
        Shape::Texts => json!({ "type": ["string", "array"], "items": text() }),
        Shape::TextMap => json!({ "type": "object", "additionalProperties": text() }),
        Shape::Schema => json!({ "type": ["object", "boolean"] }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::Part(table) => part(table),
        Shape::List(table, least) => {
            json!({ "type": "array", "items": part(table), "minItems": least })
        }
        Shape::ChoiceOr(words, table) => json!({ "anyOf": [{ "enum": words }, part(table)] }),
        Shape::BoolOr(table) => json!({ "anyOf": [{ "type": "boolean" }, part(table)] }),
        Shape::Connections(table) => {
            let chain = json!({ "type": "string", "pattern": "->" });
            json!({ "type": "array", "items": { "anyOf": [chain, part(table)] } })
        }
    }
}
