//! Operands: literals, names, groups, and the words that the language leaves out.

use super::{
    ast::{Cooked, Expr, ExprKind, Key, Property, Regex, Span, Template},
    lexer::{ChunkEnd, cut},
    literal,
    parser::{Few, Parser},
    token::Kind,
};

impl<'a> Parser<'a> {
    /// An operand without its chain.
    pub(super) fn primary(&mut self) -> &'a Expr<'a> {
        let start = self.token.span();
        let kind = match self.token.kind {
            Kind::Number => {
                let value = literal::number(self.text());
                self.advance();
                value.map_or_else(
                    |message| {
                        self.lexer
                            .error("SYNTAX_NUMBER", message, start, big_integer(message));
                        ExprKind::Error
                    },
                    ExprKind::Number,
                )
            }
            Kind::Str => ExprKind::Str(self.string()),
            Kind::Backtick => self.template(),
            Kind::LeftParen => return self.group(),
            Kind::LeftBracket => {
                self.advance();
                ExprKind::Array(self.elements(Kind::RightBracket, "]"))
            }
            Kind::LeftBrace => {
                self.advance();
                ExprKind::Object(self.properties())
            }
            Kind::Name => self.word(),
            Kind::Slash | Kind::Assign if self.text().starts_with('/') => {
                let places = self.lexer.pattern(start.start);
                // What is read is now the token before the next one.
                self.token.end = cut(self.lexer.pos);
                self.advance();
                places.map_or(ExprKind::Error, |(pattern, flags)| {
                    ExprKind::Regex(self.keep(Regex {
                        source: self.lexer.slice(pattern),
                        source_start: pattern.start,
                        flags: self.lexer.slice(flags),
                        flags_start: flags.start,
                    }))
                })
            }
            Kind::Bad => {
                self.advance();
                ExprKind::Error
            }
            _ => {
                self.expected("a value");
                // What closes or parts something is left for whoever opened it.
                let closes = matches!(
                    self.token.kind,
                    Kind::Eof
                        | Kind::RightParen
                        | Kind::RightBracket
                        | Kind::RightBrace
                        | Kind::Comma
                        | Kind::Colon
                        | Kind::Semicolon
                );
                if !closes {
                    self.advance();
                }
                ExprKind::Error
            }
        };
        self.expr(kind, self.since(start))
    }

    fn group(&mut self) -> &'a Expr<'a> {
        let start = self.token.span();
        self.advance();
        let inner = self.expression();
        self.comma_inside();
        self.close(Kind::RightParen, ")");
        self.keep(Expr {
            kind: inner.kind,
            span: self.since(start),
            grouped: true,
        })
    }

    pub(super) fn comma_inside(&mut self) {
        if self.token.kind == Kind::Comma {
            let hint = "keep the last value only, or write an array";
            let span = self.token.span();
            self.unsupported("UNSUPPORTED_COMMA", "the comma operator", span, hint);
            while self.eat(Kind::Comma) {
                self.expression();
            }
        }
    }

