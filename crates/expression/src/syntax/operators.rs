//! Operators, by rank (Pratt's method): unary, infix, conditional.

use std::slice;

use super::{
    ast::{BinaryOp, Class, Expr, ExprKind, LogicOp, UnaryOp},
    parser::{Few, Parser},
    token::Kind,
};

/// What an infix token means: rank, and the operator.
enum Infix {
    Binary(u8, BinaryOp),
    Logic(u8, LogicOp),
    Instanceof,
}

/// Of `<`, `in` and `instanceof`.
const RANK_RELATION: u8 = 8;
const RANK_POWER: u8 = 12;

impl<'a> Parser<'a> {
    pub(super) fn conditional(&mut self) -> &'a Expr<'a> {
        let test = self.binary(0);
        if self.token.kind != Kind::Question {
            return test;
        }
        let start = test.span;
        self.advance();
        let then = self.expression();
        if !self.eat(Kind::Colon) {
            self.expected("`:` and the value for the other case");
        }
        let otherwise = self.expression();
        let kind = ExprKind::Conditional([test, then, otherwise]);
        self.expr(kind, self.since(start))
    }

    fn infix(&self) -> Option<Infix> {
        use BinaryOp as B;
        Some(match self.token.kind {
            Kind::Coalesce => Infix::Logic(1, LogicOp::Coalesce),
            Kind::OrOr => Infix::Logic(2, LogicOp::Or),
            Kind::AndAnd => Infix::Logic(3, LogicOp::And),
            Kind::Or => Infix::Binary(4, B::BitOr),
            Kind::Caret => Infix::Binary(5, B::BitXor),
            Kind::And => Infix::Binary(6, B::BitAnd),
            Kind::Equal => Infix::Binary(7, B::Equal),
            Kind::NotEqual => Infix::Binary(7, B::NotEqual),
            Kind::StrictEqual => Infix::Binary(7, B::StrictEqual),
            Kind::StrictNotEqual => Infix::Binary(7, B::StrictNotEqual),
            Kind::Less => Infix::Binary(8, B::Less),
            Kind::LessEqual => Infix::Binary(8, B::LessEqual),
            Kind::Greater => Infix::Binary(8, B::Greater),
            Kind::GreaterEqual => Infix::Binary(8, B::GreaterEqual),
            Kind::Name if self.text() == "in" => Infix::Binary(8, B::In),
            Kind::Name if self.text() == "instanceof" => Infix::Instanceof,
            Kind::ShiftLeft => Infix::Binary(9, B::ShiftLeft),
            Kind::ShiftRight => Infix::Binary(9, B::ShiftRight),
            Kind::ShiftRightZero => Infix::Binary(9, B::ShiftRightZero),
            Kind::Plus => Infix::Binary(10, B::Add),
            Kind::Minus => Infix::Binary(10, B::Subtract),
            Kind::Star => Infix::Binary(11, B::Multiply),
            Kind::Slash => Infix::Binary(11, B::Divide),
            Kind::Percent => Infix::Binary(11, B::Remainder),
            Kind::StarStar => Infix::Binary(RANK_POWER, B::Power),
            _ => return None,
        })
    }

    /// Operators of at least this rank.
    fn binary(&mut self, min_rank: u8) -> &'a Expr<'a> {
        let mut left = self.unary();
        while let Some(infix) = self.infix() {
            left = match infix {
                Infix::Binary(rank, _) | Infix::Logic(rank, _) if rank < min_rank => break,
                Infix::Instanceof if RANK_RELATION < min_rank => break,
                Infix::Binary(RANK_POWER, op) => self.power(left, op),
                Infix::Binary(rank, _) => self.fold(left, rank),
                Infix::Instanceof => self.fold(left, RANK_RELATION),
                Infix::Logic(rank, op) => self.logic(left, op, rank),
            };
        }
        left
    }

    /// With `**` as the token: reads it and its right side.
    fn power(&mut self, left: &'a Expr<'a>, op: BinaryOp) -> &'a Expr<'a> {
        if matches!(left.kind, ExprKind::Unary { .. }) && !left.grouped {
            let hint = Some("write `(-a) ** b` or `-(a ** b)`".into());
            let message = "a sign before `**` is ambiguous";
            self.lexer.error("SYNTAX_POWER", message, left.span, hint);
        }
        self.advance();
        let right = self.nested(|p| p.binary(RANK_POWER));
        let kind = ExprKind::Fold {
            first: left,
            rest: slice::from_ref(self.keep((op, right))),
        };
        self.expr(kind, self.since(left.span))
    }

