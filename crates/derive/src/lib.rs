//! Makes an action out of an async function or a struct.
