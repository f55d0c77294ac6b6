//! `URL`, `URLSearchParams` and their methods.
//!
//! What changes parameters gives nothing in JavaScript; here it gives the changed ones, and may
//! only be called on what has no name.

use super::{Args, Function, Method, Outcome, method, mutator, pure};
use crate::{
    error::Fault,
    machine::{List, Machine},
    value::{Instance, Items, Params, Text, Val},
};

pub(super) const METHODS: &[Method] = &[
    method("toJSON", href),
    method("toString", href),
    method("valueOf", |_, this, _| Ok(this)),
];

pub(super) const PARAMS_METHODS: &[Method] = &[
    mutator("append", append),
    mutator("delete", delete),
    method("entries", |m, this, _| {
        let Params { names, values } = receiver(this);
        let pairs = m.pairs(names, values)?;
        m.copy_items(pairs)
    }),
    method("get", get),
    method("getAll", get_all),
    method("has", has),
    method("keys", |m, this, _| m.slice_value(receiver(this).names)),
    mutator("set", set),
    mutator("sort", sort),
    method("toString", |m, this, _| {
        let text = m.text_of(this)?;
        m.text_value(text)
    }),
    method("valueOf", |_, this, _| Ok(this)),
    method("values", |m, this, _| m.slice_value(receiver(this).values)),
];

pub(super) const FUNCTIONS: [Function; 4] = [
    pure("URL.canParse", |m, args| {
        Ok(Val::Bool(m.parse_url(args.get(0), args.get(1))?.is_ok()))
    }),
    pure("URL.parse", |m, args| {
        match m.parse_url(args.get(0), args.get(1))? {
            Ok(parsed) => m.url(&parsed),
            Err(_) => Ok(Val::Null),
        }
    }),
    pure("new URL", new_url),
    pure("new URLSearchParams", new_params),
];

fn new_url<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    match m.parse_url(args.get(0), args.get(1))? {
        Ok(parsed) => m.url(&parsed),
        Err(_) if m.lenient => Ok(Val::Undefined),
        Err(error) => {
            let message = format!("this is no URL: {error}");
            Err(Fault::new("TYPE_URL", message).hint(
                "look first with `URL.canParse(…)`; a relative one needs a base: `new URL(path, base)`",
            ))
        }
    }
}

fn href<'a>(_: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    Ok(match this {
        Val::Instance(Instance::Url(url)) => Val::Temp(&url.href),
        other => other,
    })
}

/// The receiver; the table is only asked for parameters.
fn receiver(this: Val<'_>) -> Params<'_> {
    match this {
        Val::Instance(Instance::Params(params)) => *params,
        _ => Params {
            names: &[],
            values: &[],
        },
    }
}

fn new_params<'a>(m: &mut Machine<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let source = args.get(0);
    let mut made = Made::new(m)?;
    match source {
        Val::Undefined | Val::Null => {}
        Val::Instance(Instance::Params(params)) => return m.params(*params),
        Val::Instance(instance) => {
            if let Some(pairs) = instance.iterate(m)? {
                made.push_pairs(m, pairs)?;
            }
        }
        Val::JsonArray(_) | Val::Long(_) | Val::Array(_) => {
            let pairs = m.iterate(source)?;
            made.push_pairs(m, pairs)?;
        }
        Val::JsonObject(_) | Val::Object(_) => {
            for (name, value) in m.own_entries(source)? {
                let name = m.text_value(name)?;
                made.push(m, name, value)?;
            }
        }
        other => {
            let text = m.whole_text(other)?;
            let params = m.parse_params(text)?;
            return m.params(params);
        }
    }
    made.finish(m)
}

/// Parameters under construction.
struct Made<'a> {
    names: List<'a>,
    values: List<'a>,
}

impl<'a> Made<'a> {
    fn new(m: &mut Machine<'a>) -> Result<Self, Fault> {
        Ok(Self {
            names: m.list(0)?,
            values: m.list(0)?,
        })
    }

    fn push(&mut self, m: &mut Machine<'a>, name: Val<'a>, value: Val<'a>) -> Result<(), Fault> {
        let (name, value) = (whole(m, name)?, whole(m, value)?);
        self.names.push(m, name)?;
        self.values.push(m, value)
    }

    fn push_pairs(&mut self, m: &mut Machine<'a>, pairs: Items<'a>) -> Result<(), Fault> {
        m.walk(pairs.len())?;
        for pair in pairs.iter() {
            if pair.text().is_some() {
                let message = "a parameter is a list of a name and a value, not a text";
                return Err(Fault::new("TYPE_ARGUMENT", message).hint("write `[name, value]`"));
            }
            let items = m.iterate(pair)?;
            let (2, Some(name), Some(value)) = (items.len(), items.get(0), items.get(1)) else {
                let message = format!("a parameter is a name and a value, not {}", items.len());
                return Err(Fault::new("TYPE_ARGUMENT", message).hint("write `[name, value]`"));
            };
            self.push(m, name, value)?;
        }
        Ok(())
    }

