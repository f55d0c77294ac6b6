//! boa: the same expressions as functions of `$json`; values go in and out by its own conversions.

use boa_engine::{Context, JsValue, Source, object::JsObject};
use serde_json::Value;

use super::{Engine, Failed, whole_numbers};
use crate::cases;

pub(super) struct Boa {
    functions: Vec<JsObject>,
    document: JsValue,
    context: Context,
}

impl Boa {
    pub(super) fn new(document: &Value) -> Result<Self, Failed> {
        let mut context = Context::default();
        let mut functions = Vec::new();
        for case in cases::all() {
            let code = format!("(($json) => ({}))", case.source);
            let function = context
                .eval(Source::from_bytes(&code))
                .map_err(|error| error.to_string())?;
            functions.push(function.as_object().ok_or("no function")?.clone());
        }
        let document =
            JsValue::from_json(document, &mut context).map_err(|error| error.to_string())?;
        Ok(Self {
            functions,
            document,
            context,
        })
    }
}

impl Engine for Boa {
    fn name(&self) -> &'static str {
        "boa"
    }

    fn bare(&mut self, index: usize) {
        let arguments = [self.document.clone()];
        let result =
            self.functions[index].call(&JsValue::undefined(), &arguments, &mut self.context);
        drop(std::hint::black_box(result));
    }

    fn whole(&mut self, index: usize, document: &Value) -> Result<Value, Failed> {
        let context = &mut self.context;
        let mut evaluate = || {
            let arguments = [JsValue::from_json(document, context)?];
            self.functions[index]
                .call(&JsValue::undefined(), &arguments, context)?
                .to_json(context)
        };
        let result = evaluate().map_err(|error| error.to_string())?;
        Ok(whole_numbers(result.ok_or("no result")?))
    }
}
