//! Optional features of processors, to be left unused on request.

use crate::{Error, Result};
use cellwall_abi::CpuFeatures;
use std::fmt;
use std::str::FromStr;

macro_rules! features {
    ($($(#[$meta:meta])* $name:ident = $text:literal $field:ident,)*) => {
        /// An optional feature of x86-64 processors that compiled code uses where the processor has
        /// it. All code needs SSE4.1.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum CpuFeature {
            $($(#[$meta])* $name,)*
        }

        impl CpuFeature {
            /// Every feature.
            pub const ALL: &'static [CpuFeature] = &[$(CpuFeature::$name,)*];

            /// The name, in lower case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Takes the feature out.
            pub(crate) fn clear(self, features: &mut CpuFeatures) {
                match self {
                    $(Self::$name => features.$field = false,)*
                }
                // These are extensions of AVX.
                features.avx2 &= features.avx;
                features.fma &= features.avx;
            }
        }
    };
}

features! {
    /// POPCNT: bits are counted by one instruction.
    Popcnt = "popcnt" popcnt,
    /// LZCNT: leading zeros.
    Lzcnt = "lzcnt" lzcnt,
    /// BMI1: trailing zeros and lowest bits.
    Bmi1 = "bmi1" bmi1,
    /// BMI2: shifts without flags.
    Bmi2 = "bmi2" bmi2,
    /// AVX: vectors with three operands. The next two need it.
    Avx = "avx" avx,
    /// AVX2: broadcasts of integers.
    Avx2 = "avx2" avx2,
    /// FMA: fused multiplications and additions.
    Fma = "fma" fma,
}

impl fmt::Display for CpuFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CpuFeature {
    type Err = Error;

    /// The feature with this [name](Self::name).
    ///
    /// # Errors
    /// If there is none.
    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|feature| feature.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|feature| feature.name()).collect();
            Error::msg(format!("no such feature; the features are {}", names.join(", ")))
        })
    }
}
