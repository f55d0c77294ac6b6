//! Actions that read, write and list files.
