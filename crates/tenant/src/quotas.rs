//! Quotas: how much of an installation one tenant may use.

use std::fmt;

use nebula_core::ByteSize;
use serde::{Deserialize, Serialize};

/// The largest quota of executions: a store counts up to it for each start.
pub const MAX_EXECUTIONS: u32 = 1_000_000;

/// The largest quota of starts in a second.
pub const MAX_STARTS_PER_SECOND: u32 = 1_000_000;

/// The largest quota of bytes: 1 PiB.
pub const MAX_BYTES: ByteSize = ByteSize::bytes(1 << 50);

/// How much a tenant may use; `None` is as much as there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// How many of its executions may not have ended, those that wait included; 1 to [`MAX_EXECUTIONS`].
    pub executions: Option<u32>,
    /// How many bytes its journals and blobs may have when an execution begins; 1 to [`MAX_BYTES`].
    pub bytes: Option<ByteSize>,
    /// How many of its executions may begin in a second, all of them at once after a pause of that length;
    /// 1 to [`MAX_STARTS_PER_SECOND`].
    pub starts_per_second: Option<u32>,
}

/// How much a tenant uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// How many of its executions have not ended.
    pub executions: u64,
    /// How many of these workers hold.
    pub held: u64,
    /// How many bytes its journals and blobs have, as far as that was measured.
    pub bytes: u64,
}

/// One of the quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quota {
    /// [`Quotas::executions`].
    Executions,
    /// [`Quotas::bytes`].
    Bytes,
    /// [`Quotas::starts_per_second`].
    StartsPerSecond,
}

/// Why a quota lets no execution begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", said(*quota, *used, *limit))]
pub struct Exceeded {
    /// Which one.
    pub quota: Quota,
    /// How much of it is used; of starts, as many as began in the last second.
    pub used: u64,
    /// How much there is.
    pub limit: u64,
}

fn said(quota: Quota, used: u64, limit: u64) -> String {
    match quota {
        Quota::Executions => format!(
            "{used} executions of the tenant have not ended, and its quota `executions` is {limit}"
        ),
        Quota::Bytes => format!(
            "journals and blobs of the tenant have {}, and its quota `bytes` is {}",
            ByteSize::bytes(used),
            ByteSize::bytes(limit)
        ),
        Quota::StartsPerSecond => format!(
            "the tenant has started as many executions as its quota `starts_per_second` allows, which is {limit}"
        ),
    }
}

impl Quota {
    /// Its stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Executions => "QUOTA_EXECUTIONS",
            Self::Bytes => "QUOTA_BYTES",
            Self::StartsPerSecond => "QUOTA_STARTS",
        }
    }

    /// Its name, as it is written in [`Quotas`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Executions => "executions",
            Self::Bytes => "bytes",
            Self::StartsPerSecond => "starts_per_second",
        }
    }

    /// What whoever was refused can do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Executions => {
                "wait until executions end, or cancel some; an operator can raise it: nebula tenants set"
            }
            Self::Bytes => {
                "have an operator raise it: nebula tenants set; what executions no longer name is collected"
            }
            Self::StartsPerSecond => {
                "start them more evenly; an operator can raise it: nebula tenants set"
            }
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A quota that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the quota `{quota}` is {given}; it is from 1 to {most}, or null for as much as there is")]
pub struct QuotaError {
    /// Which one.
    pub quota: Quota,
    /// What was given.
    pub given: u64,
    /// The most.
    pub most: u64,
}

impl Quotas {
    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a start is held against what the store has: only then does it ask.
    #[must_use]
    pub const fn bounds_starts(&self) -> bool {
        self.executions.is_some() || self.starts_per_second.is_some()
    }

    /// Holds each against its range.
    ///
    /// # Errors
    /// [`QuotaError`]: the first that is zero or too large. A tenant that is to start nothing is disabled.
    pub fn check(&self) -> Result<(), QuotaError> {
        let all = [
            (
                Quota::Executions,
                self.executions.map(u64::from),
                u64::from(MAX_EXECUTIONS),
            ),
            (
                Quota::Bytes,
                self.bytes.map(ByteSize::as_u64),
                MAX_BYTES.as_u64(),
            ),
            (
                Quota::StartsPerSecond,
                self.starts_per_second.map(u64::from),
                u64::from(MAX_STARTS_PER_SECOND),
            ),
        ];
        for (quota, given, most) in all {
            if let Some(given) = given.filter(|it| *it == 0 || *it > most) {
                return Err(QuotaError { quota, given, most });
            }
        }
        Ok(())
    }

