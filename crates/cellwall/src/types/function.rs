//! Function types.

use super::{RefType, ValType};
use crate::Engine;
use cellwall_abi::Signature;
use cellwall_base::limits::{PARAMS_MAX, RESULTS_MAX};
use cellwall_base::types;
use cellwall_runtime as runtime;
use std::fmt;
use std::hash::{Hash, Hasher};
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
///
/// Types that refer to none but `funcref` and `externref` are equal if their parameters and results
/// are; others belong to an engine, and types of different engines differ.
#[derive(Clone)]
pub struct FuncType {
    signature: Arc<Signature>,
    /// What else makes it equal to another or not, if anything does.
    exact: Option<(runtime::Engine, Arc<runtime::TypeRecord>)>,
}

impl PartialEq for FuncType {
    fn eq(&self, other: &Self) -> bool {
        match (&self.exact, &other.exact) {
            (None, None) => self.signature == other.signature,
            (Some((engine, ty)), Some((other, other_ty))) => {
                engine.same(other) && ty.number == other_ty.number
            }
            _ => false,
        }
    }
}

impl Eq for FuncType {}

impl Hash for FuncType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signature.hash(state);
    }
}

impl FuncType {
    /// The type with these parameters and results.
    ///
    /// # Panics
    /// If there are more than 1,000 parameters or results (the limit of a module), or one refers to
    /// functions of a type of another engine.
    pub fn new(
        engine: &Engine,
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> Self {
        let (params, results): (Vec<_>, Vec<_>) =
            (params.into_iter().collect(), results.into_iter().collect());
        let signature = Signature {
            params: params.iter().map(ValType::to_abi).collect(),
            results: results.iter().map(ValType::to_abi).collect(),
        };
        assert!(
            signature.params.len() <= PARAMS_MAX,
            "a function cannot have more than {PARAMS_MAX} parameters"
        );
        assert!(
            signature.results.len() <= RESULTS_MAX,
            "a function cannot have more than {RESULTS_MAX} results"
        );
        let is_plain = |ty: &ValType| {
            ty.as_ref().is_none_or(|ty| {
                [
                    RefType::FUNCREF,
                    RefType::EXTERNREF,
                    RefType::EXNREF,
                    RefType::ANYREF,
                ]
                .contains(ty)
            })
        };
        if params.iter().chain(&results).all(is_plain) {
            return Self::from_abi(signature);
        }
        let engine = engine.runtime();
        let exact = |types: &[ValType]| -> Vec<_> {
            let refs = types.iter().map(ValType::as_ref);
            refs.map(|ty| ty.map(|ty| ty.to_exact(engine))).collect()
        };
        let number = engine.exact_type(&signature, &exact(&params), &exact(&results));
        Self::from_number(engine, number)
    }

    /// The `i`-th parameter.
    pub fn param(&self, i: usize) -> Option<ValType> {
        self.params().nth(i)
    }

    /// The parameters.
    pub fn params(&self) -> impl ExactSizeIterator<Item = ValType> + '_ {
        let types = self.signature.params.iter().enumerate();
        types.map(|(i, &ty)| self.value(ty, |record| record.param_ref(i)))
    }

    /// The `i`-th result.
    pub fn result(&self, i: usize) -> Option<ValType> {
        self.results().nth(i)
    }

    /// The results.
    pub fn results(&self) -> impl ExactSizeIterator<Item = ValType> + '_ {
        let types = self.signature.results.iter().enumerate();
        types.map(|(i, &ty)| self.value(ty, |record| record.result_ref(i)))
    }

    /// Whether a function of this type may be used where `other` is expected.
    pub fn matches(&self, other: &Self) -> bool {
        match (&self.exact, &other.exact) {
            (Some((engine, ty)), Some((other, other_ty))) => {
                engine.same(other) && engine.is_subtype(ty.number, other_ty.number)
            }
            // Nothing is below a type that says nothing more.
            _ => self == other,
        }
    }

    fn value(
        &self,
        ty: cellwall_abi::ValType,
        exact: impl FnOnce(&runtime::TypeRecord) -> Option<types::RefType<u32>>,
    ) -> ValType {
        match &self.exact {
            Some((engine, record)) => match exact(record) {
                Some(ty) => RefType::from_exact(engine, ty).into(),
                None => ValType::from_abi(ty),
            },
            None => ValType::from_abi(ty),
        }
    }

    pub(crate) fn from_abi(signature: Signature) -> Self {
        Self {
            signature: Arc::new(signature),
            exact: None,
        }
    }

    /// The type with this number in an engine.
    pub(crate) fn from_number(engine: &runtime::Engine, number: u32) -> Self {
        let record = engine.type_record(number);
        Self {
            signature: Arc::new(record.signature.clone()),
            exact: record.exact.is_some().then(|| (engine.clone(), record)),
        }
    }

    /// Its number in an engine.
    pub(crate) fn number(&self, engine: &runtime::Engine) -> u32 {
        match &self.exact {
            None => engine.plain_type(&self.signature),
            Some((own, record)) => {
                assert!(own.same(engine), "a type of one engine cannot be used in another");
                record.number
            }
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
        write!(f, "(type {})", Whole(self))
    }
}

/// A type as in the text format, without the surrounding `type`.
pub(crate) struct Whole<'a>(pub &'a FuncType);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(func")?;
        list(f, "param", self.0.params())?;
        list(f, "result", self.0.results())?;
        f.write_str(")")
    }
}

fn list<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    keyword: &str,
    types: impl ExactSizeIterator<Item = T>,
) -> fmt::Result {
    if types.len() == 0 {
        return Ok(());
    }
    write!(f, " ({keyword}")?;
    for ty in types {
        write!(f, " {ty}")?;
    }
    f.write_str(")")
}

/// A signature as in the text format, without the surrounding `type`.
pub(crate) struct Bare<'a>(pub &'a Signature);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(func")?;
        list(f, "param", self.0.params.iter())?;
        list(f, "result", self.0.results.iter())?;
        f.write_str(")")
    }
}
