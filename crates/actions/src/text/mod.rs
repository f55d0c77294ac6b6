//! Actions between text and values.

pub(crate) mod format;
pub(crate) mod parse;
mod table;

use nebula_action::ActionError;
use nebula_core::ByteSize;

/// The largest text that is parsed or made.
pub const MAX_TEXT: ByteSize = ByteSize::mib(64);

/// Refuses parameters that do not belong to the format: `(name, given, fits)`.
fn only_what_fits(parameters: &[(&str, bool, bool)]) -> Result<(), ActionError> {
    match parameters.iter().find(|(_, given, fits)| *given && !*fits) {
        None => Ok(()),
        Some((name, ..)) => {
            let message = format!("`{name}` does not belong to this format; leave it out");
            Err(ActionError::invalid_input(
                "PARAMETER_UNFIT",
                format!("/{name}"),
                message,
            ))
        }
    }
}
