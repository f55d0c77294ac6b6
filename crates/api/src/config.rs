//! The limits of the API, each with a name.

use std::time::Duration;

use nebula_core::{ByteSize, serde_duration};
use serde::{Deserialize, Serialize};

/// The limits of the API. JSON: spans of time and sizes as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// The names under which the server may be asked, beside those of the loopback: a page of another
    /// site, whose name was made to lead here, is refused by its `Host`. Default: none.
    pub hosts: Vec<String>,
    /// Under which address browsers reach the server, such as `https://nebula.example`: servers of
    /// identities and tokens send them back there. Default: that on which `nebula serve` listens.
    pub public_url: Option<String>,
    /// Whether browsers reach the server over TLS, so that the cookies of their sessions are for TLS
    /// alone. Default: no, since the loopback has none.
    pub secure_cookies: bool,
    /// The largest body of a request. Default 17 MiB: the largest input, and what is around it.
    pub max_body: ByteSize,
    /// The largest delivery to a webhook that takes files, which go into blobs as they come. Default 64 MiB.
    pub max_upload: ByteSize,
    /// How long a body may take to arrive; of one with files, each piece of it. Default 30 s.
    #[serde(with = "serde_duration")]
    pub body_timeout: Duration,
    /// How long the head of a request may take to arrive. Default 10 s.
    #[serde(with = "serde_duration")]
    pub head_timeout: Duration,
    /// The largest head of a request: its line and its headers. Default 32 KiB.
    pub max_head: ByteSize,
    /// The most headers of a request. Default 100.
    pub max_headers: usize,
    /// The most open connections; more wait to be accepted. Default 2,048.
    pub max_connections: usize,
    /// The longest `wait` of a start; a longer one is shortened to it. Default 60 s.
    #[serde(with = "serde_duration")]
    pub max_wait: Duration,
    /// The most starts that are under way, with those whose callers wait for the end; more are refused
    /// with 429. Default 1,024.
    pub max_starts: usize,
    /// How many requests a caller may make in a second, and so many at once; more are refused with 429.
    /// A caller is a person, a service account, or whoever sits at the machine; their keys and sessions
    /// count together. Default 2,000.
    pub max_requests: u32,
    /// The most entries of a page. Default 500.
    pub max_page: u32,
    /// The most watchers of live streams; more are refused with 429. Default 1,024.
    pub max_watchers: usize,
    /// How often a stream on which nothing happens says that it is still there. Default 15 s.
    #[serde(with = "serde_duration")]
    pub keep_alive: Duration,
    /// How many versions of workflows are kept ready to start. Default 256.
    pub max_ready: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            public_url: None,
            secure_cookies: false,
            max_body: ByteSize::mib(17),
            max_upload: ByteSize::mib(64),
            body_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(10),
            max_head: ByteSize::kib(32),
            max_headers: 100,
            max_connections: 2_048,
            max_wait: Duration::from_secs(60),
            max_starts: 1_024,
            max_requests: 2_000,
            max_page: 500,
            max_watchers: 1_024,
            keep_alive: Duration::from_secs(15),
            max_ready: 256,
        }
    }
}

impl ApiConfig {
    /// How many entries a page has where nobody says: at most [`ApiConfig::max_page`].
    pub const USUAL_PAGE: u32 = 50;

    /// The limits that may change while a server runs: of each request, and of the next one of a caller.
    /// Who may ask, and how connections are made, is settled at the start.
    pub const LIVE: &[&str] = &[
        "max_body",
        "max_upload",
        "body_timeout",
        "max_wait",
        "max_starts",
        "max_requests",
        "max_page",
        "max_watchers",
        "keep_alive",
    ];

    /// What is [`LIVE`](Self::LIVE) of this one, and what is not of the one that `runs`.
    pub(crate) fn live_over(&self, runs: &Self) -> Self {
        Self {
            hosts: runs.hosts.clone(),
            public_url: runs.public_url.clone(),
            secure_cookies: runs.secure_cookies,
            max_body: self.max_body,
            max_upload: self.max_upload,
            body_timeout: self.body_timeout,
            head_timeout: runs.head_timeout,
            max_head: runs.max_head,
            max_headers: runs.max_headers,
            max_connections: runs.max_connections,
            max_wait: self.max_wait,
            max_starts: self.max_starts,
            max_requests: self.max_requests,
            max_page: self.max_page,
            max_watchers: self.max_watchers,
            keep_alive: self.keep_alive,
            max_ready: runs.max_ready,
        }
    }

    /// The limit that lets nothing through, if there is one.
    pub(crate) fn zero(&self) -> Option<&'static str> {
        let limits = [
            ("max_body", self.max_body.as_u64() == 0),
            ("max_upload", self.max_upload.as_u64() == 0),
            ("body_timeout", self.body_timeout.is_zero()),
            ("head_timeout", self.head_timeout.is_zero()),
            ("max_head", self.max_head.as_u64() == 0),
            ("max_headers", self.max_headers == 0),
            ("max_connections", self.max_connections == 0),
            ("max_starts", self.max_starts == 0),
            ("max_requests", self.max_requests == 0),
            ("max_page", self.max_page == 0),
            ("max_watchers", self.max_watchers == 0),
            ("keep_alive", self.keep_alive.is_zero()),
            ("max_ready", self.max_ready == 0),
        ];
        let zero = limits.into_iter().find(|(_, zero)| *zero);
        zero.map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_live_changes_while_a_server_runs() {
        let runs = ApiConfig::default();
        let wanted = ApiConfig {
            hosts: vec!["elsewhere.example".to_owned()],
            public_url: Some("https://elsewhere.example".to_owned()),
            secure_cookies: true,
            max_body: ByteSize::mib(1),
            max_upload: ByteSize::mib(1),
            body_timeout: Duration::from_secs(1),
            head_timeout: Duration::from_secs(1),
            max_head: ByteSize::kib(1),
            max_headers: 1,
            max_connections: 1,
            max_wait: Duration::from_secs(1),
            max_starts: 1,
            max_requests: 1,
            max_page: 1,
            max_watchers: 1,
            keep_alive: Duration::from_secs(1),
            max_ready: 1,
        };
        let of = |config: &ApiConfig| serde_json::to_value(config).unwrap();
        let (old, new, now) = (of(&runs), of(&wanted), of(&wanted.live_over(&runs)));
        for (key, value) in now.as_object().unwrap() {
            assert_ne!(old[key], new[key], "{key} is in both");
            let live = ApiConfig::LIVE.contains(&key.as_str());
            assert_eq!(value, if live { &new[key] } else { &old[key] }, "{key}");
        }
    }
}
