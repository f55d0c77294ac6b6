//! Permissions that an action must hold before it can touch the world.

use std::{
    fmt,
    net::Ipv6Addr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{HostPattern, HostPatternError, normalize};

/// What is done to files under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Look at names and contents.
    Read,
    /// Create, change, delete.
    Write,
}

/// One permission. Text form: `fs:read:/var/log`, `net:api.example:443`, `secret:shop-key`, ….
///
/// A path covers itself and everything below it; it is absolute and without `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// `fs:read:<path>` or `fs:write:<path>`.
    File(Access, PathBuf),
    /// `net:<host pattern>[:port]`.
    Net {
        /// Which hosts.
        host: HostPattern,
        /// The only port; `None` is every port.
        port: Option<u16>,
    },
    /// `secret:<id>`.
    Secret(String),
    /// `process:<program>`.
    Process(String),
    /// `env:<name>`.
    Env(String),
    /// `workflow:<id>`.
    Workflow(String),
    /// `llm:<model>`.
    Llm(String),
    /// `blob`.
    Blob,
}

/// Why a text is not a capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// The part before the first colon is no kind of capability.
    #[error(
        "`{0}` is no capability; write fs:read:<dir>, fs:write:<dir>, net:<host>[:port], \
         secret:<id>, process:<program>, env:<name>, workflow:<id>, llm:<model> or blob"
    )]
    UnknownKind(String),
    /// Nothing stands after the kind.
    #[error("`{0}` names nothing; something must follow the last colon")]
    Empty(String),
    /// The port is no number from 1 to 65535.
    #[error("`{0}` is no port")]
    Port(String),
    /// What should be a host is none.
    #[error(transparent)]
    Host(#[from] HostPatternError),
}

impl Capability {
    /// Reads the text form; a relative path is taken from `base`, which is absolute.
    ///
    /// # Errors
    /// [`CapabilityError`]: unknown kind, nothing named, bad port.
    pub fn parse(text: &str, base: &Path) -> Result<Self, CapabilityError> {
        let text = text.trim();
        let named = |rest: &str| match rest {
            "" => Err(CapabilityError::Empty(text.to_owned())),
            rest => Ok(rest.to_owned()),
        };
        let file = |access, rest: &str| {
            named(rest).map(|path| Self::File(access, normalize(&base.join(path))))
        };
        if text == "blob" {
            return Ok(Self::Blob);
        }
        let unknown = || CapabilityError::UnknownKind(text.chars().take(80).collect());
        let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
        match kind {
            "fs" => match rest.split_once(':') {
                Some(("read", path)) => file(Access::Read, path),
                Some(("write", path)) => file(Access::Write, path),
                _ => Err(unknown()),
            },
            "net" => {
                let (host, port) = match rest.rsplit_once(':') {
                    // An IPv6 address without its brackets has colons of its own.
                    _ if rest.parse::<Ipv6Addr>().is_ok() => (rest, None),
                    Some((host, port)) if !port.ends_with(']') => {
                        let number = port.parse().ok().filter(|port| *port != 0);
                        (
                            host,
                            Some(number.ok_or_else(|| CapabilityError::Port(port.to_owned()))?),
                        )
                    }
                    _ => (rest, None),
                };
                let host = named(host)?.parse()?;
                Ok(Self::Net { host, port })
            }
            "secret" => named(rest).map(Self::Secret),
            "process" => named(rest).map(Self::Process),
            "env" => named(rest).map(Self::Env),
            "workflow" => named(rest).map(Self::Workflow),
            "llm" => named(rest).map(Self::Llm),
            _ => Err(unknown()),
        }
    }

    /// Whether holding `self` is enough where `wanted` is asked for.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::File(mine, root), Self::File(theirs, path)) => {
                mine == theirs && path.starts_with(root)
            }
            (
                Self::Net {
                    host: mine,
                    port: my_port,
                },
                Self::Net { host, port },
            ) => mine.covers(host) && (my_port.is_none() || my_port == port),
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(Access::Read, path) => write!(f, "fs:read:{}", path.display()),
            Self::File(Access::Write, path) => write!(f, "fs:write:{}", path.display()),
            Self::Net { host, port: None } => write!(f, "net:{host}"),
            Self::Net {
                host,
                port: Some(port),
            } => write!(f, "net:{host}:{port}"),
            Self::Secret(id) => write!(f, "secret:{id}"),
            Self::Process(program) => write!(f, "process:{program}"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Workflow(id) => write!(f, "workflow:{id}"),
            Self::Llm(model) => write!(f, "llm:{model}"),
            Self::Blob => f.write_str("blob"),
        }
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text, Path::new("/")).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(text: &str) -> Capability {
        Capability::parse(text, Path::new("/home/ada")).unwrap()
    }

    #[test]
    fn the_text_form_reads_back() {
        for text in [
            "fs:read:/var/log",
            "fs:write:/tmp/a b",
            "net:api.example:443",
            "net:*.example",
            "net:*:443",
            "net:[::1]:8080",
            "net:[fd00::/8]",
            "net:10.0.0.0/8:80",
            "secret:k",
            "process:git",
            "env:LANG",
            "workflow:w",
            "llm:m",
            "blob",
        ] {
            assert_eq!(cap(text).to_string(), text);
        }
        assert_eq!(cap("net:fd00::1").to_string(), "net:[fd00::1]");
        assert_eq!(cap("fs:read:../bob/./x").to_string(), "fs:read:/home/bob/x");
    }

    #[test]
    fn what_is_no_capability_says_what_to_write() {
        for bad in [
            "",
            "fs",
            "fs:exec:/x",
            "fs:read:",
            "net:",
            "net:h:0",
            "net:h:99999",
            "net::80",
            "net:a b",
            "net:*x",
            "root",
        ] {
            assert!(Capability::parse(bad, Path::new("/")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wider_capability_covers_a_narrower_one_and_nothing_beside_it() {
        assert!(cap("fs:read:/var").covers(&cap("fs:read:/var/log/a")));
        assert!(!cap("fs:read:/var").covers(&cap("fs:read:/variable")));
        assert!(!cap("fs:read:/var").covers(&cap("fs:write:/var")));
        assert!(cap("net:*.example").covers(&cap("net:api.example:443")));
        assert!(!cap("net:*.example").covers(&cap("net:example:443")));
        assert!(!cap("net:api.example:443").covers(&cap("net:api.example")));
        assert!(!cap("net:*").covers(&cap("net:127.0.0.1:80")));
        assert!(!cap("net:*").covers(&cap("net:localhost")));
        assert!(!cap("secret:a").covers(&cap("secret:b")));
    }
}
