//! The tokens of a JavaScript expression, as far as telling its constructs apart needs them.
//!
//! This is deliberately not the lexer of `nebula-expression`: what the language refuses must not
//! be judged by the code that refuses it.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or a keyword.
    Name,
    Number,
    /// A number that ends in `n`.
    BigInt,
    /// A text in quotes, with them.
    Text,
    /// The start of a template literal; what is between `${` and `}` follows as tokens.
    Template,
    /// A regex literal with its flags.
    Regex,
    /// An operator or a bracket.
    Sign,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind,
    pub(crate) text: &'s str,
}

impl Token<'_> {
    /// Whether an operand may end here, so that `/` after it divides and `(` after it calls.
    pub(crate) fn ends_operand(self) -> bool {
        match self.kind {
            Kind::Name => !PREFIX_WORDS.contains(&self.text),
            Kind::Sign => matches!(self.text, ")" | "]" | "}" | "`"),
            Kind::Template => false,
            _ => true,
        }
    }
}

/// Words after which an operand begins.
const PREFIX_WORDS: &[&str] = &[
    "await",
    "case",
    "delete",
    "in",
    "instanceof",
    "new",
    "of",
    "return",
    "throw",
    "typeof",
    "void",
    "yield",
];

/// Signs of more than one character, longest first.
const SIGNS: &[&str] = &[
    ">>>=", "...", "===", "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "??=", "=>", "==", "!=",
    "<=", ">=", "&&", "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
    "<<", ">>", "**",
];

/// Splits a source into tokens; comments and white space are left out.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut reader = Reader {
        source,
        at: 0,
        tokens: Vec::new(),
    };
    reader.until(None);
    reader.tokens
}

struct Reader<'s> {
    source: &'s str,
    at: usize,
    tokens: Vec<Token<'s>>,
}

impl<'s> Reader<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn push(&mut self, kind: Kind, len: usize) {
        let text = &self.source[self.at..self.at + len];
        self.tokens.push(Token { kind, text });
        self.at += len;
    }

    /// Reads to the closing brace of a template's part, or to the end.
    fn until(&mut self, close: Option<char>) {
        let mut depth = 0_usize;
        while let Some(c) = self.rest().chars().next() {
            match c {
                _ if c.is_whitespace() || c == '\u{feff}' => self.at += c.len_utf8(),
                '/' if self.rest().starts_with("//") => self.skip_to('\n'),
                '/' if self.rest().starts_with("/*") => {
                    let len = self.rest().find("*/").map_or(self.rest().len(), |i| i + 2);
                    self.at += len;
                }
                '\'' | '"' => self.quoted(c),
                '`' => self.template(),
                '/' if self.regex_may_begin() => self.regex(),
                '0'..='9' => self.number(),
                '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
                _ if c.is_alphanumeric() || matches!(c, '_' | '$' | '\\' | '#') => self.name(),
                '}' if close == Some('}') && depth == 0 => return,
                _ => {
                    match c {
                        '{' => depth += 1,
                        '}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    self.sign(c);
                }
            }
        }
    }

    fn skip_to(&mut self, end: char) {
        self.at += self.rest().find(end).unwrap_or(self.rest().len());
    }

    fn regex_may_begin(&self) -> bool {
        self.tokens.last().is_none_or(|last| !last.ends_operand())
    }

    fn quoted(&mut self, quote: char) {
        let mut escaped = false;
        let end = self.rest()[1..].find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let len = end.map_or(self.rest().len(), |end| end + 2);
        self.push(Kind::Text, len);
    }

    /// Emits the start, `${` and `}` around each part, and a closing backtick.
    fn template(&mut self) {
        self.push(Kind::Template, 1);
        while let Some(c) = self.rest().chars().next() {
            match c {
                '`' => return self.push(Kind::Sign, 1),
                '\\' => {
                    let escaped = self.rest()[1..].chars().next().map_or(0, char::len_utf8);
                    self.at += 1 + escaped;
                }
                '$' if self.rest().starts_with("${") => {
                    self.push(Kind::Sign, 2);
                    self.until(Some('}'));
                    if !self.rest().is_empty() {
                        self.push(Kind::Sign, 1);
                    }
                }
                _ => self.at += c.len_utf8(),
            }
        }
    }

    fn regex(&mut self) {
        let (mut escaped, mut class) = (false, false);
        let end = self.rest()[1..].find(|c| {
            let ends = c == '/' && !escaped && !class;
            if !escaped {
                class = match c {
                    '[' => true,
                    ']' => false,
                    _ => class,
                };
            }
            escaped = c == '\\' && !escaped;
            ends
        });
        let body = end.map_or(self.rest().len(), |end| end + 2);
        let flags = self.rest()[body..]
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(self.rest().len() - body);
        self.push(Kind::Regex, body + flags);
    }

    fn number(&mut self) {
        let rest = self.rest();
        let hex = rest.starts_with("0x") || rest.starts_with("0X");
        let mut last = ' ';
        let len = rest
            .find(|c: char| {
                let sign = matches!(c, '+' | '-') && matches!(last, 'e' | 'E') && !hex;
                let goes_on = c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || sign;
                last = c;
                !goes_on
            })
            .unwrap_or(rest.len());
        let big = rest[..len].ends_with('n');
        self.push(if big { Kind::BigInt } else { Kind::Number }, len);
    }

    fn name(&mut self) {
        let rest = self.rest();
        let mut len = 0;
        while let Some(c) = rest[len..].chars().next() {
            if rest[len..].starts_with("\\u{") {
                len += rest[len..]
                    .find('}')
                    .map_or(rest.len() - len, |end| end + 1);
            } else if c.is_alphanumeric()
                || matches!(c, '_' | '$' | '\\' | '#' | '\u{200c}' | '\u{200d}')
            {
                len += c.len_utf8();
            } else {
                break;
            }
        }
        self.push(Kind::Name, len);
    }

    fn sign(&mut self, c: char) {
        let found = SIGNS.iter().find(|sign| {
            // `a?.5:1` is a conditional.
            self.rest().starts_with(**sign)
                && !(**sign == "?." && self.rest()[2..].starts_with(|c: char| c.is_ascii_digit()))
        });
        self.push(Kind::Sign, found.map_or(c.len_utf8(), |sign| sign.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[track_caller]
    fn check(source: &str, expected: &[&str]) {
        let found: Vec<_> = tokens(source).iter().map(|token| token.text).collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn texts_templates_and_regexes_are_told_apart_from_operators() {
        check(r#"'a\'b' + "c""#, &[r"'a\'b'", "+", r#""c""#]);
        check("a / b / c", &["a", "/", "b", "/", "c"]);
        check(
            "(/[/]x/g).test(`/`)",
            &["(", "/[/]x/g", ")", ".", "test", "(", "`", "`", ")"],
        );
        check(
            "`a${ {b: `c`}.b }d`",
            &["`", "${", "{", "b", ":", "`", "`", "}", ".", "b", "}", "`"],
        );
        check("typeof /x/", &["typeof", "/x/"]);
    }

    #[test]
    fn signs_are_as_long_as_they_can_be() {
        check("a>>>=b", &["a", ">>>=", "b"]);
        check("a?.5:1", &["a", "?", ".5", ":", "1"]);
        check("a?.b", &["a", "?.", "b"]);
        check("1e+5-0x1E-1", &["1e+5", "-", "0x1E", "-", "1"]);
    }

    #[test]
    fn comments_are_no_tokens() {
        check("a // b\n + /* c */ d", &["a", "+", "d"]);
    }
}
