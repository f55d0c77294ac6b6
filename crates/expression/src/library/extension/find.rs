//! Addresses of mail and of the web: whether a text is one, and the first that stands in it.
//!
//! Each looks at every character a bounded number of times.

use super::{Args, Outcome, found, plain};
use crate::{machine::Machine, value::Val};

/// Longest part of a mail address before the `@`, and longest name of a host.
const MAX_LOCAL: usize = 64;
const MAX_HOST: usize = 253;

/// A name of at least two labels, the last one of letters.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        let fits = |c: char| c.is_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = |label: &str| {
        label.len() >= 2 && label.chars().all(char::is_alphabetic) || label.starts_with("xn--")
    };
    text.len() <= MAX_HOST
        && text.split('.').all(label)
        && text.rsplit_once('.').is_some_and(|(_, end)| last(end))
}

fn is_local_char(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || ".!#$%&'*+/=?^_`{|}~-".contains(c)
        || !c.is_ascii() && c.is_alphanumeric()
}

fn is_local(text: &str) -> bool {
    (1..=MAX_LOCAL).contains(&text.len())
        && text.chars().all(is_local_char)
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !text.contains("..")
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@')
        .is_some_and(|(local, domain)| is_local(local) && is_domain(domain))
}

/// The first mail address in a text.
fn email(text: &str) -> Option<&str> {
    let in_domain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
    let mut from = 0;
    for (at, _) in text.match_indices('@') {
        let local = &text[from..at];
        let start = local.rfind(|c| !is_local_char(c));
        let start = start.map_or(0, |i| {
            i + local[i..].chars().next().map_or(1, char::len_utf8)
        });
        // What surrounds an address in a sentence is no part of it.
        let local = local[start..].trim_start_matches(['.', '\'', '`', '*', '/', '=', '{', '|']);
        let rest = &text[at + 1..];
        let end = rest.find(|c| !in_domain(c)).unwrap_or(rest.len());
        let domain = rest[..end].trim_end_matches(['.', '-']);
        if is_local(local) && is_domain(domain) {
            return Some(&text[at - local.len()..at + 1 + domain.len()]);
        }
        from = at + 1;
    }
    None
}

/// What follows `http://` or `https://`.
fn after_scheme(text: &str) -> Option<&str> {
    ["https://", "http://"].iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| &text[scheme.len()..])
    })
}

/// Host, and what follows it, of an address of the web after its scheme.
fn host(rest: &str) -> (&str, &str) {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    (host, after)
}

fn is_host(host: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    !host.is_empty() && host.len() <= MAX_HOST && host.chars().all(fits)
}

fn is_url(text: &str) -> bool {
    !text.contains(char::is_whitespace)
        && after_scheme(text).is_some_and(|rest| is_host(host(rest).0))
}

/// The first address of the web in a text, without the signs that end a sentence.
fn url(text: &str) -> Option<&str> {
    let mut looked_at = 0;
    for (at, _) in text.match_indices("://") {
        let starts = |scheme: &str| {
            let start = at.checked_sub(scheme.len())?;
            let found = text.get(start..at)?;
            found.eq_ignore_ascii_case(scheme).then_some(start)
        };
        let start = starts("https").or_else(|| starts("http"));
        let Some(start) = start.filter(|start| *start >= looked_at) else {
            continue;
        };
        let stops = |c: char| {
            c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`' | '\\' | '{' | '}' | '|')
        };
        let rest = &text[start..];
        let end = rest.find(stops).unwrap_or(rest.len());
        // A run without spaces is one address at most, so no character is looked at again.
        looked_at = start + end;
        let mut address = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*']);
        if let Some(inner) = address.strip_suffix([')', ']'])
            && !inner.contains(['(', '['])
        {
            address = inner;
        }
        if is_url(address) {
            return Some(address);
        }
    }
    None
}

/// The domain of the mail address, web address or name that a text is, else of the first in it.
fn domain(text: &str) -> Option<&str> {
    let text = text.trim();
    if is_email(text) {
        return text.rsplit_once('@').map(|(_, domain)| domain);
    }
    if let Some(address) = url(text) {
        return after_scheme(address).map(|rest| host(rest).0);
    }
    let (bare, _) = host(text);
    if is_domain(bare) {
        return Some(bare);
    }
    email(text)?.rsplit_once('@').map(|(_, domain)| domain)
}

/// The path of the web address that a text is, or of the first in it.
fn path(text: &str) -> Option<&str> {
    let (_, after) = host(after_scheme(url(text)?)?);
    let end = after.find(['?', '#']).unwrap_or(after.len());
    Some(if end == 0 { "/" } else { &after[..end] })
}

pub(super) fn extract_email<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    found(m, this, email)
}

pub(super) fn extract_url<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    found(m, this, url)
}

pub(super) fn extract_domain<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    found(m, this, domain)
}

pub(super) fn extract_url_path<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    found(m, this, path)
}

fn test<'a>(m: &mut Machine<'a>, this: Val<'a>, test: fn(&str) -> bool) -> Outcome<'a> {
    let text = plain(m, this)?;
    Ok(Val::Bool(test(&text)))
}

pub(super) fn is_email_text<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    test(m, this, is_email)
}

pub(super) fn is_url_text<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    test(m, this, is_url)
}

pub(super) fn is_domain_text<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    test(m, this, is_domain)
}
