//! Which hosts a capability names.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use url::Host;

use crate::AddressClass;

/// Which hosts `net:<host pattern>` names.
///
/// Names are compared in the form of the URL standard: lower case, punycode, without a dot at the
/// end. Whatever reads as an IPv4 address there (`127.1`, `0x7f000001`) is that address here, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// `*`: every name but those of this machine, and every public address.
    Any,
    /// `*.corp.example`: every name below it, not the name itself.
    Below(String),
    /// `api.example`.
    Name(String),
    /// `10.1.2.3`, `10.0.0.0/8`, `[fd00::1]`, `[fd00::/8]`: addresses.
    Range {
        /// The first address.
        network: IpAddr,
        /// How many leading bits count.
        bits: u8,
    },
}

/// The text names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no host; write a name, `*.` and a name, `*`, an IPv4 address, an IPv6 address in \
     square brackets, or a range such as 10.0.0.0/8 or [fd00::/8]"
)]
pub struct HostPatternError(String);

impl HostPattern {
    /// One address.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self::Range {
            network: address,
            bits: width(address),
        }
    }

    /// The pattern that names this host of a URL and no other.
    #[must_use]
    pub fn exactly(host: &Host<&str>) -> Self {
        match host {
            Host::Domain(name) => Self::Name(bare(name)),
            Host::Ipv4(address) => Self::address((*address).into()),
            Host::Ipv6(address) => Self::address((*address).into()),
        }
    }

    /// Whether every host that `wanted` names is named here as well.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Any, Self::Any | Self::Below(_)) => true,
            (Self::Any, Self::Name(name)) => !is_this_machine(name),
            (Self::Any, Self::Range { network, bits }) => {
                *bits == width(*network) && AddressClass::of(*network) == AddressClass::Public
            }
            (Self::Below(mine), Self::Below(theirs)) => mine == theirs || below(theirs, mine),
            (Self::Below(mine), Self::Name(name)) => below(name, mine),
            (Self::Name(mine), Self::Name(name)) => mine == name,
            (
                Self::Range { network, bits },
                Self::Range {
                    network: n,
                    bits: b,
                },
            ) => {
                bits <= b
                    && masked(*n, *bits) == Some(*network)
                    && (AddressClass::of(*n) != AddressClass::Metadata || bits == b)
            }
            _ => false,
        }
    }
}

/// Whether a name always means this machine (RFC 6761, section 6.3).
pub(crate) fn is_this_machine(name: &str) -> bool {
    name == "localhost" || below(name, "localhost")
}

fn below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent)
        .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// A name without the dot that says that it is complete.
pub(crate) fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// `address` with all but its first `bits` bits cleared; `None` if it has fewer bits.
fn masked(address: IpAddr, bits: u8) -> Option<IpAddr> {
    let rest = u32::from(width(address).checked_sub(bits)?);
    Some(match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    })
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let wrong = || HostPatternError(text.chars().take(80).collect());
        if text == "*" {
            return Ok(Self::Any);
        }
        let name = |text: &str| match Host::parse(text) {
            Ok(Host::Domain(name)) if !bare(&name).is_empty() && !name.contains('*') => {
                Ok(bare(&name))
            }
            _ => Err(wrong()),
        };
        if let Some(parent) = text.strip_prefix("*.") {
            return name(parent).map(Self::Below);
        }
        let inside = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let address = inside.unwrap_or(text);
        if let Some((network, bits)) = address.split_once('/') {
            let network: IpAddr = network.parse().map_err(|_| wrong())?;
            let bits: u8 = bits.parse().map_err(|_| wrong())?;
            if inside.is_some() != network.is_ipv6() || masked(network, bits) != Some(network) {
                return Err(wrong());
            }
            return Ok(Self::Range { network, bits });
        }
        if let Ok(address) = address.parse::<Ipv6Addr>() {
            return Ok(Self::address(address.into()));
        }
        match Host::parse(text) {
            Ok(Host::Ipv4(address)) => Ok(Self::address(address.into())),
            Ok(Host::Domain(_)) => name(text).map(Self::Name),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Name(name) => f.write_str(name),
            Self::Range { network, bits } => {
                let range = if *bits == width(*network) {
                    network.to_string()
                } else {
                    format!("{network}/{bits}")
                };
                match network {
                    IpAddr::V4(_) => f.write_str(&range),
                    IpAddr::V6(_) => write!(f, "[{range}]"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_pattern_has_one_text_form() {
        for (text, shown) in [
            ("*", "*"),
            ("*.Example", "*.example"),
            ("API.example.", "api.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.1", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("[fd00::/8]", "[fd00::/8]"),
            ("[::1]", "[::1]"),
            ("::1", "[::1]"),
        ] {
            assert_eq!(pattern(text).to_string(), shown);
        }
        for bad in [
            "",
            ".",
            "*.",
            "*x",
            "a*.example",
            "a b",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "fd00::/8",
            "[10.0.0.0/8]",
            "1.2.3.4.5",
            "*.*.example",
            "user@host",
            "*.127.0.0.1",
        ] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wide_pattern_covers_neither_this_machine_nor_private_networks() {
        for (mine, wanted, covered) in [
            ("*", "api.example", true),
            ("*", "*.example", true),
            ("*", "8.8.8.8", true),
            ("*", "localhost", false),
            ("*", "db.localhost", false),
            ("*", "127.0.0.1", false),
            ("*", "[::ffff:8.8.8.8]", false),
            ("*", "10.0.0.0/8", false),
            ("*", "8.8.8.0/24", false),
            ("*.example", "a.b.example", true),
            ("*.example", "*.b.example", true),
            ("*.example", "*.example", true),
            ("*.b.example", "*.example", false),
            ("*.example", "*.badexample", false),
            ("*.example", "example", false),
            ("*.example", "badexample", false),
            ("localhost", "localhost", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/16", "10.0.0.0/8", false),
            ("[fd00::/16]", "[fd00::/8]", false),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "[::1]", false),
            ("169.254.0.0/16", "169.254.1.1", true),
            ("169.254.0.0/16", "169.254.169.254", false),
            ("169.254.169.254", "169.254.169.254", true),
        ] {
            assert_eq!(
                pattern(mine).covers(&pattern(wanted)),
                covered,
                "{mine} {wanted}"
            );
        }
    }
}
