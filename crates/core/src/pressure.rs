//! The port for how hard memory is to get.

use std::fmt;

/// Tells whether memory is hard to get, for whoever could take up less work.
pub trait MemoryPressure: fmt::Debug + Send + Sync + 'static {
    /// Whether it is hard to get now. Asked often: it answers at once, and may be a second old.
    fn is_short(&self) -> bool;
}
