//! Where a request may go: the decision, without any connection.

use std::{fmt, net::IpAddr};

use url::{Host, Url};

use crate::{
    AddressClass, Capability, Grants, HostPattern,
    host::{bare, is_this_machine},
};

/// The longest URL that is asked for.
pub const MAX_URL: usize = 16 * 1024;

/// Ports of other protocols, which a request must not be made to speak: the "bad ports" of the Fetch
/// standard (section 2.9). A grant that names such a port opens it.
const OTHER_PROTOCOLS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
    103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
    512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
    995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 10080,
];

/// How far out requests may go at all, whatever was granted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Wherever a grant leads.
    #[default]
    Anywhere,
    /// This machine only: the profile `local-only`.
    ThisMachine,
}

/// Decides where requests may go, from what was granted.
///
/// Two questions are asked for each hop of a request: [`Egress::target`] of its URL, before a name is
/// resolved, and [`Egress::admits`] of each address that the name has, before anything connects.
///
/// | host of the URL | opened by | leads to |
/// |---|---|---|
/// | a name | `net:<name>`, `net:*.<parent>`, `net:*` | public addresses |
/// | a name | `net:<name>` or `net:*.<parent>`, and `net:<address>` or `net:<range>` | those addresses |
/// | a public address | `net:<address>`, `net:<range>`, `net:*` | itself |
/// | any other address | `net:<address>`, `net:<range>` | itself |
/// | `localhost`, `*.localhost` | that name | this machine, without being resolved |
///
/// A cloud's metadata service is opened by its own address only, never by a range; a port of another
/// protocol only by a grant that names it.
///
/// ```
/// use nebula_action::{Capability, Egress, Grants};
/// use std::path::Path;
///
/// let granted = Capability::parse("net:api.example", Path::new("/")).unwrap();
/// let egress = Egress::new(&Grants::new([granted]));
/// let url = Egress::url("https://api.example/v1").unwrap();
/// let target = egress.target(&url).unwrap();
/// assert!(egress.admits(&target, "93.184.215.14".parse().unwrap()).is_ok());
/// assert!(egress.admits(&target, "10.0.0.1".parse().unwrap()).is_err()); // rebinding
/// ```
#[derive(Debug, Clone, Default)]
pub struct Egress {
    granted: Vec<(HostPattern, Option<u16>)>,
    reach: Reach,
}

/// Where a request goes, as far as its URL says; made by [`Egress::target`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name, or an address.
    pub host: TargetHost,
    /// The port, the scheme's own where the URL names none.
    pub port: u16,
}

/// The host of a [`Target`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetHost {
    /// To be resolved; without a dot at the end.
    Name(String),
    /// `localhost` or below it: 127.0.0.1 and ::1, whatever anybody says.
    ThisMachine,
    /// To be connected to as it is.
    Address(IpAddr),
}

/// Why a request may not go where its URL leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What would open it; `None` if no grant does.
    pub capability: Option<Capability>,
    /// What was found there.
    pub reason: RefusalReason,
}

/// What a [`Refusal`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalReason {
    /// No grant names the host and the port.
    NotGranted,
    /// The port is another protocol's.
    Port(u16),
    /// The URL's host is such an address.
    Address(IpAddr, AddressClass),
    /// The name resolves to such an address.
    LeadsTo(String, IpAddr, AddressClass),
    /// Only this machine may be reached.
    LocalOnly,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            RefusalReason::NotGranted => f.write_str("no grant leads there"),
            RefusalReason::Port(port) => {
                write!(
                    f,
                    "port {port} belongs to another protocol, which only a grant that names it opens"
                )
            }
            RefusalReason::Address(address, class) => {
                write!(
                    f,
                    "{address} is {class}, which only a grant that names it opens"
                )
            }
            RefusalReason::LeadsTo(name, address, class) => write!(
                f,
                "`{name}` leads to {address}, {class}, which only a grant that names the address opens"
            ),
            RefusalReason::LocalOnly => {
                f.write_str("only this machine may be reached (profile `local-only`)")
            }
        }
    }
}

