//! One reqwest client, and so one pool of connections, for each sender, destination and its checked
//! addresses.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use nebula_action::{HttpErrorKind, HttpPhase, Sender};
use nebula_core::{Clock, MemoryPressure};
use nebula_resource::{Limits, Shared};
use reqwest::{Client, redirect::Policy};

use crate::{
    config::{HttpConfig, MAX_HEADER_LINES},
    resolve::Pinned,
    tls::Tls,
};

/// How much of an HTTP/2 head is taken in before the request's own limit is asked.
const MAX_HEAD_BYTES: u32 = 1024 * 1024;

/// Where connections lead: a request with another key never gets one of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Its scope: on whose behalf.
    pub(crate) sender: Sender,
    pub(crate) https: bool,
    pub(crate) host: String,
    /// Checked for the request that asks; with the port.
    pub(crate) addresses: Arc<[SocketAddr]>,
}

/// The pool of one key.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) client: Client,
    /// Whether something failed that the connection may be to blame for.
    sick: AtomicBool,
}

impl Pool {
    /// An error ended a request. Over HTTP/2 the next one would take the same connection, which may be as
    /// dead: nobody has said so, since nothing comes from the other side.
    pub(crate) fn failed(&self, kind: &HttpErrorKind) {
        let silent = |phase: &HttpPhase| *phase != HttpPhase::Connect;
        match kind {
            HttpErrorKind::Timeout { phase, .. } if silent(phase) => self.sick.store(true, Relaxed),
            HttpErrorKind::Protocol(_) => self.sick.store(true, Relaxed),
            _ => {}
        }
    }
}

/// The pools by where they lead.
#[derive(Debug)]
pub(crate) struct Pools {
    config: HttpConfig,
    tls: Tls,
    pools: Shared<Key, Pool>,
}

impl Pools {
    pub(crate) fn new(
        config: HttpConfig,
        tls: Tls,
        clock: Arc<dyn Clock>,
        pressure: Option<Arc<dyn MemoryPressure>>,
    ) -> Self {
        let limits = Limits {
            most: config.destinations,
            idle: config.keep_destination,
            ..Limits::default()
        };
        let pools = Shared::new(limits, clock).healthy_if(|pool: &Pool| !pool.sick.load(Relaxed));
        let pools = match pressure {
            Some(pressure) => pools.under(pressure),
            None => pools,
        };
        Self { pools, config, tls }
    }

    /// The pool whose connections lead to these addresses and to no others.
    pub(crate) async fn get(&self, key: &Key) -> Result<Arc<Pool>, HttpErrorKind> {
        self.pools
            .get(key, async || {
                Ok(Pool {
                    client: self.make(key)?,
                    sick: AtomicBool::new(false),
                })
            })
            .await
    }

    /// Closes those of a sender.
    pub(crate) fn close(&self, sender: &Sender) {
        self.pools.close(|key| key.sender == *sender);
    }

    fn make(&self, key: &Key) -> Result<Client, HttpErrorKind> {
        let tls = self.tls.config(key.https).map_err(HttpErrorKind::Tls)?;
        Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .gzip(true)
            .user_agent(concat!("nebula/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls)
            .dns_resolver(Pinned(Arc::clone(&key.addresses)))
            .connect_timeout(self.config.connect_timeout)
            .pool_idle_timeout(self.config.keep_idle)
            .pool_max_idle_per_host(self.config.idle_connections)
            .http1_max_headers(MAX_HEADER_LINES)
            .http2_max_header_list_size(MAX_HEAD_BYTES)
            .build()
            .map_err(|_| HttpErrorKind::Request("no client could be made for its destination"))
    }
}