    /// The value of the string token, which is taken.
    pub(super) fn string(&mut self) -> Cooked<'a> {
        let token = self.advance();
        let span = Span {
            start: token.start + 1,
            end: token.end - 1,
        };
        self.cook(span, false)
    }

    fn cook(&mut self, span: Span, template: bool) -> Cooked<'a> {
        let raw = self.lexer.slice(span);
        literal::text(raw, template, self.arena).unwrap_or_else(|wrong| {
            let at = |offset: usize| span.start + u32::try_from(offset).unwrap_or(0);
            let place = Span {
                start: at(wrong.start),
                end: at(wrong.end).min(span.end),
            };
            self.lexer
                .error("SYNTAX_ESCAPE", wrong.message, place, None);
            Cooked::Text("")
        })
    }

    fn template(&mut self) -> ExprKind<'a> {
        let (mut chunks, mut values) = (Few::new(), Few::new());
        loop {
            let (span, end) = self.lexer.chunk();
            chunks.push(self.cook(span, true));
            if end == ChunkEnd::Value {
                self.advance();
                values.push(self.expression());
                if self.token.kind == Kind::RightBrace {
                    continue;
                }
                self.expected("`}`");
                if self.find_brace() {
                    continue;
                }
            }
            if end == ChunkEnd::Value {
                chunks.push(Cooked::Text(""));
            }
            self.advance();
            let (chunks, values) = (self.keep_all(&chunks), self.keep_all(&values));
            return ExprKind::Template(self.keep(Template { chunks, values }));
        }
    }

    /// Looks for the `}` that ends a template's value; the token is not taken, because text
    /// follows it.
    fn find_brace(&mut self) -> bool {
        let mut open = 0_usize;
        loop {
            match self.token.kind {
                Kind::Eof => return false,
                Kind::RightBrace if open == 0 => return true,
                Kind::LeftBrace => open += 1,
                Kind::RightBrace => open -= 1,
                Kind::Backtick => self.skip_template(),
                _ => {}
            }
            self.advance();
        }
    }

    /// With an opening back-tick as the token: reads to the closing one without building
    /// anything. Braces inside are only counted, so this needs no stack.
    pub(super) fn skip_template(&mut self) {
        loop {
            match self.lexer.chunk().1 {
                ChunkEnd::Close | ChunkEnd::Missing => return,
                ChunkEnd::Value => {
                    let mut open = 0_usize;
                    loop {
                        match self.lexer.next() {
                            Kind::Eof => return,
                            Kind::LeftBrace => open += 1,
                            Kind::RightBrace if open == 0 => break,
                            Kind::RightBrace => open -= 1,
                            _ => {}
                        }
                    }
                }
            }
        }
    }

    fn properties(&mut self) -> &'a [Property<'a>] {
        let mut properties = Few::new();
        loop {
            if self.eat(Kind::RightBrace) {
                return self.keep_all(&properties);
            }
            if self.eat(Kind::Ellipsis) {
                properties.push(Property::Spread(self.expression()));
            } else {
                properties.push(self.property());
            }
            if !self.list_goes_on(Kind::RightBrace, "}") {
                return self.keep_all(&properties);
            }
        }
    }

    fn property(&mut self) -> Property<'a> {
        let start = self.token.span();
        let shorthand = (self.token.kind == Kind::Name).then(|| self.name());
        let hidden = self.hides_reserved_word();
        let key = self.key();
        if self.eat(Kind::Colon) {
            return Property::Pair {
                key,
                value: self.expression(),
            };
        }
        if self.token.kind == Kind::LeftParen {
            let hint = "write the value: `key: value`";
            self.unsupported("UNSUPPORTED_FUNCTION", "a method of an object", start, hint);
            self.advance();
            self.elements(Kind::RightParen, ")");
            if self.token.kind == Kind::LeftBrace {
                self.skip_block();
            }
            return Property::Spread(self.expr(ExprKind::Error, start));
        }
        let Some(name) = shorthand else {
            self.expected("`:` and a value");
            return Property::Spread(self.expr(ExprKind::Error, start));
        };
        if matches!(name, "get" | "set" | "async") && self.token.kind == Kind::Name {
            let hint = "write the value: `key: value`";
            self.unsupported(
                "UNSUPPORTED_FUNCTION",
                "an accessor or async method",
                start,
                hint,
            );
            return Property::Spread(self.expr(ExprKind::Error, start));
        }
        let kind = match name {
            _ if hidden => {
                self.expected("`:` and a value");
                ExprKind::Error
            }
            "true" | "false" | "null" => {
                self.expected("`:` and a value");
                ExprKind::Error
            }
            _ => ExprKind::Name(name),
        };
        Property::Pair {
            key,
            value: self.expr(kind, start),
        }
    }

    /// The key of a property or of a field in a pattern.
    pub(super) fn key(&mut self) -> Key<'a> {
        match self.token.kind {
            Kind::Name => {
                let name = self.name();
                self.advance();
                Key::Fixed(Cooked::Text(name))
            }
            Kind::Str => Key::Fixed(self.string()),
            Kind::Number => {
                let span = self.token.span();
                let value = literal::number(self.text()).unwrap_or_else(|message| {
                    self.lexer
                        .error("SYNTAX_NUMBER", message, span, big_integer(message));
                    0.0
                });
                self.advance();
                let text = crate::value::number_text(value);
                Key::Fixed(Cooked::Text(self.arena.alloc_str(text.as_str())))
            }
            Kind::LeftBracket => {
                self.advance();
                let key = self.expression();
                self.close(Kind::RightBracket, "]");
                Key::Computed(key)
            }
            _ => {
                self.expected("a key");
                Key::Fixed(Cooked::Text(""))
            }
        }
    }

    /// A name, or a word that means something of its own.
    fn word(&mut self) -> ExprKind<'a> {
        let text = self.text();
        if !may_be_word(text) {
            let name = self.name();
            self.advance();
            return ExprKind::Name(name);
        }
        let span = self.token.span();
        let hint_node = "move this into a code node";
        let (code, hint) = match text {
            "null" | "true" | "false" => {
                self.advance();
                return match text {
                    "null" => ExprKind::Null,
                    word => ExprKind::Bool(word == "true"),
                };
            }
            "new" => return self.construct(),
            "this" | "super" | "arguments" => (
                "UNSUPPORTED_THIS",
                "name the value, such as `$json` or an arrow's parameter",
            ),
            "function" => ("UNSUPPORTED_FUNCTION", "write an arrow: `(x) => value`"),
            "class" | "yield" => ("UNSUPPORTED_FUNCTION", hint_node),
            "async" | "import" => ("UNSUPPORTED_ASYNC", hint_node),
            "if" | "switch" => ("UNSUPPORTED_STATEMENT", "write `condition ? value : other`"),
            "for" | "while" | "do" => (
                "UNSUPPORTED_STATEMENT",
                "use `map`, `filter` or `reduce` of the list",
            ),
            "return" | "throw" | "try" | "var" | "let" | "const" | "with" | "debugger"
            | "break" | "continue" => (
                "UNSUPPORTED_STATEMENT",
                "statements stand in the body of an arrow: `(() => { … })()`",
            ),
            "case" | "catch" | "default" | "else" | "enum" | "export" | "extends" | "finally"
            | "in" | "instanceof" => {
                self.expected("a value");
                self.advance();
                return ExprKind::Error;
            }
            _ if self.hides_reserved_word() => {
                self.expected("a value");
                self.advance();
                return ExprKind::Error;
            }
            _ => {
                let name = self.name();
                self.advance();
                return ExprKind::Name(name);
            }
        };
        self.unsupported(code, &format!("`{text}`"), span, hint);
        // `this.x`, `super.x` read on as a chain; a statement's inside would only mislead.
        if matches!(text, "this" | "super" | "arguments" | "import") {
            self.advance();
        } else {
            self.skip_all();
        }
        ExprKind::Error
    }

    /// Skips what cannot be read in a sensible way: to the end of the enclosing brackets or of the
    /// statement.
    fn skip_all(&mut self) {
        let mut open = 0_usize;
        loop {
            match self.token.kind {
                Kind::Eof => return,
                Kind::LeftParen | Kind::LeftBracket | Kind::LeftBrace => open += 1,
                Kind::RightParen | Kind::RightBracket | Kind::RightBrace => {
                    if open == 0 {
                        return;
                    }
                    open -= 1;
                }
                Kind::Semicolon if open == 0 && self.blocks > 0 => return,
                Kind::Backtick => self.skip_template(),
                _ => {}
            }
            self.advance();
        }
    }

    /// With an opening bracket as the token: skips to the one that closes it, and takes that.
    pub(super) fn skip_block(&mut self) {
        self.advance();
        let blocks = std::mem::take(&mut self.blocks);
        self.skip_all();
        self.blocks = blocks;
        self.advance();
    }
}

/// Whether a name may be one of the words that mean something of their own, perhaps in disguise:
/// they are short and in small letters, and most names are not.
fn may_be_word(text: &str) -> bool {
    let plain = (2..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase());
    plain || text.contains('\\')
}

fn big_integer(message: &str) -> Option<String> {
    // The commonest number that is none: `10n`.
    (message == "this is not a number").then(|| "write digits, such as `1000` or `2.5e3`".into())
}
