//! The rules of the port.

mod names;

use nebula_http_reqwest::HttpConfig;

use crate::names::client;

nebula_testkit::http_client!(|names| async move { client(HttpConfig::default(), names) });
