//! A compiled expression and the ways to evaluate it.

use std::{fmt, sync::Arc};

use bumpalo::Bump;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Context, ExpressionError, JsonScope, Limits, Phase, Purity, Report, Scope, Segmented,
    code::Code,
    error::Fault,
    guard::{Guard, holds, reread},
    machine::{Machine, Reg, lend},
    resolve, syntax,
    value::{condition, notation, owned},
};

/// How missing values are treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A member of null or undefined is an error; so is undefined in text, and a condition that is
    /// not a boolean.
    #[default]
    Strict,
    /// As imported workflows expect: a member of null or undefined is undefined, null and
    /// undefined in text are empty, and conditions take what counts as true.
    Lenient,
}

/// What a compilation is told beside the source.
#[derive(Debug, Clone, Default)]
pub struct CompileOptions<'a> {
    /// How missing values are treated. Default: [`Mode::Strict`].
    pub mode: Mode,
    /// The ids that `$nodes.` may name; `None` (the default) accepts any.
    pub nodes: Option<&'a [&'a str]>,
    /// Bounds on source and nesting; the others count when evaluating, from [`Context::limits`].
    pub limits: Limits,
}

/// A compiled expression.
///
/// A clone shares the program. Two programs are equal if source and mode are. Its portable form is
/// its source: `{ "source": "$json.a + 1", "mode": "strict" }` compiles when it is read.
#[derive(Clone)]
pub struct Program(Arc<Compiled>);

struct Compiled {
    source: String,
    mode: Mode,
    code: Code,
    report: Report,
}

/// A result that need not be a copy.
#[derive(Debug, Clone, PartialEq)]
pub enum Evaluated<'v> {
    /// There is no value.
    Undefined,
    /// A value of the scope itself: what a path gives, without any allocation.
    Borrowed(&'v Value),
    /// A value that was made.
    Owned(Value),
    /// A long list of the scope as a whole.
    List(Arc<dyn Segmented>),
}

/// What an evaluation took, in the units of [`Limits`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Operations; an evaluation that is stopped has the one that was too much.
    pub operations: u64,
    /// Bytes of temporary values, charged before they are taken.
    pub bytes: usize,
    /// Bytes that the arena took from the allocator: it takes them in blocks, each at most twice as
    /// large as all before.
    pub allocated: usize,
}

impl Evaluated<'_> {
    /// The value as one's own; `None` is undefined.
    #[must_use]
    pub fn into_owned(self) -> Option<Value> {
        match self {
            Evaluated::Undefined => None,
            Evaluated::Borrowed(value) => Some(value.clone()),
            Evaluated::Owned(value) => Some(value),
            Evaluated::List(list) => Some(list.elements().collect()),
        }
    }
}

impl Program {
    /// Compiles `source`, without the `{{ }}` around it.
    ///
    /// # Errors
    /// Every problem of the source at once, in its order; at least one, and at most the first 100.
    pub fn compile(
        source: &str,
        options: &CompileOptions<'_>,
    ) -> Result<Program, Vec<ExpressionError>> {
        let limit = options.limits.source_bytes.min(u32::MAX as usize);
        if source.len() > limit && holds(Guard::SourceLimit) {
            return Err(vec![ExpressionError {
                code: "LIMIT_SOURCE",
                phase: Phase::Syntax,
                message: format!(
                    "the expression has {} bytes; {limit} are allowed",
                    source.len()
                ),
                start: 0,
                end: source.len(),
                hint: Some("split it over several nodes".into()),
            }]);
        }
        let mut compiled = Compiled {
            source: source.to_owned(),
            mode: options.mode,
            code: Code::default(),
            report: Report::default(),
        };
        let Compiled { code, report, .. } = &mut compiled;
        let mut errors = lend(|arena| {
            let (tree, mut errors) = syntax::parse(source, options.limits.ast_depth, arena);
            errors.extend(resolve::resolve(&tree, options, arena, code, report));
            errors
        });
        if !errors.is_empty() {
            errors.sort_by_key(|error| (error.start, error.end));
            errors.truncate(resolve::MAX_ERRORS);
            return Err(errors);
        }
        Ok(Program(Arc::new(compiled)))
    }

