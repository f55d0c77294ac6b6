//! What the content of a row adds up to. SQLite finds damage to the structure of its pages, and none
//! to what stands in them: a changed digit would be believed.

use nebula_core::Digest;

use crate::error::Fault;

/// The sum over all parts of a row, each of which counts with its length.
pub(crate) fn of(parts: &[&[u8]]) -> i64 {
    let digest = Digest::of_parts(parts);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    i64::from_le_bytes(first)
}

/// Refuses a row whose content is not what it was; rows of older builds have no sum.
pub(crate) fn check(
    sum: Option<i64>,
    parts: &[&[u8]],
    what: impl FnOnce() -> String,
) -> Result<(), Fault> {
    match sum {
        Some(sum) if sum != of(parts) => Err(Fault::corrupt(format!(
            "{} is damaged: its content does not match its sum",
            what()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart_and_no_sum_is_no_complaint() {
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert!(check(Some(of(&[b"a"])), &[b"a"], String::new).is_ok());
        assert!(check(Some(of(&[b"a"])), &[b"b"], String::new).is_err());
        assert!(check(None, &[b"b"], String::new).is_ok());
    }
}
