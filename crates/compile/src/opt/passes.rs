//! The table of passes, and sets of them.

macro_rules! passes {
    ($($(#[doc = $doc:literal])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Passes {
            $($(#[doc = $doc])* pub const $name: Self = Self(1 << $bit);)*
            /// Every pass with its name, in the order in which they run.
            pub const ROWS: &'static [(&'static str, Self)] = &[$(($text, Self::$name),)*];
        }
    };
}

/// A set of optimizing passes.
///
/// Code is right with any set; all of them is what users get. Subsets are for measuring what a pass
/// is worth and for finding the one that went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passes(u32);

passes! {
    /// Locals as values; without it, they live in the frame.
    VALUES = 28, "values";
    /// Inlining of small functions.
    INLINE = 31, "inline";
    /// Folding of constants and local algebra.
    FOLD = 0, "fold";
    /// Global value numbering: what was computed before is not computed again.
    NUMBER = 1, "number";
    /// Conditions that a dominating branch decided.
    DECIDE = 2, "decide";
    /// Loads of what is known to be there, and stores of it.
    LOADS = 3, "loads";
    /// What is the same in every iteration of a loop moves out of it.
    HOIST = 4, "hoist";
    /// Branches that only choose a value, as choices.
    CHOOSE = 6, "choose";
    /// Switches as comparisons or tests of bits.
    SWITCHES = 5, "switches";
    /// Register allocation for the whole function; without it, registers hold values within a block
    /// only.
    REGISTERS = 29, "registers";
    /// Rare blocks last, loops together.
    LAYOUT = 30, "layout";
    /// The test of a loop at its end too, so that each iteration has one jump.
    ROTATE = 27, "rotate";
}

impl Passes {
    /// Every pass.
    pub const ALL: Self = Self(u32::MAX);
    /// No pass but what code generation needs: blocks out of reach and dead code are removed.
    pub const NONE: Self = Self(0);

    /// Whether every pass of the other set is in this one.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set with another one.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without another one.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The pass of a name.
    pub fn named(name: &str) -> Option<Self> {
        let row = Self::ROWS.iter().find(|row| row.0 == name)?;
        Some(row.1)
    }
}

impl Default for Passes {
    fn default() -> Self {
        Self::ALL
    }
}
