//! Chains: members, indices and methods, one after the other.

use serde_json::Value;

use super::{Machine, Quick, Reg};
use crate::{
    code::{Node, NodeId, Run, Step, StepKind},
    error::Fault,
    guard::{Guard, holds, inherits},
    library::{Args, Method, Outcome, extension::of_nothing, has_method, methods_of},
    path::{End, Key, LENGTH, Path},
    suggest::did_you_mean,
    value::{Text, Val, array_index, lookup},
};

/// What a value would have from a prototype, if there were one.
const INHERITED: Val<'static> = Val::Temp(&"inherited");

impl<'a> Machine<'a> {
    /// A chain that begins with a path.
    #[inline(never)]
    pub(super) fn path_chain(&mut self, path: Path, base: NodeId, steps: Run) -> Quick<'a> {
        let len = path.keys.len;
        match self.follow(&path) {
            // Of what is not there, the way from the start on knows more to tell.
            End::At(value) if !value.is_null() => {
                // The start, and each step, as without a path.
                self.spend(1 + u64::from(len))?;
                self.chain(Reg::Data(value), len as usize, base, steps)
            }
            _ => {
                let first = self.node(base)?;
                self.chain(first, 0, base, steps)
            }
        }
    }

    /// The steps of a chain from `value` on, which is where the step at `from` begins.
    #[inline(never)]
    pub(super) fn chain(
        &mut self,
        value: Reg<'a>,
        from: usize,
        base: NodeId,
        steps: Run,
    ) -> Quick<'a> {
        let code = self.code;
        let steps = steps.of(&code.steps);
        let mut value = value;
        // What the last step was taken from, to tell which key was missing.
        let mut parent = Reg::Undefined;
        let mut i = from;
        while let Some(step) = steps.get(i) {
            i += 1;
            if value.is_nullish() {
                if step.optional {
                    return Ok(Reg::Undefined);
                }
                if let StepKind::Method { method, .. } = step.kind
                    && let Some(answer) = of_nothing(code.methods[method as usize].0)
                {
                    parent = value;
                    value = Reg::bool(answer);
                    continue;
                }
                if self.lenient || !holds(Guard::StrictMembers) {
                    value = Reg::Undefined;
                    continue;
                }
                let fault = self.of_nullish(value.val(), parent.val(), base, steps, i - 1);
                return Err(self.stop(fault.at(step.span)));
            }
            self.spend(1)?;
            let next = match step.kind {
                StepKind::Key(key) => self.member(value, &code.keys[key as usize]),
                StepKind::At(index, key) => match value.val().items() {
                    Some(items) => Ok(Reg::of(
                        &items.get(index as usize).unwrap_or(Val::Undefined),
                    )),
                    None => self.member(value, &code.keys[key as usize]),
                },
                StepKind::Index(index) => match self.eval(index) {
                    Ok(index) => {
                        let outcome = self.index(value.val(), index);
                        self.quick(outcome)
                    }
                    Err(fault) => Err(self.stop(fault)),
                },
                StepKind::Method {
                    method,
                    args,
                    if_present,
                    named,
                } => {
                    let (name, set) = &code.methods[method as usize];
                    if let Some(Step {
                        kind: StepKind::At(at, _),
                        ..
                    }) = steps.get(i)
                        && let Some((text, separator)) = self.plain_split(value, name, args)
                    {
                        i += 1;
                        parent = Reg::Undefined;
                        value = self.split_part(text, separator, *at, step.span)?;
                        continue;
                    }
                    let this = value.val();
                    match set.of(this) {
                        Some(found) if named && found.mutates => {
                            Err(self.stop(changes_a_name(this, name)))
                        }
                        Some(found) => {
                            let outcome = self.call_method(found, this, args);
                            self.quick(outcome)
                        }
                        None if if_present || !holds(Guard::TypedReceiver) => {
                            return Ok(Reg::Undefined);
                        }
                        None => Err(self.stop(no_method(this, name))),
                    }
                }
            };
            parent = value;
            value = match next {
                Ok(next) => next,
                Err(stopped) => {
                    let fault = self.reason(stopped);
                    return Err(self.stop(fault.at(step.span)));
                }
            };
        }
        Ok(value)
    }

    /// The text and the separator, if this is a call of `split` with a literal.
    fn plain_split(&self, this: Reg<'a>, name: &str, args: Run) -> Option<(&'a str, &'a str)> {
        let [one] = args.of(&self.code.elements) else {
            return None;
        };
        match self.code.nodes[one.node as usize] {
            Node::Str(at) if name == "split" && !one.spread => {
                let separator = self.code.texts[at as usize].as_str();
                (!separator.is_empty()).then_some((this.utf8()?, separator))
            }
            _ => None,
        }
    }

    /// One part of a text that is split: the others need not be made.
    #[inline(never)]
    fn split_part(
        &mut self,
        text: &'a str,
        separator: &str,
        at: u32,
        span: (u32, u32),
    ) -> Quick<'a> {
        // The argument and the index.
        self.spend(2)?;
        let outcome = self.scan(text.len()).and_then(|()| {
            let found = match *separator.as_bytes() {
                [byte] => text.split(char::from(byte)).nth(at as usize),
                _ => text.split(separator).nth(at as usize),
            };
            found.map_or(Ok(Val::Undefined), |part| self.text_value(Text::Utf8(part)))
        });
        self.quick(outcome.map_err(|fault| fault.at(span)))
    }

    #[inline(never)]
    fn call_method(&mut self, method: &Method, this: Val<'a>, args: Run) -> Outcome<'a> {
        match args.of(&self.code.elements) {
            [] => (method.run)(self, this, Args(&[])),
            [one] if !one.spread => {
                let one = self.argument(one.node)?;
                (method.run)(self, this, Args(&[one]))
            }
            [one, two] if !one.spread && !two.spread => {
                let args = [self.argument(one.node)?, self.argument(two.node)?];
                (method.run)(self, this, Args(&args))
            }
            _ => {
                let args = self.arguments(args)?;
                (method.run)(self, this, Args(&args))
            }
        }
    }

    #[inline(always)]
    fn argument(&mut self, id: NodeId) -> Outcome<'a> {
        let value = self.operand(id);
        self.outcome(value)
    }

    /// A member by a fixed key.
    #[inline]
    fn member(&mut self, value: Reg<'a>, key: &Key) -> Quick<'a> {
        if inherits(key.as_str()) {
            return Ok(Reg::of(&INHERITED));
        }
        match value {
            Reg::Data(Value::Object(map)) | Reg::JsonObject(map) => {
                Ok(key.of(map).map_or(Reg::Undefined, Reg::Data))
            }
            Reg::Data(Value::Array(items)) | Reg::JsonArray(items) if key.as_str() == LENGTH => {
                Ok(Reg::num(items.len() as f64))
            }
            Reg::Array(items) if key.as_str() == LENGTH => Ok(Reg::num(items.len() as f64)),
            _ => {
                let outcome = self.named_member(value.val(), key.as_str());
                self.quick(outcome)
            }
        }
    }

    /// A member by a key that no place of the program remembers.
    fn named_member(&mut self, value: Val<'a>, key: &str) -> Outcome<'a> {
        if inherits(key) {
            return Ok(INHERITED);
        }
        match value {
            Val::JsonObject(map) => Ok(lookup(map, key).map_or(Val::Undefined, Val::from_json)),
            Val::Object(object) => Ok(object.get(Text::Utf8(key)).unwrap_or(Val::Undefined)),
            _ => self.member_of_other(value, key),
        }
    }

    #[inline(never)]
    fn member_of_other(&mut self, value: Val<'a>, key: &str) -> Outcome<'a> {
        if let Some(found) = self.own(value, Text::Utf8(key))? {
            return Ok(found);
        }
        if !self.lenient && has_method(value, key) {
            let message = format!("`{key}` of {} is a method, not a value", value.kind());
            return Err(
                Fault::new("TYPE_METHOD_NOT_CALLED", message).hint(format!("call it: `.{key}(…)`"))
            );
        }
        Ok(Val::Undefined)
    }

    /// A member by a computed key.
    pub(super) fn index(&mut self, value: Val<'a>, index: Val<'a>) -> Outcome<'a> {
        if let (Val::Num(n), Some(items)) = (index, value.items()) {
            // The cast saturates; what was cut does not compare equal.
            let at = n as usize;
            let found = if at as f64 == n { items.get(at) } else { None };
            return Ok(found.unwrap_or(Val::Undefined));
        }
        let key = self.text_of(index)?;
        match key {
            Text::Utf8(key) => self.named_member(value, key),
            Text::Wide(_) => Ok(self.own(value, key)?.unwrap_or(Val::Undefined)),
        }
    }

    /// What a value holds under a key of its own.
    pub(crate) fn own(&mut self, value: Val<'a>, key: Text<'_>) -> Result<Option<Val<'a>>, Fault> {
        if key.utf8().is_some_and(inherits) {
            return Ok(Some(INHERITED));
        }
        Ok(match (value, key) {
            (Val::Object(object), key) => object.get(key),
            (_, Text::Wide(_)) => None,
            (Val::Instance(instance), Text::Utf8(key)) => instance.get(self, key)?,
            (Val::JsonObject(map), Text::Utf8(key)) => lookup(map, key).map(Val::from_json),
            (_, Text::Utf8(key)) => match (value.items(), value.text()) {
                (Some(items), _) if key == "length" => Some(Val::Num(items.len() as f64)),
                (Some(items), _) => array_index(key).and_then(|at| items.get(at as usize)),
                (_, Some(text)) if key == "length" => Some(Val::Num(self.units(text)? as f64)),
                (_, Some(text)) => match array_index(key) {
                    Some(at) => match self.unit_at(text, at as usize)? {
                        Some(unit) => Some(self.unit_value(unit)?),
                        None => None,
                    },
                    None => None,
                },
                _ => None,
            },
        })
    }

    /// A member or method of null or undefined, in strict mode.
    #[cold]
    fn of_nullish(
        &self,
        value: Val<'a>,
        parent: Val<'a>,
        base: NodeId,
        steps: &[Step],
        at: usize,
    ) -> Fault {
        let what = match steps[at].kind {
            StepKind::Key(key) | StepKind::At(_, key) => {
                format!("read `{}`", self.code.keys[key as usize].as_str())
            }
            StepKind::Index(_) => "read an element".to_owned(),
            StepKind::Method { method, .. } => {
                format!("call `{}`", self.code.methods[method as usize].0)
            }
        };
        let before = at.checked_sub(1).map(|last| steps[last].kind);
        let missing = match before {
            Some(StepKind::Key(key)) => Some(self.code.keys[key as usize].as_str()),
            _ => None,
        };
        let root = match (before, self.code.nodes[base as usize]) {
            (None, Node::Root(root)) if self.scope.root(root).is_none() => Some(root.name()),
            _ => None,
        };
        let message = match (missing, root) {
            (Some(key), _) => format!("cannot {what} of {}: that is what `{key}` is", value.kind()),
            (_, Some(root)) => format!("cannot {what}: there is no `${root}` here"),
            _ => format!("cannot {what} of {}", value.kind()),
        };
        let near = missing.and_then(|key| {
            let keys: Vec<&str> = match parent {
                Val::JsonObject(map) => map.keys().map(String::as_str).collect(),
                Val::Object(object) => object
                    .entries()
                    .iter()
                    .filter_map(|(key, _)| key.utf8())
                    .collect(),
                _ => return None,
            };
            if keys.contains(&key) {
                return None;
            }
            did_you_mean(key, keys.iter().copied()).or_else(|| known_keys(&keys))
        });
        let optional = "write `?.` if it may be missing";
        Fault::new("PATH_OF_NULLISH", message).hint(match near {
            Some(near) => format!("{near} Else {optional}"),
            None => optional.to_owned(),
        })
    }
}

