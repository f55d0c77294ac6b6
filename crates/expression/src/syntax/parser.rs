//! The parser: tokens, complaints and recovery, lists. What stands in them has files of its own.
//!
//! A mistake inside a list, a template or parentheses is reported, skipped to the next `,` or
//! closer, and the rest is read on, so that one look finds all of a field's mistakes. Nesting is
//! bounded before the stack is.

use bumpalo::Bump;
use smallvec::SmallVec;

use super::{
    ast::{Counts, Element, Expr, ExprKind, Span, Tree},
    lexer::{Lexer, cut},
    token::{Kind, Token},
};
use crate::{
    ExpressionError,
    guard::{Guard, holds},
};

/// Parses a whole field into `arena`; the tree is there even if there are errors.
pub(crate) fn parse<'a>(
    source: &'a str,
    max_depth: usize,
    arena: &'a Bump,
) -> (Tree<'a>, Vec<ExpressionError>) {
    let mut parser = Parser::new(source, max_depth, arena);
    if parser.token.kind == Kind::Eof {
        let hint = Some("write a value such as `$json.name`".into());
        parser.lexer.error(
            "SYNTAX_EMPTY",
            "the expression is empty",
            parser.token.span(),
            hint,
        );
        parser.complained_at = Some(parser.token.start);
    }
    let root = parser.expression();
    parser.end();
    let counts = parser.counts;
    (Tree { root, counts }, parser.lexer.errors)
}

/// Whether nothing is wrong before the end of the text, but something is missing there: a bracket, a
/// template or a comment is open, or an operand has to follow.
pub(crate) fn is_unfinished(source: &str, max_depth: usize) -> bool {
    let arena = Bump::new();
    let mut parser = Parser::new(source, max_depth, &arena);
    if parser.token.kind != Kind::Eof {
        parser.expression();
        parser.end();
    }
    let (errors, open) = (&parser.lexer.errors, parser.lexer.open);
    let first = errors.iter().min_by_key(|error| error.start);
    first.is_some_and(|first| first.code == "SYNTAX_END" || open == Some(first.start))
}

/// A list of the tree while it is read; most are short.
pub(super) type Few<T> = SmallVec<[T; 4]>;

pub(super) struct Parser<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) arena: &'a Bump,
    pub(super) token: Token,
    /// Where the token before `token` ended.
    pub(super) last_end: u32,
    depth: usize,
    max_depth: usize,
    /// The place of the last complaint about grammar, so that one mistake is told once.
    complained_at: Option<u32>,
    /// Blocks of statements that are open, where a `;` ends what went wrong.
    pub(super) blocks: usize,
    /// Nesting went too deep; the rest of the text is not looked at.
    aborted: bool,
    pub(super) counts: Counts,
}

impl<'a> Parser<'a> {
    fn new(source: &'a str, max_depth: usize, arena: &'a Bump) -> Self {
        let mut parser = Self {
            lexer: Lexer::new(source),
            arena,
            token: Token::default(),
            last_end: 0,
            depth: 0,
            max_depth,
            complained_at: None,
            blocks: 0,
            aborted: false,
            counts: Counts::default(),
        };
        parser.advance();
        parser
    }

    // The tree.

    pub(super) fn expr(&mut self, kind: ExprKind<'a>, span: Span) -> &'a Expr<'a> {
        self.counts.exprs += 1;
        let grouped = false;
        self.keep(Expr {
            kind,
            span,
            grouped,
        })
    }

