//! What a text of the server cannot have.

use crate::error::Fault;

/// Refuses texts with a character that no text of the server has.
///
/// # Errors
/// `Invalid`: one has U+0000.
pub(crate) fn check_texts<'t>(all: impl IntoIterator<Item = &'t str>) -> Result<(), Fault> {
    match all.into_iter().any(|text| text.contains('\0')) {
        true => Err(Fault::invalid(
            "a text has the character U+0000, which PostgreSQL cannot store: leave it out",
        )),
        false => Ok(()),
    }
}
