//! How a service is, by one look at it.

use nebula_action::{ActionError, ErrorClass, HttpError, HttpErrorKind};

/// What a check found; the error says that nobody could ask.
pub(crate) type Found = Result<Verdict, ActionError>;

/// Well, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Well,
    Unwell(String),
}

impl Verdict {
    pub(crate) fn unwell(why: impl Into<String>) -> Found {
        Ok(Self::Unwell(why.into()))
    }
}

/// What a request or a connection without an answer says of the service, which is called `who`.
pub(crate) fn of_http(error: &HttpError, who: &str, pointer: &str) -> Found {
    let message = format!("{who}: {}", error.kind);
    match &error.kind {
        HttpErrorKind::Denied(refusal) => Err(ActionError::refused(&error.origin, refusal)),
        // It was not asked, so nothing is known of it: it is asked when its turn comes.
        HttpErrorKind::Held(refused) => {
            let after = refused.after;
            let class = ErrorClass::Deferred { after };
            Err(ActionError::new("HEALTH_NOT_ASKED", message, class))
        }
        HttpErrorKind::Url(_) | HttpErrorKind::Request(_) => {
            Err(ActionError::invalid_input("HEALTH_URL", pointer, message))
        }
        HttpErrorKind::Credential { .. } => Err(ActionError::fatal(
            "CREDENTIAL_HOST",
            format!("{message}; if it is meant for that host, add the host to the credential"),
        )),
        HttpErrorKind::NoAuth { .. } => Err(ActionError::fatal("CREDENTIAL_TYPE", message)),
        _ => Verdict::unwell(message),
    }
}
