//! The rules of the port.

mod names;

use nebula_http_reqwest::HttpConfig;

use crate::names::client;

nebula_testkit::http_client!(|names| async move { client(HttpConfig::default(), names) });

/// The same behind the gates of the worker: they change nothing of what the port promises.
mod paced {
    use std::sync::Arc;

    use nebula_http_reqwest::HttpConfig;
    use nebula_ports::HttpClient;
    use nebula_runtime::{HttpPolicy, PacedHttp};
    use nebula_system::SystemClock;

    use crate::names::client;

    nebula_testkit::http_client!(|names| async move {
        let (sends, clock) = (client(HttpConfig::default(), names), SystemClock::default());
        let paced = PacedHttp::new(sends, Arc::new(clock), HttpPolicy::default()).unwrap();
        Arc::new(paced) as Arc<dyn HttpClient>
    });
}
