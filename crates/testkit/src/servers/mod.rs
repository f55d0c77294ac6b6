//! Real servers for tests: one for each test binary, on a socket in a folder of its own, gone with its process.
//!
//! Where there is none on this computer, a test says so and passes; with `NEBULA_REQUIRE_BACKENDS=1` it fails.

mod guarded;
mod pooler;
mod postgres;
mod proxy;
mod redis;

pub use guarded::{Guarded, missing};
pub use pooler::Pooler;
pub use postgres::{Database, Postgres, TestPostgres};
pub use proxy::{Proxy, Silence, Struck};
pub use redis::{Redis, TestRedis};