    /// Whether one more execution may begin, where so much is used. Starts in a second are held against
    /// a bucket of tokens by the store.
    ///
    /// # Errors
    /// [`Exceeded`]: the first quota that is used up.
    pub fn admit(&self, used: &Usage) -> Result<(), Exceeded> {
        let bounds = [
            (
                Quota::Executions,
                self.executions.map(u64::from),
                used.executions,
            ),
            (Quota::Bytes, self.bytes.map(ByteSize::as_u64), used.bytes),
        ];
        for (quota, limit, used) in bounds {
            if let Some(limit) = limit.filter(|limit| used >= *limit) {
                return Err(Exceeded { quota, used, limit });
            }
        }
        Ok(())
    }

    /// What is said of a start for which there is no token. Nobody counts how many there were in the last
    /// second: as many as may.
    #[must_use]
    pub fn started(&self) -> Exceeded {
        let limit = self.starts_per_second.map_or(0, u64::from);
        Exceeded {
            quota: Quota::StartsPerSecond,
            used: limit,
            limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quota_of_zero_or_beyond_its_range_is_refused() {
        for (quotas, quota) in [
            (
                Quotas {
                    executions: Some(0),
                    ..Quotas::default()
                },
                "executions",
            ),
            (
                Quotas {
                    executions: Some(MAX_EXECUTIONS + 1),
                    ..Quotas::default()
                },
                "executions",
            ),
            (
                Quotas {
                    bytes: Some(ByteSize::bytes(0)),
                    ..Quotas::default()
                },
                "bytes",
            ),
            (
                Quotas {
                    bytes: Some(ByteSize::bytes(MAX_BYTES.as_u64() + 1)),
                    ..Quotas::default()
                },
                "bytes",
            ),
            (
                Quotas {
                    starts_per_second: Some(0),
                    ..Quotas::default()
                },
                "starts_per_second",
            ),
        ] {
            let refused = quotas.check().unwrap_err();
            assert_eq!(refused.quota.as_str(), quota);
            assert!(refused.to_string().contains("from 1 to"), "{refused}");
        }
        let most = Quotas {
            executions: Some(MAX_EXECUTIONS),
            bytes: Some(MAX_BYTES),
            starts_per_second: Some(MAX_STARTS_PER_SECOND),
        };
        assert_eq!(most.check(), Ok(()));
        assert_eq!(Quotas::default().check(), Ok(()));
    }

    #[test]
    fn what_is_refused_says_what_is_used_and_what_there_is() {
        let quotas = Quotas {
            bytes: Some(ByteSize::kib(1)),
            ..Quotas::default()
        };
        let used = Usage {
            bytes: 2048,
            ..Usage::default()
        };
        let refused = quotas.admit(&used).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "journals and blobs of the tenant have 2 KiB, and its quota `bytes` is 1 KiB"
        );
        assert_eq!(refused.quota.code(), "QUOTA_BYTES");
    }

    #[test]
    fn an_unknown_quota_is_refused() {
        let read: Result<Quotas, _> = serde_json::from_str(r#"{ "execution": 1 }"#);
        assert!(read.unwrap_err().to_string().contains("unknown field"));
    }

    proptest! {
        /// Whoever asks before each start never has more open than the quota says.
        #[test]
        fn never_more_are_open_than_the_quota_allows(limit in 1u32..20, moves in prop::collection::vec(any::<bool>(), 0..200)) {
            let quotas = Quotas { executions: Some(limit), ..Quotas::default() };
            let mut used = Usage::default();
            for starts in moves {
                if !starts {
                    used.executions = used.executions.saturating_sub(1);
                } else if quotas.admit(&used).is_ok() {
                    used.executions += 1;
                } else {
                    prop_assert_eq!(used.executions, u64::from(limit));
                }
                prop_assert!(used.executions <= u64::from(limit));
            }
        }
    }
}
