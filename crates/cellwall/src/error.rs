//! The error of this crate: one opaque, cheap-to-move value that holds any error, a message, or a
//! context around another error.
//!
//! Requires nothing. Guarantees that what went in comes out by [`Error::downcast_ref`], however
//! much context was put around it, and that it may cross threads. Deliberately no enum: what can be
//! told apart is told apart by type ([`Trap`](crate::Trap), [`CompileError`](crate::CompileError),
//! [`UnknownImportError`](crate::UnknownImportError), …).

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// [`Result::Ok`] with the error type of this crate, for closures whose error type cannot be
/// inferred.
#[allow(non_snake_case, reason = "stands for the variant `Result::Ok`")]
pub fn Ok<T>(value: T) -> Result<T> {
    Result::Ok(value)
}

/// Any error, with any context around it.
///
/// * `{}` prints the outermost message, `{:#}` the whole chain in one line, `{:?}` the outermost
///   message and below it the chain.
/// * Anything that implements [`std::error::Error`] becomes one by `?`.
///
/// ```
/// use cellwall::{Error, Trap};
///
/// let error = Error::new(Trap::Interrupt).context("while counting");
/// assert_eq!(format!("{error}"), "while counting");
/// assert_eq!(format!("{error:#}"), "while counting: wasm trap: interrupt");
/// assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
/// assert!(error.downcast_ref::<std::io::Error>().is_none());
/// ```
pub struct Error {
    node: Box<dyn Node>,
}

/// What an [`Error`] holds: an error that can also be looked at as [`Any`].
trait Node: StdError + Send + Sync + 'static {
    fn as_std(&self) -> &(dyn StdError + Send + Sync + 'static);
    fn into_std(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static>;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<E: StdError + Send + Sync + 'static> Node for E {
    fn as_std(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }
    fn into_std(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// An error that is only a message.
struct Message<M>(M);

impl<M: Display> Display for Message<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<M: Debug> Debug for Message<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<M: Display + Debug> StdError for Message<M> {}

/// An error that came boxed.
#[derive(Debug)]
struct Boxed(Box<dyn StdError + Send + Sync>);

impl Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl StdError for Boxed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// A message around another error.
struct Around {
    context: Box<dyn ContextValue>,
    source: Error,
}

trait ContextValue: Display + Send + Sync + 'static {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<C: Display + Send + Sync + 'static> ContextValue for C {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl Display for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&*self.context, f)
    }
}

impl Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&format_args!("{}", self.context), f)
    }
}

impl StdError for Around {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.node.as_std())
    }
}

impl Error {
    /// Holds an error.
    pub fn new<E: StdError + Send + Sync + 'static>(error: E) -> Self {
        Self {
            node: Box::new(error),
        }
    }

    /// Makes an error from a message; [`format_err!`](crate::format_err) is shorter.
    pub fn msg<M: Display + Debug + Send + Sync + 'static>(message: M) -> Self {
        Self::new(Message(message))
    }

    /// Holds an error that is already boxed; such an error can be printed and walked, and
    /// downcast only from the [chain](Self::chain).
    pub fn from_boxed(error: Box<dyn StdError + Send + Sync + 'static>) -> Self {
        Self::new(Boxed(error))
    }

    /// Puts a message around this error. Both can be found by
    /// [`downcast_ref`](Self::downcast_ref).
    #[must_use]
    pub fn context<C: Display + Send + Sync + 'static>(self, context: C) -> Self {
        Self::new(Around {
            context: Box::new(context),
            source: self,
        })
    }

    /// This error and its causes, the outermost first.
    pub fn chain(&self) -> Chain<'_> {
        Chain {
            next: Some(self.node.as_std()),
        }
    }

    /// The innermost cause (the error itself if it has none).
    pub fn root_cause(&self) -> &(dyn StdError + 'static) {
        self.chain().last().expect("a chain starts with the error itself")
    }

    /// Whether [`downcast_ref`](Self::downcast_ref) finds an `E`.
    pub fn is<E: Display + Debug + Send + Sync + 'static>(&self) -> bool {
        self.downcast_ref::<E>().is_some()
    }

    /// The `E` that this error was made of or that was put around it as context.
    pub fn downcast_ref<E: Display + Debug + Send + Sync + 'static>(&self) -> Option<&E> {
        let any = self.node.as_ref().as_any();
        if let Some(around) = any.downcast_ref::<Around>() {
            let context = around.context.as_ref().as_any().downcast_ref::<E>();
            return context.or_else(|| around.source.downcast_ref());
        }
        any.downcast_ref::<E>()
            .or_else(|| any.downcast_ref::<Message<E>>().map(|message| &message.0))
    }

    /// Like [`downcast_ref`](Self::downcast_ref), to change it.
    pub fn downcast_mut<E: Display + Debug + Send + Sync + 'static>(&mut self) -> Option<&mut E> {
        if !self.is::<E>() {
            return None;
        }
        let any = self.node.as_mut().as_any_mut();
        if any.is::<Around>() {
            let around = any.downcast_mut::<Around>().expect("it is one");
            return if around.context.as_ref().as_any().is::<E>() {
                around.context.as_mut().as_any_mut().downcast_mut()
            } else {
                around.source.downcast_mut()
            };
        }
        if any.is::<E>() {
            return any.downcast_mut();
        }
        any.downcast_mut::<Message<E>>().map(|message| &mut message.0)
    }

    /// Takes out the `E` that [`downcast_ref`](Self::downcast_ref) finds.
    ///
    /// # Errors
    /// The unchanged error if there is none.
    pub fn downcast<E: Display + Debug + Send + Sync + 'static>(self) -> Result<E, Self> {
        if !self.is::<E>() {
            return Err(self);
        }
        let is_around = self.node.as_ref().as_any().is::<Around>();
        let any = self.node.into_any();
        if is_around {
            let around = any.downcast::<Around>().expect("it is one");
            return if around.context.as_ref().as_any().is::<E>() {
                let context = around.context.into_any().downcast::<E>();
                Result::Ok(*context.expect("it is one"))
            } else {
                around.source.downcast()
            };
        }
        Result::Ok(match any.downcast::<E>() {
            Result::Ok(error) => *error,
            Err(any) => any.downcast::<Message<E>>().expect("it is an E or its message").0,
        })
    }
}

