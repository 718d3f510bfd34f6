//! Parts of the command that tests elsewhere use.
