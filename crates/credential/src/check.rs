//! What a value must look like to be of use, said without repeating it.

use url::Url;

use crate::{fields::Shape, webhook};

/// What is wrong with a value; `None` if nothing is.
pub(crate) fn wrong(shape: Shape, value: &str) -> Option<String> {
    let right = match shape {
        Shape::Text => true,
        Shape::Line => is_line(value),
        Shape::HeaderName => !value.is_empty() && value.bytes().all(is_token),
        Shape::User => is_line(value) && !value.contains(':'),
        Shape::Choice(choices) => choices.contains(&value),
        Shape::TokenUrl => Url::parse(value).is_ok_and(|url| is_safe(&url)),
        Shape::Url => Url::parse(value).is_ok_and(|url| url.has_host() || !url.path().is_empty()),
        Shape::Time => value.parse::<nebula_core::Timestamp>().is_ok(),
        Shape::PrivateKey => is_private_key(value),
        Shape::WebhookSecret => webhook::key(value).is_some(),
    };
    (!right).then(|| said(shape))
}

fn said(shape: Shape) -> String {
    match shape {
        Shape::Text => "is no text".to_owned(),
        Shape::Line => {
            "has a line end or another control character, which no header can carry".to_owned()
        }
        Shape::HeaderName => {
            "is no header name: letters, digits and some signs, no spaces".to_owned()
        }
        Shape::User => {
            "has a colon or a control character, which this scheme cannot carry".to_owned()
        }
        Shape::Choice(choices) => format!("is none of {}", choices.join(", ")),
        Shape::TokenUrl => {
            "is no https address without user and password (http is for this machine only)"
                .to_owned()
        }
        Shape::Url => {
            "is no address with a scheme, such as postgres://user:password@host/name".to_owned()
        }
        Shape::Time => "is no time such as 2026-05-04T03:02:01Z".to_owned(),
        Shape::WebhookSecret => {
            "is no signing secret: `whsec_` and 24 to 64 random bytes in base64".to_owned()
        }
        Shape::PrivateKey => {
            "is no private key: it begins with -----BEGIN … PRIVATE KEY----- and ends likewise"
                .to_owned()
        }
    }
}

fn is_line(value: &str) -> bool {
    !value.chars().any(|c| c.is_control() && c != '\t')
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_safe(url: &Url) -> bool {
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && here);
    scheme && url.username().is_empty() && url.password().is_none()
}

fn is_private_key(value: &str) -> bool {
    let mut lines = value.trim().lines();
    let (first, last) = (
        lines.next().unwrap_or_default(),
        lines.last().unwrap_or_default(),
    );
    let armour = |line: &str, begin: &str| {
        let inner = line.trim().strip_prefix(begin);
        inner.is_some_and(|inner| inner.ends_with("PRIVATE KEY-----"))
    };
    armour(first, "-----BEGIN ") && armour(last, "-----END ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: Shape, value: &str, right: bool) {
        assert_eq!(wrong(shape, value).is_none(), right, "{shape:?} {value:?}");
    }

    #[test]
    fn values_that_would_break_out_of_a_header_are_refused() {
        check(Shape::Line, "Bearer a b\t~", true);
        for value in ["a\r\nX-Evil: 1", "a\nb", "a\0", "a\u{7f}", "a\u{85}"] {
            check(Shape::Line, value, false);
        }
        check(Shape::HeaderName, "X-API-Key", true);
        for name in ["", "a b", "a:b", "a\n", "ä"] {
            check(Shape::HeaderName, name, false);
        }
        check(Shape::User, "ada", true);
        check(Shape::User, "ada:lovelace", false);
        check(Shape::User, "ada\r\nX-Evil: 1", false);
        check(Shape::User, "ada\n", false);
    }

    #[test]
    fn tokens_come_over_https() {
        check(Shape::TokenUrl, "https://id.example/token", true);
        check(Shape::TokenUrl, "http://127.0.0.1:8080/token", true);
        for url in [
            "http://id.example/token",
            "id.example",
            "https://u:p@id.example/",
            "https://u@id.example/",
            "https://:p@id.example/",
            "ftp://a/",
            "ftp://127.0.0.1/",
            "ws://localhost/",
        ] {
            check(Shape::TokenUrl, url, false);
        }
    }

    #[test]
    fn addresses_times_and_keys_have_their_form() {
        check(Shape::Url, "postgres://u:p@db.example/shop", true);
        check(Shape::Url, "sqlite:shop.db", true);
        check(Shape::Url, "postgres://db.example", true);
        check(Shape::Url, "db.example", false);
        check(Shape::Url, "postgres:", false);
        check(Shape::Time, "2026-05-04T03:02:01Z", true);
        check(Shape::Time, "tomorrow", false);
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
        check(Shape::PrivateKey, key, true);
        check(Shape::PrivateKey, "ssh-ed25519 AAAA ada", false);
        check(
            Shape::PrivateKey,
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA",
            false,
        );
        let ends = "-----END OPENSSH PRIVATE KEY-----";
        for wrong in [
            &format!("AAAA\n{ends}"),
            &format!("-----BEGIN CERTIFICATE-----\nAAAA\n{ends}"),
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END CERTIFICATE-----",
        ] {
            check(Shape::PrivateKey, wrong, false);
        }
        check(Shape::Choice(&["a", "b"]), "b", true);
        check(Shape::Choice(&["a", "b"]), "c", false);
    }
}
