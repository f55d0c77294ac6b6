//! The hosts that a credential may be sent to.

use std::path::Path;

use nebula_action::{Capability, HostPattern};
use url::Host;

/// The most host patterns of one credential.
pub const MAX_HOSTS: usize = 64;

/// The fewest leading bits of a range of addresses: a shorter one names no place.
const MIN_BITS: u8 = 8;

/// Host patterns, each with or without a port: `api.example`, `*.api.example:443`.
///
/// They mean what they mean in a capability `net:…`: without a port every port, and `*.` covers what
/// lies below a domain, but not the domain itself. A credential without any is sent nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<Capability>);

/// Why a text is no host pattern of a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostsError {
    /// It is no host pattern at all.
    #[error("`{pattern}` is no host: {why}")]
    NoHost {
        /// The text.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// It covers every host.
    #[error("`{0}` would let the credential be sent to every host; name the hosts that it is for")]
    Everywhere(String),
    /// There are too many.
    #[error("there are {0} hosts; the limit is {MAX_HOSTS}")]
    TooMany(usize),
}

impl AllowedHosts {
    /// Reads patterns.
    ///
    /// # Errors
    /// [`HostsError`]: no host, every host, too many.
    pub fn parse<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, HostsError> {
        let patterns = patterns.into_iter().map(one);
        let mut hosts = patterns.collect::<Result<Vec<_>, _>>()?;
        hosts.sort();
        hosts.dedup();
        if hosts.len() > MAX_HOSTS {
            return Err(HostsError::TooMany(hosts.len()));
        }
        Ok(Self(hosts))
    }

    /// Whether the credential may be sent to this host and port; asked again for each redirect.
    #[must_use]
    pub fn allow(&self, host: &str, port: u16) -> bool {
        let Ok(host) = Host::parse(host) else {
            return false;
        };
        let host = match &host {
            Host::Domain(name) => HostPattern::exactly(&Host::Domain(name.as_str())),
            Host::Ipv4(address) => HostPattern::exactly(&Host::Ipv4(*address)),
            Host::Ipv6(address) => HostPattern::exactly(&Host::Ipv6(*address)),
        };
        let wanted = Capability::Net {
            host,
            port: Some(port),
        };
        self.0.iter().any(|pattern| pattern.covers(&wanted))
    }

    /// The patterns in their order: lower case, without repetition.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        let shown =
            |pattern: &Capability| pattern.to_string().trim_start_matches("net:").to_owned();
        self.0.iter().map(shown)
    }

    /// Whether it may be sent nowhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn one(pattern: &str) -> Result<Capability, HostsError> {
    let text = pattern.trim();
    let parsed = Capability::parse(&format!("net:{text}"), Path::new("/"));
    let parsed = parsed.map_err(|error| HostsError::NoHost {
        pattern: pattern.to_owned(),
        why: error.to_string(),
    })?;
    let everywhere = match &parsed {
        Capability::Net { host, .. } => match host {
            HostPattern::Any => true,
            HostPattern::Below(name) => !name.contains('.'),
            HostPattern::Name(_) => false,
            HostPattern::Range { bits, .. } => *bits < MIN_BITS,
        },
        _ => true,
    };
    match everywhere {
        true => Err(HostsError::Everywhere(text.to_owned())),
        false => Ok(parsed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, host: &str, port: u16, allowed: bool) {
        let hosts = AllowedHosts::parse([pattern]).unwrap();
        assert_eq!(hosts.allow(host, port), allowed, "{pattern} {host}:{port}");
    }

    #[test]
    fn a_pattern_covers_what_it_names() {
        check("api.example", "api.example", 443, true);
        check("API.example", "Api.Example.", 80, true);
        check("api.example:443", "api.example", 443, true);
        check("api.example:443", "api.example", 8443, false);
        check("api.example", "evil-api.example", 443, false);
        check("api.example", "api.example.evil.test", 443, false);
        check("*.api.example", "eu.api.example", 443, true);
        check("*.api.example", "api.example", 443, false);
        check("*.api.example", "xapi.example", 443, false);
        check("192.0.2.7", "192.0.2.7", 443, true);
        check("[2001:db8::1]:443", "[2001:db8::1]", 443, true);
    }

    #[test]
    fn a_credential_without_hosts_goes_nowhere() {
        assert!(!AllowedHosts::default().allow("api.example", 443));
    }

    #[test]
    fn what_is_no_host_or_every_host_is_refused() {
        for pattern in ["*", "*:443", "*.com", "0.0.0.0/0", "[::/0]"] {
            let refused = AllowedHosts::parse([pattern]);
            assert!(
                matches!(refused, Err(HostsError::Everywhere(_))),
                "{pattern}"
            );
        }
        for pattern in [
            "",
            "https://api.example",
            "api.example/path",
            "user@api.example",
            "a b",
            "api.example:0",
            "api.example:x",
            "*.*.example",
            "a*.example",
        ] {
            let refused = AllowedHosts::parse([pattern]);
            assert!(
                matches!(refused, Err(HostsError::NoHost { .. })),
                "{pattern}: {refused:?}"
            );
        }
        let many: Vec<_> = (0..=MAX_HOSTS).map(|n| format!("h{n}.example")).collect();
        let refused = AllowedHosts::parse(many.iter().map(String::as_str));
        assert_eq!(refused, Err(HostsError::TooMany(MAX_HOSTS + 1)));
    }
}
