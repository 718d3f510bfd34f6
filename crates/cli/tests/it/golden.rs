//! The command's texts, as golden files.
