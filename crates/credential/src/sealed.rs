//! The envelope in which a credential is stored.
//!
//! Each version of a credential has a key of its own, the data key. It encrypts the fields and the
//! hosts, each with a nonce of its own; a master key encrypts the data key. What belongs to each
//! ciphertext is its associated data: tenant, id, version and type, and the field's name or, for the
//! data key, the names of all fields. So nothing can be moved, renamed, added or left out.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format: 1, or 2 of a credential that belongs to a project |
//! | 1 + n | the id of the master key: its length and its text |
//! | 24 + 48 | nonce and data key |
//! | 1 + n | the type: its length and its name |
//! | 24 + 4 + n | the hosts: nonce, length, ciphertext; each pattern ends with a line end. In format 2 the project is the first line, and the associated data is another, so that no format can be taken for the other |
//! | 1 | how many fields |
//! | 1 + n + 24 + 4 + n | of each, by name: its name, nonce, length, ciphertext |
//!
//! The cipher is XChaCha20-Poly1305; numbers are big-endian.

use std::collections::BTreeMap;

use nebula_core::{
    CredentialId, Entropy, ExposeSecret as _, KeyId, ProjectId, TenantId, secret_text,
};
use zeroize::Zeroizing;

use crate::{
    aead::{KEY_BYTES, KeyBytes, NONCE_BYTES, TAG_BYTES, associated, decrypt, encrypt, random_key},
    credential::{Credential, MAX_FIELDS},
    fields::CredentialType,
    hosts::AllowedHosts,
    keys::MasterKeys,
};

/// The most bytes of an envelope.
pub const MAX_SEALED_BYTES: usize = 1 << 20;

/// Of credentials that belong to no project: earlier builds read it.
const PLAIN_FORMAT: u8 = 1;
/// Of those that belong to one: an earlier build would let anybody use them.
const PROJECT_FORMAT: u8 = 2;
const WRAPPED_BYTES: usize = KEY_BYTES + TAG_BYTES;
const KEY_PURPOSE: &[u8] = b"nebula credential: data key";
const HOSTS_PURPOSE: &[u8] = b"nebula credential: hosts";
const PROJECT_PURPOSE: &[u8] = b"nebula credential: project and hosts";
const FIELD_PURPOSE: &[u8] = b"nebula credential: field";

/// Whose an envelope is, and which version; it opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The credential.
    pub id: &'a CredentialId,
    /// Its version, from 1.
    pub version: u32,
}

/// Why an envelope cannot be made or opened. No value shows in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Everything together is too large.
    #[error("the credential has {0} bytes encrypted; the limit is {MAX_SEALED_BYTES}")]
    TooLarge(usize),
    /// It is in a form that this build does not know.
    #[error("the credential is stored in format {0}; this build reads up to {PROJECT_FORMAT}")]
    Format(u8),
    /// It is cut off or has no sense.
    #[error("what is stored of the credential is damaged")]
    Damaged,
    /// None of the master keys is the one that it was sealed with.
    #[error("the credential is encrypted with the master key {key}, which is not there")]
    UnknownKey {
        /// The key that it names.
        key: KeyId,
    },
    /// The key is the right one, and the content is not what was sealed in this place.
    #[error("the credential does not match its seal: it was changed, or belongs elsewhere")]
    Mismatch,
}

