//! jaq: the expressions as jq filters over the document.

use jaq_core::{
    Compiler, Ctx, Filter, Vars, data,
    load::{Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::{Map, Num, Rc, Val};
use serde_json::{Number, Value};

use super::{Engine, Failed, whole_numbers};

const SOURCES: [&str; 12] = [
    ".customer.address.city",
    ".items[2].price",
    ".total * 1.2 + .tax",
    ".total > 100 and .status == \"paid\"",
    ".customer.phone // \"n/a\"",
    "\"Order \\(.id) for \\(.customer.name): \\(.total) \\(.currency)\"",
    ".customer.email | trim | ascii_downcase",
    ".customer.name | split(\" \")[0]",
    "[.items[] | select(.taxable)] | length",
    "[.items[].name] | join(\", \")",
    "reduce .items[] as $i (0; . + $i.qty * $i.price)",
    "{ id, to: .customer.email, lines: [.items[] | select(.qty > 1) \
       | { sku, sum: (.qty * .price) }] }",
];

type Data = data::JustLut<Val>;

pub(super) struct Jaq {
    filters: Vec<Filter<Data>>,
    document: Val,
}

impl Jaq {
    pub(super) fn new(document: &Value) -> Result<Self, Failed> {
        let filters: Result<_, Failed> = SOURCES.iter().map(|source| compile(source)).collect();
        Ok(Self {
            filters: filters?,
            document: from_json(document)?,
        })
    }

    fn run(&self, index: usize, document: Val) -> Option<Result<Val, jaq_json::Error>> {
        let filter = &self.filters[index];
        let context = Ctx::<Data>::new(&filter.lut, Vars::new([]));
        filter.id.run((context, document)).map(unwrap_valr).next()
    }
}

fn compile(source: &str) -> Result<Filter<Data>, Failed> {
    let definitions = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let functions = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    let arena = Arena::default();
    let file = File {
        code: source,
        path: (),
    };
    let modules = Loader::new(definitions)
        .load(&arena, file)
        .map_err(|errors| format!("{source}: {errors:?}"))?;
    Compiler::default()
        .with_funs(functions)
        .compile(modules)
        .map_err(|errors| format!("{source}: {errors:?}").into())
}

impl Engine for Jaq {
    fn name(&self) -> &'static str {
        "jaq"
    }

    fn bare(&mut self, index: usize) {
        drop(std::hint::black_box(self.run(index, self.document.clone())));
    }

    fn whole(&mut self, index: usize, document: &Value) -> Result<Value, Failed> {
        let result = self.run(index, from_json(document)?).ok_or("no result")?;
        let result = result.map_err(|error| error.to_string())?;
        Ok(whole_numbers(to_json(&result)?))
    }
}

fn from_json(value: &Value) -> Result<Val, Failed> {
    Ok(match value {
        Value::Null => Val::Null,
        Value::Bool(b) => Val::Bool(*b),
        Value::Number(n) => match n.as_i64() {
            Some(n) => Val::Num(Num::from_integral(n)),
            None => Val::from(n.as_f64().ok_or("a number beyond its range")?),
        },
        Value::String(s) => Val::from(s.clone()),
        Value::Array(items) => {
            let items: Result<Vec<Val>, Failed> = items.iter().map(from_json).collect();
            Val::Arr(Rc::new(items?))
        }
        Value::Object(map) => {
            let mut members = Map::default();
            for (key, value) in map {
                members.insert(Val::from(key.clone()), from_json(value)?);
            }
            Val::obj(members)
        }
    })
}

fn to_json(value: &Val) -> Result<Value, Failed> {
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(b) => Value::Bool(*b),
        Val::Num(Num::Int(n)) => Value::from(*n),
        Val::Num(Num::Float(n)) => Number::from_f64(*n).map_or(Value::Null, Value::Number),
        Val::Num(other) => return Err(format!("{other} is no number of the cases").into()),
        Val::BStr(bytes) | Val::TStr(bytes) => Value::from(std::str::from_utf8(bytes)?),
        Val::Arr(items) => {
            let items: Result<Vec<Value>, Failed> = items.iter().map(to_json).collect();
            Value::Array(items?)
        }
        Val::Obj(members) => members
            .iter()
            .map(|(key, value)| match key {
                Val::TStr(key) => Ok((std::str::from_utf8(key)?.to_owned(), to_json(value)?)),
                other => Err(format!("{other} is no key of the cases").into()),
            })
            .collect::<Result<_, Failed>>()?,
    })
}