/// The causes of an error; see [`Error::chain`].
#[derive(Clone, Debug)]
pub struct Chain<'a> {
    next: Option<&'a (dyn StdError + 'static)>,
}

impl<'a> Iterator for Chain<'a> {
    type Item = &'a (dyn StdError + 'static);
    fn next(&mut self) -> Option<Self::Item> {
        let this = self.next?;
        self.next = this.source();
        Some(this)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.node)?;
        if f.alternate() {
            for cause in self.chain().skip(1) {
                write!(f, ": {cause}")?;
            }
        }
        fmt::Result::Ok(())
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return Debug::fmt(&self.node, f);
        }
        write!(f, "{}", self.node)?;
        let causes = self.chain().count() - 1;
        if causes > 0 {
            write!(f, "\n\nCaused by:")?;
        }
        for (i, cause) in self.chain().skip(1).enumerate() {
            let indented = cause.to_string().replace('\n', "\n       ");
            if causes > 1 {
                write!(f, "\n{i:>5}: {indented}")?;
            } else {
                write!(f, "\n    {}", cause.to_string().replace('\n', "\n    "))?;
            }
        }
        fmt::Result::Ok(())
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync + 'static> {
    fn from(error: Error) -> Self {
        error.node.into_std()
    }
}

impl From<Error> for Box<dyn StdError + Send + 'static> {
    fn from(error: Error) -> Self {
        error.node.into_std()
    }
}

impl From<Error> for Box<dyn StdError + 'static> {
    fn from(error: Error) -> Self {
        error.node.into_std()
    }
}

impl AsRef<dyn StdError + Send + Sync> for Error {
    fn as_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self.node.as_std()
    }
}

impl std::ops::Deref for Error {
    type Target = dyn StdError + Send + Sync + 'static;
    fn deref(&self) -> &Self::Target {
        self.node.as_std()
    }
}

mod sealed {
    pub trait Sealed {}
    impl<T, E> Sealed for std::result::Result<T, E> {}
    impl<T> Sealed for Option<T> {}
}

/// Puts context around the error of a `Result`, or makes one of `None`.
///
/// ```
/// use cellwall::{Context, Result};
///
/// fn port(text: &str) -> Result<u16> {
///     text.parse().with_context(|| format!("`{text}` is not a port"))
/// }
/// assert_eq!(format!("{:#}", port("x").unwrap_err()), "`x` is not a port: invalid digit found in string");
/// ```
pub trait Context<T>: sealed::Sealed {
    /// Puts a message around the error.
    ///
    /// # Errors
    /// The error with its context, if there is one.
    fn context<C: Display + Send + Sync + 'static>(self, context: C) -> Result<T>;

    /// Puts a message around the error, made only if there is one.
    ///
    /// # Errors
    /// The error with its context, if there is one.
    fn with_context<C: Display + Send + Sync + 'static>(self, context: impl FnOnce() -> C) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context<C: Display + Send + Sync + 'static>(self, context: C) -> Result<T> {
        self.map_err(|error| error.into().context(context))
    }
    fn with_context<C: Display + Send + Sync + 'static>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| error.into().context(context()))
    }
}

