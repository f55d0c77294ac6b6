//! A tokenised expression and the questions that its rows of exclusion ask.

use super::tokens::{Kind, Token, tokens};

/// The tokens of one expression, with their brackets paired.
#[derive(Debug)]
pub(crate) struct Source<'s> {
    tokens: Vec<Token<'s>>,
    /// For a bracket, the place of its partner.
    partner: Vec<Option<usize>>,
    /// The innermost opening bracket around each token.
    around: Vec<Option<usize>>,
}

impl<'s> Source<'s> {
    pub(crate) fn new(text: &'s str) -> Self {
        let tokens = tokens(text);
        let mut partner = vec![None; tokens.len()];
        let mut around = vec![None; tokens.len()];
        let mut open: Vec<usize> = Vec::new();
        for (i, token) in tokens.iter().enumerate() {
            let sign = token.kind == Kind::Sign;
            if sign
                && matches!(token.text, ")" | "]" | "}")
                && let Some(start) = open.pop()
            {
                partner[start] = Some(i);
                partner[i] = Some(start);
            }
            around[i] = open.last().copied();
            if sign && matches!(token.text, "(" | "[" | "{" | "${") {
                open.push(i);
            }
        }
        Self {
            tokens,
            partner,
            around,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn token(&self, at: usize) -> Token<'s> {
        self.tokens[at]
    }

    pub(crate) fn partner(&self, at: usize) -> Option<usize> {
        self.partner[at]
    }

    pub(crate) fn around(&self, at: usize) -> Option<usize> {
        self.around[at]
    }

    /// The text of the token `by` places from `at`; empty beyond the ends.
    pub(crate) fn near(&self, at: usize, by: isize) -> &'s str {
        at.checked_add_signed(by)
            .and_then(|at| self.tokens.get(at))
            .map_or("", |token| token.text)
    }

    pub(crate) fn any(&self, test: impl FnMut(usize) -> bool) -> bool {
        (0..self.tokens.len()).any(test)
    }

    pub(crate) fn is(&self, at: usize, kind: Kind, texts: &[&str]) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| token.kind == kind && texts.contains(&token.text))
    }

    /// Whether a member's name stands there: `.name`.
    pub(crate) fn is_member(&self, at: usize) -> bool {
        self.tokens[at].kind == Kind::Name && matches!(self.near(at, -1), "." | "?.")
    }

    /// Whether a key of an object literal stands there: `{ name: …`, `, name: …`.
    pub(crate) fn is_key(&self, at: usize) -> bool {
        // After `=>` and after a parenthesis a block begins, not an object.
        let object = self.around[at].is_some_and(|open| {
            self.tokens[open].text == "{" && !matches!(self.near(open, -1), "=>" | ")")
        });
        object && matches!(self.near(at, -1), "{" | ",") && matches!(self.near(at, 1), ":" | "(")
    }

    /// Whether one of these words stands there by itself: neither a member nor a key.
    pub(crate) fn is_word(&self, at: usize, words: &[&str]) -> bool {
        self.is(at, Kind::Name, words) && !self.is_member(at) && !self.is_key(at)
    }

    /// Whether an operand ends just before that token.
    pub(crate) fn follows_operand(&self, at: usize) -> bool {
        at.checked_sub(1)
            .is_some_and(|last| self.tokens[last].ends_operand())
    }

    /// Whether that bracket, or one around it, holds the parameters of an arrow.
    pub(crate) fn in_parameters(&self, at: usize) -> bool {
        let mut open = self.around[at];
        while let Some(start) = open {
            let close = self.partner[start];
            if self.tokens[start].text == "("
                && close.is_some_and(|close| self.near(close, 1) == "=>")
            {
                return true;
            }
            open = self.around[start];
        }
        false
    }

    /// Whether that token is part of a declaration: `const` or `let` begins its statement.
    pub(crate) fn in_declaration(&self, at: usize) -> bool {
        let mut place = at;
        while let Some(before) = place.checked_sub(1) {
            place = before;
            let text = self.tokens[place].text;
            match text {
                "const" | "let" if !self.is_member(place) => return true,
                ";" => return false,
                // Over a group: a pattern of the declaration.
                ")" | "]" | "}" => match self.partner[place] {
                    Some(start) => place = start,
                    None => return false,
                },
                "=>" => return false,
                _ => {}
            }
        }
        false
    }

    /// What a text token says, with its escapes as they are written.
    pub(crate) fn unquoted(&self, at: usize) -> Option<&'s str> {
        let token = self.tokens.get(at)?;
        let inside = token.text.get(1..token.text.len().checked_sub(1)?)?;
        (token.kind == Kind::Text).then_some(inside)
    }
}