/// Why a text is no URL that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It does not parse (URL standard), or has a host that no network knows.
    #[error("the URL cannot be read ({0})")]
    Unreadable(&'static str),
    /// White space, a control character or a backslash, which readers of URLs treat differently.
    #[error("the URL has white space, a control character or a backslash in it; encode it")]
    Ambiguous,
    /// Another scheme than `http` and `https`.
    #[error("the URL must begin with http:// or https://")]
    Scheme,
    /// A name or a password stands in it.
    #[error("the URL has a user name or a password in it; use a credential or a header")]
    UserInfo,
    /// It is longer than [`MAX_URL`].
    #[error("the URL is longer than {MAX_URL} bytes")]
    TooLong,
}

impl Egress {
    /// What these grants open; all but `net:…` is left aside.
    #[must_use]
    pub fn new(grants: &Grants) -> Self {
        let granted = grants.iter().filter_map(|capability| match capability {
            Capability::Net { host, port } => Some((host.clone(), *port)),
            _ => None,
        });
        Self {
            granted: granted.collect(),
            reach: Reach::Anywhere,
        }
    }

    /// The same, and no farther than `reach`.
    #[must_use]
    pub fn within(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// Whether nothing at all is open.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.granted.is_empty()
    }

    /// Reads a URL as the URL standard does, and refuses what readers disagree about.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn url(text: &str) -> Result<Url, UrlError> {
        let ambiguous = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
        if text.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        if text.contains(ambiguous) {
            return Err(UrlError::Ambiguous);
        }
        let url = Url::parse(text).map_err(|error| {
            UrlError::Unreadable(match error {
                url::ParseError::RelativeUrlWithoutBase => {
                    "it does not begin with http:// or https://"
                }
                url::ParseError::InvalidPort => "its port is no number up to 65535",
                url::ParseError::InvalidIpv4Address => "its host is no IPv4 address",
                url::ParseError::InvalidIpv6Address => "its host is no IPv6 address",
                url::ParseError::EmptyHost => "it has no host",
                _ => "its host has characters that no host has",
            })
        })?;
        Self::check_url(&url)?;
        Ok(url)
    }

    /// Reads `host:port` as the URL of nothing but that: for connections that are no requests.
    ///
    /// # Errors
    /// [`UrlError`]: also where no port stands there, or more than host and port.
    pub fn address(text: &str) -> Result<Url, UrlError> {
        let url = Self::url(&format!("http://{text}"))?;
        let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        let named = matches!(port, Some(Ok(port)) if url.port_or_known_default() == Some(port));
        let bare = url.path() == "/" && !text.ends_with('/') && url.query().is_none();
        match named && bare && url.fragment().is_none() {
            true => Ok(url),
            false => Err(UrlError::Unreadable(
                "an address is host:port, such as db.example:5432",
            )),
        }
    }

    /// The same for a URL that has been read, such as the target of a redirect.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn check_url(url: &Url) -> Result<(), UrlError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        if url.as_str().len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        if url.port_or_known_default().is_none_or(|port| port == 0) {
            return Err(UrlError::Unreadable("its port is 0"));
        }
        // A name with an empty part, or one that is nothing but a dot.
        if let Some(Host::Domain(name)) = url.host()
            && bare(name).split('.').any(str::is_empty)
        {
            return Err(UrlError::Unreadable("its host has an empty part"));
        }
        Ok(())
    }

    /// The capability that opens the host and the port of this URL, and nothing beside it; `None` if it
    /// has none.
    #[must_use]
    pub fn needed(url: &Url) -> Option<Capability> {
        Some(Capability::Net {
            host: HostPattern::exactly(&url.host()?),
            port: Some(url.port_or_known_default()?),
        })
    }

    /// Whether a request may ask for this URL, as far as that can be told before its host is resolved.
    ///
    /// # Errors
    /// [`Refusal`], with the capability that is missing.
    pub fn target(&self, url: &Url) -> Result<Target, Refusal> {
        let refused = |capability, reason| Err(Refusal { capability, reason });
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return refused(None, RefusalReason::NotGranted);
        };
        let wanted = HostPattern::exactly(&host);
        let capability = || {
            Some(Capability::Net {
                host: wanted.clone(),
                port: Some(port),
            })
        };
        let host = match (&host, &wanted) {
            (_, HostPattern::Range { network, .. }) => TargetHost::Address(*network),
            (_, HostPattern::Name(name)) if is_this_machine(name) => TargetHost::ThisMachine,
            (host, _) => TargetHost::Name(bare(&host.to_string())),
        };
        if self.reach == Reach::ThisMachine {
            let here = match &host {
                TargetHost::Name(_) => false,
                TargetHost::ThisMachine => true,
                TargetHost::Address(address) => {
                    AddressClass::of(*address) == AddressClass::Loopback
                }
            };
            if !here {
                return refused(None, RefusalReason::LocalOnly);
            }
        }
        if !self.opens(port, |pattern| pattern.covers(&wanted)) {
            let reason = match &host {
                TargetHost::Address(address) => match AddressClass::of(*address) {
                    AddressClass::Public => RefusalReason::NotGranted,
                    class => RefusalReason::Address(*address, class),
                },
                _ => RefusalReason::NotGranted,
            };
            return refused(capability(), reason);
        }
        let named = || {
            let mut granted = self.granted.iter();
            granted.any(|(pattern, named)| *named == Some(port) && pattern.covers(&wanted))
        };
        if OTHER_PROTOCOLS.contains(&port) && !named() {
            return refused(capability(), RefusalReason::Port(port));
        }
        Ok(Target { host, port })
    }

    /// Whether a connection for `target` may be made to `address`. Ask it of every address that a name
    /// has: if one is refused, the name is not to be trusted.
    ///
    /// # Errors
    /// [`Refusal`], with the capability that is missing.
    pub fn admits(&self, target: &Target, address: IpAddr) -> Result<(), Refusal> {
        let class = AddressClass::of(address);
        let wanted = HostPattern::address(address);
        let refused = |capability, reason| Err(Refusal { capability, reason });
        let capability = Some(Capability::Net {
            host: wanted.clone(),
            port: Some(target.port),
        });
        match &target.host {
            TargetHost::Address(own) if *own == address => Ok(()),
            TargetHost::ThisMachine if class == AddressClass::Loopback => Ok(()),
            TargetHost::Address(_) | TargetHost::ThisMachine => {
                refused(capability, RefusalReason::Address(address, class))
            }
            TargetHost::Name(_) if self.reach == Reach::ThisMachine => {
                refused(None, RefusalReason::LocalOnly)
            }
            TargetHost::Name(_) if class == AddressClass::Public => Ok(()),
            TargetHost::Name(name) => {
                let host = HostPattern::Name(name.clone());
                // `net:*` names no host: whoever holds it and a range has not put the two together.
                let named = self.opens(target.port, |pattern| {
                    *pattern != HostPattern::Any && pattern.covers(&host)
                });
                let reason = || RefusalReason::LeadsTo(name.clone(), address, class);
                if !named {
                    let port = Some(target.port);
                    return refused(Some(Capability::Net { host, port }), reason());
                }
                match self.opens(target.port, |pattern| pattern.covers(&wanted)) {
                    true => Ok(()),
                    false => refused(capability, reason()),
                }
            }
        }
    }

    fn opens(&self, port: u16, covers: impl Fn(&HostPattern) -> bool) -> bool {
        let mut granted = self.granted.iter();
        granted.any(|(pattern, only)| only.is_none_or(|only| only == port) && covers(pattern))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn egress(grants: &str) -> Egress {
        let grants = grants.split_whitespace();
        let parsed = grants.map(|text| Capability::parse(text, Path::new("/")).unwrap());
        Egress::new(&Grants::new(parsed))
    }

    /// `to` is what the name of the URL resolves to, empty for addresses.
    fn check(grants: &str, url: &str, to: &str, expected: &str) {
        check_on(&egress(grants), url, to, expected);
    }

    fn check_on(egress: &Egress, url: &str, to: &str, expected: &str) {
        let asked = Egress::url(url).map_err(|error| format!("{error:?}"));
        let target = asked.and_then(|url| egress.target(&url).map_err(|refusal| shown(&refusal)));
        let found = target.and_then(|target| {
            let own = match &target.host {
                TargetHost::Address(address) => Some(*address),
                _ => None,
            };
            let resolved = to.split_whitespace().map(|it| it.parse().unwrap());
            resolved.chain(own).try_for_each(|address| {
                egress
                    .admits(&target, address)
                    .map_err(|refusal| shown(&refusal))
            })
        });
        let found = found.map_or_else(|refused| refused, |()| "open".to_owned());
        assert_eq!(found, expected, "{url} → {to}");
    }

    fn shown(refusal: &Refusal) -> String {
        let capability = refusal.capability.as_ref();
        capability.map_or_else(|| "never".to_owned(), ToString::to_string)
    }

    #[test]
    fn a_name_opens_public_addresses_only() {
        let public = "93.184.215.14";
        check("net:api.example", "https://api.example/x", public, "open");
        check("net:api.example", "https://API.example./x", public, "open");
        check("net:*.example", "https://api.example/x", public, "open");
        check("net:*", "https://api.example/x", public, "open");
        check(
            "net:api.example:443",
            "https://api.example/x",
            public,
            "open",
        );
        check("", "https://api.example/x", public, "net:api.example:443");
        check(
            "net:api.example:443",
            "http://api.example/x",
            public,
            "net:api.example:80",
        );
        check(
            "net:b.example",
            "https://api.example/x",
            public,
            "net:api.example:443",
        );
        check(
            "net:93.184.215.14",
            "https://api.example/x",
            public,
            "net:api.example:443",
        );
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "::1",
            "::ffff:8.8.8.8",
        ] {
            let wanted = HostPattern::address(private.parse().unwrap());
            let wanted = format!("net:{wanted}:443");
            check("net:api.example", "https://api.example", private, &wanted);
            let both = format!("{public} {private}");
            check("net:api.example", "https://api.example", &both, &wanted);
        }
    }

    #[test]
    fn a_name_that_leads_inside_needs_a_grant_for_the_name_and_one_for_the_address() {
        let url = "http://wiki.corp/";
        check("net:wiki.corp net:10.0.0.0/8", url, "10.1.2.3", "open");
        check("net:*.corp net:10.1.2.3:80", url, "10.1.2.3", "open");
        check("net:* net:10.0.0.0/8", url, "10.1.2.3", "net:wiki.corp:80");
        check(
            "net:wiki.corp net:10.1.2.3:81",
            url,
            "10.1.2.3",
            "net:10.1.2.3:80",
        );
        check(
            "net:wiki.corp net:169.254.0.0/16",
            url,
            "169.254.169.254",
            "net:169.254.169.254:80",
        );
    }

    #[test]
    fn an_address_that_is_not_public_opens_by_its_own_name_only() {
        check("net:*", "http://127.0.0.1/", "", "net:127.0.0.1:80");
        check("net:127.0.0.1:80", "http://127.0.0.1/", "", "open");
        check(
            "net:127.0.0.1:80",
            "http://127.0.0.1:8080/",
            "",
            "net:127.0.0.1:8080",
        );
        check("net:127.0.0.1", "http://2130706433:8080/", "", "open");
        check(
            "net:127.0.0.1",
            "http://[::ffff:127.0.0.1]/",
            "",
            "net:[::ffff:127.0.0.1]:80",
        );
        check("net:*", "http://8.8.8.8/", "", "open");
        check(
            "net:*",
            "http://localhost/",
            "127.0.0.1",
            "net:localhost:80",
        );
        check(
            "net:localhost",
            "http://localhost/",
            "127.0.0.1 ::1",
            "open",
        );
        check(
            "net:localhost",
            "http://localhost/",
            "10.0.0.1",
            "net:10.0.0.1:80",
        );
        check(
            "net:*.localhost",
            "http://a.localhost./",
            "127.0.0.1",
            "open",
        );
    }

    #[test]
    fn a_port_of_another_protocol_opens_by_its_own_number_only() {
        check(
            "net:*",
            "http://api.example:25/",
            "1.1.1.1",
            "net:api.example:25",
        );
        check(
            "net:api.example:25",
            "http://api.example:25/",
            "1.1.1.1",
            "open",
        );
        // Not by the number of another host.
        check(
            "net:* net:mail.example:25",
            "http://api.example:25/",
            "1.1.1.1",
            "net:api.example:25",
        );
    }

    /// Guards: an address is connected to as itself, and nothing but this machine is reached where no more may
    /// be, whatever a target says that somebody kept.
    #[test]
    fn a_target_admits_its_own_address_only() {
        let (any, address) = (egress("net:*"), |text: &str| {
            text.parse::<IpAddr>().unwrap()
        });
        let target = any.target(&Egress::url("http://8.8.8.8/").unwrap());
        let target = target.unwrap();
        assert_eq!(any.admits(&target, address("8.8.8.8")), Ok(()));
        assert!(any.admits(&target, address("1.1.1.1")).is_err());
        let named = any.target(&Egress::url("http://a.example/").unwrap());
        let named = named.unwrap();
        assert_eq!(any.admits(&named, address("1.1.1.1")), Ok(()));
        let local = any.within(Reach::ThisMachine);
        let refused = local.admits(&named, address("1.1.1.1")).unwrap_err();
        assert_eq!(refused.reason, RefusalReason::LocalOnly);
    }

    #[test]
    fn local_only_refuses_everything_else_even_if_granted() {
        let local = |grants| egress(grants).within(Reach::ThisMachine);
        check_on(&local("net:*"), "https://api.example/", "1.1.1.1", "never");
        check_on(&local("net:8.8.8.8"), "https://8.8.8.8/", "", "never");
        check_on(
            &local("net:a.corp net:127.0.0.1"),
            "http://a.corp/",
            "127.0.0.1",
            "never",
        );
        check_on(&local("net:127.0.0.1"), "http://127.0.0.1/", "", "open");
        check_on(
            &local("net:localhost"),
            "http://localhost/",
            "127.0.0.1",
            "open",
        );
        check_on(&local(""), "http://127.0.0.1/", "", "net:127.0.0.1:80");
    }

    #[test]
    fn what_is_no_plain_url_is_refused() {
        for (url, expected) in [
            ("ftp://a.example/", "Scheme"),
            ("file:///etc/passwd", "Scheme"),
            ("gopher://a.example:70/", "Scheme"),
            ("http://u@a.example/", "UserInfo"),
            ("http://u:p@a.example/", "UserInfo"),
            ("http://:p@a.example/", "UserInfo"),
            ("http://a.example\\@b.example/", "Ambiguous"),
            ("http://a.example/\tb", "Ambiguous"),
            (" http://a.example/", "Ambiguous"),
            ("http://a\u{85}.example/", "Ambiguous"),
            (
                "//a.example/",
                "Unreadable(\"it does not begin with http:// or https://\")",
            ),
            ("http://a.example:0/", "Unreadable(\"its port is 0\")"),
            (
                "http://a..example/",
                "Unreadable(\"its host has an empty part\")",
            ),
            (
                "http://1.2.3.4.5/",
                "Unreadable(\"its host is no IPv4 address\")",
            ),
            (
                "http://[fe80::1%25eth0]/",
                "Unreadable(\"its host is no IPv6 address\")",
            ),
        ] {
            check("net:*", url, "", expected);
        }
        let long = format!("http://a.example/{}", "a".repeat(MAX_URL));
        assert_eq!(Egress::url(&long).unwrap_err(), UrlError::TooLong);
        // As it was written, and as it is sent.
        let written = format!("http://a.example/{}", "a/../".repeat(MAX_URL / 4));
        assert_eq!(Egress::url(&written).unwrap_err(), UrlError::TooLong);
        let sent = format!("http://a.example/{}", "ä".repeat(MAX_URL / 4));
        assert!(sent.len() < MAX_URL);
        assert_eq!(Egress::url(&sent).unwrap_err(), UrlError::TooLong);
    }
}
