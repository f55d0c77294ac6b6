//! The scripts, each with what it begins with.

use std::sync::LazyLock;

use nebula_core::Priority;
use redis::Script;

/// The reason of a task that died without an answer.
const NEVER_ANSWERED: &str = "it was not answered within its visibility";

/// How many tasks become due in one call: the server runs nothing else meanwhile. A receiver that gets
/// nothing then asks again at once.
const MOST_MOVED: u32 = 4_096;

/// In microseconds: how long one that waits trusts that it is told, and how long the one that watches; how much
/// later that one may be; after which time one that never looked again is forgotten.
const LOOK_AGAIN: u64 = 10_000_000;
const WATCH: u64 = 1_000_000;
const LATE: u64 = 1_000_000;
const GONE: u64 = 30_000_000;

/// Runs also while the server has no memory left: it makes room, or puts back what is there.
const ALSO_WHEN_FULL: &str = "#!lua flags=allow-oom";
/// Takes memory.
const TAKES: &str = "#!lua";

macro_rules! scripts {
    ($($name:ident: $flags:expr, $file:literal;)+) => {
        $(pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| script($flags, include_str!($file)));)+
    };
}

scripts! {
    RING: TAKES, "scripts/ring.lua";
    RECEIVE: ALSO_WHEN_FULL, "scripts/receive.lua";
    ACK: ALSO_WHEN_FULL, "scripts/ack.lua";
    NACK: ALSO_WHEN_FULL, "scripts/nack.lua";
    EXTEND: ALSO_WHEN_FULL, "scripts/extend.lua";
    DEAD: ALSO_WHEN_FULL, "scripts/dead.lua";
    REDRIVE: ALSO_WHEN_FULL, "scripts/redrive.lua";
    WEIGH: TAKES, "scripts/weigh.lua";
}

fn script(flags: &str, body: &str) -> Script {
    let patience = Priority::ALL.map(|it| {
        it.patience()
            .map_or("false".to_owned(), |it| it.to_string())
    });
    let patience = patience.join(", ");
    let line = include_str!("scripts/line.lua");
    Script::new(&format!(
        "{flags}\nlocal PATIENCE, MOST_MOVED = {{ {patience} }}, {MOST_MOVED}\nlocal NEVER_ANSWERED = '{NEVER_ANSWERED}'\nlocal LOOK_AGAIN, WATCH, LATE, GONE = {LOOK_AGAIN}, {WATCH}, {LATE}, {GONE}\n{line}\n{body}"
    ))
}
