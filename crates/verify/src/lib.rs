//! The machine-code verifier: artifact in, proven code or the first violation out
