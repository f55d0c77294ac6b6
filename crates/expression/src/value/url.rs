//! `URL` and `URLSearchParams`, as the URL standard of the WHATWG has them.

use url::{Url as Parsed, form_urlencoded, quirks};

use super::{Instance, Text, Val};
use crate::{error::Fault, machine::Machine};

/// An address and its parts, as JavaScript's getters give them.
pub(crate) struct Url<'a> {
    pub(crate) href: &'a str,
    origin: &'a str,
    protocol: &'a str,
    username: &'a str,
    password: &'a str,
    host: &'a str,
    hostname: &'a str,
    port: &'a str,
    pathname: &'a str,
    search: &'a str,
    hash: &'a str,
}

/// Names and values in their order, all of them texts.
#[derive(Clone, Copy)]
pub(crate) struct Params<'a> {
    pub(crate) names: &'a [Val<'a>],
    pub(crate) values: &'a [Val<'a>],
}

impl<'a> Url<'a> {
    pub(crate) fn get(&'a self, m: &mut Machine<'a>, key: &str) -> Result<Option<Val<'a>>, Fault> {
        Ok(Some(Val::Temp(match key {
            "href" => &self.href,
            "origin" => &self.origin,
            "protocol" => &self.protocol,
            "username" => &self.username,
            "password" => &self.password,
            "host" => &self.host,
            "hostname" => &self.hostname,
            "port" => &self.port,
            "pathname" => &self.pathname,
            "search" => &self.search,
            "hash" => &self.hash,
            "searchParams" => {
                let params = m.parse_params(self.search)?;
                return m.params(params).map(Some);
            }
            _ => return Ok(None),
        })))
    }
}

/// The parts of `parsed` that are its own text take no memory of their own.
fn part<'a>(m: &mut Machine<'a>, href: &'a str, all: &str, part: &str) -> Result<&'a str, Fault> {
    let start = part.as_ptr().addr().checked_sub(all.as_ptr().addr());
    let own = start.and_then(|start| href.get(start..start + part.len()));
    match own {
        Some(own) if own == part => Ok(own),
        _ => m.copy_str(part),
    }
}

impl<'a> Machine<'a> {
    /// Parses an address, perhaps relative to another; the error says in words what is wrong.
    pub(crate) fn parse_url(
        &mut self,
        text: Val<'a>,
        base: Val<'a>,
    ) -> Result<Result<Parsed, url::ParseError>, Fault> {
        let base = match base {
            Val::Undefined => None,
            base => Some(self.whole_text(base)?),
        };
        let text = self.whole_text(text)?;
        let size = text.len() + base.as_ref().map_or(0, |base| base.len());
        self.pay_url(size)?;
        let Some(base) = base else {
            return Ok(Parsed::parse(text));
        };
        Ok(Parsed::parse(base).and_then(|base| {
            // Only the schemes of the web take a backslash for a slash; the reader does for all.
            let name = text.trim_start_matches(|c| c <= ' ');
            if name.starts_with('\\') && !base.is_special() && !base.cannot_be_a_base() {
                return base.join(&format!("./{name}"));
            }
            base.join(text)
        }))
    }

    /// Pays for reading an address of so many bytes. Escapes take three bytes for one, and the
    /// reader holds them beside what it gives.
    fn pay_url(&mut self, size: usize) -> Result<(), Fault> {
        const BYTES_PER_OPERATION: usize = 32;
        self.charge((size / BYTES_PER_OPERATION) as u64)?;
        self.reserve(size.saturating_mul(4))
    }

    /// `ToString`, with U+FFFD for lone surrogates.
    pub(crate) fn whole_text(&mut self, value: Val<'a>) -> Result<&'a str, Fault> {
        match self.text_of(value)? {
            Text::Utf8(text) => Ok(text),
            text @ Text::Wide(_) => {
                self.reserve(text.size() * 2)?;
                self.copy_str(&text.well_formed())
            }
        }
    }

    pub(crate) fn url(&mut self, parsed: &Parsed) -> Result<Val<'a>, Fault> {
        let all = parsed.as_str();
        let href = self.copy_str(all)?;
        let origin = quirks::origin(parsed);
        let mut own = |text: &str| part(self, href, all, text);
        let url = Url {
            href,
            origin: own(&origin)?,
            protocol: own(quirks::protocol(parsed))?,
            username: own(quirks::username(parsed))?,
            password: own(quirks::password(parsed))?,
            host: own(quirks::host(parsed))?,
            hostname: own(quirks::hostname(parsed))?,
            port: own(quirks::port(parsed))?,
            pathname: own(quirks::pathname(parsed))?,
            search: own(quirks::search(parsed))?,
            hash: own(quirks::hash(parsed))?,
        };
        self.instance(Instance::Url(url))
    }

    pub(crate) fn params(&mut self, params: Params<'a>) -> Result<Val<'a>, Fault> {
        self.instance(Instance::Params(params))
    }

    /// Names and values of `a=1&b=2`; a `?` before them does not count.
    pub(crate) fn parse_params(&mut self, text: &str) -> Result<Params<'a>, Fault> {
        let text = text.strip_prefix('?').unwrap_or(text);
        self.pay_url(text.len())?;
        let (mut names, mut values) = (self.list(0)?, self.list(0)?);
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            self.charge(1)?;
            let (name, value) = (self.copy_text(&name)?, self.copy_text(&value)?);
            names.push(self, name)?;
            values.push(self, value)?;
        }
        Ok(Params {
            names: names.into_slice(),
            values: values.into_slice(),
        })
    }
}

impl<'a> Params<'a> {
    /// Appends `a=1&b=2`.
    pub(crate) fn push_text(
        &self,
        m: &mut Machine<'a>,
        out: &mut crate::machine::TextBuilder<'a>,
    ) -> Result<(), Fault> {
        m.walk(self.names.len())?;
        for (i, (name, value)) in self.names.iter().zip(self.values).enumerate() {
            if i > 0 {
                out.push_str(m, "&")?;
            }
            push_encoded(m, out, *name)?;
            out.push_str(m, "=")?;
            push_encoded(m, out, *value)?;
        }
        Ok(())
    }
}

fn push_encoded<'a>(
    m: &mut Machine<'a>,
    out: &mut crate::machine::TextBuilder<'a>,
    text: Val<'a>,
) -> Result<(), Fault> {
    let text = text.text().and_then(Text::utf8).unwrap_or_default();
    m.scan(text.len())?;
    form_urlencoded::byte_serialize(text.as_bytes()).try_for_each(|part| out.push_str(m, part))
}
