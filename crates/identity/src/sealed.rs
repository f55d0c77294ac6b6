//! What is given to somebody to be brought back: signed, so that nobody has made it up, and over in time.
//!
//! Nothing is stored for it, so nobody who asks for many fills anything.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nebula_core::{Digest, ExposeSecret as _, SecretString, TenantId, Timestamp};
use nebula_ports::{Attempted, Lockout, PortError};
use subtle::ConstantTimeEq as _;

use crate::{Identity, NotAuthenticated};

/// The longest text that may be sealed, in bytes of its content.
const MAX_SEALED: usize = 4_096;

/// What is signed, so that it is nothing else that is signed with the same key.
fn signed(purpose: &str, body: &str) -> String {
    format!("nebula sealed 1\0{purpose}\0{body}")
}

impl Identity {
    /// Signs `content` for `purpose`: whoever brings it back within `lives` has it from here. They can read
    /// it.
    ///
    /// # Errors
    /// Those of the port for secrets.
    pub async fn seal(
        &self,
        tenant: &TenantId,
        purpose: &'static str,
        content: &str,
        lives: Duration,
    ) -> Result<SecretString, PortError> {
        let key = self.sign_key(tenant).await?;
        let until = self.now().plus(lives).as_millis();
        let body = format!("{until}.{}", BASE64.encode(content));
        let mac = Digest::mac(&key, signed(purpose, &body).as_bytes());
        Ok(format!("{body}.{}", BASE64.encode(mac.as_bytes())).into())
    }

    /// What was sealed here for `purpose`, if its time is not over; `None` for everything else.
    ///
    /// # Errors
    /// Those of the port for secrets.
    pub async fn unseal(
        &self,
        tenant: &TenantId,
        purpose: &'static str,
        text: &SecretString,
    ) -> Result<Option<String>, PortError> {
        let text = text.expose_secret();
        if text.len() > 2 * MAX_SEALED {
            return Ok(None);
        }
        let key = self.sign_key(tenant).await?;
        let read = || {
            let (body, mac) = text.rsplit_once('.')?;
            let given = BASE64.decode(mac).ok()?;
            let right = Digest::mac(&key, signed(purpose, body).as_bytes());
            if !bool::from(right.as_bytes().as_slice().ct_eq(&given)) {
                return None;
            }
            let (until, content) = body.split_once('.')?;
            let until = Timestamp::from_millis(until.parse().ok()?);
            if until <= self.now() {
                return None;
            }
            String::from_utf8(BASE64.decode(content).ok()?).ok()
        };
        Ok(read())
    }

    /// Whether this is the first time within `lives` that somebody comes with `text` for `purpose`.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn first_time(
        &self,
        tenant: &TenantId,
        purpose: &'static str,
        text: &str,
        lives: Duration,
    ) -> Result<bool, PortError> {
        let once = Lockout {
            free: 1,
            first: lives,
            longest: lives,
            forget: lives,
        };
        let key = Digest::of_parts(&[b"once", purpose.as_bytes(), text.as_bytes()]);
        let tried = self.ports.sessions.attempt(tenant, key, &once).await?;
        Ok(matches!(tried, Attempted::Go { tries: 1 }))
    }

    /// Counts a try from somewhere that names no login.
    ///
    /// # Errors
    /// `Wait` after too many tries.
    pub async fn count_from(&self, tenant: &TenantId, from: &str) -> Result<(), NotAuthenticated> {
        let tried =
            self.ports
                .sessions
                .attempt(tenant, crate::login::from_key(from), &crate::login::FROM);
        match tried.await? {
            Attempted::Go { .. } => Ok(()),
            Attempted::Wait { until } => Err(NotAuthenticated::Wait { until }),
        }
    }
}
