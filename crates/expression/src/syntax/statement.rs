//! Statements: the body of an arrow in braces.
//!
//! After a mistake the rest of its statement is skipped, up to the `;` or `}` that ends it.

use super::{
    ast::{Expr, ExprKind, Pattern, Span, Statement, StatementKind, Try},
    parser::{Few, Parser},
    token::Kind,
};

impl<'a> Parser<'a> {
    /// The body of an arrow, with `{` as the token.
    pub(super) fn body(&mut self) -> &'a Expr<'a> {
        let start = self.token.span();
        let statements = self.nested(Self::block);
        self.expr(ExprKind::Block(statements), self.since(start))
    }

    /// Whether a line ends between the last token and the current one.
    pub(super) fn after_line_end(&self) -> bool {
        let between = Span {
            start: self.last_end,
            end: self.token.start.max(self.last_end),
        };
        let line_end = |c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
        self.lexer.slice(between).contains(line_end)
    }

    /// Statements in braces.
    fn block(&mut self) -> &'a [Statement<'a>] {
        if !self.eat(Kind::LeftBrace) {
            self.expected("`{`");
            return &[];
        }
        let mut statements = Few::new();
        self.blocks += 1;
        while !matches!(self.token.kind, Kind::RightBrace | Kind::Eof) {
            let before = self.token.start;
            statements.push(self.statement());
            if self.token.start == before && self.token.kind != Kind::RightBrace {
                // What starts no statement and ends none.
                self.expected("a statement");
                self.advance();
            }
        }
        self.blocks -= 1;
        if !self.eat(Kind::RightBrace) {
            self.expected("`}`");
        }
        self.keep_all(&statements)
    }

    fn statement(&mut self) -> Statement<'a> {
        let start = self.token.span();
        let kind = match self.token.kind {
            Kind::Semicolon => {
                self.advance();
                StatementKind::Empty
            }
            Kind::LeftBrace => StatementKind::Block(self.nested(Self::block)),
            Kind::Name => match self.text() {
                "const" | "let" => self.declaration(),
                "if" => self.conditional_statement(),
                "return" => self.return_statement(),
                "try" => self.try_statement(),
                word => match left_out(word) {
                    Some((code, what, hint)) => {
                        self.unsupported(code, what, start, hint);
                        self.skip_left_out();
                        StatementKind::Error
                    }
                    None => self.value_statement(),
                },
            },
            _ => self.value_statement(),
        };
        Statement {
            kind,
            span: self.since(start),
        }
    }

    /// The end of a statement: `;`, or a place where ECMA-262 puts one.
    fn statement_ends(&mut self) {
        if self.eat(Kind::Semicolon) || self.may_end() {
            return;
        }
        self.expected("`;`");
        self.skip_statement();
    }

    fn may_end(&self) -> bool {
        matches!(self.token.kind, Kind::RightBrace | Kind::Eof) || self.after_line_end()
    }

    fn value_statement(&mut self) -> StatementKind<'a> {
        let known = self.lexer.errors.len();
        let value = self.expression();
        self.comma_inside();
        if self.token.kind == Kind::Colon {
            // What stood before it is no name here, and need not be known.
            let span = self.token.span();
            let hint = "an object goes in parentheses: `x => ({ … })`";
            self.unsupported("UNSUPPORTED_STATEMENT", "a label", span, hint);
            self.skip_statement();
            return StatementKind::Error;
        }
        self.statement_ends();
        StatementKind::Value(value, self.lexer.errors.len() > known)
    }

    fn return_statement(&mut self) -> StatementKind<'a> {
        self.advance();
        if self.token.kind == Kind::Semicolon || self.may_end() {
            self.eat(Kind::Semicolon);
            return StatementKind::Return(None);
        }
        let value = self.expression();
        self.comma_inside();
        self.statement_ends();
        StatementKind::Return(Some(value))
    }

    fn declaration(&mut self) -> StatementKind<'a> {
        let constant = self.text() == "const";
        self.advance();
        let mut bindings = Few::new();
        loop {
            let pattern = self.nested(Self::pattern);
            let value = if self.token.kind == Kind::Assign && self.text() == "=" {
                self.advance();
                Some(self.expression())
            } else {
                if constant || !matches!(pattern, Pattern::Name(..)) {
                    self.expected("`=` and a value");
                }
                None
            };
            bindings.push((pattern, value));
            if !self.eat(Kind::Comma) {
                break;
            }
        }
        self.statement_ends();
        StatementKind::Declare(self.keep_all(&bindings))
    }

    /// `if`, with every `else if` that follows at the same depth.
    fn conditional_statement(&mut self) -> StatementKind<'a> {
        let mut branches = Few::new();
        loop {
            self.advance();
            let test = self.test();
            branches.push((test, self.guarded()));
            if !self.eat_word("else") {
                return StatementKind::If {
                    branches: self.keep_all(&branches),
                    otherwise: None,
                };
            }
            if !self.is_word("if") {
                let otherwise = self.guarded();
                return StatementKind::If {
                    branches: self.keep_all(&branches),
                    otherwise: Some(self.keep(otherwise)),
                };
            }
        }
    }

    fn test(&mut self) -> &'a Expr<'a> {
        if !self.eat(Kind::LeftParen) {
            self.expected("`(` and a condition");
            let span = self.token.span();
            return self.expr(ExprKind::Error, span);
        }
        let test = self.expression();
        self.comma_inside();
        self.close(Kind::RightParen, ")");
        test
    }

    /// The statement after a condition or `else`.
    fn guarded(&mut self) -> Statement<'a> {
        let start = self.token.span();
        if self.is_word("const") || self.is_word("let") {
            self.expected("a block `{ … }` around the declaration");
        }
        if matches!(self.token.kind, Kind::RightBrace | Kind::Eof) {
            self.expected("a statement");
            return Statement {
                kind: StatementKind::Error,
                span: start,
            };
        }
        if self.token.kind == Kind::LeftBrace {
            return self.statement();
        }
        self.nested(Self::statement)
    }

    fn try_statement(&mut self) -> StatementKind<'a> {
        self.advance();
        let block = self.nested(Self::block);
        let mut catch = None;
        if self.eat_word("catch") {
            let mut pattern = None;
            if self.eat(Kind::LeftParen) {
                pattern = Some(self.nested(Self::pattern));
                self.close(Kind::RightParen, ")");
            }
            catch = Some((pattern, self.nested(Self::block)));
        }
        let finally = if self.eat_word("finally") {
            Some(self.nested(Self::block))
        } else {
            None
        };
        if catch.is_none() && finally.is_none() {
            self.expected("`catch` or `finally`");
        }
        StatementKind::Try(self.keep(Try {
            block,
            catch,
            finally,
        }))
    }

    fn is_word(&self, word: &str) -> bool {
        self.token.kind == Kind::Name && self.text() == word
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    /// Skips to the end of a statement that cannot be read, and takes its `;`.
    fn skip_statement(&mut self) {
        loop {
            match self.token.kind {
                Kind::Eof | Kind::RightBrace => return,
                Kind::Semicolon => {
                    self.advance();
                    return;
                }
                Kind::LeftParen | Kind::LeftBracket | Kind::LeftBrace => {
                    self.skip_block();
                    continue;
                }
                Kind::Backtick => self.skip_template(),
                Kind::Name if self.after_line_end() && starts_statement(self.text()) => return,
                _ => {}
            }
            self.advance();
        }
    }

    /// Skips a statement of a kind that is left out: with its block, if it has one.
    fn skip_left_out(&mut self) {
        let is_do = self.text() == "do";
        self.advance();
        loop {
            match self.token.kind {
                Kind::LeftBrace => {
                    self.skip_block();
                    if is_do && self.eat_word("while") && self.token.kind == Kind::LeftParen {
                        self.skip_block();
                    }
                    return;
                }
                Kind::LeftParen | Kind::LeftBracket => self.skip_block(),
                Kind::Name if !starts_statement(self.text()) => {
                    self.advance();
                }
                _ => return self.skip_statement(),
            }
        }
    }
}