    /// Reads the operators of one rank that stand side by side, and lays them so.
    fn fold(&mut self, mut first: &'a Expr<'a>, rank: u8) -> &'a Expr<'a> {
        let start = first.span;
        let mut rest = Few::new();
        loop {
            match self.infix() {
                Some(Infix::Binary(same, op)) if same == rank => {
                    self.advance();
                    rest.push((op, self.binary(rank + 1)));
                }
                Some(Infix::Instanceof) if rank == RANK_RELATION => match self.class() {
                    Some((class, right)) => rest.push((BinaryOp::InstanceOf(class), right)),
                    // Reported; nothing is known of what stands before it.
                    None => {
                        first = self.expr(ExprKind::Error, self.since(start));
                        rest.clear();
                    }
                },
                _ => break,
            }
        }
        if rest.is_empty() {
            return first;
        }
        let kind = ExprKind::Fold {
            first,
            rest: self.keep_all(&rest),
        };
        self.expr(kind, self.since(start))
    }

    /// With `instanceof` as the token: reads it and the class.
    fn class(&mut self) -> Option<(Class, &'a Expr<'a>)> {
        let place = self.token.span();
        self.advance();
        let right = self.binary(RANK_RELATION + 1);
        let class = match &right.kind {
            ExprKind::Name(name) => Class::from_name(name),
            _ => None,
        };
        if class.is_none() && !matches!(right.kind, ExprKind::Error) {
            let names: Vec<String> = Class::ALL.map(|(name, _)| format!("`{name}`")).to_vec();
            let hint = format!("there are {}", names.join(", "));
            let what = "`instanceof` of anything but a known class";
            let place = place.to(right.span);
            self.unsupported("UNSUPPORTED_INSTANCEOF", what, place, &hint);
        }
        class.map(|class| (class, right))
    }

    /// Reads `&&`, `||` or `??` and those of its kind that follow, and lays them side by side.
    fn logic(&mut self, left: &'a Expr<'a>, op: LogicOp, rank: u8) -> &'a Expr<'a> {
        let start = left.span;
        let mut items = Few::new();
        items.push(left);
        while matches!(self.infix(), Some(Infix::Logic(_, same)) if same == op) {
            self.advance();
            let right = self.binary(rank + 1);
            // Two neighbours are told of once.
            let first = items.len() == 1 && mixes(left, op);
            if first || mixes(right, op) {
                let hint = Some("put one of them in parentheses".into());
                let message = "`??` cannot stand beside `||` or `&&`";
                let span = self.since(start);
                self.lexer.error("SYNTAX_MIXED", message, span, hint);
            }
            items.push(right);
        }
        let items = self.keep_all(&items);
        self.expr(ExprKind::Logic { op, items }, self.since(start))
    }

    fn unary(&mut self) -> &'a Expr<'a> {
        let start = self.token.span();
        let op = match self.token.kind {
            Kind::Bang => UnaryOp::Not,
            Kind::Minus => UnaryOp::Negate,
            Kind::Plus => UnaryOp::Plus,
            Kind::Tilde => UnaryOp::BitNot,
            Kind::Name => match self.text() {
                "typeof" => UnaryOp::Typeof,
                "void" => UnaryOp::Void,
                "delete" => {
                    let hint =
                        "build the object without the key: `(({ key, ...rest }) => rest)(object)`";
                    return self.left_out("UNSUPPORTED_DELETE", "`delete`", hint);
                }
                "await" => {
                    let hint = "every value is there already: leave it away";
                    return self.left_out("UNSUPPORTED_ASYNC", "`await`", hint);
                }
                _ => return self.chain(),
            },
            Kind::Step => {
                let hint = "write `x + 1` or `x - 1`";
                return self.left_out("UNSUPPORTED_ASSIGNMENT", "counting in place", hint);
            }
            _ => return self.chain(),
        };
        self.advance();
        let operand = self.nested(Self::unary);

        self.expr(ExprKind::Unary { op, operand }, self.since(start))
    }

    /// With an operator before its operand as the token, which is not part of the language: reads
    /// both.
    fn left_out(&mut self, code: &'static str, what: &str, hint: &str) -> &'a Expr<'a> {
        let start = self.token.span();
        self.unsupported(code, what, start, hint);
        self.advance();
        self.nested(Self::unary);
        self.expr(ExprKind::Error, self.since(start))
    }
}

/// Whether the operator may not stand beside the one on top of this side.
fn mixes(side: &Expr<'_>, op: LogicOp) -> bool {
    match side.kind {
        ExprKind::Logic { op: inner, .. } if !side.grouped => {
            (inner == LogicOp::Coalesce) != (op == LogicOp::Coalesce)
        }
        _ => false,
    }
}
