//! The SSA intermediate representation: op rows, builder, checker, text form, reference interpreter