    /// Puts a part of the tree in its place.
    pub(super) fn keep<T: Copy>(&self, part: T) -> &'a T {
        self.arena.alloc(part)
    }

    /// Puts a list of the tree in its place.
    pub(super) fn keep_all<T: Copy>(&self, list: &[T]) -> &'a [T] {
        self.arena.alloc_slice_copy(list)
    }

    // Tokens.

    pub(super) fn advance(&mut self) -> Token {
        let before = self.token;
        self.last_end = before.end;
        if !self.aborted {
            let kind = self.lexer.next();
            let (start, end) = (cut(self.lexer.start), cut(self.lexer.pos));
            self.token = Token { kind, start, end };
        }
        before
    }

    pub(super) fn eat(&mut self, kind: Kind) -> bool {
        let found = self.token.kind == kind;
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn text(&self) -> &'a str {
        self.lexer.slice(self.token.span())
    }

    /// From `start` to the last token that was taken.
    pub(super) fn since(&self, start: Span) -> Span {
        Span {
            start: start.start,
            end: self.last_end.max(start.start),
        }
    }

    // Complaints.

    /// Reports that something else was expected at the current token, once per place.
    pub(super) fn expected(&mut self, what: &str) {
        let token = self.token;
        // A bad token has been reported by the lexer.
        if self.aborted || token.kind == Kind::Bad || self.complained_at == Some(token.start) {
            return;
        }
        self.complained_at = Some(token.start);
        let found = match token.kind {
            Kind::Eof => "the text ends".to_owned(),
            Kind::Str | Kind::Number | Kind::Backtick => "there is a literal".to_owned(),
            _ => format!("there is `{}`", self.text()),
        };
        let message = format!("expected {what}, but {found}");
        let code = if token.kind == Kind::Eof {
            "SYNTAX_END"
        } else {
            "SYNTAX_UNEXPECTED"
        };
        self.lexer.error(code, message, token.span(), None);
    }

    pub(super) fn unsupported(
        &mut self,
        code: &'static str,
        what: &str,
        span: Span,
        hint: &str,
    ) -> ExprKind<'a> {
        if !self.aborted {
            let message = format!("{what} is not part of the language");
            self.lexer.error(code, message, span, Some(hint.to_owned()));
        }
        ExprKind::Error
    }

    /// Counts one level of nesting around `parse`; too deep ends the whole parse.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> T) -> T {
        if self.depth >= self.max_depth && !self.aborted && holds(Guard::DepthLimit) {
            let message = format!("the expression is nested deeper than {}", self.max_depth);
            let hint = Some("compute the inner part in a node of its own".into());
            self.lexer
                .error("LIMIT_DEPTH", message, self.token.span(), hint);
            self.aborted = true;
            self.lexer.pos = self.lexer.source.len();
            let end = cut(self.lexer.pos);
            self.token = Token {
                kind: Kind::Eof,
                start: end,
                end,
            };
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Skips to the next `,` or closer of the list that the parser is in, over whole brackets.
    fn recover(&mut self) {
        let mut open = 0_usize;
        loop {
            match self.token.kind {
                Kind::Eof => return,
                Kind::Comma | Kind::Colon if open == 0 => return,
                Kind::Semicolon if open == 0 && self.blocks > 0 => return,
                Kind::RightParen | Kind::RightBracket | Kind::RightBrace => {
                    if open == 0 {
                        return;
                    }
                    open -= 1;
                }
                Kind::LeftParen | Kind::LeftBracket | Kind::LeftBrace => open += 1,
                Kind::Backtick => self.skip_template(),
                _ => {}
            }
            self.advance();
        }
    }

    /// Expects `close`; otherwise complains and looks for it.
    pub(super) fn close(&mut self, close: Kind, name: &str) {
        if self.token.kind != close {
            self.expected(&format!("`{name}`"));
            self.recover();
        }
        self.eat(close);
    }

    /// After one element of a list: takes the comma, and says whether the list goes on.
    pub(super) fn list_goes_on(&mut self, close: Kind, name: &str) -> bool {
        if self.token.kind != Kind::Comma && self.token.kind != close {
            self.expected(&format!("`,` or `{name}`"));
            self.recover();
        }
        if self.eat(Kind::Comma) {
            let ends = self.token.kind == Kind::Eof;
            if ends {
                self.expected(&format!("more or `{name}`"));
            }
            return !ends;
        }
        self.eat(close);
        false
    }

    /// The end of the field: what follows the expression.
    fn end(&mut self) {
        if self.aborted {
            return;
        }
        match self.token.kind {
            Kind::Eof => {}
            Kind::Semicolon => {
                let span = self.token.span();
                let hint = "a field holds one expression: leave the `;` away";
                self.unsupported("UNSUPPORTED_STATEMENT", "a statement", span, hint);
            }
            Kind::Comma => {
                let span = self.token.span();
                let hint = "a field holds one expression: write an array or an object";
                self.unsupported("UNSUPPORTED_COMMA", "the comma operator", span, hint);
                while self.eat(Kind::Comma) {
                    self.expression();
                }
                self.end();
            }
            _ => self.expected("an operator or the end"),
        }
    }

    // Expressions.

    /// One expression of the rank that stands between commas.
    pub(super) fn expression(&mut self) -> &'a Expr<'a> {
        self.nested(|p| {
            if let Some(arrow) = p.arrow() {
                return arrow;
            }
            let start = p.token.span();
            let expr = p.conditional();
            if p.token.kind == Kind::Assign {
                let span = p.token.span();
                let hint = if p.text() == "=" {
                    "compare with `===`; a value gets a name by `const name = …` in a block"
                } else {
                    "write the operator without `=`"
                };
                p.unsupported("UNSUPPORTED_ASSIGNMENT", "assignment", span, hint);
                p.advance();
                p.expression();
                let span = p.since(start);
                return p.expr(ExprKind::Error, span);
            }
            expr
        })
    }

    /// Elements up to `close`, of an array or of the arguments of a call.
    pub(super) fn elements(&mut self, close: Kind, name: &str) -> &'a [Element<'a>] {
        if self.eat(close) {
            return &[];
        }
        let mut elements = Few::new();
        loop {
            if self.eat(close) {
                break;
            }
            if close == Kind::RightBracket && self.token.kind == Kind::Comma {
                self.advance();
                elements.push(Element {
                    spread: false,
                    value: None,
                });
                continue;
            }
            let spread = self.eat(Kind::Ellipsis);
            elements.push(Element {
                spread,
                value: Some(self.expression()),
            });
            if !self.list_goes_on(close, name) {
                break;
            }
        }
        self.keep_all(&elements)
    }
}
