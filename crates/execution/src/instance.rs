//! Which activation of which node.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use nebula_core::{Digest, ExecutionId, NodeId, TenantId};
use serde::{Deserialize, Serialize};

/// How deep bodies may stand in bodies.
pub const MAX_NESTING: usize = 16;

/// One activation of a node in an execution, or one item of it: of a `for_each`, or a round of a loop.
///
/// Text form: `fetch`, `fetch#2` for the second activation, `price[3]` for an item. A node of a body
/// stands behind the instance whose body it is: `orders[3]/fetch`, `attempt/pay#2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId {
    /// The instance in whose body the node stands; `None` at the top level.
    #[serde(
        rename = "w",
        default,
        skip_serializing_if = "Option::is_none",
        with = "as_text"
    )]
    pub within: Option<Arc<InstanceId>>,
    /// The node.
    #[serde(rename = "n")]
    pub node: NodeId,
    /// Which activation, from 1.
    #[serde(rename = "a", default = "first", skip_serializing_if = "is_first")]
    pub activation: u32,
    /// Which item or round, from 0.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
}

/// The enclosing instance as text: a path of any length stays flat.
mod as_text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::InstanceId;

    #[expect(
        clippy::ref_option,
        reason = "serde calls it with a reference to the field"
    )]
    pub(super) fn serialize<S: Serializer>(
        within: &Option<Arc<InstanceId>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match within {
            Some(within) => serializer.collect_str(within),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<InstanceId>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let within = text.map(|text| text.parse().map(Arc::new).map_err(D::Error::custom));
        within.transpose()
    }
}

fn first() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference to the field"
)]
fn is_first(activation: &u32) -> bool {
    *activation == 1
}

impl InstanceId {
    /// Activation `activation` of `node` at the top level.
    #[must_use]
    pub fn new(node: NodeId, activation: u32) -> Self {
        Self {
            within: None,
            node,
            activation,
            item: None,
        }
    }

    /// The activation that this is an item of; itself, if it is none.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self {
            item: None,
            ..self.clone()
        }
    }

    /// Item `item` of this activation.
    #[must_use]
    pub fn of_item(&self, item: u32) -> Self {
        Self {
            item: Some(item),
            ..self.clone()
        }
    }

    /// Activation `activation` of `node` in the body of this instance.
    #[must_use]
    pub fn inner(&self, node: NodeId, activation: u32) -> Self {
        Self {
            within: Some(Arc::new(self.clone())),
            ..Self::new(node, activation)
        }
    }

    /// The instances in whose bodies this one stands, the nearest first.
    pub fn enclosing(&self) -> impl Iterator<Item = &InstanceId> {
        std::iter::successors(self.within.as_deref(), |outer| outer.within.as_deref())
    }

    /// From which the key and the seed of its attempts follow: derived from the tenant, the execution
    /// in which the work began, the instance and the generation.
    ///
    /// A retry of a whole execution keeps `origin` and `generation`, so an outside effect is not
    /// done twice; a restart by a person raises the generation of what it runs again.
    #[must_use]
    pub fn identity(&self, tenant: &TenantId, origin: ExecutionId, generation: u32) -> Identity {
        Identity(Digest::of_parts(&[
            tenant.as_str().as_bytes(),
            origin.as_bytes(),
            self.text().as_bytes(),
            &generation.to_le_bytes(),
        ]))
    }

    /// The same for the attempts to compensate its effect.
    #[must_use]
    pub fn compensation(
        &self,
        tenant: &TenantId,
        origin: ExecutionId,
        generation: u32,
    ) -> Identity {
        Identity(Digest::of_parts(&[
            b"compensation",
            tenant.as_str().as_bytes(),
            origin.as_bytes(),
            self.text().as_bytes(),
            &generation.to_le_bytes(),
        ]))
    }

    /// The text form, which most often is the id of the node.
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self {
                within: None,
                node,
                activation: 1,
                item: None,
            } => node.as_str().into(),
            _ => self.to_string().into(),
        }
    }
}

