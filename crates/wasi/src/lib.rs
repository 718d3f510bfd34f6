//! WASI for Cellwall, written only against its public API
