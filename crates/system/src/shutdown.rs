//! Requests from outside to end the process.

use std::io;

/// Which signal asked for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownSignal {
    /// Ctrl-C, SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl ShutdownSignal {
    /// The exit code of a process that ends for this reason: 128 + the signal's number.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// How soon the end is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Finish what is under way, within the grace period.
    Graceful,
    /// Stop as you are.
    Now,
}

/// One request to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownRequest {
    /// Who asked.
    pub signal: ShutdownSignal,
    /// The first request is graceful, each later one wants the end now.
    pub urgency: Urgency,
}

/// Hears the signals that ask a process to end. While it lives, they no longer kill.
///
/// On Unix it hears SIGINT and SIGTERM, elsewhere Ctrl-C only.
///
/// ```no_run
/// # async fn work() {}
/// # async fn example() -> std::io::Result<()> {
/// let mut shutdown = nebula_system::Shutdown::listen()?;
/// tokio::select! {
///     biased;
///     request = shutdown.requested() => eprintln!("{:?}", request.signal),
///     () = work() => {}
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Shutdown {
    signals: Signals,
    heard: bool,
}

impl Shutdown {
    /// Begins to listen. The signals are heard by the process from now on, for good.
    ///
    /// # Errors
    /// The operating system refuses the handler.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O on.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            signals: Signals::listen()?,
            heard: false,
        })
    }

    /// The next request to end.
    ///
    /// # Cancel safety
    /// A dropped call loses no request.
    pub async fn requested(&mut self) -> ShutdownRequest {
        let signal = self.signals.next().await;
        let again = std::mem::replace(&mut self.heard, true);
        let urgency = if again {
            Urgency::Now
        } else {
            Urgency::Graceful
        };
        ShutdownRequest { signal, urgency }
    }
}

#[cfg(unix)]
#[derive(Debug)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> ShutdownSignal {
        tokio::select! {
            biased;
            Some(()) = self.terminate.recv() => ShutdownSignal::Terminate,
            Some(()) = self.interrupt.recv() => ShutdownSignal::Interrupt,
            else => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> ShutdownSignal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => ShutdownSignal::Interrupt,
            // Without a handler the system ends the process itself.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    /// Sends a signal to this very process.
    fn raise(name: &str) {
        let id = std::process::id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.unwrap().success());
    }

    #[tokio::test]
    async fn the_first_signal_is_graceful_and_the_second_means_now() {
        let mut shutdown = Shutdown::listen().unwrap();
        raise("TERM");
        let (signal, urgency) = (ShutdownSignal::Terminate, Urgency::Graceful);
        assert_eq!(
            shutdown.requested().await,
            ShutdownRequest { signal, urgency }
        );
        raise("INT");
        let (signal, urgency) = (ShutdownSignal::Interrupt, Urgency::Now);
        assert_eq!(
            shutdown.requested().await,
            ShutdownRequest { signal, urgency }
        );
        assert_eq!(
            (signal.exit_code(), ShutdownSignal::Terminate.exit_code()),
            (130, 143)
        );
    }
}
