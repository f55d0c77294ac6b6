//! Finds the values of secrets in what an attempt gave, however they are written there.
//!
//! Each secret is looked for as it is, in base64 (both alphabets, at each of the three places where it
//! may begin within a group) and in hex. A text in which something is encoded is read without its
//! percent signs, JSON escapes and line breaks as well, several layers deep. What is found becomes
//! [`MARKER`]: only its own part of a text as it is or in base64 or hex, the whole text where it was
//! encoded in another way, because a part of that has no place in what was written. A character of
//! base64 at its edge, of which the secret decides some bits, goes with it.
//!
//! A search for bytes does not see what is compressed, encrypted or cut into several values: who packs a
//! secret with gzip and gives that as base64 is not found out. (Answers over HTTP are unpacked before.)

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use memchr::memmem::Finder;
use nebula_action::{ActionError, ErrorClass, Progress};
use nebula_core::{ExposeSecret as _, SecretString};
use percent_encoding::percent_decode;
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use crate::{credential::Credential, fields::CredentialType};

/// What stands in the place of a secret.
pub const MARKER: &str = "[secret]";

/// The fewest bytes of a secret that is looked for within other text. A shorter one would be found by
/// chance and spoil results, so only a value that is nothing but it is taken out.
pub const MIN_WITHIN: usize = 6;

/// The most bytes of a secret that is looked for in one piece; of a longer one, pieces are.
pub const MAX_WHOLE: usize = 512;

/// How many pieces of a long secret are looked for; finding one takes out the whole text.
pub const PIECES: usize = 16;

/// How many bytes a piece has.
pub const PIECE: usize = 48;

/// How many encodings around each other are undone: JSON in a text in JSON.
pub const LAYERS: usize = 3;

/// Knows the secrets that an attempt used, and takes them out of what it gave.
///
/// Its memory is overwritten when it is dropped.
#[derive(Default)]
pub struct Redactor {
    within: Vec<Pattern>,
    /// Those that are too short to be looked for within a text.
    alone: Vec<Zeroizing<Vec<u8>>>,
    /// The fewest bytes that can hold one of them.
    shortest: usize,
    /// Whether some of them can be the text of a number.
    numeric: bool,
    /// Whether one has a space, which forms write as a plus sign.
    spaced: bool,
}

struct Pattern {
    bytes: Zeroizing<Vec<u8>>,
    /// The secret as it is.
    plain: bool,
    /// A piece of something longer: what stands beside it belongs to it as well.
    piece: bool,
    /// Whether bits of the secret are in the character of base64 before it, and in the one after it.
    edges: (bool, bool),
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns = self.within.len() + self.alone.len();
        f.debug_struct("Redactor")
            .field("patterns", &patterns)
            .finish_non_exhaustive()
    }
}