/// An envelope, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    bytes: Vec<u8>,
    format: u8,
    key: KeyId,
    kind: CredentialType,
    wrapped: ([u8; NONCE_BYTES], [u8; WRAPPED_BYTES]),
    hosts: ([u8; NONCE_BYTES], Vec<u8>),
    fields: BTreeMap<String, ([u8; NONCE_BYTES], Vec<u8>)>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed")
            .field("key", &self.key)
            .field("kind", &self.kind)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Sealed {
    /// Encrypts a credential for its place, with the newest master key.
    ///
    /// `entropy` must be fit for keys.
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal(
        credential: &Credential,
        place: Place<'_>,
        keys: &MasterKeys,
        entropy: &dyn Entropy,
    ) -> Result<Self, SealError> {
        let kind = credential.kind();
        let data_key = random_key(entropy);
        let names: Vec<_> = credential.fields().map(|(name, _)| name).collect();
        let wrapped = wrap(&data_key, place, kind, &names, keys, entropy);
        let (format, purpose, mut hosts) = match credential.project() {
            None => (PLAIN_FORMAT, HOSTS_PURPOSE, String::new()),
            Some(project) => (PROJECT_FORMAT, PROJECT_PURPOSE, format!("{project}\n")),
        };
        for pattern in credential.hosts().patterns() {
            hosts.push_str(&pattern);
            hosts.push('\n');
        }
        let about = bound(purpose, place, kind, &[]);
        let hosts = encrypt(&data_key, entropy, hosts.as_bytes(), &about);
        let fields = credential.fields().map(|(name, value)| {
            let about = bound(FIELD_PURPOSE, place, kind, &[name]);
            let plain = value.expose_secret().as_bytes();
            (name.to_owned(), encrypt(&data_key, entropy, plain, &about))
        });
        let mut sealed = Self {
            bytes: Vec::new(),
            format,
            key: keys.id(),
            kind,
            wrapped,
            hosts,
            fields: fields.collect(),
        };
        sealed.bytes = sealed.encode();
        match sealed.bytes.len() {
            ..=MAX_SEALED_BYTES => Ok(sealed),
            bytes => Err(SealError::TooLarge(bytes)),
        }
    }

    /// Reads what was stored; nothing is decrypted.
    ///
    /// # Errors
    /// [`SealError::Format`], [`SealError::Damaged`].
    pub fn read(bytes: &[u8]) -> Result<Self, SealError> {
        match bytes.first() {
            Some(PLAIN_FORMAT..=PROJECT_FORMAT) if bytes.len() <= MAX_SEALED_BYTES => {}
            Some(PLAIN_FORMAT..=PROJECT_FORMAT) | None => return Err(SealError::Damaged),
            Some(&format) => return Err(SealError::Format(format)),
        }
        Reader(&bytes[1..]).sealed(bytes).ok_or(SealError::Damaged)
    }

    /// What is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The master key that it was sealed with.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// The type that it says; certain only once it was opened.
    #[must_use]
    pub fn kind(&self) -> CredentialType {
        self.kind
    }

    /// Decrypts the credential of its place.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`], [`SealError::Mismatch`].
    pub fn open(&self, place: Place<'_>, keys: &MasterKeys) -> Result<Credential, SealError> {
        let data_key = self.data_key(place, keys)?;
        let purpose = match self.format {
            PROJECT_FORMAT => PROJECT_PURPOSE,
            _ => HOSTS_PURPOSE,
        };
        let about = bound(purpose, place, self.kind, &[]);
        let (nonce, cipher) = &self.hosts;
        let hosts = decrypt(&data_key, nonce, cipher, &about).ok_or(SealError::Mismatch)?;
        let mut hosts = str::from_utf8(&hosts).map_err(|_| SealError::Mismatch)?;
        let mut project = None;
        if self.format == PROJECT_FORMAT {
            let (first, rest) = hosts.split_once('\n').ok_or(SealError::Mismatch)?;
            project = Some(ProjectId::new(first).map_err(|_| SealError::Mismatch)?);
            hosts = rest;
        }
        let hosts = AllowedHosts::parse(hosts.lines()).map_err(|_| SealError::Mismatch)?;
        let mut fields = BTreeMap::new();
        for (name, (nonce, cipher)) in &self.fields {
            let about = bound(FIELD_PURPOSE, place, self.kind, &[name]);
            let value = decrypt(&data_key, nonce, cipher, &about).ok_or(SealError::Mismatch)?;
            let value = secret_text(value).map_err(|_| SealError::Mismatch)?;
            fields.insert(name.clone(), value);
        }
        // A build that has become stricter must not lose what was stored before: so `Mismatch` is
        // left to the seal, and what is wrong with a field is what the type says of it.
        let credential = Credential::new(self.kind, fields, hosts);
        let credential = credential.map_err(|_| SealError::Damaged)?;
        Ok(credential.in_project(project))
    }

    /// The same under the newest master key: no field is decrypted.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`], [`SealError::Mismatch`].
    pub fn rewrap(
        &self,
        place: Place<'_>,
        keys: &MasterKeys,
        entropy: &dyn Entropy,
    ) -> Result<Self, SealError> {
        let data_key = self.data_key(place, keys)?;
        let names: Vec<_> = self.fields.keys().map(String::as_str).collect();
        let mut sealed = Self {
            key: keys.id(),
            wrapped: wrap(&data_key, place, self.kind, &names, keys, entropy),
            ..self.clone()
        };
        sealed.bytes = sealed.encode();
        Ok(sealed)
    }

    fn data_key(&self, place: Place<'_>, keys: &MasterKeys) -> Result<KeyBytes, SealError> {
        let unknown = || SealError::UnknownKey {
            key: self.key.clone(),
        };
        let master = keys.find(&self.key).ok_or_else(unknown)?;
        let names: Vec<_> = self.fields.keys().map(String::as_str).collect();
        let about = bound(KEY_PURPOSE, place, self.kind, &names);
        let (nonce, cipher) = &self.wrapped;
        let plain = decrypt(master, nonce, cipher, &about).ok_or(SealError::Mismatch)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(&plain);
        Ok(key)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.format];
        let short = |bytes: &mut Vec<u8>, text: &str| {
            bytes.push(u8::try_from(text.len()).expect("names have at most 128 bytes"));
            bytes.extend_from_slice(text.as_bytes());
        };
        let long = |bytes: &mut Vec<u8>, (nonce, cipher): &([u8; NONCE_BYTES], Vec<u8>)| {
            bytes.extend_from_slice(nonce);
            let length = u32::try_from(cipher.len()).expect("fields have at most 64 KiB");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(cipher);
        };
        short(&mut bytes, self.key.as_str());
        bytes.extend_from_slice(&self.wrapped.0);
        bytes.extend_from_slice(&self.wrapped.1);
        short(&mut bytes, self.kind.name());
        long(&mut bytes, &self.hosts);
        bytes.push(u8::try_from(self.fields.len()).expect("there are at most 32"));
        for (name, field) in &self.fields {
            short(&mut bytes, name);
            long(&mut bytes, field);
        }
        bytes
    }
}