impl<T> Context<T> for Option<T> {
    fn context<C: Display + Send + Sync + 'static>(self, context: C) -> Result<T> {
        self.ok_or_else(|| Error::msg(context.to_string()))
    }
    fn with_context<C: Display + Send + Sync + 'static>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.ok_or_else(|| Error::msg(context().to_string()))
    }
}

/// Makes an [`Error`] from a format string, or from a value that is an error.
///
/// ```
/// let error = cellwall::format_err!("no file `{}`", "x.wasm");
/// assert_eq!(error.to_string(), "no file `x.wasm`");
/// ```
#[macro_export]
macro_rules! format_err {
    ($message:literal $(,)?) => {
        $crate::Error::msg(::std::format!($message))
    };
    ($error:expr $(,)?) => {
        $crate::Error::from($error)
    };
    ($format:literal, $($arg:tt)*) => {
        $crate::Error::msg(::std::format!($format, $($arg)*))
    };
}

/// Returns early with an [`Error`] made by [`format_err!`](crate::format_err).
///
/// ```
/// fn even(n: u32) -> cellwall::Result<u32> {
///     if n % 2 == 1 {
///         cellwall::bail!("{n} is odd");
///     }
///     Ok(n / 2)
/// }
/// assert_eq!(even(3).unwrap_err().to_string(), "3 is odd");
/// ```
#[macro_export]
macro_rules! bail {
    ($($arg:tt)*) => {
        return ::std::result::Result::Err($crate::format_err!($($arg)*))
    };
}

/// Returns early with an [`Error`] unless a condition holds.
///
/// ```
/// fn half(n: u32) -> cellwall::Result<u32> {
///     cellwall::ensure!(n % 2 == 0, "{n} is odd");
///     Ok(n / 2)
/// }
/// assert_eq!(half(8).unwrap(), 4);
/// assert!(half(3).is_err());
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr $(,)?) => {
        if !$condition {
            $crate::bail!("condition failed: `{}`", ::std::stringify!($condition));
        }
    };
    ($condition:expr, $($arg:tt)*) => {
        if !$condition {
            $crate::bail!($($arg)*);
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trap;

    #[derive(Debug, PartialEq)]
    struct Exit(i32);
    impl Display for Exit {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "exit {}", self.0)
        }
    }
    impl StdError for Exit {}

    #[test]
    fn what_went_in_comes_out() {
        let error = Error::from(Exit(3))
            .context("inner")
            .context(String::from("outer"));
        assert_eq!(error.downcast_ref::<Exit>(), Some(&Exit(3)));
        assert_eq!(error.downcast_ref::<String>().map(|s| &**s), Some("outer"));
        assert!(error.is::<&'static str>() && !error.is::<Trap>());
        assert_eq!(error.downcast::<Exit>().expect("it is one"), Exit(3));
    }

    #[test]
    fn a_failed_downcast_gives_the_error_back() {
        let error = Error::msg("text")
            .downcast::<Exit>()
            .expect_err("it is a message");
        assert_eq!(error.to_string(), "text");
        assert_eq!(error.downcast::<&str>().expect("it is one"), "text");
    }

    #[test]
    fn downcast_mut_changes_in_place() {
        let mut error = Error::from(Exit(1)).context("c");
        error.downcast_mut::<Exit>().expect("it is one").0 = 7;
        assert!(error.downcast_mut::<Trap>().is_none());
        assert_eq!(error.root_cause().to_string(), "exit 7");
    }

    #[test]
    fn the_three_ways_of_printing() {
        let error = Error::from(Exit(1)).context("a").context("b");
        assert_eq!(format!("{error}"), "b");
        assert_eq!(format!("{error:#}"), "b: a: exit 1");
        assert_eq!(format!("{error:?}"), "b\n\nCaused by:\n    0: a\n    1: exit 1");
        assert_eq!(
            format!("{:?}", Error::from(Exit(1)).context("a")),
            "a\n\nCaused by:\n    exit 1"
        );
        assert_eq!(format!("{:?}", Error::from(Exit(1))), "exit 1");
    }

    #[test]
    fn boxed_errors_keep_their_causes() {
        let boxed: Box<dyn StdError + Send + Sync> = Error::from(Exit(1)).context("a").into();
        let error = Error::from_boxed(boxed);
        assert_eq!(format!("{error:#}"), "a: exit 1");
        assert!(error.chain().any(|e| e.is::<Exit>()));
    }
}
