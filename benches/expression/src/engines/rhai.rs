//! rhai: the expressions in its own language, over a variable `json`.

use rhai::{AST, Array, Dynamic, Engine as Rhais, Map, Scope};
use serde_json::{Number, Value};

use super::{Engine, Failed, whole_numbers};

const SOURCES: [&str; 12] = [
    "json.customer.address.city",
    "json.items[2].price",
    "json.total * 1.2 + json.tax",
    "json.total > 100 && json.status == \"paid\"",
    "json.customer.phone ?? \"n/a\"",
    "`Order ${json.id} for ${json.customer.name}: ${json.total} ${json.currency}`",
    // Its `trim` changes the variable.
    "let text = json.customer.email; text.trim(); text.to_lower()",
    "json.customer.name.split(\" \")[0]",
    "json.items.filter(|i| i.taxable).len",
    "let text = \"\"; for (i, n) in json.items { if n > 0 { text += \", \"; } text += i.name; } text",
    "json.items.reduce(|s, i| s + i.qty * i.price, 0)",
    "#{ id: json.id, to: json.customer.email, lines: json.items.filter(|i| i.qty > 1)\
       .map(|i| #{ sku: i.sku, sum: i.qty * i.price }) }",
];

pub(super) struct Rhai {
    engine: Rhais,
    programs: Vec<AST>,
    scope: Scope<'static>,
}

impl Rhai {
    pub(super) fn new(document: &Value) -> Result<Self, Failed> {
        let engine = Rhais::new();
        let programs = SOURCES.iter().map(|source| engine.compile(source));
        let programs = programs.collect::<Result<_, _>>()?;
        Ok(Self {
            engine,
            programs,
            scope: scope(document)?,
        })
    }
}

fn scope(document: &Value) -> Result<Scope<'static>, Failed> {
    let mut scope = Scope::new();
    scope.push_dynamic("json", from_json(document)?);
    Ok(scope)
}

impl Engine for Rhai {
    fn name(&self) -> &'static str {
        "rhai"
    }

    fn bare(&mut self, index: usize) {
        let before = self.scope.len();
        let result = self
            .engine
            .eval_ast_with_scope::<Dynamic>(&mut self.scope, &self.programs[index]);
        self.scope.rewind(before);
        drop(std::hint::black_box(result));
    }

    fn whole(&mut self, index: usize, document: &Value) -> Result<Value, Failed> {
        let mut scope = scope(document)?;
        let result = self
            .engine
            .eval_ast_with_scope::<Dynamic>(&mut scope, &self.programs[index])?;
        Ok(whole_numbers(to_json(result)?))
    }
}

fn from_json(value: &Value) -> Result<Dynamic, Failed> {
    Ok(match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => Dynamic::from(*b),
        Value::Number(n) => match n.as_i64() {
            Some(n) => Dynamic::from(n),
            None => Dynamic::from(n.as_f64().ok_or("a number beyond its range")?),
        },
        Value::String(s) => Dynamic::from(s.clone()),
        Value::Array(items) => {
            let items: Result<Array, Failed> = items.iter().map(from_json).collect();
            Dynamic::from(items?)
        }
        Value::Object(map) => {
            let mut members = Map::new();
            for (key, value) in map {
                members.insert(key.as_str().into(), from_json(value)?);
            }
            Dynamic::from(members)
        }
    })
}

fn to_json(value: Dynamic) -> Result<Value, Failed> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(b) = value.as_bool() {
        return Ok(Value::Bool(b));
    }
    if let Ok(n) = value.as_int() {
        return Ok(Value::from(n));
    }
    if let Ok(n) = value.as_float() {
        return Ok(Number::from_f64(n).map_or(Value::Null, Value::Number));
    }
    if value.is_string() {
        return Ok(Value::from(value.into_string()?));
    }
    if value.is_array() {
        let items = value.into_array()?;
        return items.into_iter().map(to_json).collect();
    }
    let members = value.try_cast::<Map>().ok_or("a value of its own kind")?;
    // Its maps are sorted; the comparison of objects does not look at the order.
    members
        .into_iter()
        .map(|(key, value)| Ok((key.to_string(), to_json(value)?)))
        .collect()
}
