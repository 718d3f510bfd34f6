//! Decoded and validated WebAssembly modules, and the validating walk over a body
