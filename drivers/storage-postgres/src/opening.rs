//! What connections of one handle are made of.

use std::{sync::Arc, time::Duration};

use nebula_core::Clock;
use nebula_postgres::Address;

use crate::{PostgresConfig, error::Fault, stats::Counters, tx::Numbers};

/// What each connection is made of.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) address: Address,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) answer: Duration,
    pub(crate) counters: Arc<Counters>,
    pub(crate) numbers: Numbers,
    /// What each transaction begins with.
    pub(crate) begin: String,
}

impl Opening {
    pub(crate) fn new(config: &PostgresConfig) -> Result<Self, Fault> {
        config.check()?;
        let address = Address::parse(&config.address, &config.roots)
            .map_err(|error| Fault::invalid(error.to_string()))?;
        // Whoever is stopped in the middle holds up others no longer than this. Said to each transaction, since
        // behind a pooler a session is nobody's.
        let idle = (config.answer / 2).as_millis().max(1);
        Ok(Self {
            address: address.named("nebula"),
            clock: config.clock.clone(),
            answer: config.answer,
            counters: Arc::default(),
            numbers: Numbers::default(),
            begin: format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = {idle}"
            ),
        })
    }
}
