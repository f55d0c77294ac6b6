//! Ways to PostgreSQL: where an address leads, how the connection is encrypted, and what an error says
//! about a transaction.
//!
//! Start reading at [`Address::parse`], then [`Address::connect`]. Statements go with the types of their
//! parameters ([`params!`]): such a one needs neither a name in its session nor a round trip of its own to
//! be prepared, so that it works through a pooler that gives each transaction another connection.
//!
//! Does not know: tables, when to try again, how many connections there are.

mod address;
mod meaning;
mod tls;
mod typed;

pub use address::{Address, AddressError, ConnectError, Connected};
pub use meaning::{Meaning, meaning, message};
pub use tls::{Encrypted, Encryption, Tls};
pub use tokio_postgres::{
    Client, Error, Row,
    types::{FromSql, ToSql, Type},
};
pub use typed::{Param, Typed, typed};
