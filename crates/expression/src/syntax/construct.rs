//! `new` and what it names.

use super::{
    ast::{ExprKind, New},
    parser::Parser,
    token::Kind,
};

impl<'a> Parser<'a> {
    /// With `new` as the token: reads the name and the arguments, which may be missing. Which
    /// names there are is looked at when the program is resolved.
    pub(super) fn construct(&mut self) -> ExprKind<'a> {
        let start = self.token.span();
        self.advance();
        let name_start = self.token.span();
        if self.token.kind != Kind::Name {
            // What follows is read as links of the chain.
            let hint = "name the class: `new Set(…)`";
            return self.unsupported("UNSUPPORTED_NEW", "`new` without a name", start, hint);
        }
        let mut name = self.name();
        self.advance();
        while self.eat(Kind::Dot) {
            if self.token.kind != Kind::Name {
                self.expected("a name after the dot");
                return ExprKind::Error;
            }
            name = bumpalo::format!(in self.arena, "{name}.{}", self.name()).into_bump_str();
            self.advance();
        }
        let name_span = self.since(name_start);
        let args = if self.eat(Kind::LeftParen) {
            self.elements(Kind::RightParen, ")")
        } else {
            if self.token.kind == Kind::QuestionDot {
                self.expected("`(`");
            }
            &[]
        };
        ExprKind::New(self.keep(New {
            name,
            name_span,
            args,
        }))
    }
}
