//! One connection: what is asked over it, and what carries it.

use std::{cell::RefCell, future::Future, sync::Arc, time::Duration};

use futures_util::future::join_all;
use nebula_core::{Clock, TenantId, Timestamp};
use nebula_postgres::{Client, Param, Row, params, typed};
use tokio::task::JoinSet;

use crate::{error::Fault, opening::Opening, stats::Counters};

/// What time it is, in milliseconds since 1970, where the database says it.
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    client: Client,
    clock: Option<Arc<dyn Clock>>,
    counters: Arc<Counters>,
    answer: Duration,
    /// What each statement of a question stands behind, if that is of one tenant.
    within: RefCell<Option<String>>,
    /// What carries it; it ends with this.
    _carrier: JoinSet<()>,
}

/// A statement of several that go together.
pub(crate) struct Statement<'s> {
    pub(crate) sql: &'static str,
    pub(crate) params: Vec<&'s dyn Param>,
}

impl Link {
    pub(crate) async fn open(opening: &Opening) -> Result<Self, Fault> {
        // Somebody who takes the connection and then says nothing is nobody.
        #[expect(
            clippy::disallowed_methods,
            reason = "a server that does not answer is of this connection's time, not of the engine's"
        )]
        let connected = tokio::time::timeout(opening.answer, opening.address.connect()).await;
        let (client, connection) = connected.map_err(|_| {
            Fault::unavailable(format!(
                "the server has let nobody in within {} s",
                opening.answer.as_secs_f64()
            ))
        })??;
        let mut carrier = JoinSet::new();
        carrier.spawn_local(async {
            // Whoever asks is told of its end by the answer that does not come.
            let _ = connection.await;
        });
        Counters::add(&opening.counters.connections, 1);
        Ok(Self {
            client,
            clock: opening.clock.clone(),
            counters: Arc::clone(&opening.counters),
            answer: opening.answer,
            within: RefCell::default(),
            _carrier: carrier,
        })
    }

    /// From now on each question is of this tenant, and is shown nothing of others, whatever it asks
    /// (`migrations/0007_tenants_apart.sql`); `None` is of all. It is said to each transaction and not to the
    /// session: behind a pooler, a session is nobody's.
    pub(crate) fn is_for(&self, tenant: Option<&TenantId>) {
        // The alphabet of ids has neither quotes nor backslashes.
        let begin = |it| format!("BEGIN READ ONLY; SET LOCAL nebula.tenant = '{it}'");
        *self.within.borrow_mut() = tenant.map(begin);
    }

    /// What is asked, in a transaction of its own where it is of one tenant; all of it goes in one round trip.
    async fn asked<T>(
        &self,
        asked: impl Future<Output = Result<T, nebula_postgres::Error>>,
    ) -> Result<T, Fault> {
        let within = self.within.borrow().clone();
        let Some(begin) = within else {
            return self.wait(asked).await;
        };
        let (begun, ended) = (
            self.client.batch_execute(&begin),
            self.client.batch_execute("COMMIT"),
        );
        self.wait(async {
            // Each is sent when it is looked at for the first time, and that is done in this order.
            let (begun, answer, ended) = tokio::join!(biased; begun, asked, ended);
            begun?;
            let answer = answer?;
            ended?;
            Ok(answer)
        })
        .await
    }

    /// Whether it is known to have ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Waits for what was asked, no longer than the server may take.
    async fn wait<T>(
        &self,
        asked: impl Future<Output = Result<T, nebula_postgres::Error>>,
    ) -> Result<T, Fault> {
        Counters::add(&self.counters.round_trips, 1);
        #[expect(
            clippy::disallowed_methods,
            reason = "a server that does not answer is of this connection's time, not of the engine's"
        )]
        let answered = tokio::time::timeout(self.answer, asked).await;
        match answered {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Fault::unavailable(format!(
                "the server has not answered within {} s",
                self.answer.as_secs_f64()
            ))),
        }
    }

    /// All rows.
    pub(crate) async fn rows(&self, sql: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Fault> {
        self.asked(self.client.query_typed(sql, &typed(params)))
            .await
    }

    /// The row, if there is one.
    pub(crate) async fn row(&self, sql: &str, params: &[&dyn Param]) -> Result<Option<Row>, Fault> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// All rows, and what time it is, in one round trip.
    pub(crate) async fn rows_now(
        &self,
        sql: &str,
        params: &[&dyn Param],
    ) -> Result<(Vec<Row>, Timestamp), Fault> {
        if self.given_time().is_some() {
            return Ok((self.rows(sql, params).await?, self.now().await?));
        }
        let given = typed(params);
        let rows = self.client.query_typed(sql, &given);
        let now = self.client.query_typed_one(NOW, &[]);
        let asked = async {
            // Each is sent when it is looked at for the first time.
            let (rows, now) = tokio::join!(biased; rows, now);
            Ok((rows?, now?))
        };
        let (rows, now) = Box::pin(self.asked(asked)).await?;
        Ok((rows, Timestamp::from_millis(now.try_get(0)?)))
    }

    /// How many rows it changed.
    pub(crate) async fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<u64, Fault> {
        self.wait(self.client.execute_typed(sql, &typed(params)))
            .await
    }

    /// Statements without parameters.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Fault> {
        self.wait(self.client.batch_execute(sql)).await
    }

    /// Sends all of these at once, after `before`, and gives the rows of each.
    pub(crate) async fn ask_together(
        &self,
        before: &str,
        statements: &[Statement<'_>],
    ) -> Result<Vec<Vec<Row>>, Fault> {
        let begun = self.client.batch_execute(before);
        let given: Vec<_> = statements.iter().map(|it| typed(&it.params)).collect();
        let asked = (statements.iter().zip(&given))
            .map(|(it, given)| self.client.query_typed(it.sql, given));
        let asked = async {
            // Each is sent when it is looked at for the first time, and that is done in this order.
            let (begun, answers) = tokio::join!(biased; begun, join_all(asked));
            begun?;
            answers.into_iter().collect::<Result<Vec<_>, _>>()
        };
        self.wait(asked).await
    }

    /// Sends all of these at once, and `after` behind them. The first error counts: the server has passed over
    /// what came behind it, and has made a rollback of a commit.
    pub(crate) async fn change_together(
        &self,
        statements: &[Statement<'_>],
        after: Option<&str>,
    ) -> Result<(), Fault> {
        let given: Vec<_> = statements.iter().map(|it| typed(&it.params)).collect();
        let asked = (statements.iter().zip(&given))
            .map(|(it, given)| self.client.execute_typed(it.sql, given));
        let ended = async {
            match after {
                Some(after) => self.client.batch_execute(after).await,
                None => Ok(()),
            }
        };
        let asked = async {
            let (changed, ended) = tokio::join!(biased; join_all(asked), ended);
            for changed in changed {
                changed?;
            }
            ended
        };
        self.wait(asked).await
    }

    /// What time it is by whoever says so beside the database; if anybody does.
    pub(crate) fn given_time(&self) -> Option<i64> {
        self.clock.as_ref().map(|clock| clock.now().as_millis())
    }

    /// What time it is.
    pub(crate) async fn now(&self) -> Result<Timestamp, Fault> {
        let millis = match self.given_time() {
            Some(millis) => millis,
            None => match self.row(NOW, params![]).await? {
                Some(row) => row.try_get(0)?,
                None => return Err(Fault::corrupt("the database does not say what time it is")),
            },
        };
        Ok(Timestamp::from_millis(millis))
    }

    /// Asks for the time along with other things.
    pub(crate) fn ask_now(&self) -> Option<Statement<'static>> {
        let by_database = self.clock.is_none();
        by_database.then(|| Statement {
            sql: NOW,
            params: Vec::new(),
        })
    }
}
