//! Where a server is, and how it is reached.

#[cfg(unix)]
use std::path::PathBuf;
use std::{fmt, io, sync::Arc};

use nebula_core::{ExposeSecret, SecretString};
use nebula_ports::{ErrorKind, PortError, Result};
use redis::{ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};
use rustls::{ClientConfig, pki_types::ServerName};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::error::{DRIVER, port_error};

/// What whoever connects over TLS trusts; made when the first one does.
pub type Trusting = Arc<dyn Fn() -> std::result::Result<ClientConfig, String> + Send + Sync>;

/// Which server, and who asks it. Its text form has neither user nor password.
#[derive(Clone)]
pub struct RedisServer {
    place: Place,
    /// User, password and database.
    settings: RedisConnectionInfo,
    shown: String,
    trusting: Option<Trusting>,
}

#[derive(Clone)]
enum Place {
    Tcp {
        host: String,
        port: u16,
        is_encrypted: bool,
    },
    #[cfg(unix)]
    Unix(PathBuf),
}

/// What bytes go to and come from.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisServer").field(&self.shown).finish()
    }
}

impl RedisServer {
    /// The server at `redis://user:password@host:port/database`, `rediss://…` over TLS, or `unix:///path`.
    ///
    /// # Errors
    /// `Invalid`: it is no such address.
    pub fn at(address: &SecretString) -> Result<Self> {
        // The address has a password: neither it nor what the parser says of it is shown.
        let address = address.expose_secret();
        let encrypted = address
            .strip_prefix("rediss://")
            .map(|it| format!("redis://{it}"));
        let is_encrypted = encrypted.is_some();
        let info = encrypted
            .unwrap_or_else(|| address.to_owned())
            .into_connection_info();
        let place = |at: &ConnectionAddr| match at {
            ConnectionAddr::Tcp(host, port) => Some(Place::Tcp {
                host: host.clone(),
                port: *port,
                is_encrypted,
            }),
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Some(Place::Unix(path.clone())),
            _ => None,
        };
        let found = info.ok().and_then(|info| Some((place(info.addr())?, info)));
        let Some((place, info)) = found else {
            return Err(invalid(
                "the address of the server is none: write redis://user:password@host:port/database, rediss://… for TLS, or unix:///path",
            ));
        };
        Ok(Self {
            place,
            settings: info
                .redis_settings()
                .clone()
                .set_protocol(ProtocolVersion::RESP3),
            shown: info.addr().to_string(),
            trusting: None,
        })
    }

    /// The same, trusting over TLS what `trusting` gives. Without it nobody is, and `rediss://` is refused.
    #[must_use]
    pub fn trusting(mut self, trusting: Trusting) -> Self {
        self.trusting = Some(trusting);
        self
    }

    /// For messages.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    pub(crate) fn settings(&self) -> &RedisConnectionInfo {
        &self.settings
    }

    /// Connects.
    pub(crate) async fn reach(&self) -> Result<Box<dyn Stream>> {
        let error = |error: io::Error| port_error("connect", &self.shown, error.into());
        let (host, port, is_encrypted) = match &self.place {
            #[cfg(unix)]
            Place::Unix(path) => {
                return Ok(Box::new(UnixStream::connect(path).await.map_err(error)?));
            }
            Place::Tcp {
                host,
                port,
                is_encrypted,
            } => (host, *port, *is_encrypted),
        };
        let stream = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(error)?;
        stream.set_nodelay(true).map_err(error)?;
        if !is_encrypted {
            return Ok(Box::new(stream));
        }
        let Some(trusting) = &self.trusting else {
            return Err(invalid(
                "the server is asked for over TLS, and nothing says which certificates are trusted",
            ));
        };
        let config = trusting().map_err(|said| error(io::Error::other(said)))?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| invalid("the name of the server is none that a certificate has"))?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Box::new(
            connector.connect(name, stream).await.map_err(error)?,
        ))
    }
}

fn invalid(message: &str) -> PortError {
    PortError::new(ErrorKind::Invalid, DRIVER, "open the queue", message)
}
