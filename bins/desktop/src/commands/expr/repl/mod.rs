//! `nebula expr` on a terminal: expressions and commands, answered one by one.
//!
//! `command` reads a line, `session` answers it, `shown` says how, `complete` knows what could be
//! written; these are functions of text and data. `editor`, `menu` and `history` are the terminal's side.

mod command;
mod complete;
mod editor;
mod history;
mod menu;
mod session;
mod shown;

use nebula_expression::Mode;
use serde_json::Value;

use self::{
    editor::{Data, Editor, Line},
    session::Session,
};
use crate::{
    console::{Console, Paint},
    failure::{Exit, Failure, reason},
};

/// Holds a conversation until the person leaves it.
pub(super) fn run(data: Value, mode: Mode, console: &Console) -> Result<Exit, Failure> {
    let warn = |text: &str| {
        let label = console.err.paint(Paint::Yellow, "warning");
        console.error_text(&format!("{label}: {text}"));
    };
    let (kept, not_kept) = history::open();
    let data = Data::new(data);
    let mut editor = Editor::new(data.clone(), kept, console.err);
    let mut session = Session::new(data, mode, console);
    console.note("TAB completes, :help lists the commands, Ctrl-D leaves");
    console.note(&session.summary());
    let mut warned = not_kept.is_some();
    if let Some(why) = not_kept {
        warn(&why);
    }
    loop {
        let line = match editor.read(session.is_lenient())? {
            Line::Entered(line) => line,
            Line::Cleared => continue,
            Line::Ended => return Ok(Exit::Completed),
        };
        // Before the answer, which may be the last thing that this process does.
        if let Err(error) = editor.keep_history()
            && !warned
        {
            warned = true;
            warn(&format!("the history is not kept: {}", reason(&error)));
        }
        if session.answer(&line)?.is_break() {
            return Ok(Exit::Completed);
        }
    }
}
