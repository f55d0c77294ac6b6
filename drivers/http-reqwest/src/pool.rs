//! One reqwest client, and so one pool of connections, for each destination and its checked addresses.

use std::{net::SocketAddr, sync::Arc};

use nebula_action::HttpErrorKind;
use nebula_core::Clock;
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
    pub(crate) https: bool,
    pub(crate) host: String,
    /// Checked for the request that asks; with the port.
    pub(crate) addresses: Arc<[SocketAddr]>,
}

/// The pools by where they lead.
#[derive(Debug)]
pub(crate) struct Pools {
    config: HttpConfig,
    tls: Tls,
    clients: Shared<Key, Client>,
}

impl Pools {
    pub(crate) fn new(config: HttpConfig, tls: Tls, clock: Arc<dyn Clock>) -> Self {
        let limits = Limits {
            most: config.destinations,
            idle: config.keep_destination,
            ..Limits::default()
        };
        Self {
            clients: Shared::new(limits, clock),
            config,
            tls,
        }
    }

    /// The client whose connections lead to these addresses and to no others.
    pub(crate) async fn client(&self, key: &Key) -> Result<Client, HttpErrorKind> {
        let client = self.clients.get(key, async || self.make(key)).await?;
        Ok(Client::clone(&client))
    }

    fn make(&self, key: &Key) -> Result<Client, HttpErrorKind> {
        let tls = self.tls.config(key.https).map_err(HttpErrorKind::Tls)?;
        Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
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
