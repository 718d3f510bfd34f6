//! The x86-64 instruction set.
//!
//! * [`row`]: the table, one row per instruction: name, form, encoding.
//! * [`inst`]: an instruction as data, and the roles of its registers.
//! * [`func`]: functions of blocks.
//! * [`code`]: encoding of functions, with branch relaxation.
//! * `align`: where loops start.
//! * `encode`: encoding of one instruction.
//! * `expand`: the fixed sequences behind pseudo rows.
//! * `print`: text.

mod align;
pub mod code;
mod encode;
mod expand;
pub mod func;
pub mod inst;
mod print;
pub mod row;

pub use align::LINE_BYTES;
pub use code::{
    CallSite, Code, CodeTooLarge, Entry, Frame, LandingPad, Reloc, RelocTarget, TrapSite, encode,
};
pub use func::{
    Below, Block, BlockData, Call, Catches, Edge, Fixed, IndirectCall, MFunc, Pins, ReferenceCall, Signature,
    TableBase, TableLimit, Target,
};
pub use inst::{Cond, Inst, Rm, Role, Width};
pub use row::{Form, Row};
