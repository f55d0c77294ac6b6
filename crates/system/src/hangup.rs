//! Requests from outside to read the settings again.

use std::io;

/// Hears SIGHUP. While it lives, that signal no longer kills. Elsewhere than on Unix nothing is heard.
#[derive(Debug)]
pub struct Hangups(#[cfg(unix)] tokio::signal::unix::Signal);

impl Hangups {
    /// Begins to listen. The signal is heard by the process from now on, for good.
    ///
    /// # Errors
    /// The operating system refuses the handler.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O on.
    pub fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};

            Ok(Self(signal(SignalKind::hangup())?))
        }
        #[cfg(not(unix))]
        Ok(Self())
    }

    /// The next request; several that come at once may be one.
    ///
    /// # Cancel safety
    /// A dropped call loses no request.
    pub async fn heard(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_hangup_is_heard_and_kills_no_longer() {
        let mut hangups = Hangups::listen().unwrap();
        let id = std::process::id().to_string();
        let status = Command::new("kill").args(["-s", "HUP", &id]).status();
        assert!(status.unwrap().success());
        hangups.heard().await;
    }
}
