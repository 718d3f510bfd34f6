//! The checker that holds between every two passes.

use crate::Func;

/// What is wrong with a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckError(pub String);

/// Checks a function.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(_func: &Func) -> Result<(), CheckError> {
    Ok(())
}