impl Redactor {
    /// Looks for the secrets of these credentials: secret fields, and what is secret within them, such
    /// as the password of a database's address.
    #[must_use]
    pub fn of<'c>(credentials: impl IntoIterator<Item = &'c Credential>) -> Self {
        let mut redactor = Self::default();
        for credential in credentials {
            for (name, value) in credential.fields() {
                if credential.is_secret(name) {
                    redactor.add(value);
                }
            }
            if credential.kind() == CredentialType::DatabaseUrl
                && let Some(url) = credential.field("url")
            {
                redactor.add_password(url);
            }
        }
        redactor
    }

    /// Looks for one more secret.
    pub fn add(&mut self, secret: &SecretString) {
        let bytes = secret.expose_secret().as_bytes();
        self.add_bytes(bytes);
        // Of what has several lines, each may be copied alone, and with other line ends.
        let lines: Vec<_> = secret.expose_secret().lines().collect();
        if lines.len() > 1 {
            let long = |line: &&&str| line.len() >= PIECE && !line.starts_with("-----");
            let long: Vec<_> = lines.iter().filter(long).collect();
            for line in spread(&long) {
                self.add_piece(&line.trim().as_bytes()[..PIECE]);
            }
        }
        let trimmed = secret.expose_secret().trim();
        if trimmed.len() < bytes.len() && !trimmed.is_empty() {
            self.add_bytes(trimmed.as_bytes());
        }
    }

    fn add_password(&mut self, url: &SecretString) {
        let Ok(url) = Url::parse(url.expose_secret()) else {
            return;
        };
        let Some(password) = url.password() else {
            return;
        };
        self.add_bytes(password.as_bytes());
        let plain = Zeroizing::new(percent_decode(password.as_bytes()).collect::<Vec<u8>>());
        if *plain != password.as_bytes() {
            self.add_bytes(&plain);
        }
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        let number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        self.numeric |= bytes.iter().all(number);
        self.spaced |= bytes.contains(&b' ');
        match bytes.len() {
            0 => {}
            length if length < MIN_WITHIN => self.alone.push(Zeroizing::new(bytes.to_vec())),
            length if length <= MAX_WHOLE => self.add_forms(bytes, false),
            length => {
                let starts: Vec<_> = (0..=length - PIECE).step_by(PIECE).collect();
                for start in spread(&starts) {
                    self.add_piece(&bytes[*start..*start + PIECE]);
                }
            }
        }
        let lengths = self.within.iter().map(|pattern| pattern.bytes.len());
        let alone = self.alone.iter().map(|bytes| bytes.len());
        self.shortest = lengths.chain(alone).min().unwrap_or(usize::MAX);
    }

    fn add_piece(&mut self, bytes: &[u8]) {
        self.add_forms(bytes, true);
    }

    /// All forms in which these bytes are recognised.
    fn add_forms(&mut self, bytes: &[u8], piece: bool) {
        let mut plain = true;
        let mut add = |form: Zeroizing<Vec<u8>>, edges| {
            let known = |pattern: &Pattern| pattern.piece == piece && pattern.bytes == form;
            if !self.within.iter().any(known) {
                self.within.push(Pattern {
                    bytes: form,
                    plain,
                    piece,
                    edges,
                });
            }
            plain = false;
        };
        add(Zeroizing::new(bytes.to_vec()), (false, false));
        for before in 0..3 {
            let standard = in_base64(bytes, before);
            let url_safe = standard.iter().map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                byte => *byte,
            });
            let url_safe = Zeroizing::new(url_safe.collect::<Vec<u8>>());
            let edges = (before > 0, !(before + bytes.len()).is_multiple_of(3));
            add(standard, edges);
            add(url_safe, edges);
        }
        for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
            let mut hex = Zeroizing::new(Vec::with_capacity(2 * bytes.len()));
            for byte in bytes {
                hex.push(digits[usize::from(byte >> 4)]);
                hex.push(digits[usize::from(byte & 15)]);
            }
            add(hex, (false, false));
        }
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.within.is_empty() && self.alone.is_empty()
    }

    /// The text without secrets; `None` if it has none.
    #[must_use]
    pub fn text(&self, text: &str) -> Option<String> {
        match self.search() {
            Some(search) => search.text(text),
            None => None,
        }
    }

    /// Takes secrets out of a value: out of texts, keys and numbers. How many places had one.
    pub fn value(&self, value: &mut Value) -> usize {
        match self.search() {
            Some(search) => search.value(value),
            None => 0,
        }
    }

    /// Takes secrets out of an error, also one that its message breaks off in. How many places had one.
    pub fn error(&self, error: &mut ActionError) -> usize {
        let Some(search) = self.search() else {
            return 0;
        };
        let mut found = search.replace(&mut error.message) + search.broken_off(&mut error.message);
        if let Some(code) = search.text(&error.code) {
            error.code = code.into();
            found += 1;
        }
        found += match &mut error.class {
            ErrorClass::Denied { capability } => search.replace(capability),
            ErrorClass::InvalidInput { pointer } => search.replace(pointer),
            _ => 0,
        };
        found
    }

    /// Takes secrets out of what is said of progress. How many places had one.
    pub fn progress(&self, progress: &mut Progress) -> usize {
        let Some(search) = self.search() else {
            return 0;
        };
        let note = search.replace(&mut progress.note) + search.broken_off(&mut progress.note);
        note + search.value(&mut progress.partial)
    }

    fn search(&self) -> Option<Search<'_>> {
        let finders = self.within.iter();
        let finders = finders.map(|it| (Finder::new(&**it.bytes), it));
        (!self.is_empty()).then(|| Search {
            secrets: self,
            finders: finders.collect(),
        })
    }
}

