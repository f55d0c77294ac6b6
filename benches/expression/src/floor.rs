//! The same results by hand-written Rust over `serde_json::Value`: no checks that the data is as
//! expected beyond what the accessors do, no limits, no error texts.

use serde_json::{Map, Value};

/// One function per expression, in the order of [`crate::cases::all`].
pub const ALL: [fn(&Value) -> Value; 12] = [
    city, price, sum, condition, default, template, lower, first_name, count, names, total, object,
];

fn city(json: &Value) -> Value {
    json["customer"]["address"]["city"].clone()
}

fn price(json: &Value) -> Value {
    json["items"][2]["price"].clone()
}

fn sum(json: &Value) -> Value {
    Value::from(number(&json["total"]) * 1.2 + number(&json["tax"]))
}

fn condition(json: &Value) -> Value {
    Value::from(number(&json["total"]) > 100.0 && text(&json["status"]) == "paid")
}

fn default(json: &Value) -> Value {
    match &json["customer"]["phone"] {
        Value::Null => Value::from("n/a"),
        phone => phone.clone(),
    }
}

fn template(json: &Value) -> Value {
    Value::from(format!(
        "Order {} for {}: {} {}",
        text(&json["id"]),
        text(&json["customer"]["name"]),
        number(&json["total"]),
        text(&json["currency"])
    ))
}

fn lower(json: &Value) -> Value {
    Value::from(text(&json["customer"]["email"]).trim().to_lowercase())
}

fn first_name(json: &Value) -> Value {
    let mut parts = text(&json["customer"]["name"]).split(' ');
    parts.next().map_or(Value::Null, Value::from)
}

fn count(json: &Value) -> Value {
    let taxable = items(json).iter().filter(|item| item["taxable"] == true);
    Value::from(taxable.count())
}

fn names(json: &Value) -> Value {
    let mut joined = String::new();
    for (i, item) in items(json).iter().enumerate() {
        if i > 0 {
            joined.push_str(", ");
        }
        joined.push_str(text(&item["name"]));
    }
    Value::from(joined)
}

fn total(json: &Value) -> Value {
    let lines = items(json).iter().map(line_sum);
    Value::from(lines.fold(0.0, |sum, line| sum + line))
}

fn object(json: &Value) -> Value {
    let lines = items(json)
        .iter()
        .filter(|item| number(&item["qty"]) > 1.0)
        .map(|item| {
            let mut line = Map::with_capacity(2);
            line.insert("sku".to_owned(), item["sku"].clone());
            line.insert("sum".to_owned(), Value::from(line_sum(item)));
            Value::Object(line)
        })
        .collect();
    let mut result = Map::with_capacity(3);
    result.insert("id".to_owned(), json["id"].clone());
    result.insert("to".to_owned(), json["customer"]["email"].clone());
    result.insert("lines".to_owned(), Value::Array(lines));
    Value::Object(result)
}

fn line_sum(item: &Value) -> f64 {
    number(&item["qty"]) * number(&item["price"])
}

fn items(json: &Value) -> &[Value] {
    json["items"].as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
