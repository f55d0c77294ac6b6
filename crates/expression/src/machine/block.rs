//! Statements. Each gives nothing, or the value that the body returns: then `returned` is set.

use super::{Machine, Quick, Reg, record::CAUGHT};
use crate::{
    code::{Node, NodeId, Pattern, Run},
    error::Fault,
    library::Outcome,
    value::{Object, Text, Val},
};

impl<'a> Machine<'a> {
    /// One statement, or the body of an arrow in braces.
    #[inline(never)]
    pub(super) fn statement(&mut self, node: Node) -> Quick<'a> {
        let code = self.code;
        match node {
            Node::Body(statements) => {
                let value = self.statements(statements)?;
                // Also clears it: the caller of the arrow goes on.
                let returned = std::mem::take(&mut self.returned);
                Ok(if returned { value } else { Reg::Undefined })
            }
            Node::Block(statements) => self.statements(statements),
            Node::Let(slot, value) => {
                self.slots[usize::from(slot)] = self.operand(value)?;
                Ok(Reg::Undefined)
            }
            Node::Declare(pattern, value) => {
                let value = self.operand(value)?;
                let bound = self.bind_pattern(&code.patterns[pattern as usize], value.val());
                match bound {
                    Ok(()) => Ok(Reg::Undefined),
                    Err(fault) => Err(self.stop(fault)),
                }
            }
            Node::If(parts) => {
                let parts = parts.of(&code.lists);
                let (pairs, otherwise) = parts.as_chunks::<2>();
                for [test, then] in pairs {
                    if self.operand(*test)?.truthy() {
                        return self.node(*then);
                    }
                }
                match otherwise {
                    [otherwise] => self.node(*otherwise),
                    _ => Ok(Reg::Undefined),
                }
            }
            Node::Return(value) => {
                let value = self.operand(value)?;
                self.returned = true;
                Ok(value)
            }
            Node::Try(at) => self.try_statement(at),
            other => {
                let message = format!("{other:?} is no statement");
                Err(self.stop(Fault::new("TYPE_INTERNAL", message)))
            }
        }
    }

    /// Statements in a row, up to one that returns.
    #[inline(always)]
    fn statements(&mut self, statements: Run) -> Quick<'a> {
        for statement in statements.of(&self.code.lists) {
            let value = self.node(*statement)?;
            if self.returned {
                return Ok(value);
            }
        }
        Ok(Reg::Undefined)
    }

    #[inline(never)]
    fn try_statement(&mut self, at: u32) -> Quick<'a> {
        let code = self.code;
        let parts = &code.tries[at as usize];
        let mut outcome = self.eval(parts.block);
        if let (Err(fault), Some((pattern, handler))) = (&outcome, &parts.catch)
            && fault.can_be_caught()
        {
            let error = self.error_value(fault);
            outcome = self.handle(error, pattern.as_ref(), *handler);
        }
        match parts.finally {
            // A limit ends the whole evaluation.
            Some(finally) if outcome.as_ref().err().is_none_or(Fault::can_be_caught) => {
                let returned = std::mem::take(&mut self.returned);
                let last = self.node(finally)?;
                if self.returned {
                    return Ok(last);
                }
                self.returned = returned;
            }
            _ => {}
        }
        self.quick(outcome)
    }

    fn handle(
        &mut self,
        error: Outcome<'a>,
        pattern: Option<&'a Pattern>,
        handler: NodeId,
    ) -> Outcome<'a> {
        let error = error?;
        if let Some(pattern) = pattern {
            self.bind_pattern(pattern, error)?;
        }
        self.eval(handler)
    }

    /// What `catch (e)` sees of an error.
    fn error_value(&mut self, fault: &Fault) -> Outcome<'a> {
        let parts = [
            ("code", fault.code()),
            ("message", fault.message()),
            ("name", class_name(fault.code())),
        ];
        let mut entries = [(Text::Utf8(""), Val::Undefined); 3];
        for (entry, (key, text)) in entries.iter_mut().zip(parts) {
            *entry = (Text::Utf8(key), self.copy_text(text)?);
        }
        self.reserve(size_of_val(&entries) + size_of::<Object<'_>>())?;
        let entries = self.arena.alloc_slice_copy(&entries);
        let object = self.arena.alloc(Object::shaped(entries, &CAUGHT));
        Ok(Val::Object(object))
    }
}

/// The class of error that JavaScript has for a code of ours.
fn class_name(code: &str) -> &'static str {
    match code {
        "TYPE_JSON" => "SyntaxError",
        "TYPE_RANGE" | "TYPE_OPTION" | "TYPE_ZONE" => "RangeError",
        "TYPE_URI" => "URIError",
        _ if code.starts_with("NAME_") => "ReferenceError",
        _ => "TypeError",
    }
}