/// The first keys of an object, for a hint.
fn known_keys(keys: &[&str]) -> Option<String> {
    const SHOWN: usize = 8;
    if keys.is_empty() {
        return None;
    }
    let shown: Vec<String> = keys
        .iter()
        .filter(|key| key.len() <= 40)
        .take(SHOWN)
        .map(|key| format!("`{key}`"))
        .collect();
    let more = if keys.len() > SHOWN { ", …" } else { "" };
    Some(format!("there are {}{more}.", shown.join(", ")))
}

#[cold]
fn changes_a_name(value: Val<'_>, name: &str) -> Fault {
    let message = format!(
        "`{name}` would change a named {}, and values never change",
        value.kind()
    );
    let hint = match name {
        "set" => "make a new one: `new Map([...map, [key, value]])`",
        _ => "make a new value, or call it where the value is made",
    };
    Fault::new("UNSUPPORTED_MUTATOR", message).hint(hint)
}

#[cold]
fn no_method(value: Val<'_>, name: &str) -> Fault {
    let message = format!("no method `{name}` on {}", value.kind());
    let fault = Fault::new("TYPE_NO_METHOD", message);
    let methods = methods_of(value).filter(|known| *known != name);
    match crate::suggest::nearest(name, methods) {
        Some(near) => fault.hint(format!("did you mean `{near}()`?")),
        None if matches!(value, Val::JsonObject(_) | Val::Object(_)) => {
            fault.hint("take `Object.keys(…)`, `Object.values(…)` or `Object.entries(…)` first")
        }
        None if matches!(value, Val::Num(_) | Val::Exact(_)) => {
            fault.hint("write `String(…)` first")
        }
        None => fault,
    }
}
