//! Connections to servers, at addresses that were checked.

use nebula_core::ExposeSecret as _;
use nebula_dial::{DialError, Trusting, dial};
use nebula_ports::{Result, Subscribing};
use redis::{
    AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, Value, aio::MultiplexedConnection,
};
use tokio::task::JoinSet;

use crate::{
    error::{over, refused, said, too_old},
    limited::{Allowance, Limited},
    session::MAX_REPLY,
};

/// The oldest version whose `XAUTOCLAIM` says what was removed from a stream.
const OLDEST: (u32, u32) = (7, 0);

/// A connection on which nothing was asked yet.
pub(crate) struct Connected {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) allowance: Allowance,
    /// Reads and writes, and ends with the session.
    pub(crate) carrier: JoinSet<()>,
}

/// Connects, logs in, and refuses a server that is too old.
pub(crate) async fn connect(wanted: &Subscribing, trusting: &Trusting) -> Result<Connected> {
    let address = &wanted.address;
    let place = wanted.place().map_err(refused)?;
    let admits = |ip| place.admits(ip);
    let stream = dial(
        &place.host,
        place.port,
        admits,
        wanted.tls.then_some(trusting),
    )
    .await;
    let stream = stream.map_err(|error| match error {
        DialError::Refused(why) => refused(why),
        DialError::Failed(why) => over(why),
    })?;
    let allowance = Allowance::of(MAX_REPLY);
    let stream = Limited {
        stream,
        allowance: allowance.clone(),
    };
    let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    if let Some((user, password)) = &wanted.login {
        settings = settings
            .set_username(user)
            .set_password(password.expose_secret());
    }
    // How long an answer may take is said with each question, by the clock of the process.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let made = MultiplexedConnection::new_with_config(&settings, stream, config).await;
    let (mut connection, carries) = made.map_err(|error| said(address, "HELLO", error))?;
    let mut carrier = JoinSet::new();
    carrier.spawn(carries);
    let info = redis::cmd("INFO").arg("server").to_owned();
    let info: std::result::Result<Value, _> = info.query_async(&mut connection).await;
    let info = info.map_err(|error| said(address, "INFO", error))?;
    let info: String = redis::from_redis_value(info).map_err(|error| {
        refused(format!(
            "the Redis at {address} answers what no Redis answers ({error})"
        ))
    })?;
    check(address, &info)?;
    Ok(Connected {
        connection,
        allowance,
        carrier,
    })
}

fn check(address: &str, info: &str) -> Result<()> {
    let says = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let version = says("redis_version").unwrap_or("unknown");
    let mut parts = version.split('.').map(str::parse::<u32>);
    let parsed = (|| Some((parts.next()?.ok()?, parts.next()?.ok()?)))();
    if parsed.is_none_or(|version| version < OLDEST) {
        return Err(refused(format!(
            "the Redis at {address} {}",
            too_old(version)
        )));
    }
    if says("redis_mode") == Some("cluster") {
        let what = "is part of a cluster, of which is not asked where a stream lies: use one server or a pair with failover";
        return Err(refused(format!("the Redis at {address} {what}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guard: what a server says of its version and mode.
    #[test]
    fn a_server_that_cannot_do_it_is_refused() {
        let of = |version: &str, mode: &str| {
            let info = format!("# Server\r\nredis_version:{version}\r\nredis_mode:{mode}\r\n");
            check("here:1", &info).err().map(|it| it.message)
        };
        assert_eq!(of("7.0.0", "standalone"), None);
        assert_eq!(of("10.1.0", "sentinel"), None);
        for old in ["6.2.14", "unknown", "5"] {
            let why = of(old, "standalone").unwrap();
            assert!(
                why.contains(old) && why.contains("7.0 is the oldest"),
                "{why}"
            );
        }
        assert!(of("7.2.4", "cluster").unwrap().contains("cluster"));
    }
}
