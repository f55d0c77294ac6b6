//! A client that asks made-up names.

use std::{io, net::IpAddr, sync::Arc};

use async_trait::async_trait;
use nebula_http_reqwest::{HttpConfig, Reqwest, Resolver};
use nebula_ports::HttpClient;
use nebula_system::SystemClock;
use nebula_testkit::http_client::Names;

#[derive(Debug)]
struct MadeUp(Arc<Names>);

#[async_trait]
impl Resolver for MadeUp {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.0.resolve(host);
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

pub(crate) fn client(config: HttpConfig, names: Arc<Names>) -> Arc<dyn HttpClient> {
    let clock = Arc::new(SystemClock::default());
    Arc::new(Reqwest::with_resolver(config, clock, Arc::new(MadeUp(names)), None).unwrap())
}
