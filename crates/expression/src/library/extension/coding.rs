//! Base64, hashes, and the encodings of addresses.

use base64::{
    Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD,
};
use sha2::Digest as _;

use super::{Args, Outcome, plain, value::named, wrong_argument};
use crate::{
    error::Fault,
    machine::Machine,
    suggest::did_you_mean,
    value::{Entries, Val},
};

/// The base64 of the text's UTF-8.
pub(super) fn base64_encode<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    let text = plain(m, this)?;
    let bytes = text.len().div_ceil(3).saturating_mul(4);
    m.check_string(bytes)?;
    m.reserve(bytes)?;
    m.copy_text(&STANDARD.encode(&*text))
}

/// The text whose UTF-8 the base64 stands for. White space counts for nothing, `-_` for `+/`, and
/// the `=` at the end may be missing; bytes that are no UTF-8 become U+FFFD.
pub(super) fn base64_decode<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    _: Args<'a, '_>,
) -> Outcome<'a> {
    let text = plain(m, this)?;
    m.reserve(text.len().saturating_mul(4))?;
    let digits: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    let bytes = STANDARD_NO_PAD
        .decode(digits.trim_end_matches('='))
        .map_err(|_| Fault::new("TYPE_BASE64", "the text is not base64"))?;
    m.copy_text(&String::from_utf8_lossy(&bytes))
}

const ALGORITHMS: [&str; 6] = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

/// Bytes that cost one operation to hash.
const BYTES_PER_OPERATION: usize = 128;

/// The hash of the text's UTF-8 in hexadecimal digits. The algorithm is the argument, or md5.
pub(super) fn hash<'a>(m: &mut Machine<'a>, this: Val<'a>, args: Args<'a, '_>) -> Outcome<'a> {
    let algorithm = match args.get(0) {
        Val::Undefined => "md5".into(),
        name => plain(m, name)?,
    };
    let text = plain(m, this)?;
    m.charge((text.len() / BYTES_PER_OPERATION) as u64)?;
    let bytes = text.as_bytes();
    let name = algorithm.to_ascii_lowercase().replace('-', "");
    let digest = match name.as_str() {
        "md5" => md5::Md5::digest(bytes).to_vec(),
        "sha1" => sha1::Sha1::digest(bytes).to_vec(),
        "sha224" => sha2::Sha224::digest(bytes).to_vec(),
        "sha256" => sha2::Sha256::digest(bytes).to_vec(),
        "sha384" => sha2::Sha384::digest(bytes).to_vec(),
        "sha512" => sha2::Sha512::digest(bytes).to_vec(),
        _ => {
            let known = || format!("there are {}", ALGORITHMS.join(", "));
            let hint = did_you_mean(&name, ALGORITHMS).unwrap_or_else(known);
            return Err(wrong_argument("there is no such hash").hint(hint));
        }
    };
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    let hex: String = digest
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect();
    m.copy_text(&hex)
}

/// `encodeURIComponent`, or `encodeURI` if the argument is true.
pub(super) fn url_encode<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    of_uri(m, this, args, ["encodeURI", "encodeURIComponent"])
}

/// The first function for a whole address, if the argument is true; else the second, for a part.
fn of_uri<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
    [whole, part]: [&'static str; 2],
) -> Outcome<'a> {
    let name = if args.get(0).truthy() { whole } else { part };
    named(m, name, Args(&[this]))
}

/// `decodeURIComponent`, or `decodeURI` if the argument is true.
pub(super) fn url_decode<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    args: Args<'a, '_>,
) -> Outcome<'a> {
    of_uri(m, this, args, ["decodeURI", "decodeURIComponent"])
}

/// The object's fields as the query of an address: `a=1&b=x+y`.
pub(super) fn form_encode<'a>(m: &mut Machine<'a>, this: Val<'a>, _: Args<'a, '_>) -> Outcome<'a> {
    let mut entries = Entries::default();
    m.spread_entries(this, &mut entries)?;
    let mut out = m.text_builder(0)?;
    for (i, (key, value)) in entries.finish().0.into_iter().enumerate() {
        if i > 0 {
            out.push_str(m, "&")?;
        }
        let key = m.text_value(key)?;
        for (mark, part) in [("", key), ("=", value)] {
            out.push_str(m, mark)?;
            let part = plain(m, part)?;
            for byte in part.bytes() {
                match byte {
                    b' ' => out.push_str(m, "+")?,
                    b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                        out.push_str(m, char::from(byte).encode_utf8(&mut [0; 4]))?;
                    }
                    byte => out.push_str(m, &format!("%{byte:02X}"))?,
                }
            }
        }
    }
    out.finish(m)
}
