//! QuickJS, by `rquickjs`: the same expressions as functions of `$json`. Values go in and out as
//! JSON text, which its own parser and writer handle faster than one call per member would.

use rquickjs::{Context, Function, Persistent, Runtime, Value as JsValue};
use serde_json::Value;

use super::{Engine, Failed, whole_numbers};
use crate::cases::{self, Case};

type Compiled = Persistent<Function<'static>>;

pub(super) struct QuickJs {
    functions: Vec<Compiled>,
    document: Persistent<JsValue<'static>>,
    context: Context,
}

impl QuickJs {
    pub(super) fn new(document: &Value) -> Result<Self, Failed> {
        let context = Context::full(&Runtime::new()?)?;
        let (functions, document) = context.with(|ctx| {
            let compile = |case: Case| {
                let code = format!("($json) => ({})", case.source);
                let function: Function<'_> = ctx.eval(code)?;
                Ok(Persistent::save(&ctx, function))
            };
            let functions: Result<Vec<Compiled>, rquickjs::Error> =
                cases::all().into_iter().map(compile).collect();
            let document = ctx.json_parse(serde_json::to_vec(document)?)?;
            Ok::<_, Failed>((functions?, Persistent::save(&ctx, document)))
        })?;
        Ok(Self {
            functions,
            document,
            context,
        })
    }
}

impl Engine for QuickJs {
    fn name(&self) -> &'static str {
        "quickjs"
    }

    fn bare(&mut self, index: usize) {
        self.context.with(|ctx| {
            let function = self.functions[index].clone().restore(&ctx);
            let document = self.document.clone().restore(&ctx);
            let result: rquickjs::Result<JsValue<'_>> =
                function.and_then(|function| function.call((document?,)));
            drop(std::hint::black_box(result));
        });
    }

    fn whole(&mut self, index: usize, document: &Value) -> Result<Value, Failed> {
        self.context.with(|ctx| {
            let function = self.functions[index].clone().restore(&ctx)?;
            let document = ctx.json_parse(serde_json::to_vec(document)?)?;
            let result: JsValue<'_> = function.call((document,))?;
            let text = ctx
                .json_stringify(result)?
                .ok_or("no result")?
                .to_string()?;
            Ok(whole_numbers(serde_json::from_str(&text)?))
        })
    }
}
