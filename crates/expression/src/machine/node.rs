//! One node of the program: the commonest ones, in registers. The others are in `eval`.

use super::{Machine, Quick, Reg};
use crate::{
    ListOf, Root,
    code::{Node, NodeId, Run},
    error::Fault,
    library::Outcome,
    path::{End, Path, PathRoot, walk, walk_from},
    syntax::ast::{BinaryOp, LogicOp, UnaryOp},
};

impl<'a> Machine<'a> {
    /// One node, for callers that want a value in memory.
    #[inline(never)]
    pub(super) fn eval(&mut self, id: NodeId) -> Outcome<'a> {
        let value = self.operand(id);
        self.outcome(value)
    }

    /// One node; leaves are evaluated in the caller's own frame.
    #[inline(always)]
    pub(super) fn operand(&mut self, id: NodeId) -> Quick<'a> {
        let code = self.code;
        let value = match code.nodes[id as usize] {
            Node::Number(n) => Reg::num(n),
            Node::Local(slot) => self.slots[usize::from(slot)],
            Node::Str(at) => Reg::Str(&code.texts[at as usize]),
            Node::Callback(callback) => Reg::Callback(&code.callbacks[callback as usize]),
            Node::Path { ref path, .. } => {
                let value = match self.follow(path) {
                    End::At(value) => Reg::Data(value),
                    End::Nowhere => Reg::Undefined,
                    End::Unclear => return self.node(id),
                };
                // The node, the start, and each step, as without a path.
                self.spend(2 + u64::from(path.keys.len))?;
                return Ok(value);
            }
            _ => return self.node(id),
        };
        self.spend(1)?;
        Ok(value)
    }

    /// Where a path ends; the caller pays.
    #[inline(always)]
    pub(super) fn follow(&self, path: &Path) -> End<'a> {
        let keys = path.keys.of(&self.code.keys);
        match path.from {
            PathRoot::Local(slot) => walk_from(keys, self.slots[usize::from(slot)]),
            _ => match path.start(self.scope, &self.code.node_ids) {
                Some(start) => walk(keys, start),
                None => End::Unclear,
            },
        }
    }

    /// One node. An error gets its place here, unless a deeper node gave it one.
    #[inline(never)]
    pub(super) fn node(&mut self, id: NodeId) -> Quick<'a> {
        self.spend(1)?;
        match self.placeless(id) {
            Ok(value) => Ok(value),
            Err(stopped) => {
                let fault = self.reason(stopped);
                Err(self.stop(fault.at(self.code.spans[id as usize])))
            }
        }
    }

    #[inline(always)]
    fn placeless(&mut self, id: NodeId) -> Quick<'a> {
        let code = self.code;
        match code.nodes[id as usize] {
            Node::Number(n) => Ok(Reg::num(n)),
            Node::Local(slot) => Ok(self.slots[usize::from(slot)]),
            Node::Str(at) => Ok(Reg::Str(&code.texts[at as usize])),
            Node::Callback(callback) => Ok(Reg::Callback(&code.callbacks[callback as usize])),
            Node::Path {
                ref path,
                base,
                steps,
            } => {
                let value = match self.follow(path) {
                    End::At(value) => Reg::Data(value),
                    End::Nowhere => Reg::Undefined,
                    End::Unclear => {
                        let first = self.node(base)?;
                        return self.chain(first, 0, base, steps);
                    }
                };
                // The start, and each step, as without a path.
                self.spend(1 + u64::from(path.keys.len))?;
                Ok(value)
            }
            Node::Root(root) => match self.scope.root(root) {
                Some(value) => Ok(Reg::Data(value)),
                None => self.long_root(root),
            },
            Node::Undefined => Ok(Reg::Undefined),
            Node::Null => Ok(Reg::Null),
            Node::Bool(b) => Ok(Reg::bool(b)),
            Node::Binary(op, left, right) => {
                let left = self.operand(left)?;
                let right = self.operand(right)?;
                match numbers(op, left, right) {
                    Some(value) => Ok(value),
                    None => self.binary_of_any(op, left, right),
                }
            }
            Node::Fold { first, rest } => self.fold(first, rest),
            Node::Logic(op, items) => self.logic(op, items),
            Node::Conditional(test, then, otherwise) => {
                let test = self.operand(test)?;
                self.operand(if test.truthy() { then } else { otherwise })
            }
            Node::Unary(UnaryOp::Not, operand) => {
                let operand = self.operand(operand)?;
                Ok(Reg::bool(!operand.truthy()))
            }
            Node::Chain { base, steps } => {
                let first = self.node(base)?;
                self.chain(first, 0, base, steps)
            }
            Node::PathChain { path, base, steps } => self.path_chain(path, base, steps),
            node @ (Node::Body(_)
            | Node::Block(_)
            | Node::Let(..)
            | Node::Declare(..)
            | Node::If(_)
            | Node::Return(_)
            | Node::Try(_)) => self.statement(node),
            node => {
                let outcome = self.compound(node);
                self.quick(outcome)
            }
        }
    }

    /// A root that has no value: a long list, or nothing.
    #[inline(never)]
    fn long_root(&mut self, root: Root) -> Quick<'a> {
        let of = ListOf::Root(root);
        if let Some(list) = self.scope.list(of) {
            return Ok(Reg::Long(list));
        }
        match self.scope.away(of) {
            Some(away) => Err(self.stop(Fault::away(away))),
            None => Ok(Reg::Undefined),
        }
    }

    #[inline(always)]
    fn logic(&mut self, op: LogicOp, items: Run) -> Quick<'a> {
        let mut value = Reg::Undefined;
        for item in items.of(&self.code.lists) {
            value = self.operand(*item)?;
            let goes_on = match op {
                LogicOp::And => value.truthy(),
                LogicOp::Or => !value.truthy(),
                LogicOp::Coalesce => value.is_nullish(),
            };
            if !goes_on {
                break;
            }
        }
        Ok(value)
    }

    /// Operators of one rank, left to right.
    #[inline(never)]
    fn fold(&mut self, first: NodeId, rest: Run) -> Quick<'a> {
        let rest = rest.of(&self.code.folds);
        let mut value = self.operand(first)?;
        for (i, (op, right)) in rest.iter().enumerate() {
            let right = self.operand(*right)?;
            value = match numbers(*op, value, right) {
                Some(value) => value,
                None => {
                    let outcome = self.fold_of_any(value.val(), *op, right.val(), &rest[i + 1..]);
                    return self.quick(outcome);
                }
            };
        }
        Ok(value)
    }

    /// A binary operator whose operands are not both numbers.
    #[inline(never)]
    fn binary_of_any(&mut self, op: BinaryOp, left: Reg<'a>, right: Reg<'a>) -> Quick<'a> {
        if let (BinaryOp::StrictEqual | BinaryOp::StrictNotEqual, Some(a), Some(b)) =
            (op, left.utf8(), right.utf8())
        {
            if let Err(fault) = self.equate(a.len(), b.len()) {
                return Err(self.stop(fault));
            }
            return Ok(Reg::bool((a == b) == (op == BinaryOp::StrictEqual)));
        }
        let outcome = self.binary(op, left.val(), right.val());
        self.quick(outcome)
    }
}

/// The operators that most numbers meet.
#[inline(always)]
fn numbers<'a>(op: BinaryOp, left: Reg<'a>, right: Reg<'a>) -> Option<Reg<'a>> {
    use BinaryOp as B;
    let (a, b) = (left.number()?, right.number()?);
    Some(match op {
        B::Add => Reg::num(a + b),
        B::Subtract => Reg::num(a - b),
        B::Multiply => Reg::num(a * b),
        B::Divide => Reg::num(a / b),
        B::Less => Reg::bool(a < b),
        B::LessEqual => Reg::bool(a <= b),
        B::Greater => Reg::bool(a > b),
        B::GreaterEqual => Reg::bool(a >= b),
        B::StrictEqual | B::Equal => Reg::bool(a == b),
        B::StrictNotEqual | B::NotEqual => Reg::bool(a != b),
        _ => return None,
    })
}
