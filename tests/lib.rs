//! Tests that span several rooms live in `it/`; this library is empty.
