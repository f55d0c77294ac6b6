//! Chains: members, indices and calls behind an operand.

use super::{
    ast::{Expr, ExprKind, Link, LinkKind},
    parser::{Few, Parser},
    token::Kind,
};

impl<'a> Parser<'a> {
    /// A primary with its members, indices and calls.
    pub(super) fn chain(&mut self) -> &'a Expr<'a> {
        let base = self.primary();
        let start = base.span;
        let mut links: Few<Link<'a>> = Few::new();
        loop {
            let optional = self.token.kind == Kind::QuestionDot;
            let link_start = self.token.span();
            if optional {
                self.advance();
            }
            let kind = match self.token.kind {
                Kind::Dot if !optional => {
                    self.advance();
                    self.member_name()
                }
                Kind::LeftBracket => {
                    self.advance();
                    let index = self.expression();
                    self.close(Kind::RightBracket, "]");
                    LinkKind::Index(index)
                }
                Kind::LeftParen => {
                    self.advance();
                    LinkKind::Call(self.elements(Kind::RightParen, ")"))
                }
                Kind::Backtick => {
                    let hint = "call a function with the text as its argument";
                    let span = self.token.span();
                    self.unsupported(
                        "UNSUPPORTED_TAGGED_TEMPLATE",
                        "a tagged template",
                        span,
                        hint,
                    );
                    self.skip_template();
                    self.advance();
                    continue;
                }
                _ if optional => self.member_name(),
                _ => break,
            };
            match kind {
                LinkKind::Member(_) | LinkKind::Index(_) => self.counts.members += 1,
                LinkKind::Call(_) => self.counts.calls += 1,
            }
            let span = self.since(link_start);
            links.push(Link {
                kind,
                optional,
                span,
            });
        }
        if self.token.kind == Kind::Step {
            let hint = "write `x + 1` or `x - 1`";
            let span = self.token.span();
            self.unsupported("UNSUPPORTED_ASSIGNMENT", "counting in place", span, hint);
            self.advance();
        }
        if links.is_empty() {
            return base;
        }
        let kind = ExprKind::Chain {
            base,
            links: self.keep_all(&links),
        };
        self.expr(kind, self.since(start))
    }

    fn member_name(&mut self) -> LinkKind<'a> {
        if self.token.kind == Kind::Name {
            let name = self.name();
            self.advance();
            return LinkKind::Member(name);
        }
        self.expected("a name after the dot");
        LinkKind::Member("")
    }
}
