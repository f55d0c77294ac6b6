//! What waits for a connection: writes, which can share a transaction, and questions.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use nebula_core::{ExecutionId, TenantId};
use nebula_ports::{ErrorKind, HookId, PortError, Result};
use tokio::sync::oneshot;

use crate::{
    error::{DRIVER, Fault},
    link::Link,
    tx::Tx,
};

/// What a write will look at: read, and locked, for all writes of a transaction at once.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Executions that it changes.
    pub(crate) rows: Vec<(TenantId, ExecutionId)>,
    /// Dedupe keys of creations.
    pub(crate) keys: Vec<(TenantId, String)>,
    /// Dedupe keys of inbox items.
    pub(crate) items: Vec<(TenantId, ExecutionId, String)>,
}

/// A write that waits.
pub(crate) trait Work: Send {
    fn claims(&self) -> &Claims;
    /// Whether it has a transaction of its own.
    fn is_alone(&self) -> bool;
    fn bytes(&self) -> usize;
    /// Does it within `tx`, and keeps the answer; it can be done again, in another transaction.
    fn run<'a>(&'a mut self, tx: &'a Tx) -> LocalBoxFuture<'a, std::result::Result<(), Fault>>;
    /// Gives the answer: the transaction is committed.
    fn answer(self: Box<Self>);
    /// Says why there is none.
    fn fail(self: Box<Self>, why: Failure);
}

/// Why a write has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Its own fault.
    Own(Fault),
    /// What happened to all writes of a transaction.
    Shared(ErrorKind, Arc<str>),
}

impl Failure {
    fn into_port(self, operation: &'static str) -> PortError {
        match self {
            Self::Own(fault) => fault.into_port(operation),
            Self::Shared(kind, message) => PortError::new(kind, DRIVER, operation, &*message),
        }
    }
}

/// What a write does, with what it was given.
pub(crate) type Doing<D, T> =
    for<'a> fn(&'a Tx, &'a D) -> LocalBoxFuture<'a, std::result::Result<T, Fault>>;

/// A write with the one who waits for it.
pub(crate) struct Call<D, T> {
    pub(crate) operation: &'static str,
    pub(crate) claims: Claims,
    pub(crate) alone: bool,
    pub(crate) bytes: usize,
    pub(crate) data: D,
    pub(crate) run: Doing<D, T>,
    pub(crate) outcome: Option<T>,
    pub(crate) reply: oneshot::Sender<Result<T>>,
}

impl<D: Send + 'static, T: Send + 'static> Work for Call<D, T> {
    fn claims(&self) -> &Claims {
        &self.claims
    }

    fn is_alone(&self) -> bool {
        self.alone
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn run<'a>(&'a mut self, tx: &'a Tx) -> LocalBoxFuture<'a, std::result::Result<(), Fault>> {
        Box::pin(async move {
            self.outcome = Some((self.run)(tx, &self.data).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            let _ = self.reply.send(Ok(outcome));
        }
    }

    fn fail(self: Box<Self>, why: Failure) {
        let _ = self.reply.send(Err(why.into_port(self.operation)));
    }
}

/// Whose something is: the first of what a question is given says so, where it is a tenant.
pub(crate) trait Whose {
    fn tenant(&self) -> Option<&TenantId>;
}

impl Whose for TenantId {
    fn tenant(&self) -> Option<&TenantId> {
        Some(self)
    }
}

/// What says nothing of a tenant.
macro_rules! of_nobody {
    ($($of:ty),+) => {
        $(impl Whose for $of {
            fn tenant(&self) -> Option<&TenantId> {
                None
            }
        })+
    };
}

of_nobody!((), usize, HookId, Option<TenantId>);

/// Tuples, by their first.
macro_rules! of_the_first {
    ($($rest:ident),+) => {
        impl<A: Whose, $($rest),+> Whose for (A, $($rest),+) {
            fn tenant(&self) -> Option<&TenantId> {
                self.0.tenant()
            }
        }
    };
}

of_the_first!(B);
of_the_first!(B, C);
of_the_first!(B, C, D);

/// A question that waits. It can be asked again, over another connection.
pub(crate) trait Question: Send {
    fn ask<'a>(&'a mut self, link: &'a Link) -> LocalBoxFuture<'a, std::result::Result<(), Fault>>;
    fn answer(self: Box<Self>);
    fn fail(self: Box<Self>, fault: Fault);
}

/// What a question asks, with what it was given.
pub(crate) type Asking<D, T> =
    for<'a> fn(&'a Link, &'a D) -> LocalBoxFuture<'a, std::result::Result<T, Fault>>;

/// A question with the one who asks it.
pub(crate) struct Asked<D, T> {
    pub(crate) operation: &'static str,
    pub(crate) data: D,
    pub(crate) ask: Asking<D, T>,
    pub(crate) outcome: Option<T>,
    pub(crate) reply: oneshot::Sender<Result<T>>,
}

impl<D: Whose + Send + 'static, T: Send + 'static> Question for Asked<D, T> {
    fn ask<'a>(&'a mut self, link: &'a Link) -> LocalBoxFuture<'a, std::result::Result<(), Fault>> {
        Box::pin(async move {
            link.is_for(self.data.tenant());
            self.outcome = Some((self.ask)(link, &self.data).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            let _ = self.reply.send(Ok(outcome));
        }
    }

    fn fail(self: Box<Self>, fault: Fault) {
        let _ = self.reply.send(Err(fault.into_port(self.operation)));
    }
}
