//! Results that lie in blobs.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use nebula_core::BlobId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A result that lies in a blob, as JSON: known by its name, and a value only while somebody needs
/// it. Whoever drives the execution reads it before ([`Stored::keep`]) and lets go of it after
/// ([`Stored::forget`]); nothing here reads a blob.
///
/// Two are equal if their names are: what is in memory is no part of any state. JSON: the name.
pub struct Stored {
    blob: BlobId,
    value: Mutex<Held>,
}

/// What is known of a value that lies in a blob.
#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Value(Arc<Value>),
    /// Why it cannot be read.
    Unreadable(Unread),
}

/// Why a result is not at hand that lies in a blob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unread(Arc<str>);

impl Unread {
    /// The stable code of the error of whoever needs it.
    pub const CODE: &'static str = "VALUE_UNREADABLE";

    /// Says why, and names the blob.
    #[must_use]
    pub fn new(why: &str) -> Self {
        Self(why.into())
    }
}

impl Stored {
    /// What lies in a blob of this name, as JSON.
    #[must_use]
    pub fn new(blob: BlobId) -> Self {
        Self {
            blob,
            value: Mutex::default(),
        }
    }

    /// The same, of which the value is at hand.
    #[must_use]
    pub fn of(blob: BlobId, value: Arc<Value>) -> Self {
        let stored = Self::new(blob);
        stored.keep(Ok(value));
        stored
    }

    /// The name.
    #[must_use]
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// The value.
    ///
    /// # Errors
    /// [`Unread`]: nobody has read it, or it cannot be read.
    pub fn value(&self) -> Result<Arc<Value>, Unread> {
        match &*self.held() {
            Held::Value(value) => Ok(value.clone()),
            Held::Unreadable(why) => Err(why.clone()),
            Held::Nothing => {
                let blob = self.blob;
                let why = format!("the value lies in blob {blob}, which nobody has read");
                Err(Unread::new(&why))
            }
        }
    }

    /// Whether somebody has tried to read it, and has not let go of it since.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(&*self.held(), Held::Nothing)
    }

    /// From now on the value is at hand; or it is known why it cannot be.
    pub fn keep(&self, read: Result<Arc<Value>, Unread>) {
        *self.held() = match read {
            Ok(value) => Held::Value(value),
            Err(why) => Held::Unreadable(why),
        };
    }

    /// Lets go of the value.
    pub fn forget(&self) {
        *self.held() = Held::Nothing;
    }

    /// A lock that a panic left is as good: what it holds is replaced whole.
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({})", self.blob)
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.blob.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BlobId::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stored_value_is_its_name_whatever_is_in_memory() {
        let blob = BlobId::of(b"[1]");
        let (read, unread) = (Stored::of(blob, Arc::new(json!([1]))), Stored::new(blob));
        assert_eq!(read, unread);
        assert_ne!(read, Stored::new(BlobId::of(b"[2]")));
        assert_eq!(serde_json::to_value(&read).unwrap(), json!(blob));
        assert_eq!(read.value().unwrap(), Arc::new(json!([1])));
        read.forget();
        let why = read.value().unwrap_err().to_string();
        assert!(why.contains(&blob.to_string()) && !read.is_known(), "{why}");
    }
}
