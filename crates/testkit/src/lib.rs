//! Conformance suites, in-memory models of every port.
