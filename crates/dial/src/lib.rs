//! Connections to servers elsewhere: to addresses that may be gone to, over TLS or without.
//!
//! Does not know: who may go where, protocols, or when to try again.
//!
//! # Invariants
//! - No connection is made unless every address of the name may be gone to, and then to one of those.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;

/// What whoever connects over TLS trusts; made when the first one does.
pub type Trusting = Arc<dyn Fn() -> Result<ClientConfig, String> + Send + Sync>;

/// A stream to a server, with TLS or without.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug> Stream for T {}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nor will there be one at the next try.
    #[error("{0}")]
    Refused(String),
    /// There may be one at the next try.
    #[error("{0}")]
    Failed(String),
}

/// Connects to `host`, a name or an address (one of version 6 in brackets or without), if `admits` refuses none
/// of its addresses; over TLS where `trusting` is there, for which the certificate must be of that name.
///
/// # Errors
/// As [`DialError`] says; the texts are for people.
///
/// # Cancel safety
/// A dropped call leaves no connection.
pub async fn dial(
    host: &str,
    port: u16,
    admits: impl Fn(IpAddr) -> Result<(), String>,
    trusting: Option<&Trusting>,
) -> Result<Box<dyn Stream>, DialError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |error: std::io::Error| DialError::Failed(format!("{host}:{port}: {error}"));
    let found = lookup_host((bare, port)).await.map_err(failed)?;
    let found: Vec<SocketAddr> = found.collect();
    for one in &found {
        admits(one.ip()).map_err(DialError::Refused)?;
    }
    let stream = TcpStream::connect(&*found).await.map_err(failed)?;
    // What goes to such servers is small, and they wait for it.
    stream.set_nodelay(true).map_err(failed)?;
    let Some(trusting) = trusting else {
        return Ok(Box::new(stream));
    };
    let config = trusting().map_err(DialError::Refused)?;
    let name = ServerName::try_from(bare.to_owned())
        .map_err(|_| DialError::Refused(format!("{bare} is no name that a certificate has")))?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(failed)?;
    Ok(Box::new(stream))
}