fn starts_statement(word: &str) -> bool {
    matches!(word, "const" | "let" | "if" | "return" | "try") || left_out(word).is_some()
}

/// A statement that the language leaves out: code, what it is, and what to write instead.
fn left_out(word: &str) -> Option<(&'static str, &'static str, &'static str)> {
    const STATEMENT: &str = "UNSUPPORTED_STATEMENT";
    Some(match word {
        "for" | "while" | "do" => (
            STATEMENT,
            "a loop",
            "use `map`, `filter`, `find` or `reduce` of the list",
        ),
        "switch" => (
            STATEMENT,
            "`switch`",
            "write `if … else if …`, or look the case up in an object",
        ),
        "throw" => (
            STATEMENT,
            "`throw`",
            "return a value that tells, or fail in a node of its own with `flow.fail`",
        ),
        "var" => (STATEMENT, "`var`", "write `const`"),
        "break" | "continue" => (STATEMENT, "a jump", "write `if … else …`"),
        "debugger" | "with" | "export" => (STATEMENT, "this statement", "leave it away"),
        "function" => (
            "UNSUPPORTED_FUNCTION",
            "a named function",
            "write its value where it is needed, or an arrow as an argument",
        ),
        "class" => ("UNSUPPORTED_FUNCTION", "a class", "use an object literal"),
        "async" | "import" => (
            "UNSUPPORTED_ASYNC",
            "a statement that waits",
            "every value is there already",
        ),
        _ => return None,
    })
}