    /// Adds those parameters for which `keep` is true.
    fn push_some(
        &mut self,
        m: &mut Machine<'a>,
        params: Params<'a>,
        mut keep: impl FnMut(usize) -> bool,
    ) -> Result<(), Fault> {
        m.walk(params.names.len())?;
        for (i, (name, value)) in params.names.iter().zip(params.values).enumerate() {
            if keep(i) {
                self.names.push(m, *name)?;
                self.values.push(m, *value)?;
            }
        }
        Ok(())
    }

    fn finish(self, m: &mut Machine<'a>) -> Outcome<'a> {
        m.params(Params {
            names: self.names.into_slice(),
            values: self.values.into_slice(),
        })
    }
}

/// A value as text without lone surrogates.
fn whole<'a>(m: &mut Machine<'a>, value: Val<'a>) -> Outcome<'a> {
    if let Some(Text::Utf8(_)) = value.text() {
        return Ok(value);
    }
    let text = m.whole_text(value)?;
    m.text_value(Text::Utf8(text))
}

/// The positions of the parameters with that name, and with that value if one is given.
fn positions<'a>(
    m: &mut Machine<'a>,
    params: Params<'a>,
    name: Val<'a>,
    value: Val<'a>,
) -> Result<Vec<usize>, Fault> {
    let name = whole(m, name)?;
    let value = match value {
        Val::Undefined => None,
        value => Some(whole(m, value)?),
    };
    m.walk(params.names.len())?;
    m.reserve(params.names.len() * size_of::<usize>())?;
    let mut found = Vec::new();
    for (i, known) in params.names.iter().enumerate() {
        if m.same(*known, name)?
            && match value {
                Some(value) => m.same(params.values[i], value)?,
                None => true,
            }
        {
            found.push(i);
        }
    }
    Ok(found)
}

fn get<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let params = receiver(this);
    needs(args, 1)?;
    let found = positions(m, params, args.get(0), Val::Undefined)?;
    Ok(found.first().map_or(Val::Null, |at| params.values[*at]))
}

fn get_all<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let params = receiver(this);
    needs(args, 1)?;
    let found = positions(m, params, args.get(0), Val::Undefined)?;
    let mut list = m.list(found.len())?;
    found
        .into_iter()
        .try_for_each(|at| list.push(m, params.values[at]))?;
    m.array(list)
}

fn has<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    needs(args, 1)?;
    let found = positions(m, receiver(this), args.get(0), args.get(1))?;
    Ok(Val::Bool(!found.is_empty()))
}

fn append<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    needs(args, 2)?;
    let mut made = Made::new(m)?;
    made.push_some(m, receiver(this), |_| true)?;
    made.push(m, args.get(0), args.get(1))?;
    made.finish(m)
}

fn delete<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    needs(args, 1)?;
    let params = receiver(this);
    let found = positions(m, params, args.get(0), args.get(1))?;
    let mut made = Made::new(m)?;
    made.push_some(m, params, |i| found.binary_search(&i).is_err())?;
    made.finish(m)
}

fn set<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    needs(args, 2)?;
    let params = receiver(this);
    let found = positions(m, params, args.get(0), Val::Undefined)?;
    let mut made = Made::new(m)?;
    let Some(first) = found.first().copied() else {
        return append(m, this, args);
    };
    // The first of that name gets the value, the others go.
    made.push_some(m, params, |i| {
        i == first || found.binary_search(&i).is_err()
    })?;
    let value = whole(m, args.get(1))?;
    made.values.items_mut()[first] = value;
    made.finish(m)
}

fn sort<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let params = receiver(this);
    let len = params.names.len();
    m.walk(len)?;
    m.reserve(len * 2 * size_of::<(Text<'_>, usize)>())?;
    let mut order = Vec::with_capacity(len);
    for (i, name) in params.names.iter().enumerate() {
        let name = m.text_of(*name)?;
        // A stable sort looks at each about as often as its number has bits.
        let looks = usize::BITS - len.leading_zeros();
        m.charge(u64::from(looks) * (1 + name.size() as u64 / 64))?;
        order.push((name, i));
    }
    order.sort();
    let mut made = Made::new(m)?;
    for (_, i) in order {
        made.names.push(m, params.names[i])?;
        made.values.push(m, params.values[i])?;
    }
    made.finish(m)
}

/// Refuses a call with fewer arguments than JavaScript takes.
fn needs(args: Args<'_, '_>, count: usize) -> Result<(), Fault> {
    if args.len() < count {
        let message = format!("{count} arguments are needed, and there are {}", args.len());
        return Err(Fault::new("TYPE_ARGUMENT", message));
    }
    Ok(())
}
