//! How requests over HTTP are kept gentle, as settings say it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use nebula_action::Capability;
use nebula_core::{CredentialId, serde_duration};
use nebula_resilience::{BreakerPolicy, CallRate, DEFAULT_KEYS, DEFAULT_WAITING, GatePolicy};
use serde::{Deserialize, Serialize};

/// What requests over HTTP keep to; each process counts for itself, and each tenant in it.
///
/// JSON: `{ "concurrency": 64, "wait": "5s", "hosts": { "api.example": { "rate": { "limit": 10, "per": "1s" } } } }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpPolicy {
    /// How many requests are under way to one host and port with one credential; default 64.
    pub concurrency: u32,
    /// How long a request waits in memory for its turn, unless it says so itself; default 5 s. What would
    /// take longer is put off: the attempt ends, does not count, and is made again when it is due.
    #[serde(with = "serde_duration")]
    pub wait: Duration,
    /// How many requests wait for one destination; default [`DEFAULT_WAITING`].
    pub max_waiting: u32,
    /// How many destinations are remembered; default [`DEFAULT_KEYS`].
    pub max_destinations: usize,
    /// The longest pause of a destination that its `Retry-After` brings about; default 10 min. The attempt
    /// that got it waits as long as it says.
    #[serde(with = "serde_duration")]
    pub max_pause: Duration,
    /// How often a request is tried that found no connection and was not sent, within one attempt; default 2.
    pub connect_attempts: u32,
    /// A GET or HEAD without an answer after this long is asked a second time beside the first; default never.
    #[serde(with = "serde_duration::option")]
    pub hedge_after: Option<Duration>,
    /// Whether destinations that fail are left alone for a while; default true.
    pub use_breaker: bool,
    /// When and for how long.
    pub breaker: BreakerPolicy,
    /// Limits of hosts, by `host[:port]` as a `net:` capability has it: `api.example`, `*.example:8443`. What
    /// one entry covers shares its limits; of several entries the longest counts, of two as long the one without `*`.
    pub hosts: BTreeMap<String, CallLimits>,
    /// Limits of credentials, by their ids, wherever they are sent.
    pub credentials: BTreeMap<String, CallLimits>,
}

/// The limits of one host or credential; what is not said is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallLimits {
    /// How many requests may begin in a span of time.
    pub rate: Option<CallRate>,
    /// How many may be under way.
    pub concurrency: Option<u32>,
}

/// Why an [`HttpPolicy`] is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpPolicyError {
    /// A number is out of its range.
    #[error("`http.{key}` is out of its range, {range}")]
    Range {
        /// Which one: `breaker.window`.
        key: String,
        /// The range.
        range: &'static str,
    },
    /// A key of `hosts` is no host.
    #[error(
        "`http.hosts` has the key `{0}`, which is no `host[:port]`, such as `api.example` or `*.example:8443`"
    )]
    Host(String),
    /// A key of `credentials` is no id.
    #[error("`http.credentials` has the key `{0}`, which is no id of a credential")]
    Credential(String),
}

impl Default for HttpPolicy {
    fn default() -> Self {
        Self {
            concurrency: 64,
            wait: Duration::from_secs(5),
            max_waiting: DEFAULT_WAITING,
            max_destinations: DEFAULT_KEYS,
            max_pause: Duration::from_mins(10),
            connect_attempts: 2,
            hedge_after: None,
            use_breaker: true,
            breaker: BreakerPolicy {
                // A server that stalls has one outcome a minute from each caller.
                forget_after: Duration::from_mins(5),
                ..BreakerPolicy::default()
            },
            hosts: BTreeMap::new(),
            credentials: BTreeMap::new(),
        }
    }
}

impl HttpPolicy {
    /// How many gates one request may pass: those of its destination, its host and its credential.
    pub const MIN_DESTINATIONS: usize = 3;
    /// The most tries to connect within one attempt.
    pub const MAX_CONNECT_ATTEMPTS: u32 = 5;
    /// The longest wait in memory.
    pub const MAX_WAIT: Duration = Duration::from_mins(5);

