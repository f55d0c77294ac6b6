//! Operators, by rank (Pratt's method): unary, infix, conditional.

use super::{
    ast::{BinaryOp, Class, Expr, ExprKind, LogicOp, Span, UnaryOp},
    parser::Parser,
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

impl Parser<'_> {
    pub(super) fn conditional(&mut self) -> Expr {
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
        let kind = ExprKind::Conditional(Box::new([test, then, otherwise]));
        Expr {
            kind,
            span: self.since(start),
            grouped: false,
        }
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
    fn binary(&mut self, min_rank: u8) -> Expr {
        let mut left = self.unary();
        // The rank of the operator at the top of `left`, to lay equals side by side.
        let mut left_rank = u8::MAX;
        while let Some(infix) = self.infix() {
            let start = left.span;
            match infix {
                Infix::Binary(rank, _) | Infix::Logic(rank, _) if rank < min_rank => break,
                Infix::Instanceof if min_rank > RANK_RELATION => break,
                Infix::Instanceof => {
                    (left, left_rank) = self.instance_of(left, left_rank);
                }
                Infix::Binary(RANK_POWER, op) => {
                    let sign = matches!(&left.kind, ExprKind::Unary { .. }) && !left.grouped;
                    if sign {
                        let hint = Some("write `(-a) ** b` or `-(a ** b)`".into());
                        let message = "a sign before `**` is ambiguous";
                        self.lexer.error("SYNTAX_POWER", message, left.span, hint);
                    }
                    self.advance();
                    let right = self.nested(|p| p.binary(RANK_POWER));
                    let kind = ExprKind::Fold {
                        first: Box::new(left),
                        rest: vec![(op, right)],
                    };
                    left = Expr {
                        kind,
                        span: self.since(start),
                        grouped: false,
                    };
                    left_rank = u8::MAX;
                }
                Infix::Binary(rank, op) => {
                    self.advance();
                    let right = self.binary(rank + 1);
                    left = self.fold(left, op, right, left_rank == rank);
                    left_rank = rank;
                }
                Infix::Logic(rank, op) => {
                    self.advance();
                    let right = self.binary(rank + 1);
                    left = self.logic(left, op, right, left_rank == rank, start);
                    left_rank = rank;
                }
            }
        }
        left
    }

    /// Lays an operator and its right side beside those of the same rank.
    fn fold(&self, left: Expr, op: BinaryOp, right: Expr, same: bool) -> Expr {
        let start = left.span;
        let (first, rest) = match left.kind {
            ExprKind::Fold { first, mut rest } if same => {
                rest.push((op, right));
                (first, rest)
            }
            _ => (Box::new(left), vec![(op, right)]),
        };
        Expr {
            kind: ExprKind::Fold { first, rest },
            span: self.since(start),
            grouped: false,
        }
    }

    /// With `instanceof` as the token: reads it and the class.
    fn instance_of(&mut self, left: Expr, left_rank: u8) -> (Expr, u8) {
        let place = self.token.span();
        self.advance();
        let right = self.binary(RANK_RELATION + 1);
        let class = match &right.kind {
            ExprKind::Name(name) => Class::from_name(name),
            _ => None,
        };
        if let Some(class) = class {
            let same = left_rank == RANK_RELATION;
            let folded = self.fold(left, BinaryOp::InstanceOf(class), right, same);
            return (folded, RANK_RELATION);
        }
        if !matches!(right.kind, ExprKind::Error) {
            let names: Vec<String> = Class::ALL.map(|(name, _)| format!("`{name}`")).to_vec();
            let hint = format!("there are {}", names.join(", "));
            let what = "`instanceof` of anything but a known class";
            let place = place.to(right.span);
            self.unsupported("UNSUPPORTED_INSTANCEOF", what, place, &hint);
        }
        let kind = ExprKind::Error;
        let span = self.since(left.span);
        let grouped = false;
        (
            Expr {
                kind,
                span,
                grouped,
            },
            u8::MAX,
        )
    }

    fn logic(&mut self, left: Expr, op: LogicOp, right: Expr, same: bool, start: Span) -> Expr {
        let mixes = |side: &Expr| match &side.kind {
            ExprKind::Logic { op: inner, .. } if !side.grouped => {
                (*inner == LogicOp::Coalesce) != (op == LogicOp::Coalesce)
            }
            _ => false,
        };
        let span = self.since(start);
        if mixes(&left) || mixes(&right) {
            let hint = Some("put one of them in parentheses".into());
            let message = "`??` cannot stand beside `||` or `&&`";
            self.lexer.error("SYNTAX_MIXED", message, span, hint);
        }
        let items = match left {
            Expr {
                kind: ExprKind::Logic { mut items, .. },
                ..
            } if same => {
                items.push(right);
                items
            }
            first => vec![first, right],
        };
        Expr {
            kind: ExprKind::Logic { op, items },
            span,
            grouped: false,
        }
    }

    fn unary(&mut self) -> Expr {
        let start = self.token.span();
        let op = match self.token.kind {
            Kind::Bang => UnaryOp::Not,
            Kind::Minus => UnaryOp::Negate,
            Kind::Plus => UnaryOp::Plus,
            Kind::Tilde => UnaryOp::BitNot,
            Kind::Name if self.text() == "typeof" => UnaryOp::Typeof,
            Kind::Name if self.text() == "void" => UnaryOp::Void,
            Kind::Name if matches!(self.text(), "delete" | "await") => {
                let (code, hint) = match self.text() {
                    "delete" => (
                        "UNSUPPORTED_DELETE",
                        "build the object without the key: `(({ key, ...rest }) => rest)(object)`",
                    ),
                    _ => (
                        "UNSUPPORTED_ASYNC",
                        "every value is there already: leave it away",
                    ),
                };
                let what = format!("`{}`", self.text());
                self.unsupported(code, &what, start, hint);
                self.advance();
                self.nested(Self::unary);
                return Expr {
                    kind: ExprKind::Error,
                    span: self.since(start),
                    grouped: false,
                };
            }
            Kind::Step => {
                let hint = "write `x + 1` or `x - 1`";
                self.unsupported("UNSUPPORTED_ASSIGNMENT", "counting in place", start, hint);
                self.advance();
                self.nested(Self::unary);
                return Expr {
                    kind: ExprKind::Error,
                    span: self.since(start),
                    grouped: false,
                };
            }
            _ => return self.chain(),
        };
        self.advance();
        let operand = Box::new(self.nested(Self::unary));
        Expr {
            kind: ExprKind::Unary { op, operand },
            span: self.since(start),
            grouped: false,
        }
    }
}
