//! Registers: hardware ones, virtual ones, or none, in 32 bits.

use std::fmt;

/// Which registers can hold a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// General-purpose registers.
    Int,
    /// Vector registers; scalar floats too.
    Float,
}

/// A register or the absence of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u32);

/// First number of a virtual register.
const VIRTUAL: u32 = 64;

impl Reg {
    /// No register.
    pub const NONE: Self = Self(u32::MAX);

    /// The hardware general-purpose register with this number.
    pub const fn gpr(number: u8) -> Self {
        assert!(number < 16);
        Self(number as u32)
    }

    /// The hardware vector register with this number.
    pub const fn xmm(number: u8) -> Self {
        assert!(number < 16);
        Self(16 + number as u32)
    }

    /// The hardware register of a class with this number.
    pub const fn hardware(class: Class, number: u8) -> Self {
        match class {
            Class::Int => Self::gpr(number),
            Class::Float => Self::xmm(number),
        }
    }

    /// The virtual register with this index; indexes are shared between the classes.
    pub const fn virt(class: Class, index: u32) -> Self {
        Self(VIRTUAL + 2 * index + class as u32)
    }

    /// Whether there is no register.
    pub const fn is_none(self) -> bool {
        self.0 == u32::MAX
    }

    /// The index of a virtual register.
    pub const fn virt_index(self) -> Option<u32> {
        if self.0 >= VIRTUAL && !self.is_none() {
            Some((self.0 - VIRTUAL) / 2)
        } else {
            None
        }
    }

    /// The number of a hardware register within its class.
    ///
    /// # Panics
    /// If this is not a hardware register.
    pub const fn number(self) -> u8 {
        assert!(self.0 < 32, "a hardware register is needed here");
        (self.0 & 15) as u8
    }

    /// The class.
    ///
    /// # Panics
    /// If there is no register.
    pub const fn class(self) -> Class {
        assert!(!self.is_none());
        let float = if self.0 < VIRTUAL {
            self.0 >= 16
        } else {
            (self.0 - VIRTUAL) % 2 == 1
        };
        if float { Class::Float } else { Class::Int }
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_none(), self.virt_index()) {
            (true, _) => f.write_str("none"),
            (_, Some(index)) => write!(f, "{}{index}", if self.class() == Class::Int { "v" } else { "f" }),
            _ => write!(
                f,
                "{}{}",
                if self.class() == Class::Int { "r" } else { "x" },
                self.number()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_registers_do_not_overlap() {
        for class in [Class::Int, Class::Float] {
            let hardware = Reg::hardware(class, 15);
            assert_eq!(
                (hardware.class(), hardware.number(), hardware.virt_index()),
                (class, 15, None)
            );
            let virt = Reg::virt(class, 7);
            assert_eq!((virt.class(), virt.virt_index()), (class, Some(7)));
        }
        assert!(Reg::NONE.is_none() && Reg::NONE.virt_index().is_none());
    }

    #[test]
    #[should_panic(expected = "hardware register")]
    fn a_virtual_register_has_no_number() {
        Reg::virt(Class::Int, 0).number();
    }
}
