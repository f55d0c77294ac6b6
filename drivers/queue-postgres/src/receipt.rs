//! The text of a receipt: what the delivery is known by, and whose it is.

use nebula_core::ExecutionId;
use nebula_ports::Receipt;
use uuid::Uuid;

/// A receipt in its parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts<'r> {
    pub(crate) token: &'r str,
    pub(crate) tenant: &'r str,
    pub(crate) execution: Uuid,
}

pub(crate) fn receipt(token: &str, tenant: &str, execution: Uuid) -> Receipt {
    Receipt(format!("{token}/{tenant}/{execution}"))
}

/// The parts of a receipt; of one that somebody made up, those that answer for nothing.
pub(crate) fn parts(receipt: &Receipt) -> Parts<'_> {
    let parts = || {
        // A text of the database has no zero byte.
        if receipt.0.contains('\0') {
            return None;
        }
        let mut texts = receipt.0.splitn(3, '/');
        Some(Parts {
            token: texts.next()?,
            tenant: texts.next()?,
            execution: texts.next()?.parse().ok()?,
        })
    };
    parts().unwrap_or_default()
}

pub(crate) fn uuid(id: ExecutionId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_comes_apart_as_it_was_made() {
        let execution = Uuid::from_u128(7);
        let whole = receipt("ab.1", "local", execution);
        let expected = Parts {
            token: "ab.1",
            tenant: "local",
            execution,
        };
        assert_eq!(parts(&whole), expected);
        for text in [
            "",
            "/",
            "a/b",
            "a/b/c",
            "99999",
            &whole.0.replace('b', "\0"),
        ] {
            assert_eq!(parts(&Receipt(text.to_owned())), Parts::default());
        }
    }
}
