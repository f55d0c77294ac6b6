//! x
use super::Method;
pub(super) const BOOLEAN_METHODS: &[Method] = &[];