/// The patterns of a [`Redactor`], ready for many texts.
struct Search<'r> {
    secrets: &'r Redactor,
    finders: Vec<(Finder<'r>, &'r Pattern)>,
}

impl Search<'_> {
    fn replace(&self, text: &mut String) -> usize {
        match self.text(text) {
            Some(clean) => {
                *text = clean;
                1
            }
            None => 0,
        }
    }

    fn text(&self, text: &str) -> Option<String> {
        if text.len() < self.secrets.shortest {
            return None;
        }
        let bytes = text.as_bytes();
        if self.is_alone(bytes) {
            return Some(MARKER.to_owned());
        }
        let mut parts = Vec::new();
        for (finder, pattern) in &self.finders {
            let length = finder.needle().len();
            let mut from = 0;
            while let Some(at) = finder.find(&bytes[from..]) {
                if pattern.piece {
                    return Some(MARKER.to_owned());
                }
                let is_edge = |place: Option<usize>| {
                    let byte = place.and_then(|place| bytes.get(place));
                    byte.is_some_and(|it| it.is_ascii_alphanumeric() || b"+/-_".contains(it))
                };
                let (start, end) = (from + at, from + at + length);
                let first = pattern.edges.0 && is_edge(start.checked_sub(1));
                let last = pattern.edges.1 && is_edge(Some(end));
                parts.push((start - usize::from(first), end + usize::from(last)));
                from += at + 1;
            }
        }
        let clean = (!parts.is_empty()).then(|| without(text, parts));
        let left = clean.as_deref().unwrap_or(text);
        match self.is_encoded_in(left.as_bytes(), LAYERS) {
            true => Some(MARKER.to_owned()),
            false => clean,
        }
    }

    /// Takes out the beginning of a secret in which a text breaks off: texts for people are cut.
    fn broken_off(&self, text: &mut String) -> usize {
        let plain = self.finders.iter().filter(|(_, it)| it.plain);
        let lengths = plain.filter_map(|(finder, _)| {
            let secret = finder.needle();
            let longest = secret.len().saturating_sub(1).min(text.len());
            let mut lengths = (MIN_WITHIN..=longest).rev();
            lengths.find(|length| text.as_bytes().ends_with(&secret[..*length]))
        });
        let Some(length) = lengths.max() else {
            return 0;
        };
        // A secret may be cut within a character; what stands before it is text.
        let kept = text.get(..text.len() - length).unwrap_or_default();
        *text = [kept, MARKER].concat();
        1
    }

    /// Whether what is written here in some encoding has a secret.
    fn is_encoded_in(&self, bytes: &[u8], layers: usize) -> bool {
        if layers == 0 {
            return false;
        }
        let within = |bytes: &[u8]| {
            self.is_alone(bytes) || self.finders.iter().any(|(it, _)| it.find(bytes).is_some())
        };
        decoded(bytes, self.secrets.spaced).iter().any(|decoded| {
            decoded.len() >= self.secrets.shortest
                && (within(decoded) || self.is_encoded_in(decoded, layers - 1))
        })
    }

    fn is_alone(&self, bytes: &[u8]) -> bool {
        let mut alone = self.secrets.alone.iter();
        alone.any(|secret| ***secret == *bytes)
    }

    fn value(&self, value: &mut Value) -> usize {
        match value {
            Value::Null | Value::Bool(_) => 0,
            Value::Number(number) => {
                let hidden = self.secrets.numeric && self.text(&number.to_string()).is_some();
                if hidden {
                    *value = MARKER.into();
                }
                usize::from(hidden)
            }
            Value::String(text) => self.replace(text),
            Value::Array(items) => items.iter_mut().map(|item| self.value(item)).sum(),
            Value::Object(map) => {
                let found: usize = map.values_mut().map(|item| self.value(item)).sum();
                found + self.keys(map)
            }
        }
    }

    fn keys(&self, map: &mut Map<String, Value>) -> usize {
        if map.keys().all(|key| self.text(key).is_none()) {
            return 0;
        }
        let mut found = 0;
        for (key, value) in std::mem::take(map) {
            let mut key = match self.text(&key) {
                Some(clean) => {
                    found += 1;
                    clean
                }
                None => key,
            };
            // Two keys must not become one.
            while map.contains_key(&key) {
                key.push('\'');
            }
            map.insert(key, value);
        }
        found
    }
}

