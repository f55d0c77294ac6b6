//! Connections to brokers, at addresses that were checked.

use std::{fmt, net::SocketAddr, sync::Arc};

use nebula_action::{Egress, Refusal};
use nebula_ports::{ErrorKind, PortError, Result, Subscribing};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;

use crate::{Trusting, messages::over};

/// A stream to a broker, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug> Stream for T {}

/// What will not be otherwise at the next try.
pub(crate) fn refused(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Invalid, "trigger-mqtt", "listen", message)
}

/// Where nobody may go, and what would open it.
fn closed(refusal: &Refusal) -> PortError {
    refused(match &refusal.capability {
        Some(capability) => format!("{refusal}; `requires: [\"{capability}\"]` opens it"),
        None => refusal.to_string(),
    })
}

/// Connects to the broker: to an address that may be gone to, and of which no other address of its name says
/// that it may not.
pub(crate) async fn connect(wanted: &Subscribing, trusting: &Trusting) -> Result<Box<dyn Stream>> {
    let address = &wanted.address;
    let url = Egress::address(address).map_err(|error| refused(format!("{address}: {error}")))?;
    let target = wanted
        .egress
        .target(&url)
        .map_err(|it| refused(it.to_string()))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(refused(format!("{address} names no host and port")));
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = lookup_host((bare, port)).await;
    let found: Vec<SocketAddr> = found
        .map_err(|it| over(&format!("{address}: {it}")))?
        .collect();
    for one in &found {
        let admitted = wanted.egress.admits(&target, one.ip());
        admitted.map_err(|it| closed(&it))?;
    }
    let stream = TcpStream::connect(&*found).await;
    let stream = stream.map_err(|it| over(&format!("{address}: {it}")))?;
    // Acknowledgements are small, and brokers wait for them.
    stream
        .set_nodelay(true)
        .map_err(|it| over(&it.to_string()))?;
    if !wanted.tls {
        return Ok(Box::new(stream));
    }
    let config = trusting().map_err(refused)?;
    let name = ServerName::try_from(bare.to_owned());
    let name = name.map_err(|_| refused(format!("{bare} is no name that a certificate has")))?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await;
    let stream = stream.map_err(|it| over(&format!("{address}: {it}")))?;
    Ok(Box::new(stream))
}
