//! What a YAML scalar is, by the core schema of YAML 1.2.

use serde_json::Number;

use crate::{problems::shown, tree::Kind};

/// What a scalar without quotes is; `None` for text. `no`, `on`, `1:30` and dates are text.
///
/// # Errors
/// A number that JSON cannot hold; with the message.
pub(crate) fn plain(text: &str) -> Result<Option<Kind>, String> {
    let kind = match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => return number(text).map(|number| number.map(Kind::Number)),
    };
    Ok(Some(kind))
}

fn number(text: &str) -> Result<Option<Number>, String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let too_large = || format!("the number {} is too large", shown(text));
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("`{text}` is no JSON number"));
    }
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_digit(radix))
        {
            let value = u64::from_str_radix(digits, radix).map_err(|_| too_large())?;
            return Ok(Some(value.into()));
        }
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(unsigned);
    if whole == unsigned.len() {
        // At least one digit: the empty text is null, and a lone sign has no digits.
        if whole == 0 {
            return Ok(None);
        }
        let plus = text.strip_prefix('+').unwrap_or(text);
        if let Ok(value) = plus.parse::<i64>() {
            return Ok(Some(value.into()));
        }
        return plus
            .parse::<u64>()
            .map(|value| Some(value.into()))
            .map_err(|_| too_large());
    }
    let mut rest = &unsigned[whole..];
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix('.') {
        fraction = digits(after);
        rest = &after[fraction..];
    }
    if whole + fraction == 0 {
        return Ok(None);
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if exponent.is_empty() || digits(exponent) != exponent.len() {
            return Ok(None);
        }
    } else if !rest.is_empty() {
        return Ok(None);
    }
    let value: f64 = text.parse().map_err(|_| too_large())?;
    Number::from_f64(value).map(Some).ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match plain(text) {
            Ok(None) => "text".to_owned(),
            Ok(Some(Kind::Number(number))) => number.to_string(),
            Ok(Some(Kind::Bool(value))) => value.to_string(),
            Ok(Some(_)) => "null".to_owned(),
            Err(message) => message,
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn only_the_core_schema_is_more_than_text() {
        for text in [
            "no",
            "yes",
            "on",
            "off",
            "y",
            "n",
            "1:30",
            "2024-01-01",
            "1_000",
            "0b11",
            "-",
            "+",
            ".",
            "1e",
            "e5",
            "1.2.3",
            "0x",
            "0o9",
            "tRue",
            "nULL",
            "-.",
            "--1",
            "-0x1",
        ] {
            check(text, "text");
        }
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("Null", "null"),
            ("TRUE", "true"),
            ("false", "false"),
            ("12", "12"),
            ("-3", "-3"),
            ("+3", "3"),
            ("0o17", "15"),
            ("0xfF", "255"),
            ("1.50", "1.5"),
            (".5", "0.5"),
            ("-1e3", "-1000.0"),
            ("5.", "5.0"),
            ("18446744073709551615", "18446744073709551615"),
            (
                "18446744073709551616",
                "the number 18446744073709551616 is too large",
            ),
            ("1e999", "the number 1e999 is too large"),
            (".inf", "`.inf` is no JSON number"),
            ("-.INF", "`-.INF` is no JSON number"),
            (".nan", "`.nan` is no JSON number"),
        ] {
            check(text, expected);
        }
    }
}
