//! What a failed request means for the attempt.

use http::{HeaderMap, StatusCode};
use nebula_action::{
    ActionError, ErrorClass, HttpError, HttpErrorKind, Reason, Refused, retry_after,
};

/// The error of a request without an answer; `writes` if the server may have changed something.
pub(crate) fn of(error: &HttpError, writes: bool) -> ActionError {
    // What was sent and may have been done is unknown; what only reads can be asked again.
    let lost = match writes && error.sent {
        true => ErrorClass::Unknown,
        false => ErrorClass::Retryable { after: None },
    };
    let message = error.to_string();
    match &error.kind {
        HttpErrorKind::Denied(refusal) => ActionError::refused(&error.origin, refusal),
        HttpErrorKind::Held(refused) => held(*refused, message),
        HttpErrorKind::Url(_) => ActionError::invalid_input("HTTP_URL", "/url", message),
        HttpErrorKind::Request(_) => ActionError::invalid_input("HTTP_REQUEST", "", message),
        HttpErrorKind::Credential { .. } => ActionError::fatal(
            "CREDENTIAL_HOST",
            format!("{message}; if it is meant for that host, add the host to the credential"),
        ),
        HttpErrorKind::NoAuth { .. } => ActionError::fatal("CREDENTIAL_TYPE", message),
        HttpErrorKind::Resolve(_) => ActionError::new("HTTP_UNKNOWN_HOST", message, lost),
        HttpErrorKind::Connect(_) => ActionError::new("HTTP_NO_CONNECTION", message, lost),
        HttpErrorKind::Tls(_) => ActionError::fatal("HTTP_NOT_SECURE", message),
        HttpErrorKind::Timeout { .. } => {
            let message = format!("{message}; raise the `timeout` of the node if that is usual");
            ActionError::new("HTTP_TIMEOUT", message, ErrorClass::Timeout)
        }
        HttpErrorKind::HeadTooLarge(_) => too_large("HTTP_HEAD_TOO_LARGE", message),
        HttpErrorKind::BodyTooLarge(_) => {
            too_large("HTTP_TOO_LARGE", format!("{message}; raise `max_size`"))
        }
        HttpErrorKind::TooManyRedirects(_) => too_large(
            "HTTP_TOO_MANY_REDIRECTS",
            format!("{message}; raise `max_redirects`"),
        ),
        HttpErrorKind::Redirect { .. } => ActionError::fatal("HTTP_REDIRECT", message),
        _ => ActionError::new("HTTP_BROKEN", message, lost),
    }
}

/// The error of a request whose turn did not come: it did nothing, and may be made again.
fn held(refused: Refused, message: String) -> ActionError {
    let Refused { reason, after } = refused;
    let code = match reason {
        Reason::BreakerOpen => "HTTP_BREAKER_OPEN",
        Reason::Paused => "HTTP_PAUSED",
        Reason::Rate => "HTTP_RATE_LIMITED",
        Reason::Busy | Reason::Crowded => "HTTP_BUSY",
    };
    let class = match reason.is_fault() {
        // The other side fails, as it would have failed here.
        true => ErrorClass::Retryable { after: Some(after) },
        false => ErrorClass::Deferred { after },
    };
    ActionError::new(code, message, class)
}

/// The same for an attempt that has done something already, and would do that again: it counts.
pub(crate) fn counted(error: ActionError) -> ActionError {
    let class = match error.class {
        ErrorClass::Deferred { after } => ErrorClass::Retryable { after: Some(after) },
        class => class,
    };
    ActionError { class, ..error }
}

fn too_large(code: &str, message: String) -> ActionError {
    ActionError::limit(code, message)
}

/// The error of an answer whose status was not expected.
///
/// 408, 425, 429 and 5xx may be tried again, not before `Retry-After`; nothing else helps.
pub(crate) fn of_status(status: StatusCode, headers: &HeaderMap, origin: &str) -> ActionError {
    let again = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let (class, advice) = if again {
        let after = retry_after(headers);
        (ErrorClass::Retryable { after }, "")
    } else {
        let advice = match status.as_u16() {
            401 => "; check the credential",
            403 => "; check what the credential may do",
            404 => "; check the URL",
            300..=399 => "; check where it leads, or add the status to `expect`",
            _ => "; if the workflow can go on with that, add the status to `expect`",
        };
        (ErrorClass::Fatal, advice)
    };
    let reason = status.canonical_reason().unwrap_or("no standard status");
    let number = status.as_u16();
    let message = format!("{origin} answered {number} ({reason}){advice}");
    ActionError::new(&format!("HTTP_{number}"), message, class)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(status: u16, headers: &[(&'static str, &str)], expected: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let error = of_status(status, &map, "https://api.example");
        let shown = match &error.class {
            ErrorClass::Retryable { after } => {
                let after = after.map_or_else(|| "-".to_owned(), |it| it.as_secs().to_string());
                format!("{} again {after}", error.code)
            }
            class => format!("{} {}", error.code, class.as_str()),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_status_says_if_trying_again_may_help_and_when() {
        check(404, &[], "HTTP_404 fatal");
        check(401, &[], "HTTP_401 fatal");
        check(302, &[], "HTTP_302 fatal");
        check(500, &[], "HTTP_500 again -");
        check(408, &[], "HTTP_408 again -");
        check(429, &[("retry-after", "7")], "HTTP_429 again 7");
        check(503, &[("retry-after", " 7 ")], "HTTP_503 again 7");
        check(
            503,
            &[("retry-after", "99999999999")],
            "HTTP_503 again 86400",
        );
        check(503, &[("retry-after", "soon")], "HTTP_503 again -");
        check(503, &[("retry-after", "-1")], "HTTP_503 again -");
        let date = ("date", "Sun, 22 Nov 2026 10:00:00 GMT");
        let later = ("retry-after", "Sun, 22 Nov 2026 10:01:30 GMT");
        check(503, &[date, later], "HTTP_503 again 90");
        check(503, &[later], "HTTP_503 again -");
        let earlier = ("retry-after", "Sun, 22 Nov 2026 09:00:00 GMT");
        check(503, &[date, earlier], "HTTP_503 again 0");
    }

    #[test]
    fn what_was_not_sent_is_put_off_and_counts_only_where_the_server_fails() {
        let after = Duration::from_secs(7);
        let check = |reason, expected: &str, later: &str| {
            let error = HttpError {
                kind: HttpErrorKind::Held(Refused { reason, after }),
                origin: "https://api.example".to_owned(),
                sent: false,
            };
            for writes in [false, true] {
                let error = of(&error, writes);
                assert_eq!(format!("{} {}", error.code, error.class.as_str()), expected);
                let (ErrorClass::Retryable { after: Some(due) }
                | ErrorClass::Deferred { after: due }) = error.class
                else {
                    panic!("{error}");
                };
                assert_eq!(due, after);
                assert_eq!(
                    counted(of(&error_like(reason), writes)).class.as_str(),
                    later
                );
            }
        };
        check(
            Reason::BreakerOpen,
            "HTTP_BREAKER_OPEN retryable",
            "retryable",
        );
        check(Reason::Paused, "HTTP_PAUSED deferred", "retryable");
        check(Reason::Rate, "HTTP_RATE_LIMITED deferred", "retryable");
        check(Reason::Busy, "HTTP_BUSY deferred", "retryable");
        check(Reason::Crowded, "HTTP_BUSY deferred", "retryable");
    }

    fn error_like(reason: Reason) -> HttpError {
        HttpError {
            kind: HttpErrorKind::Held(Refused {
                reason,
                after: Duration::from_secs(1),
            }),
            origin: String::new(),
            sent: false,
        }
    }
}