/// What a piece of work is outside of its execution; the same for every attempt at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity(Digest);

impl Identity {
    /// The key that every attempt sends along, as 32 hex digits.
    #[must_use]
    pub fn key(&self) -> String {
        let half = |half: u8| b"0123456789abcdef"[usize::from(half)];
        let bytes = self.0.as_bytes()[..16].iter();
        let digits = bytes.flat_map(|byte| [half(byte >> 4), half(byte & 15)]);
        let mut key = [0; 32];
        key.iter_mut()
            .zip(digits)
            .for_each(|(at, digit)| *at = digit);
        key.map(char::from).iter().collect()
    }

    /// The seed of `$random` and of the jitter of retries.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.as_u64()
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = &self.within {
            write!(f, "{outer}/")?;
        }
        f.write_str(self.node.as_str())?;
        if self.activation != 1 {
            write!(f, "#{}", self.activation)?;
        }
        if let Some(item) = self.item {
            write!(f, "[{item}]")?;
        }
        Ok(())
    }
}

/// The text names no instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no instance; write a node id, `node#2` for its second activation, `node[3]` for an item, `node[3]/inner` for a node of its body"
)]
pub struct InstanceIdError(String);

impl FromStr for InstanceId {
    type Err = InstanceIdError;

    fn from_str(text: &str) -> Result<Self, InstanceIdError> {
        let error = || InstanceIdError(text.chars().take(80).collect());
        let (within, text) = match text.rsplit_once('/') {
            Some((within, text)) => {
                // Recursion is as deep as the text says: no deeper than bodies nest.
                if within.matches('/').count() >= MAX_NESTING {
                    return Err(error());
                }
                (Some(Arc::new(within.parse().map_err(|_| error())?)), text)
            }
            None => (None, text),
        };
        let (rest, item) = match text.strip_suffix(']') {
            Some(rest) => {
                let (rest, item) = rest.rsplit_once('[').ok_or_else(error)?;
                (rest, Some(number(item).ok_or_else(error)?))
            }
            None => (text, None),
        };
        let (node, activation) = match rest.split_once('#') {
            Some((node, activation)) => {
                let activation = number(activation).filter(|activation| *activation > 0);
                (node, activation.ok_or_else(error)?)
            }
            None => (rest, 1),
        };
        let node = NodeId::new(node).map_err(|_| error())?;
        Ok(Self {
            within,
            node,
            activation,
            item,
        })
    }
}

/// A number in its only spelling: no sign, no zero before it.
fn number(text: &str) -> Option<u32> {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_reads_back() {
        for text in [
            "fetch",
            "fetch#2",
            "price[3]",
            "price#2[0]",
            "orders[3]/price",
            "a#2/b[0]/c#3[1]",
        ] {
            assert_eq!(text.parse::<InstanceId>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "a#x",
            "a[",
            "a[]",
            "2x",
            "a#0",
            "a#01",
            "a#+2",
            "a[+1]",
            "a[01]",
            "a[4294967296]",
            "/a",
            "a/",
            "a[1]/",
            &"a/".repeat(40_000),
        ] {
            assert!(bad.parse::<InstanceId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_differ_between_instances_executions_and_generations() {
        let (tenant, a, b) = (
            TenantId::local(),
            ExecutionId::from_bytes([1; 16]),
            ExecutionId::from_bytes([2; 16]),
        );
        let id: InstanceId = "pay".parse().unwrap();
        let identity = id.identity(&tenant, a, 0);
        assert_eq!(identity.key(), identity.0.to_string()[..32]);
        assert_eq!(identity, id.identity(&tenant, a, 0));
        let others = [
            id.identity(&tenant, b, 0),
            id.identity(&tenant, a, 1),
            id.of_item(0).identity(&tenant, a, 0),
            id.compensation(&tenant, a, 0),
        ];
        for other in others {
            assert_ne!(identity.key(), other.key());
            assert_ne!(identity.seed(), other.seed());
        }
    }
}
