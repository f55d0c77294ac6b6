//! The port [`ProgramRunner`].

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::Clock;
use nebula_ports::{Captured, ProgramCall, ProgramEnded, ProgramError, ProgramExit, ProgramRunner};
#[cfg(unix)]
use parking_lot::Mutex;
#[cfg(unix)]
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinSet,
};

use crate::config::ProcessConfig;

/// How long a process group has between SIGTERM and SIGKILL.
pub const KILL_AFTER: Duration = Duration::from_secs(2);

/// For how long what a program printed is still read once it has ended: something that left its process
/// group may hold its output open for ever.
pub const DRAIN: Duration = Duration::from_secs(1);

/// Runs the programs that the operator listed.
///
/// Needs a tokio runtime with its I/O driver. Dropping it kills what is running.
#[derive(Debug)]
pub struct Programs {
    allowed: BTreeSet<PathBuf>,
    clock: Arc<dyn Clock>,
    #[cfg(unix)]
    turns: Arc<Semaphore>,
    /// What watches over the programs: apart from their callers, who may leave at any time.
    #[cfg(unix)]
    watches: Mutex<JoinSet<()>>,
}

impl Programs {
    /// Runs what `config` lists, and takes timeouts from `clock`.
    #[must_use]
    pub fn new(config: ProcessConfig, clock: Arc<dyn Clock>) -> Self {
        #[cfg(target_os = "linux")]
        if !config.allow.is_empty() {
            crate::inherited::keep_from_programs();
        }
        Self {
            allowed: config.allow.into_iter().collect(),
            clock,
            #[cfg(unix)]
            turns: Arc::new(Semaphore::new(crate::config::MAX_RUNNING)),
            #[cfg(unix)]
            watches: Mutex::default(),
        }
    }

    fn check(&self, call: &ProgramCall) -> Result<(), ProgramError> {
        match self.allowed.contains(call.program.path()) {
            true => Ok(()),
            false => Err(ProgramError::NotAllowed {
                program: call.program.path().display().to_string(),
            }),
        }
    }
}

#[async_trait]
impl ProgramRunner for Programs {
    #[cfg(unix)]
    async fn run(&self, call: ProgramCall) -> Result<ProgramEnded, ProgramError> {
        self.check(&call)?;
        let turns = Arc::clone(&self.turns);
        let turn = turns.acquire_owned().await;
        let turn = turn.expect("nobody closes the semaphore");
        let group = crate::group::Group::start(&call, Arc::clone(&self.clock))?;
        let (tell, told) = oneshot::channel();
        {
            let mut watches = self.watches.lock();
            // Those that have ended are nobody's any more.
            while watches.try_join_next().is_some() {}
            watches.spawn(async move {
                group.watch(call, tell).await;
                drop(turn);
            });
        }
        // The watch is gone only where this runner is, and with it the program.
        let killed = ProgramEnded {
            exit: ProgramExit::Stopped,
            stdout: Captured::default(),
            stderr: Captured::default(),
            took: Duration::ZERO,
        };
        Ok(told.await.unwrap_or(killed))
    }

    #[cfg(not(unix))]
    async fn run(&self, call: ProgramCall) -> Result<ProgramEnded, ProgramError> {
        self.check(&call)?;
        Err(ProgramError::Unsupported)
    }
}
