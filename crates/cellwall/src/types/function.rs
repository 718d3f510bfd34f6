//! Function types.

use super::ValType;
use crate::Engine;
use cellwall_abi::Signature;
use cellwall_base::limits::{PARAMS_MAX, RESULTS_MAX};
use std::fmt;
use std::sync::Arc;

/// The type of a function: its parameters and results. Cheap to clone.
///
/// ```
/// use cellwall::{Engine, FuncType, ValType};
///
/// let engine = Engine::default();
/// let ty = FuncType::new(&engine, [ValType::I32, ValType::I64], [ValType::F32]);
/// assert_eq!(ty.params().len(), 2);
/// assert_eq!(ty.to_string(), "(type (func (param i32 i64) (result f32)))");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FuncType {
    signature: Arc<Signature>,
}

impl FuncType {
    /// The type with these parameters and results.
    ///
    /// The engine is not used in this version; types of one engine equal those of another.
    ///
    /// # Panics
    /// If there are more than 1,000 parameters or results (the limit of a module).
    pub fn new(
        _engine: &Engine,
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> Self {
        let signature = Signature {
            params: params.into_iter().map(|ty| ty.to_abi()).collect(),
            results: results.into_iter().map(|ty| ty.to_abi()).collect(),
        };
        assert!(
            signature.params.len() <= PARAMS_MAX,
            "a function cannot have more than {PARAMS_MAX} parameters"
        );
        assert!(
            signature.results.len() <= RESULTS_MAX,
            "a function cannot have more than {RESULTS_MAX} results"
        );
        Self::from_abi(signature)
    }

    /// The `i`-th parameter.
    pub fn param(&self, i: usize) -> Option<ValType> {
        self.params().nth(i)
    }

    /// The parameters.
    pub fn params(&self) -> impl ExactSizeIterator<Item = ValType> + '_ {
        self.signature.params.iter().map(|&ty| ValType::from_abi(ty))
    }

    /// The `i`-th result.
    pub fn result(&self, i: usize) -> Option<ValType> {
        self.results().nth(i)
    }

    /// The results.
    pub fn results(&self) -> impl ExactSizeIterator<Item = ValType> + '_ {
        self.signature.results.iter().map(|&ty| ValType::from_abi(ty))
    }

    /// Whether a function of this type may be used where `other` is expected.
    pub fn matches(&self, other: &Self) -> bool {
        self == other
    }

    pub(crate) fn from_abi(signature: Signature) -> Self {
        Self {
            signature: Arc::new(signature),
        }
    }

    pub(crate) fn abi(&self) -> &Signature {
        &self.signature
    }
}

impl fmt::Debug for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(type {})", Bare(&self.signature))
    }
}

/// A signature as in the text format, without the surrounding `type`.
pub(crate) struct Bare<'a>(pub &'a Signature);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(func")?;
        for (keyword, types) in [("param", &self.0.params), ("result", &self.0.results)] {
            if types.is_empty() {
                continue;
            }
            write!(f, " ({keyword}")?;
            for ty in types {
                write!(f, " {ty}")?;
            }
            f.write_str(")")?;
        }
        f.write_str(")")
    }
}
