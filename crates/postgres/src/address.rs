//! Addresses of servers, and connections to them.

use std::{
    fmt,
    future::{Future, poll_fn},
    net::IpAddr,
    path::PathBuf,
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, config::Host, config::SslMode};

use crate::{Encryption, Meaning, meaning, message};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Where a database is, and who asks it. Its text form has no password.
#[derive(Clone)]
pub struct Address {
    config: Config,
    encryption: Option<Encryption>,
    shown: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Why a text is no address. No part of the text is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    /// What follows from it.
    pub meaning: Meaning,
    /// What happened, with the place and without the password.
    pub message: String,
}

/// A connection: what asks, and what carries it, which is to be polled until it ends.
pub type Connected = (
    Client,
    Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>,
);

impl Address {
    /// What a text such as `postgres://user:password@host:5432/name` says. A folder in which a socket is stands
    /// as `postgres://user@/name?host=/run/postgresql`; several hosts are tried in order, with
    /// `target_session_attrs=read-write` until one takes writes.
    ///
    /// With `sslmode=require` or `verify-full` the connection is encrypted and the certificate verified, with
    /// `disable` it is not; without one it is encrypted wherever it leaves this machine. `roots` are PEM files
    /// of certificates that are trusted beside those of the system.
    ///
    /// # Errors
    /// It is no such text, or a file cannot be read.
    pub fn parse(text: &str, roots: &[PathBuf]) -> Result<Self, AddressError> {
        let wrong = |message: &str| AddressError(message.to_owned());
        const FORM: &str = "the address of the database is no text such as postgres://user:password@host:5432/name";
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("postgres" | "postgresql")) {
            return Err(wrong(FORM));
        }
        let (bare, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut encrypted, mut others) = (None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", "disable")) => encrypted = Some(false),
                Some(("sslmode", "require" | "verify-full")) => encrypted = Some(true),
                Some(("sslmode", _)) => {
                    return Err(wrong(
                        "`sslmode` of the database is `disable`, `require` or `verify-full`, and both of these verify",
                    ));
                }
                _ => others.push(pair),
            }
        }
        let plain = match others.is_empty() {
            true => bare.to_owned(),
            false => format!("{bare}?{}", others.join("&")),
        };
        let mut config: Config = plain.parse().map_err(|_| wrong(FORM))?;
        if config.get_hosts().is_empty() {
            return Err(wrong("the address of the database names no host"));
        }
        let encrypted = encrypted.unwrap_or_else(|| config.get_hosts().iter().any(leaves));
        let encryption = match encrypted {
            true => Some(Encryption::new(roots).map_err(AddressError)?),
            false => None,
        };
        config.ssl_mode(match encrypted {
            true => SslMode::Require,
            false => SslMode::Disable,
        });
        config.connect_timeout(CONNECT);
        config.keepalives_idle(Duration::from_secs(30));
        let shown = shown(&config);
        Ok(Self {
            config,
            encryption,
            shown,
        })
    }

    /// The same, for another database of the same server.
    #[must_use]
    pub fn with_database(mut self, name: &str) -> Self {
        self.config.dbname(name);
        self.shown = shown(&self.config);
        self
    }

    /// The same; the server's list of connections shows them under this name.
    #[must_use]
    pub fn named(mut self, application: &str) -> Self {
        self.config.application_name(application);
        self
    }

    /// Connects. Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// Nobody is there, or refuses.
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing.
    pub async fn connect(&self) -> Result<Connected, ConnectError> {
        self.connect_hearing(|_, _| {}).await
    }

    /// The same; `heard` is told the channel and the text of each notification (`LISTEN`).
    ///
    /// # Errors
    /// Nobody is there, or refuses.
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing.
    pub async fn connect_hearing(
        &self,
        heard: impl FnMut(&str, &str) + Send + 'static,
    ) -> Result<Connected, ConnectError> {
        let connected: Result<Connected, tokio_postgres::Error> = match &self.encryption {
            Some(encryption) => {
                let made = self.config.connect(encryption.clone()).await;
                made.map(|made| hearing(made, heard))
            }
            None => {
                let made = self.config.connect(NoTls).await;
                made.map(|made| hearing(made, heard))
            }
        };
        connected.map_err(|error| ConnectError {
            meaning: match meaning(&error) {
                // Nothing was under way.
                Meaning::Unknown => Meaning::Busy,
                other => other,
            },
            message: format!("no connection to {}: {}", self.shown, message(&error)),
        })
    }
}

fn hearing<S, T>(
    (client, mut connection): (Client, tokio_postgres::Connection<S, T>),
    mut heard: impl FnMut(&str, &str) + Send + 'static,
) -> Connected
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let carries = poll_fn(move |context| {
        loop {
            match ready!(connection.poll_message(context)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(AsyncMessage::Notification(said))) => heard(said.channel(), said.payload()),
                Some(Ok(_)) => {}
            }
        }
    });
    (client, Box::pin(carries))
}

/// Whether what is sent to this host leaves this machine.
fn leaves(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            let here = name == "localhost" || name.parse().is_ok_and(|it: IpAddr| it.is_loopback());
            !here
        }
        #[cfg(unix)]
        Host::Unix(_) => false,
    }
}

fn shown(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(n, host)| {
        let ports = config.get_ports();
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(folder) => format!("{}/.s.PGSQL.{port}", folder.display()),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    let user = config
        .get_user()
        .map_or(String::new(), |user| format!("{user}@"));
    let name = config
        .get_dbname()
        .or(config.get_user())
        .unwrap_or("postgres");
    format!("postgres://{user}{}/{name}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let address = Address::parse("postgres://me:hunter2@127.0.0.1:6543/things", &[]).unwrap();
        assert_eq!(address.to_string(), "postgres://me@127.0.0.1:6543/things");
        assert!(!format!("{address:?}").contains("hunter2"));
    }

    #[test]
    fn what_leaves_this_machine_is_encrypted_unless_the_address_says_otherwise() {
        let encrypted = |text: &str| Address::parse(text, &[]).unwrap().encryption.is_some();
        assert!(encrypted("postgres://me@db.example/things"));
        assert!(encrypted("postgres://me@127.0.0.1,db.example/things"));
        assert!(!encrypted(
            "postgres://me@db.example/things?sslmode=disable"
        ));
        assert!(!encrypted("postgres://me@localhost/things"));
        assert!(encrypted("postgres://me@localhost/things?sslmode=require"));
        assert!(!encrypted("postgres://me@/things?host=/run/postgresql"));
    }

    #[test]
    fn what_is_no_address_says_what_one_is() {
        for text in [
            "",
            "mysql://me@host/x",
            "postgres://me@/things",
            "postgres://me@host:none/x",
        ] {
            let error = Address::parse(text, &[]).unwrap_err().to_string();
            assert!(
                error.starts_with("the address of the database"),
                "{text}: {error}"
            );
        }
        let weak = Address::parse("postgres://me@host/x?sslmode=prefer", &[]).unwrap_err();
        assert!(weak.to_string().contains("`sslmode`"), "{weak}");
    }
}
