//! What both a transaction and a connection that reads can be asked.

use nebula_postgres::{Param, Row};

use crate::{error::Fault, link::Link, tx::Tx};

/// Who answers a question.
pub(crate) trait Ask {
    /// All rows.
    async fn rows(&self, sql: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Fault>;

    /// The row, if there is one.
    async fn row(&self, sql: &str, params: &[&dyn Param]) -> Result<Option<Row>, Fault> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }
}

impl Ask for Tx {
    async fn rows(&self, sql: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Fault> {
        Tx::rows(self, sql, params).await
    }
}

impl Ask for Link {
    async fn rows(&self, sql: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Fault> {
        Link::rows(self, sql, params).await
    }
}

/// How many `sql` counts.
pub(crate) async fn counted(
    db: &impl Ask,
    sql: &str,
    params: &[&dyn Param],
) -> Result<usize, Fault> {
    let row = db.row(sql, params).await?;
    let found: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    usize::try_from(found).map_err(|_| Fault::corrupt(format!("{found} is no count")))
}

/// The number of a version as it was stored.
pub(crate) fn version(stored: i64) -> Result<u32, Fault> {
    u32::try_from(stored).map_err(|_| Fault::corrupt(format!("{stored} is no version")))
}
