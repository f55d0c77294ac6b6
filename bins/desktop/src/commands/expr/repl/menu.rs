//! The list of candidates below the line.

use reedline::{
    ColumnarMenu, Completer, Editor, Menu, MenuEvent, MenuSettings, Painter, Suggestion,
};

/// What stands there if there is nothing to choose from.
const NOTHING: &str = "(nothing to complete)";

/// A menu in columns that says in our words that it is empty.
pub(super) struct Candidates(pub(super) ColumnarMenu);

impl Menu for Candidates {
    fn settings(&self) -> &MenuSettings {
        self.0.settings()
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn clear_input(&mut self) {
        self.0.clear_input();
    }

    fn on_activate(&mut self) {
        self.0.on_activate();
    }

    fn on_deactivate(&mut self) {
        self.0.on_deactivate();
    }

    fn menu_event(&mut self, event: MenuEvent) {
        self.0.menu_event(event);
    }

    fn can_quick_complete(&self) -> bool {
        self.0.can_quick_complete()
    }

    fn can_partially_complete(
        &mut self,
        values_updated: bool,
        editor: &mut Editor,
        completer: &mut dyn Completer,
    ) -> bool {
        self.0
            .can_partially_complete(values_updated, editor, completer)
    }

    fn update_values(&mut self, editor: &mut Editor, completer: &mut dyn Completer) {
        self.0.update_values(editor, completer);
    }

    fn reset_position(&mut self) {
        self.0.reset_position();
    }

    fn update_working_details(
        &mut self,
        editor: &mut Editor,
        completer: &mut dyn Completer,
        painter: &Painter,
    ) {
        self.0.update_working_details(editor, completer, painter);
    }

    fn replace_in_buffer(&self, editor: &mut Editor) {
        self.0.replace_in_buffer(editor);
    }

    fn menu_required_lines(&self, terminal_columns: u16) -> u16 {
        self.0.menu_required_lines(terminal_columns)
    }

    fn menu_string(&self, available_lines: u16, use_ansi_coloring: bool) -> String {
        if self.0.get_values().is_empty() {
            return NOTHING.to_owned();
        }
        let text = self.0.menu_string(available_lines, use_ansi_coloring);
        if use_ansi_coloring {
            text
        } else {
            as_written(text, self.0.get_values())
        }
    }

    fn min_rows(&self) -> u16 {
        self.0.min_rows()
    }

    fn get_values(&self) -> &[Suggestion] {
        self.0.get_values()
    }

    fn results_are_provisional(&self) -> bool {
        self.0.results_are_provisional()
    }

    fn is_awaiting_first_answer(&self) -> bool {
        self.0.is_awaiting_first_answer()
    }
}

/// Without colours the menu marks what is selected with `>` and writes it in capitals, though a key in
/// capitals is another key: it is put back as it is written.
fn as_written(mut text: String, values: &[Suggestion]) -> String {
    let marked = |shown: &str| text.find(&format!(">{}", shown.to_ascii_uppercase()));
    let shown = values.iter().map(Suggestion::display_value);
    let found = shown.filter_map(|shown| Some((marked(shown)? + 1, shown)));
    // One may be the beginning of another.
    if let Some((at, shown)) = found.max_by_key(|(_, shown)| shown.len()) {
        text.replace_range(at..at + shown.len(), shown);
    }
    text
}

#[cfg(test)]
mod tests {
    use reedline::Suggestion;

    use super::as_written;

    #[test]
    fn what_is_selected_is_shown_as_it_is_written() {
        let value = |text: &str| Suggestion {
            value: text.to_owned(),
            ..Suggestion::default()
        };
        let values = ["name", "names", "größe"].map(value);
        let check =
            |text: &str, wanted: &str| assert_eq!(as_written(text.to_owned(), &values), wanted);
        check(">NAME  names", ">name  names");
        check("name  >NAMES", "name  >names");
        check("name  >GRößE", "name  >größe");
        check("name  names", "name  names");
    }
}
