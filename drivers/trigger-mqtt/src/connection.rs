//! Connections to brokers, at addresses that were checked.

use nebula_dial::{DialError, Stream, Trusting, dial};
use nebula_ports::{ErrorKind, PortError, Result, Subscribing};

use crate::messages::over;

/// What will not be otherwise at the next try.
pub(crate) fn refused(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Invalid, "trigger-mqtt", "listen", message)
}

/// Connects to the broker: to an address that may be gone to, and of which no other address of its name says
/// that it may not.
pub(crate) async fn connect(wanted: &Subscribing, trusting: &Trusting) -> Result<Box<dyn Stream>> {
    let place = wanted.place().map_err(refused)?;
    let admits = |address| place.admits(address);
    let trusting = wanted.tls.then_some(trusting);
    let stream = dial(&place.host, place.port, admits, trusting).await;
    stream.map_err(|error| match error {
        DialError::Refused(why) => refused(why),
        DialError::Failed(why) => over(&why),
    })
}
