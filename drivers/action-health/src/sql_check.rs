//! Looking at a service by what its database says.

use std::{path::PathBuf, pin::pin, time::Duration};

use futures_util::StreamExt as _;
use nebula_action::ActionContext;
use nebula_core::{Clock, duration_text};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    Client, Config, Error, NoTls,
    config::SslMode,
    tls::{TlsConnect, TlsStream},
};

use crate::{
    check::{MAX_BODY, wrong},
    database::Database,
    verdict::{Found, Verdict},
};

/// The most rows of an answer.
pub const MAX_ROWS: usize = 100;

/// Asks the database of the credential, and judges what it says. Nothing is changed there: one statement that
/// gives rows, in a transaction that only reads.
pub(crate) async fn look(
    ctx: &ActionContext,
    (sql, extra): (&str, &[PathBuf]),
    (clock, timeout): (&dyn Clock, Duration),
) -> Found {
    let asked = async {
        let database = match Database::of(ctx).await? {
            Ok(database) => database,
            Err(unwell) => return Verdict::unwell(unwell),
        };
        let stream = match database.connect().await {
            Ok(stream) => stream,
            Err(unwell) => return Verdict::unwell(unwell),
        };
        let mut config = database.config.clone();
        config.application_name("nebula");
        let rows = match database.tls(extra)? {
            Some(tls) => {
                config.ssl_mode(SslMode::Require);
                converse(&config, (stream, tls), (sql, timeout)).await
            }
            None => {
                config.ssl_mode(SslMode::Disable);
                converse(&config, (stream, NoTls), (sql, timeout)).await
            }
        };
        match rows {
            Ok(Rows::All(rows)) => judge(ctx, &rows),
            Ok(Rows::TooMany) => Verdict::unwell(format!("it gave more than {MAX_ROWS} rows")),
            Ok(Rows::TooLarge) => Verdict::unwell(format!("its answer is larger than {MAX_BODY}")),
            Err(error) => of_error(&error, &database.place, timeout),
        }
    };
    tokio::select! {
        biased;
        found = asked => found,
        () = clock.sleep(timeout) => Verdict::unwell(late(timeout)),
    }
}

fn late(timeout: Duration) -> String {
    format!(
        "the database has not answered after {}",
        duration_text(timeout)
    )
}

/// What a database gave.
enum Rows {
    All(Vec<Value>),
    TooMany,
    TooLarge,
}

async fn converse<S, T>(
    config: &Config,
    (stream, tls): (S, T),
    (sql, timeout): (&str, Duration),
) -> Result<Rows, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    T: TlsConnect<S>,
    T::Stream: TlsStream + Unpin,
{
    let (client, connection) = config.connect_raw(stream, tls).await?;
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        rows = ask(&client, sql, timeout) => rows,
        // It ends with an error, or because the server has closed it; then the question fails by itself.
        ended = &mut connection => match ended {
            Err(error) => Err(error),
            Ok(()) => ask(&client, sql, timeout).await,
        },
    }
}

async fn ask(client: &Client, sql: &str, timeout: Duration) -> Result<Rows, Error> {
    let millis = timeout.as_millis().clamp(1, i32::MAX as u128);
    let begin = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {millis}");
    client.batch_execute(&begin).await?;
    // Within another statement it can be one that gives rows, and nothing else. The server makes JSON of them,
    // and cuts what is larger than anybody reads.
    let (rows, bytes) = (MAX_ROWS + 1, MAX_BODY.as_u64() + 1);
    let within = format!(
        "SELECT left(row_to_json(nebula_row)::text, {bytes}) FROM (\n{sql}\n) AS nebula_row LIMIT {rows}"
    );
    let mut found = pin!(client.query_raw(&within, Vec::<String>::new()).await?);
    let (mut all, mut size) = (Vec::new(), 0);
    while let Some(row) = found.next().await {
        let row = row?;
        let text: &str = row.try_get(0)?;
        size += text.len() as u64;
        if size > MAX_BODY.as_u64() {
            return Ok(Rows::TooLarge);
        }
        all.push(serde_json::from_str(text).unwrap_or_default());
        if all.len() > MAX_ROWS {
            return Ok(Rows::TooMany);
        }
    }
    Ok(Rows::All(all))
}

fn judge(ctx: &ActionContext, rows: &[Value]) -> Found {
    let Some(query) = ctx.deferred.get("query") else {
        return Ok(Verdict::Well);
    };
    match query.holds(&json!({ "rows": rows }), 0) {
        Ok(true) => Ok(Verdict::Well),
        Ok(false) => Verdict::unwell("`query` does not hold of what the database says"),
        Err(error) => Verdict::unwell(format!("`query` cannot be asked of its rows: {error}")),
    }
}

/// A statement that is wrong is a mistake of the workflow; all else says how the database is.
fn of_error(error: &Error, place: &str, timeout: Duration) -> Found {
    let Some(said) = error.as_db_error() else {
        let mut message = format!("{place}: {error}");
        if let Some(source) = std::error::Error::source(error) {
            message = format!("{message} ({source})");
        }
        return Verdict::unwell(message);
    };
    let (code, message) = (said.code().code(), said.message());
    match code {
        // The statement was stopped after its time.
        "57014" => Verdict::unwell(late(timeout)),
        // It would write, is no such statement, names what is not there, or may not read it.
        _ if code == "25006" || code.starts_with("42") => Err(wrong(
            "/sql",
            format!("the database refuses the statement ({code}): {message}"),
        )),
        _ => Verdict::unwell(format!("{place}: {message} ({code})")),
    }
}