/// At most [`PIECES`] of these, from the first to the last.
fn spread<T>(all: &[T]) -> impl Iterator<Item = &T> {
    let most = all.len().min(PIECES);
    (0..most).map(move |i| &all[i * (all.len() - 1) / (most - 1).max(1)])
}

/// The characters that these bytes alone decide, where `before` bytes of the same group of three come
/// before them.
fn in_base64(bytes: &[u8], before: usize) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(vec![0; before]);
    padded.extend_from_slice(bytes);
    let text = Zeroizing::new(STANDARD_NO_PAD.encode(&*padded));
    let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    Zeroizing::new(text.as_bytes()[from..to].to_vec())
}

/// The text with [`MARKER`] in the place of these parts.
fn without(text: &str, mut parts: Vec<(usize, usize)>) -> String {
    parts.sort_unstable();
    let (mut clean, mut end) = (String::with_capacity(text.len()), 0);
    for (from, to) in parts {
        if from >= end {
            clean.push_str(text.get(end..from).unwrap_or_default());
            clean.push_str(MARKER);
        }
        end = end.max(to);
    }
    clean.push_str(text.get(end..).unwrap_or_default());
    clean
}

/// The bytes with one layer of encoding less, in each way that changes them.
fn decoded(bytes: &[u8], spaced: bool) -> Vec<Cow<'_, [u8]>> {
    let mut found: Vec<Cow<'_, [u8]>> = Vec::new();
    if memchr::memchr(b'%', bytes).is_some() {
        found.push(percent_decode(bytes).into());
    }
    if spaced && memchr::memchr(b'+', bytes).is_some() {
        let spaces = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
        let text: Vec<u8> = bytes.iter().map(spaces).collect();
        found.push(percent_decode(&text).collect::<Vec<u8>>().into());
    }
    if memchr::memchr(b'\\', bytes).is_some() {
        found.push(unescaped(bytes).into());
    }
    if memchr::memchr2(b'\n', b'\r', bytes).is_some() {
        let lines = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
        found.push(lines.copied().collect::<Vec<u8>>().into());
    }
    found.retain(|it| **it != *bytes);
    found
}

/// Reads the escapes of JSON strings (RFC 8259, section 7), and leaves alone what is none.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        if *byte != b'\\' {
            out.push(*byte);
            rest = after;
            continue;
        }
        let plain = match after.first() {
            Some(b'b') => Some(8),
            Some(b'f') => Some(12),
            Some(b'n') => Some(b'\n'),
            Some(b'r') => Some(b'\r'),
            Some(b't') => Some(b'\t'),
            Some(escaped @ (b'"' | b'\\' | b'/')) => Some(*escaped),
            _ => None,
        };
        if let Some(plain) = plain {
            out.push(plain);
            rest = &after[1..];
        } else if let Some((c, used)) = unicode(rest) {
            let mut room = [0; 4];
            out.extend_from_slice(c.encode_utf8(&mut room).as_bytes());
            rest = &rest[used..];
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    out
}

