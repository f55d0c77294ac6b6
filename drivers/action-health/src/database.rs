//! Ways to PostgreSQL: where one leads, and how it is encrypted.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use nebula_action::{ActionContext, ActionError, Egress, Refusal, Target, TargetHost};
use nebula_core::ExposeSecret;
use nebula_postgres::{Encryption, Tls};
use tokio::net::TcpStream;
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use url::Url;

/// The slot of the credential.
const AUTH: &str = "auth";

/// The type that a database's address has.
const KIND: &str = "database_url";

/// The port of PostgreSQL where the address says none.
const PORT: u16 = 5432;

/// Where a database is, and who asks it.
pub(crate) struct Database {
    pub(crate) config: Config,
    host: String,
    /// `host:port`, for messages.
    pub(crate) place: String,
    encrypted: bool,
    to: Vec<SocketAddr>,
}

fn wrong(message: impl Into<String>) -> ActionError {
    ActionError::fatal("HEALTH_DATABASE", message.into())
}

impl Database {
    /// That of the credential, if it and the grants lead there: every address of its name is checked.
    ///
    /// # Errors
    /// There is no such credential, its address is none, or it leads where it may not. The last, inside, is
    /// why nobody is found there.
    pub(crate) async fn of(ctx: &ActionContext) -> Result<Result<Self, String>, ActionError> {
        let credential = ctx.credentials.get(AUTH);
        let credential = credential.filter(|it| it.kind() == KIND).ok_or_else(|| {
            wrong("`sql` needs a credential of type `database_url` in the slot `auth`: nebula credentials add ID --type database_url --hosts HOST:PORT")
        })?;
        let text = credential.field("url").map(ExposeSecret::expose_secret);
        let (config, encrypted) = read(text.unwrap_or_default())?;
        let host = match config.get_hosts() {
            [Host::Tcp(host)] if config.get_hostaddrs().is_empty() => host.clone(),
            _ => {
                return Err(wrong(
                    "the database's address has one host, and no socket or `hostaddr`",
                ));
            }
        };
        let port = config.get_ports().first().copied().unwrap_or(PORT);
        let place = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let url = Egress::address(&place).map_err(|error| wrong(error.to_string()))?;
        if !credential.may_go_to(&url) {
            let (id, hosts) = (credential.id(), credential.hosts());
            let message = format!(
                "the credential `{id}` may not be sent to {place}, only to {hosts}; if it is meant for that host, add it to the credential"
            );
            return Err(ActionError::fatal("CREDENTIAL_HOST", message));
        }
        let egress = ctx.http(&url)?.egress();
        let what = format!("node `{}` may not connect to {place}", ctx.node);
        let refused = |refusal| ActionError::refused(&what, &refusal);
        let target = egress.target(&url).map_err(refused)?;
        let found: Vec<IpAddr> = match &target.host {
            TargetHost::Address(address) => vec![*address],
            TargetHost::ThisMachine => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            TargetHost::Name(name) => match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => found.map(|it| it.ip()).collect(),
                Err(error) => {
                    return Ok(Err(format!("{place}: the name has no address ({error})")));
                }
            },
        };
        all_admitted(egress, &target, &found).map_err(refused)?;
        let encrypted = encrypts(encrypted, &found);
        Ok(Ok(Self {
            config,
            host,
            place,
            encrypted,
            to: found
                .into_iter()
                .map(|it| SocketAddr::new(it, port))
                .collect(),
        }))
    }

    /// Connects to an address that was checked; with TLS, where that is needed.
    pub(crate) async fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(&self.to[..]).await;
        let stream = stream.map_err(|error| format!("{}: no connection ({error})", self.place))?;
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// How the connection is encrypted; `None` where it is not.
    pub(crate) fn tls(&self, extra: &[PathBuf]) -> Result<Option<Tls>, ActionError> {
        if !self.encrypted {
            return Ok(None);
        }
        let encryption = Encryption::new(extra).map_err(wrong)?;
        encryption.to(&self.host).map(Some).map_err(wrong)
    }
}

/// One address that is refused refuses the name.
fn all_admitted(egress: &Egress, target: &Target, found: &[IpAddr]) -> Result<(), Refusal> {
    let mut found = found.iter();
    found.try_for_each(|address| egress.admits(target, *address))
}

/// Whether a connection is encrypted: as the address says, else wherever it leaves this machine, on which nobody
/// listens on the way.
fn encrypts(asked: Option<bool>, to: &[IpAddr]) -> bool {
    let here = !to.is_empty() && to.iter().all(IpAddr::is_loopback);
    asked.unwrap_or(!here)
}

/// What an address says, and whether it asks for encryption. No part of it is in a message.
fn read(text: &str) -> Result<(Config, Option<bool>), ActionError> {
    let no_address =
        || wrong("the credential has no address such as postgres://user:password@host:5432/name");
    let mut url = Url::parse(text).map_err(|_| no_address())?;
    if !["postgres", "postgresql"].contains(&url.scheme()) {
        return Err(wrong(
            "`sql` asks PostgreSQL: the address begins with postgres://",
        ));
    }
    let (mut encrypted, mut others) = (None, Vec::new());
    for (name, value) in url.query_pairs().into_owned() {
        match (name.as_str(), value.as_str()) {
            ("sslmode", "disable") => encrypted = Some(false),
            ("sslmode", "require" | "verify-full") => encrypted = Some(true),
            ("sslmode", _) => {
                return Err(wrong(
                    "`sslmode` of the database is `disable`, `require` or `verify-full`, and both of these verify",
                ));
            }
            _ => others.push((name, value)),
        }
    }
    url.query_pairs_mut().clear().extend_pairs(others);
    if url.query() == Some("") {
        url.set_query(None);
    }
    let mut config: Config = url.as_str().parse().map_err(|_| no_address())?;
    // What connects is ours; it encrypts or not, and never what comes first.
    config.ssl_mode(match encrypted {
        Some(false) => SslMode::Disable,
        _ => SslMode::Require,
    });
    Ok((config, encrypted))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nebula_action::{Capability, Grants};

    use super::*;

    #[test]
    fn what_leaves_this_machine_is_encrypted_unless_the_address_says_otherwise() {
        let of = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let (here, there) = (of(&["127.0.0.1", "::1"]), of(&["127.0.0.1", "192.0.2.1"]));
        assert!(!encrypts(None, &here) && encrypts(None, &there) && encrypts(None, &[]));
        assert!(encrypts(Some(true), &here) && !encrypts(Some(false), &there));
    }

    #[test]
    fn a_name_that_leads_where_it_may_not_is_refused_whole() {
        let grant = Capability::parse("net:db.example:5432", Path::new("/")).unwrap();
        let egress = Egress::new(&Grants::new([grant]));
        let url = Egress::address("db.example:5432").unwrap();
        let target = egress.target(&url).unwrap();
        let admitted = |texts: &[&str]| {
            let found: Vec<IpAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            all_admitted(&egress, &target, &found).is_ok()
        };
        assert!(admitted(&["93.184.216.34"]));
        assert!(!admitted(&["93.184.216.34", "10.0.0.7"]));
        assert!(!admitted(&["127.0.0.1"]));
    }
}