/// The data key under the newest master key, bound to the names of all fields.
fn wrap(
    data_key: &KeyBytes,
    place: Place<'_>,
    kind: CredentialType,
    names: &[&str],
    keys: &MasterKeys,
    entropy: &dyn Entropy,
) -> ([u8; NONCE_BYTES], [u8; WRAPPED_BYTES]) {
    let about = bound(KEY_PURPOSE, place, kind, names);
    let (nonce, cipher) = encrypt(keys.newest(), entropy, &**data_key, &about);
    (nonce, cipher.try_into().expect("a key and a tag"))
}

/// What a ciphertext belongs to.
fn bound(purpose: &[u8], place: Place<'_>, kind: CredentialType, names: &[&str]) -> Vec<u8> {
    let version = place.version.to_be_bytes();
    let mut parts = vec![
        purpose,
        place.tenant.as_str().as_bytes(),
        place.id.as_str().as_bytes(),
        &version,
        kind.name().as_bytes(),
    ];
    parts.extend(names.iter().map(|name| name.as_bytes()));
    associated(&parts)
}

/// What is left to read.
struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn sealed(&mut self, bytes: &[u8]) -> Option<Sealed> {
        let key = KeyId::new(self.short()?).ok()?;
        let wrapped = (self.fixed()?, self.fixed()?);
        let kind = self.short()?.parse().ok()?;
        let hosts = self.long()?;
        let mut fields = BTreeMap::new();
        let count = usize::from(self.fixed::<1>()?[0]);
        for _ in 0..count {
            fields.insert(self.short()?, self.long()?);
        }
        let whole = self.0.is_empty() && fields.len() == count && count <= MAX_FIELDS;
        whole.then(|| Sealed {
            bytes: bytes.to_vec(),
            format: bytes[0],
            key,
            kind,
            wrapped,
            hosts,
            fields,
        })
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn short(&mut self) -> Option<String> {
        let length = usize::from(self.fixed::<1>()?[0]);
        let text = str::from_utf8(self.take(length)?).ok()?;
        Some(text.to_owned())
    }

    fn long(&mut self) -> Option<([u8; NONCE_BYTES], Vec<u8>)> {
        let nonce = self.fixed()?;
        let length = u32::from_be_bytes(self.fixed()?);
        let cipher = self.take(usize::try_from(length).ok()?)?;
        Some((nonce, cipher.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use nebula_testkit::SeededEntropy;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::local()
    }

    fn id(text: &str) -> CredentialId {
        CredentialId::new(text).unwrap()
    }

    fn entropy() -> SeededEntropy {
        SeededEntropy::new(3)
    }

    fn credential() -> Credential {
        let fields = [("username", "ada"), ("password", "hunter2")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
        let hosts = AllowedHosts::parse(["api.example", "*.shop.example:443"]).unwrap();
        Credential::new(CredentialType::Basic, fields.into(), hosts).unwrap()
    }

    /// Fields and hosts in the clear.
    fn shown(credential: &Credential) -> (Vec<(String, String)>, Vec<String>) {
        let fields = credential.fields();
        let fields =
            fields.map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()));
        (fields.collect(), credential.hosts().patterns().collect())
    }

    fn sealed(keys: &MasterKeys) -> Sealed {
        let (tenant, id) = (tenant(), id("shop"));
        let place = Place {
            tenant: &tenant,
            id: &id,
            version: 3,
        };
        Sealed::seal(&credential(), place, keys, &entropy()).unwrap()
    }

    fn open(sealed: &Sealed, keys: &MasterKeys) -> Result<Credential, SealError> {
        let (tenant, id) = (tenant(), id("shop"));
        let place = Place {
            tenant: &tenant,
            id: &id,
            version: 3,
        };
        sealed.open(place, keys)
    }

    #[test]
    fn what_was_sealed_is_opened_and_does_not_show() {
        let keys = MasterKeys::random(&entropy());
        let stored = sealed(&keys);
        let again = Sealed::read(stored.as_bytes()).unwrap();
        assert_eq!(again, stored);
        assert_eq!(
            (again.key(), again.kind()),
            (&keys.id(), CredentialType::Basic)
        );
        assert_eq!(shown(&open(&again, &keys).unwrap()), shown(&credential()));
        for part in ["hunter2", "ada", "api.example"] {
            let mut windows = stored.as_bytes().windows(part.len());
            assert!(!windows.any(|at| at == part.as_bytes()), "{part}");
        }
        assert!(!format!("{stored:?}").contains("hunter2"));
    }

    #[test]
    fn a_credential_comes_back_in_its_project_and_in_no_other_format() {
        let keys = MasterKeys::random(&entropy());
        let (tenant, id) = (tenant(), id("shop"));
        let place = Place {
            tenant: &tenant,
            id: &id,
            version: 3,
        };
        let project = ProjectId::new("till").unwrap();
        for (project, format) in [(None, 1), (Some(project), 2)] {
            let credential = credential().in_project(project.clone());
            let stored = Sealed::seal(&credential, place, &keys, &entropy()).unwrap();
            let again = stored.rewrap(place, &keys, &entropy()).unwrap();
            for stored in [&stored, &again] {
                let bytes = stored.as_bytes();
                assert_eq!(bytes[0], format);
                assert!(!bytes.windows(4).any(|at| at == b"till"));
                let opened = open(&Sealed::read(bytes).unwrap(), &keys).unwrap();
                assert_eq!(opened.project(), project.as_ref());
                assert_eq!(shown(&opened), shown(&credential));
                // As the other format it would belong to nobody, or to the first of its hosts.
                let mut other = bytes.to_vec();
                other[0] = 3 - format;
                let other = Sealed::read(&other).unwrap();
                assert_eq!(open(&other, &keys).unwrap_err(), SealError::Mismatch);
            }
        }
    }

    #[test]
    fn an_envelope_opens_in_its_own_place_only() {
        let keys = MasterKeys::random(&entropy());
        let stored = sealed(&keys);
        let (mine, other) = (tenant(), TenantId::new("other").unwrap());
        let (shop, shop2) = (id("shop"), id("shop2"));
        for (tenant, id, version) in [(&other, &shop, 3), (&mine, &shop2, 3), (&mine, &shop, 2)] {
            let place = Place {
                tenant,
                id,
                version,
            };
            let opened = stored.open(place, &keys).unwrap_err();
            assert_eq!(opened, SealError::Mismatch);
            let again = stored.rewrap(place, &keys, &entropy()).unwrap_err();
            assert_eq!(again, SealError::Mismatch);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let keys = MasterKeys::random(&entropy());
        let stored = sealed(&keys);
        let bytes = stored.as_bytes();
        let opened = |bytes: &[u8]| Sealed::read(bytes).and_then(|it| open(&it, &keys));
        assert!(opened(bytes).is_ok());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.to_vec();
                bytes[at] ^= 1 << bit;
                assert!(opened(&bytes).is_err(), "byte {at} bit {bit}");
            }
            assert!(opened(&bytes[..at]).is_err(), "cut at {at}");
        }
        assert!(opened(&[bytes, b"\0"].concat()).is_err());
    }

    #[test]
    fn fields_cannot_change_places_or_be_left_out() {
        let keys = MasterKeys::random(&entropy());
        let stored = sealed(&keys);
        let changed = |change: &dyn Fn(&mut Sealed)| {
            let mut other = stored.clone();
            change(&mut other);
            other.bytes = other.encode();
            open(&Sealed::read(other.as_bytes()).unwrap(), &keys).map(|_| ())
        };
        assert_eq!(changed(&|_| {}), Ok(()));
        let swapped = changed(&|it| {
            let (user, password) = (it.fields["username"].clone(), it.fields["password"].clone());
            it.fields.insert("username".to_owned(), password);
            it.fields.insert("password".to_owned(), user);
        });
        assert_eq!(swapped, Err(SealError::Mismatch));
        let fewer = changed(&|it| {
            it.fields.remove("password");
        });
        assert_eq!(fewer, Err(SealError::Mismatch));
        let hosts = changed(&|it| it.hosts = it.fields["username"].clone());
        assert_eq!(hosts, Err(SealError::Mismatch));
        let kind = changed(&|it| it.kind = CredentialType::Custom);
        assert_eq!(kind, Err(SealError::Mismatch));
        // Those of another version have another data key.
        let foreign = sealed(&keys);
        let (tenant, id) = (tenant(), id("shop"));
        let place = Place {
            tenant: &tenant,
            id: &id,
            version: 4,
        };
        let newer = Sealed::seal(&credential(), place, &keys, &SeededEntropy::new(9)).unwrap();
        let mixed = changed(&|it| it.hosts = newer.hosts.clone());
        assert_eq!(mixed, Err(SealError::Mismatch));
        assert_eq!(foreign, stored);
    }

    /// Guards: a field that stands there twice is not read as one, and no more are read than may be.
    #[test]
    fn an_envelope_has_each_field_once_and_only_so_many() {
        let keys = MasterKeys::random(&entropy());
        let stored = sealed(&keys);
        let mut head = stored.clone();
        head.fields.clear();
        let mut head = head.encode();
        assert_eq!(head.pop(), Some(0), "the number of fields");
        let with = |count: u8, names: &mut dyn Iterator<Item = String>| {
            let mut bytes = [&head[..], &[count]].concat();
            for name in names {
                let (nonce, cipher) = &stored.fields["password"];
                bytes.push(u8::try_from(name.len()).unwrap());
                bytes.extend_from_slice(name.as_bytes());
                bytes.extend_from_slice(nonce);
                bytes.extend_from_slice(&u32::try_from(cipher.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(cipher);
            }
            Sealed::read(&bytes).map(drop)
        };
        let twice = ["password", "password"].map(str::to_owned);
        assert_eq!(with(2, &mut twice.into_iter()), Err(SealError::Damaged));
        let most = u8::try_from(MAX_FIELDS).unwrap();
        let mut names = (0..most).map(|n| format!("f{n}"));
        assert_eq!(with(most, &mut names), Ok(()));
        let mut names = (0..=most).map(|n| format!("f{n}"));
        assert_eq!(with(most + 1, &mut names), Err(SealError::Damaged));
    }

    #[test]
    fn a_new_master_key_leaves_the_fields_as_they_are() {
        let old = MasterKeys::random(&entropy());
        let both = old.rotated(&SeededEntropy::new(4)).unwrap();
        let stored = sealed(&old);
        // While both are there, everything opens.
        assert_eq!(shown(&open(&stored, &both).unwrap()), shown(&credential()));
        let (tenant, id) = (tenant(), id("shop"));
        let place = Place {
            tenant: &tenant,
            id: &id,
            version: 3,
        };
        let again = stored.rewrap(place, &both, &SeededEntropy::new(5)).unwrap();
        assert_eq!((again.key(), &again.fields), (&both.id(), &stored.fields));
        let new = both.newest_alone();
        let again = Sealed::read(again.as_bytes()).unwrap();
        assert_eq!(shown(&open(&again, &new).unwrap()), shown(&credential()));
        let key = old.id();
        assert_eq!(
            open(&stored, &new).unwrap_err(),
            SealError::UnknownKey { key }
        );
        assert!(open(&again, &old).is_err());
    }

    #[test]
    fn each_seal_has_keys_and_nonces_of_its_own() {
        let keys = MasterKeys::random(&entropy());
        let (tenant, id) = (tenant(), id("shop"));
        let place = Place {
            tenant: &tenant,
            id: &id,
            version: 3,
        };
        let random = entropy();
        let seal = || Sealed::seal(&credential(), place, &keys, &random).unwrap();
        let (one, two) = (seal(), seal());
        assert_ne!(one.wrapped, two.wrapped);
        assert_ne!(one.hosts, two.hosts);
        assert!(
            one.fields
                .iter()
                .all(|(name, field)| *field != two.fields[name])
        );
        let nonces: Vec<_> = one.fields.values().map(|(nonce, _)| nonce).collect();
        assert_ne!(nonces[0], nonces[1]);
    }

    #[test]
    fn another_format_and_too_much_are_refused() {
        let keys = MasterKeys::random(&entropy());
        let mut bytes = sealed(&keys).as_bytes().to_vec();
        bytes[0] = 3;
        assert_eq!(Sealed::read(&bytes), Err(SealError::Format(3)));
        assert_eq!(Sealed::read(&[]), Err(SealError::Damaged));
        // What would be read, if it were not so large.
        let mut whole = sealed(&keys);
        let long = vec![0; MAX_SEALED_BYTES];
        whole.hosts.1 = long.clone();
        assert!(whole.encode().len() > MAX_SEALED_BYTES);
        assert_eq!(Sealed::read(&whole.encode()), Err(SealError::Damaged));
        whole.hosts.1 = long[..MAX_SEALED_BYTES - 1_024].to_vec();
        assert!(Sealed::read(&whole.encode()).is_ok());
        let value = "x".repeat(crate::MAX_FIELD_BYTES);
        let fields = (0..17).map(|number| (format!("f{number}"), value.as_str().into()));
        let large = Credential::new(
            CredentialType::Custom,
            fields.collect(),
            AllowedHosts::default(),
        );
        let (tenant, id) = (tenant(), id("shop"));
        let place = Place {
            tenant: &tenant,
            id: &id,
            version: 1,
        };
        let refused = Sealed::seal(&large.unwrap(), place, &keys, &entropy());
        assert!(matches!(refused, Err(SealError::TooLarge(_))));
    }
}