/// The character of `\uXXXX`, or of two of them, and how many bytes it takes.
fn unicode(bytes: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(0)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, 6));
    }
    let (high, low) = (first.checked_sub(0xd800)?, unit(6)?.checked_sub(0xdc00)?);
    let code = 0x1_0000 + (high << 10) + low;
    (high < 0x400 && low < 0x400).then(|| Some((char::from_u32(code)?, 12)))?
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use serde_json::json;

    use super::*;

    const SECRETS: [&str; 6] = [
        "hunter2-0123456789",
        "sk_live/+?&=\"\\ü 🦀~",
        "abcdef",
        "<<??>>~~~///+++",
        "line one of it\nline two of it",
        "1234567890",
    ];

    fn redactor(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        for secret in secrets {
            redactor.add(&SecretString::from(*secret));
        }
        redactor
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn json_text(text: &str) -> String {
        let text = Value::from(text).to_string();
        text[1..text.len() - 1].to_owned()
    }

    /// Every character as `\uXXXX`, as nobody has to write it and everybody may.
    fn escaped(text: &str) -> String {
        let units = text.encode_utf16();
        units.map(|unit| format!("\\u{unit:04X}")).collect()
    }

    /// The forms in which a server may give a secret back.
    fn forms(secret: &str) -> Vec<String> {
        let all: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("k", secret)
            .finish();
        let mut forms = vec![
            secret.to_owned(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            all,
            form,
            hex(secret.as_bytes()),
            hex(secret.as_bytes()).to_uppercase(),
            json_text(secret),
            escaped(secret),
            json_text(&json_text(secret)),
            json_text(&escaped(secret)),
            utf8_percent_encode(&json_text(secret), NON_ALPHANUMERIC).to_string(),
        ];
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "x", "xy", "\0\u{ff}"] {
                let text = format!("{before}{secret}{after}");
                for coded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    forms.push(json_text(&coded).replace('/', "\\/"));
                    forms.push(utf8_percent_encode(&coded, NON_ALPHANUMERIC).to_string());
                    let lines = coded.as_bytes().chunks(10).map(String::from_utf8_lossy);
                    forms.push(lines.collect::<Vec<_>>().join("\r\n"));
                    forms.push(coded);
                }
            }
        }
        forms
    }

    /// Whether a secret can still be read out of a text.
    fn shows(text: &str, secret: &str) -> bool {
        forms(secret).iter().any(|form| text.contains(form))
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        for secret in SECRETS {
            let redactor = redactor(&[secret]);
            for form in forms(secret) {
                let text = format!("before {form} after");
                let clean = redactor.text(&text);
                let clean = clean.unwrap_or_else(|| panic!("{secret:?} in {text:?}"));
                assert!(clean.contains(MARKER), "{clean}");
                assert!(!shows(&clean, secret), "{secret:?} in {clean:?}");
            }
        }
    }

    #[test]
    fn what_stands_beside_a_secret_stays() {
        let redactor = redactor(&["hunter2-0123456789", "hunter2-01234"]);
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(redactor.text(text).as_deref(), expected, "{text}");
        };
        check("a hunter2-0123456789 ü", Some("a [secret] ü"));
        check("hunter2-0123456789hunter2-01234", Some("[secret][secret]"));
        check("hunter2 0123456789", None);
        check("100 % \\ ok\n", None);
        check("", None);
    }

    #[test]
    fn a_short_secret_is_taken_out_only_where_it_stands_alone() {
        let redactor = redactor(&["1234", "pin"]);
        let mut value =
            json!({ "a": "1234", "b": 1234, "c": "pinned 12345", "d": 12345, "pin": 1 });
        assert_eq!(redactor.value(&mut value), 3);
        assert_eq!(
            value,
            json!({ "a": MARKER, "b": MARKER, "c": "pinned 12345", "d": 12345, MARKER: 1 })
        );
    }

    #[test]
    fn values_keep_their_shape_and_order() {
        let redactor = redactor(&["hunter2-0123456789", "777777777"]);
        let mut value = json!({
            "z": ["hunter2-0123456789", 1, null, true, { "deep": "x=hunter2-0123456789;" }],
            "hunter2-0123456789": 1,
            "[secret]": 2,
            "n": 777_777_777,
            "f": 0.5,
        });
        assert_eq!(redactor.value(&mut value), 4);
        assert_eq!(
            value.to_string(),
            r#"{"z":["[secret]",1,null,true,{"deep":"x=[secret];"}],"[secret]":1,"[secret]'":2,"n":"[secret]","f":0.5}"#
        );
        let before = value.clone();
        assert_eq!(redactor.value(&mut value), 0);
        assert_eq!(value, before);
    }

    #[test]
    fn any_part_of_a_long_secret_takes_out_the_whole_text() {
        let body: String = (0..60)
            .map(|line| format!("{}\n", STANDARD.encode([line; 48])))
            .collect();
        let key = format!("-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n");
        let redactor = redactor(&[&key]);
        let whole = [key.clone(), key.replace('\n', "\r\n"), json_text(&key)];
        for text in whole
            .iter()
            .chain(&[STANDARD.encode(&key), hex(key.as_bytes())])
        {
            let found = redactor.text(&format!("it is {text}"));
            assert_eq!(found.as_deref(), Some(MARKER), "{text}");
        }
        assert!(redactor.within.len() < 2 * PIECES * 9);
        // The armour alone says nothing.
        assert_eq!(redactor.text("-----BEGIN PRIVATE KEY-----"), None);
        assert_eq!(redactor.text("-----END PRIVATE KEY-----"), None);
    }

    #[test]
    fn a_part_of_a_secret_of_one_long_line_is_found() {
        let key: String = (0..80).map(|number| format!("{number:08}")).collect();
        let redactor = redactor(&[&key]);
        for part in [&key[..320], &key[320..], &key[100..500]] {
            assert_eq!(redactor.text(part).as_deref(), Some(MARKER), "{part}");
        }
    }

    #[test]
    fn each_line_of_a_secret_is_found_alone_but_for_its_armour() {
        let armour = "-----BEGIN ENCRYPTED PRIVATE KEY OF A KIND WITH A LONG NAME-----";
        let line = |number: u8| STANDARD.encode([number; 45]);
        let key = format!("{armour}\n{}\n{}\n", line(1), line(2));
        assert!(key.len() < MAX_WHOLE && armour.len() >= PIECE);
        let redactor = redactor(&[&key]);
        for text in [line(1), line(2), key.replace('\n', "\r\n")] {
            assert_eq!(redactor.text(&text).as_deref(), Some(MARKER), "{text}");
        }
        assert_eq!(redactor.text(armour), None);
    }

    #[test]
    fn a_secret_is_found_without_the_space_around_it() {
        let spaced = redactor(&["hunter2-0123456789\n"]);
        let found = spaced.text("it is hunter2-0123456789.");
        assert_eq!(found.as_deref(), Some("it is [secret]."));
        // Nothing at all is no secret.
        for blank in ["", "\n"] {
            assert_eq!(redactor(&[blank]).text(""), None, "{blank:?}");
        }
    }

    #[test]
    fn what_overlaps_goes_as_a_whole() {
        let redactor = redactor(&["abababab"]);
        let found = redactor.text("x abababababab y");
        assert_eq!(found.as_deref(), Some("x [secret] y"));
    }

    #[test]
    fn one_form_of_a_secret_does_not_hide_another() {
        let secret = "hunter2-0123456789";
        let redactor = redactor(&[secret, "1234"]);
        let both = format!("{secret} and {}", secret.replace('h', "%68"));
        assert_eq!(redactor.text(&both).as_deref(), Some(MARKER));
        // A short one that is nothing but itself, once it is decoded.
        assert_eq!(redactor.text("%31234").as_deref(), Some(MARKER));
        assert_eq!(redactor.text("%31235"), None);
    }

    #[test]
    fn no_part_of_an_error_is_left_out() {
        let (secret, redactor) = ("hunter2-0123456789", redactor(&["hunter2-0123456789"]));
        let class = ErrorClass::Denied {
            capability: format!("net:{secret}"),
        };
        let mut error = ActionError::new(secret, "no", class);
        assert_eq!(redactor.error(&mut error), 2);
        let class = ErrorClass::Denied {
            capability: format!("net:{MARKER}"),
        };
        assert_eq!(error, ActionError::new(MARKER, "no", class));
        let mut progress = Progress::done(1).note("at hunter2-01");
        assert_eq!(redactor.progress(&mut progress), 1);
        assert_eq!(progress.note, "at [secret]");
    }

    #[test]
    fn errors_and_progress_are_read_too() {
        let redactor = redactor(&["hunter2-0123456789"]);
        let mut error =
            ActionError::invalid_input("C", "/hunter2-0123456789", "no hunter2-0123456789");
        assert_eq!(redactor.error(&mut error), 2);
        assert_eq!(
            error,
            ActionError::invalid_input("C", "/[secret]", "no [secret]")
        );
        let mut progress = Progress {
            partial: json!(["hunter2-0123456789"]),
            ..Progress::done(1).note("at hunter2-0123456789")
        };
        assert_eq!(redactor.progress(&mut progress), 2);
        let mut cut = ActionError::fatal("C", "it said hunter2-0");
        assert_eq!(redactor.error(&mut cut), 1);
        assert_eq!(cut.message, "it said [secret]");
        let mut other = ActionError::fatal("C", "it said hunte");
        assert_eq!(redactor.error(&mut other), 0);
        assert_eq!(progress.note, "at [secret]");
        assert_eq!(progress.partial, json!([MARKER]));
    }

    #[test]
    fn the_secret_fields_of_a_credential_are_looked_for() {
        let fields = [("username", "ada-lovelace"), ("password", "correct horse")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
        let basic = Credential::new(CredentialType::Basic, fields.into(), Default::default());
        let url = "postgres://ada:p%40ssword@db.example/shop";
        let fields = [("url".to_owned(), url.into())];
        let database = Credential::new(
            CredentialType::DatabaseUrl,
            fields.into(),
            Default::default(),
        );
        let credentials = [basic.unwrap(), database.unwrap()];
        let redactor = Redactor::of(&credentials);
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(redactor.text(text).as_deref(), expected, "{text}");
        };
        check(
            "ada-lovelace says correct horse",
            Some("ada-lovelace says [secret]"),
        );
        check("correct+horse", Some(MARKER));
        check(url, Some(MARKER));
        check("the password is p@ssword", Some("the password is [secret]"));
        check("p%40ssword", Some(MARKER));
        assert!(!format!("{redactor:?}").contains("horse"));
        assert_eq!(Redactor::default().text("anything"), None);
        // A password of a database that nobody had to encode.
        let url = "postgres://ada:opensesame@db.example/shop";
        let fields = [("url".to_owned(), url.into())];
        let kind = CredentialType::DatabaseUrl;
        let plain = Credential::new(kind, fields.into(), Default::default()).unwrap();
        let redactor = Redactor::of([&plain]);
        assert_eq!(
            redactor.text("it is opensesame, says ada").as_deref(),
            Some("it is [secret], says ada")
        );
    }

    /// Guard: so many encodings around each other are undone, and no more, whatever somebody gives.
    #[test]
    fn what_is_encoded_again_and_again_is_read_so_deep_and_no_deeper() {
        let (redactor, mut text) = (redactor(&["hunter\"22\""]), "hunter\"22\"".to_owned());
        for layer in 1..=3 * LAYERS {
            text = serde_json::to_string(&text).unwrap();
            let found = redactor.text(&text).is_some();
            assert_eq!(found, layer <= LAYERS, "{layer}: {text}");
        }
    }

    #[test]
    fn what_is_left_of_base64_says_nothing_of_the_secret() {
        for before in ["", "u", "me", "you"] {
            for after in ["", "!", "no"] {
                let left = |secret: &str| {
                    let text = STANDARD.encode(format!("{before}{secret}{after}"));
                    redactor(&[secret]).text(&text).expect("it is found")
                };
                let left = ["Zunter2Z", "hunter2z", "\u{7f}unter2\u{1}"].map(left);
                assert!(left[0].contains(MARKER));
                assert!(left.iter().all(|it| *it == left[0]), "{left:?}");
            }
        }
    }
}
