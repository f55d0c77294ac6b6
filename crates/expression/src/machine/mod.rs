//! The evaluator: walks the flat program over borrowed values.
//!
//! Every node costs an operation; every temporary is charged before the arena gives it. The stack
//! is as deep as the source is nested, which the parser bounds.

mod arena;
mod block;
mod budget;
mod build;
mod call;
mod chain;
mod eval;
mod keyed;
mod lineage;
mod node;
mod operators;
mod pattern;
mod record;
mod register;
mod units;

use bumpalo::Bump;

use crate::{
    Context, Mode, Scope, Spent,
    code::{Code, NodeId},
    error::Fault,
};

pub(crate) use arena::lend;
pub(crate) use build::{List, TextBuilder};
pub(crate) use keyed::KeyedBuilder;
pub(crate) use operators::power;
pub(crate) use pattern::Searched;
pub(crate) use record::Shape;
pub(crate) use register::{Quick, Reg};

/// One evaluation. Everything it makes lives in the arena and goes with it.
pub(crate) struct Machine<'a> {
    pub(super) arena: &'a Bump,
    pub(super) code: &'a Code,
    pub(super) scope: &'a dyn Scope,
    pub(crate) context: &'a Context,
    pub(crate) lenient: bool,
    /// The values of the arrows' parameters.
    pub(super) slots: &'a mut [Reg<'a>],
    /// Operations so far.
    operations: u64,
    /// Operations that the walked elements allow.
    allowed: u64,
    /// At this many operations the budget and the deadline are looked at.
    look_at: u64,
    /// At this many operations the deadline is asked next.
    deadline_at: u64,
    /// Bytes in the arena.
    bytes: usize,
    /// State of the seeded generator.
    random: u64,
    /// The statement that was looked at last returns from its body; false while a value is made.
    returned: bool,
    /// What searches with patterns need, once there was one.
    patterns: Option<Box<pattern::Patterns<'a>>>,
    /// The long text whose units were asked about last.
    texts: Option<Box<units::Known>>,
    /// Why the evaluation has stopped.
    fault: Option<Fault>,
}

impl<'a> Machine<'a> {
    #[inline]
    pub(crate) fn new(
        arena: &'a Bump,
        code: &'a Code,
        mode: Mode,
        scope: &'a dyn Scope,
        context: &'a Context,
    ) -> Self {
        let slots = if code.slots == 0 {
            &mut []
        } else {
            arena.alloc_slice_fill_copy(usize::from(code.slots), Reg::Undefined)
        };
        let mut machine = Self {
            arena,
            code,
            scope,
            context,
            lenient: mode == Mode::Lenient,
            slots,
            operations: 0,
            allowed: context
                .limits
                .operations
                .min(context.limits.operations_ceiling),
            look_at: 0,
            deadline_at: budget::DEADLINE_EVERY,
            bytes: 0,
            random: context.seed,
            returned: false,
            patterns: None,
            texts: None,
            fault: None,
        };
        machine.set_look_at();
        machine
    }

    /// Evaluates the whole program.
    #[inline]
    pub(crate) fn run(&mut self) -> Result<Reg<'a>, Fault> {
        self.evaluate(self.code.root)
    }

    /// Evaluates one node of the program.
    #[inline]
    pub(crate) fn evaluate(&mut self, id: NodeId) -> Result<Reg<'a>, Fault> {
        match self.node(id) {
            Ok(value) => Ok(value),
            Err(stopped) => Err(self.reason(stopped)),
        }
    }

    /// Operations and bytes so far.
    pub(crate) fn spent(&self) -> Spent {
        Spent {
            operations: self.operations,
            bytes: self.bytes,
            allocated: self.arena.allocated_bytes(),
        }
    }

    /// The next number of the seeded sequence, in `[0, 1)`: splitmix64 by Steele, Lea and Flood.
    pub(crate) fn next_random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // 53 bits fill a double's mantissa.
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}