    /// The text that was compiled.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The mode that it was compiled in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.0.mode
    }

    /// What it reads and what its result depends on.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.0.report
    }

    /// How many nodes the program has: values, operators, calls and the steps of chains.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.code.nodes.len() + self.0.code.steps.len()
    }

    /// What every evaluation gives, if the source reads no data, no clock and no seed; `None` if it
    /// does, or if it takes more than 10,000 operations or 64 KiB of values to know.
    ///
    /// An error is what every evaluation would fail with.
    #[must_use]
    pub fn constant(&self) -> Option<Result<Option<Value>, ExpressionError>> {
        const MAX_BYTES: usize = 64 * 1024;
        let Report {
            roots,
            nodes,
            paths: _,
            purity,
        } = &self.0.report;
        if !roots.is_empty() || !nodes.is_empty() || *purity != Purity::Pure {
            return None;
        }
        let limits = Limits::default();
        let context = Context {
            limits: Limits {
                operations_ceiling: limits.operations,
                arena_bytes: MAX_BYTES,
                result_bytes: MAX_BYTES,
                ..limits
            },
            ..Context::default()
        };
        match self.evaluate(&JsonScope(&Value::Null), &context) {
            // The limits of an evaluation are wider.
            Err(error) if error.code.starts_with("LIMIT_") => None,
            known => Some(known),
        }
    }

    /// Evaluates to JSON like [`evaluate`](Program::evaluate), and says what that took: for tests
    /// of the limits and for people who make an expression cheaper.
    pub fn evaluate_measured(
        &self,
        scope: &dyn Scope,
        context: &Context,
    ) -> (Result<Option<Value>, ExpressionError>, Spent) {
        let (compiled, arena) = (&*self.0, Bump::new());
        let mut machine = Machine::new(&arena, &compiled.code, compiled.mode, scope, context);
        let result = match machine.run() {
            Ok(value) => owned(value, &context.limits, |fault| self.at_border(fault)).map(reread),
            Err(fault) => Err(fault.finish(compiled.source.len())),
        };
        (result, machine.spent())
    }

    /// Evaluates to JSON; `None` is undefined.
    ///
    /// NaN and infinities become null; undefined becomes null in arrays and is left out of
    /// objects; moments become ISO text; lone surrogates become U+FFFD.
    ///
    /// # Errors
    /// `PATH_…`, `TYPE_…` or `LIMIT_…`, with the place in the source.
    pub fn evaluate(
        &self,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<Option<Value>, ExpressionError> {
        match self.follow(scope) {
            Some(value) => Ok(Some(value.clone())),
            None => self.lent(|arena| self.evaluate_in(arena, scope, context)),
        }
    }

    /// Evaluates to JSON like [`evaluate`](Program::evaluate), but a path gives the scope's own
    /// value and allocates nothing, and a long list stays one.
    ///
    /// # Errors
    /// As [`evaluate`](Program::evaluate).
    pub fn evaluate_ref<'v>(
        &self,
        scope: &'v dyn Scope,
        context: &Context,
    ) -> Result<Evaluated<'v>, ExpressionError> {
        if let Some(value) = self.follow(scope) {
            return Ok(Evaluated::Borrowed(value));
        }
        self.lent(|arena| {
            self.with(arena, scope, context, |_, value| match value {
                Reg::Long(list) => Ok(Evaluated::List(list.source().clone())),
                made => owned(made, &context.limits, |fault| self.at_border(fault))
                    .map(reread)
                    .map(|made| made.map_or(Evaluated::Undefined, Evaluated::Owned)),
            })
        })
    }

    /// Evaluates a condition: in strict mode it must give a boolean, in lenient mode it holds if
    /// the value counts as true.
    ///
    /// # Errors
    /// As [`evaluate`](Program::evaluate), and `TYPE_NOT_BOOLEAN`.
    pub fn evaluate_condition(
        &self,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<bool, ExpressionError> {
        self.lent(|arena| self.condition_in(arena, scope, context))
    }

    /// Evaluates one part of a text template.
    ///
    /// Arrays and objects become compact JSON, moments ISO text; NaN and infinities `null`. In
    /// lenient mode undefined, null and NaN are empty.
    ///
    /// # Errors
    /// As [`evaluate`](Program::evaluate), and in strict mode `TYPE_UNDEFINED_TEXT`.
    pub fn evaluate_text(
        &self,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<String, ExpressionError> {
        self.lent(|arena| {
            self.with(arena, scope, context, |m, value| {
                m.border_text(value.val())
                    .map_err(|fault| self.at_border(fault))
            })
        })
    }

    /// Evaluates to text that keeps what JSON cannot: for comparisons with another implementation,
    /// and for people.
    ///
    /// JSON without spaces, and beside it `undefined`, `NaN`, `Infinity`, `-0`, `Date(0)` with its
    /// milliseconds, and lone surrogates as `\ud83d`.
    ///
    /// # Errors
    /// As [`evaluate`](Program::evaluate).
    pub fn inspect(&self, scope: &dyn Scope, context: &Context) -> Result<String, ExpressionError> {
        self.lent(|arena| {
            self.with(arena, scope, context, |_, value| {
                notation(value.val(), &context.limits).map_err(|fault| self.at_border(fault))
            })
        })
    }

    /// The value at the end of the path, if the program is nothing but one.
    #[inline]
    pub(crate) fn follow<'v>(&self, scope: &'v dyn Scope) -> Option<&'v Value> {
        let code = &self.0.code;
        code.path?.find(scope, code)
    }

    /// An arena for one evaluation.
    #[inline]
    pub(crate) fn lent<T>(&self, work: impl FnOnce(&Bump) -> T) -> T {
        if self.0.code.makes_nothing {
            // An arena takes no memory before something is made.
            return work(&Bump::new());
        }
        lend(work)
    }

    pub(crate) fn evaluate_in(
        &self,
        arena: &Bump,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<Option<Value>, ExpressionError> {
        self.with(arena, scope, context, |_, value| {
            owned(value, &context.limits, |fault| self.at_border(fault)).map(reread)
        })
    }

    pub(crate) fn condition_in(
        &self,
        arena: &Bump,
        scope: &dyn Scope,
        context: &Context,
    ) -> Result<bool, ExpressionError> {
        self.with(arena, scope, context, |m, value| {
            condition(value.val(), m.lenient).map_err(|fault| self.at_border(fault))
        })
    }

    #[inline]
    pub(crate) fn with<'a, T>(
        &'a self,
        arena: &'a Bump,
        scope: &'a dyn Scope,
        context: &'a Context,
        leave: impl FnOnce(&mut Machine<'a>, Reg<'a>) -> Result<T, ExpressionError>,
    ) -> Result<T, ExpressionError> {
        let compiled = &*self.0;
        let mut machine = Machine::new(arena, &compiled.code, compiled.mode, scope, context);
        match machine.run() {
            Ok(value) => leave(&mut machine, value),
            Err(fault) => Err(fault.finish(compiled.source.len())),
        }
    }

    #[cold]
    pub(crate) fn at_border(&self, fault: Fault) -> ExpressionError {
        fault.at_border().finish(self.0.source.len())
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("source", &self.0.source)
            .field("mode", &self.0.mode)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.0.mode == other.0.mode && self.0.source == other.0.source
    }
}

impl Eq for Program {}
