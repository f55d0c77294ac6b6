//! Patterns that are known before the evaluation: compiled once, with the program.

use super::{Resolver, length};
use crate::{
    ExpressionError, Phase,
    code::{Node, NodeId},
    regex::{self, Flags, Wrong},
    syntax::ast::{Cooked, Element, ExprKind, Regex, Span},
};

impl<'a> Resolver<'a> {
    pub(super) fn regex_literal(&mut self, literal: &Regex<'_>) -> Node {
        let Regex {
            source,
            source_start,
            flags,
            flags_start,
        } = *literal;
        let compiled = Flags::parse(flags)
            .map_err(|wrong| (wrong, flags_start))
            .and_then(|flags| regex::compile(source, flags).map_err(|wrong| (wrong, source_start)));
        match compiled {
            Ok(compiled) => {
                let id = length(&self.code.regexes);
                self.code.regexes.push(compiled);
                Node::Regex(id)
            }
            Err((wrong, start)) => {
                let start = start as usize;
                let (from, to) = (start + wrong.start, start + wrong.end);
                self.wrong_regex(wrong, from, to);
                Node::Undefined
            }
        }
    }

    /// `RegExp("…", "…")` with texts that are known; `None` if they are not.
    pub(super) fn constant_regex(&mut self, args: &[Element<'a>], span: Span) -> Option<NodeId> {
        let text = |arg: &Element<'a>| match arg.value?.kind {
            ExprKind::Str(Cooked::Text(text)) if !arg.spread => Some(text),
            _ => None,
        };
        let (pattern, letters) = match args {
            [pattern] => (text(pattern)?, ""),
            [pattern, flags] => (text(pattern)?, text(flags)?),
            _ => return None,
        };
        let place = |at: usize| match args.get(at).and_then(|arg| arg.value.as_ref()) {
            Some(value) => value.span,
            None => span,
        };
        let source = regex::source_of(pattern);
        let compiled = Flags::parse(letters)
            .map_err(|wrong| (wrong, place(1)))
            .and_then(|flags| regex::compile(&source, flags).map_err(|wrong| (wrong, place(0))));
        let node = match compiled {
            Ok(compiled) => {
                let id = length(&self.code.regexes);
                self.code.regexes.push(compiled);
                Node::Regex(id)
            }
            // Escapes of the string keep the place within it from being known.
            Err((wrong, place)) => {
                self.wrong_regex(wrong, place.start as usize, place.end as usize);
                Node::Undefined
            }
        };
        Some(self.push(node, span))
    }

    fn wrong_regex(&mut self, wrong: Wrong, start: usize, end: usize) {
        if crate::guard::lets_pass(wrong.code) {
            return;
        }
        self.errors.push(ExpressionError {
            code: wrong.code,
            phase: Phase::Syntax,
            message: wrong.message,
            start,
            end,
            hint: wrong.hint.map(str::to_owned),
        });
    }
}
