//! The line editor; with its menu and its history the only part that knows reedline.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use nebula_expression::is_unfinished;
use reedline::{
    Color, ColumnarMenu, Completer, CompletionResult, Emacs, Highlighter, InputMode, KeyCode,
    KeyModifiers, MenuBuilder as _, Partial, Prompt, PromptEditMode, PromptHistorySearch, Reedline,
    ReedlineEvent, ReedlineMenu, Signal, Span, StyledText, Suggestion, ValidationResult, Validator,
    default_emacs_keybindings,
};
use serde_json::Value;

use super::{command, complete, history::Kept, menu::Candidates};
use crate::{
    console::Colours,
    failure::{Failure, reason},
};

const MENU: &str = "completion";

/// The data of the conversation, which completion looks at while a line is being written.
#[derive(Debug, Clone)]
pub(super) struct Data(Arc<Mutex<Arc<Value>>>);

impl Data {
    pub(super) fn new(value: Value) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(value))))
    }

    pub(super) fn get(&self) -> Arc<Value> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&held)
    }

    pub(super) fn set(&self, value: Value) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(value);
    }
}

/// What a person did.
#[derive(Debug)]
pub(super) enum Line {
    Entered(String),
    /// Ctrl-C: what was written is given up.
    Cleared,
    /// Ctrl-D.
    Ended,
}

/// A line editor on the terminal.
pub(super) struct Editor {
    lines: Reedline,
    colours: Colours,
}

impl Editor {
    pub(super) fn new(data: Data, history: Kept, colours: Colours) -> Self {
        let mut keys = default_emacs_keybindings();
        let complete = ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
        ]);
        keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
        keys.add_binding(
            KeyModifiers::SHIFT,
            KeyCode::BackTab,
            ReedlineEvent::MenuPrevious,
        );
        let menu = ColumnarMenu::default()
            .with_name(MENU)
            .with_marker("> ")
            .with_input_mode(InputMode::FullBuffer)
            .with_word_chars("_$")
            .with_text_style(Color::Default.normal())
            .with_selected_text_style(Color::Cyan.reverse())
            .with_match_text_style(Color::Default.normal())
            .with_selected_match_text_style(Color::Cyan.reverse());
        let lines = Reedline::create()
            .with_ansi_colors(colours.0)
            .with_history(Box::new(history))
            .with_history_exclusion_prefix(Some(" ".to_owned()))
            .with_completer(Box::new(FromData(data)))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(Candidates(menu))))
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_validator(Box::new(Whole))
            .with_highlighter(Box::new(Plain))
            .use_bracketed_paste(true);
        Self { lines, colours }
    }

    /// Waits for a line.
    ///
    /// # Errors
    /// The terminal cannot be used.
    pub(super) fn read(&mut self, lenient: bool) -> Result<Line, Failure> {
        let colour = if self.colours.0 {
            Color::Cyan
        } else {
            Color::Default
        };
        let read = self.lines.read_line(&Asking { lenient, colour });
        match read {
            Ok(Signal::Success(line)) => Ok(Line::Entered(line)),
            Ok(Signal::CtrlD) => Ok(Line::Ended),
            Ok(_) => Ok(Line::Cleared),
            Err(error) => {
                let message = format!("the terminal cannot be used: {}", reason(&error));
                Err(Failure::environment("TERMINAL", message)
                    .advice("give EXPR, or --batch, or another terminal"))
            }
        }
    }

    /// Writes the history to its file.
    pub(super) fn keep_history(&mut self) -> std::io::Result<()> {
        self.lines.sync_history()
    }
}

/// Completes from the data.
struct FromData(Data);

impl Completer for FromData {
    fn complete(&mut self, line: &str, at: usize) -> CompletionResult {
        let data = self.0.get();
        let found = complete::complete(line, at, &data);
        let partial = complete::common(line, &found).map(|(span, insert)| Partial {
            span: Span::new(span.start, span.end),
            insert,
        });
        let suggestion = |candidate: complete::Candidate| Suggestion {
            value: candidate.text,
            display_override: Some(candidate.shown),
            span: Span::new(candidate.span.start, candidate.span.end),
            ..Suggestion::default()
        };
        let suggestions: Vec<Suggestion> = found.into_iter().map(suggestion).collect();
        CompletionResult::fresh(suggestions).with_partial(partial)
    }
}

/// Lets a line go on while more can complete it; an empty line ends it all the same.
struct Whole;

impl Validator for Whole {
    fn validate(&self, text: &str) -> ValidationResult {
        let expression = command::expression(text);
        let ended = text.ends_with('\n');
        match expression {
            Some(expression)
                if !ended && !expression.trim().is_empty() && is_unfinished(expression) =>
            {
                ValidationResult::Incomplete
            }
            _ => ValidationResult::Complete,
        }
    }
}

/// The line as it is.
struct Plain;

impl Highlighter for Plain {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut text = StyledText::new();
        text.push((Color::Default.normal(), line.to_owned()));
        text
    }
}

/// What stands before a line.
struct Asking {
    lenient: bool,
    colour: Color,
}

impl Prompt for Asking {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(if self.lenient { "lenient" } else { "" })
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("… ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(history: {}) ", search.term))
    }

    fn get_prompt_color(&self) -> Color {
        self.colour
    }

    fn get_prompt_multiline_color(&self) -> Color {
        self.colour
    }

    fn get_indicator_color(&self) -> Color {
        self.colour
    }
}

#[cfg(test)]
mod tests {
    use reedline::{ValidationResult, Validator as _};

    use super::Whole;

    #[test]
    fn a_line_goes_on_until_it_is_whole_or_an_empty_line_ends_it() {
        let goes_on = |text: &str| matches!(Whole.validate(text), ValidationResult::Incomplete);
        assert!(goes_on("[1,"));
        assert!(goes_on("[1,\n2"));
        assert!(goes_on(":type [1,"));
        assert!(!goes_on("[1,\n2]"));
        assert!(!goes_on("[1,\n"));
        assert!(!goes_on(""));
        assert!(!goes_on("  "));
        assert!(!goes_on(":type"));
        assert!(!goes_on(":type "));
        assert!(!goes_on(":data ["));
        assert!(!goes_on("1 2"));
    }
}