    /// Checks every number and key.
    ///
    /// # Errors
    /// [`HttpPolicyError`]: the first that is wrong.
    pub fn check(&self) -> Result<(), HttpPolicyError> {
        let range = |key: String, range| Err(HttpPolicyError::Range { key, range });
        let positive = [
            ("concurrency", self.concurrency == 0),
            ("connect_attempts", self.connect_attempts == 0),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, zero)| *zero) {
            return range((*name).to_owned(), "1 and more");
        }
        if self.max_destinations < Self::MIN_DESTINATIONS {
            return range("max_destinations".to_owned(), "3 and more");
        }
        if self.connect_attempts > Self::MAX_CONNECT_ATTEMPTS {
            return range("connect_attempts".to_owned(), "1 to 5");
        }
        if self.wait > Self::MAX_WAIT {
            return range("wait".to_owned(), "up to 5 min");
        }
        if self.hedge_after.is_some_and(|after| after.is_zero()) {
            return range("hedge_after".to_owned(), "more than nothing");
        }
        if let Some((name, of)) = self.breaker.wrong() {
            return range(format!("breaker.{name}"), of);
        }
        for (group, limits) in [("hosts", &self.hosts), ("credentials", &self.credentials)] {
            for (name, limits) in limits {
                let at = |what| format!("{group}.\"{name}\".{what}");
                if limits.concurrency == Some(0) {
                    return range(at("concurrency"), "1 and more");
                }
                if let Some((what, of)) = limits.rate.and_then(|rate| rate.wrong()) {
                    return range(at(&format!("rate.{what}")), of);
                }
            }
        }
        self.host_rules()?;
        for id in self.credentials.keys() {
            CredentialId::new(id).map_err(|_| HttpPolicyError::Credential(id.clone()))?;
        }
        Ok(())
    }

    /// The entries of `hosts`, the one that counts first.
    pub(super) fn host_rules(&self) -> Result<Vec<(Capability, String)>, HttpPolicyError> {
        let parsed = self.hosts.keys().map(|key| {
            match Capability::parse(&format!("net:{key}"), Path::new("/")) {
                Ok(host @ Capability::Net { .. }) => Ok((host, key.clone())),
                _ => Err(HttpPolicyError::Host(key.clone())),
            }
        });
        let mut rules = parsed.collect::<Result<Vec<_>, _>>()?;
        // A name of one letter is as long as the pattern that covers it.
        rules.sort_by_key(|(_, key)| std::cmp::Reverse((key.len(), !key.starts_with('*'))));
        Ok(rules)
    }

    /// What stands before each destination.
    pub(super) fn destination(&self) -> GatePolicy {
        GatePolicy {
            breaker: self.use_breaker.then_some(self.breaker),
            rate: None,
            concurrency: Some(self.concurrency),
            max_waiting: self.max_waiting,
        }
    }

    /// What stands before what shares `limits`.
    pub(super) fn shared(&self, limits: CallLimits) -> GatePolicy {
        GatePolicy {
            breaker: None,
            rate: limits.rate,
            concurrency: limits.concurrency,
            max_waiting: self.max_waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let policy: HttpPolicy = serde_json::from_str(json).unwrap();
        let said = policy
            .check()
            .map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(said, expected, "{json}");
    }

    #[test]
    fn wrong_settings_are_named() {
        check("{}", "");
        check(
            r#"{ "concurrency": 0 }"#,
            "`http.concurrency` is out of its range, 1 and more",
        );
        check(
            r#"{ "max_destinations": 2 }"#,
            "`http.max_destinations` is out of its range, 3 and more",
        );
        check(
            r#"{ "connect_attempts": 6 }"#,
            "`http.connect_attempts` is out of its range, 1 to 5",
        );
        check(
            r#"{ "hedge_after": "0s" }"#,
            "`http.hedge_after` is out of its range, more than nothing",
        );
        check(
            r#"{ "wait": "6m" }"#,
            "`http.wait` is out of its range, up to 5 min",
        );
        check(
            r#"{ "breaker": { "window": 65, "min_calls": 1, "failure_percent": 1, "forget_after": "1s", "cool_down": "1s", "max_cool_down": "1s" } }"#,
            "`http.breaker.window` is out of its range, 1 to 64",
        );
        check(
            r#"{ "hosts": { "api.example": { "rate": { "limit": 0, "per": "1s" } } } }"#,
            "`http.hosts.\"api.example\".rate.limit` is out of its range, 1 to 1,000,000",
        );
        check(
            r#"{ "credentials": { "a": { "concurrency": 0 } } }"#,
            "`http.credentials.\"a\".concurrency` is out of its range, 1 and more",
        );
        check(
            r#"{ "hosts": { "*.example:8443": {}, "10.0.0.1": {} } }"#,
            "",
        );
        check(
            r#"{ "hosts": { "https://a.example/": {} } }"#,
            "`http.hosts` has the key `https://a.example/`, which is no `host[:port]`, such as `api.example` or `*.example:8443`",
        );
        check(
            r#"{ "credentials": { "a b": {} } }"#,
            "`http.credentials` has the key `a b`, which is no id of a credential",
        );
        assert!(
            serde_json::from_str::<HttpPolicy>(r#"{ "hosts": { "a": { "rte": 1 } } }"#).is_err()
        );
    }
}
