//! The text form, for people and goldens.
//!
//! ```text
//! func f0(v0: i32) -> i32 {
//! b0(v0: i32):
//!     v1: i32 = const 1
//!     v2: i32 = add v0, v1
//!     return v2
//! }
//! ```

use crate::func::{BlockCall, Func, InstData, Signature, ValueList};
use crate::{Inst, Value};
use std::fmt::{self, Display, Formatter};

impl Display for Func {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "func {}{} {{", self.index, self.signature)?;
        for &block in &self.order {
            let data = &self.blocks[block];
            write!(f, "{block}")?;
            if !data.params.is_empty() {
                let params: Vec<String> = data
                    .params
                    .iter()
                    .map(|&v| format!("{v}: {}", self.ty(v)))
                    .collect();
                write!(f, "({})", params.join(", "))?;
            }
            writeln!(f, ":")?;
            for &inst in &data.insts {
                write!(f, "    ")?;
                self.write_inst(f, inst)?;
                writeln!(f)?;
            }
        }
        writeln!(f, "}}")
    }
}

impl Display for Signature {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let list = |types: &[crate::Type]| {
            types
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}

impl Func {
    fn args(&self, list: ValueList) -> String {
        join(self.list(list))
    }

    fn to(&self, to: BlockCall) -> String {
        if to.args.is_empty() {
            to.block.to_string()
        } else {
            format!("{}({})", to.block, self.args(to.args))
        }
    }

    fn write_inst(&self, f: &mut Formatter<'_>, inst: Inst) -> fmt::Result {
        let node = &self.insts[inst];
        if !node.results.is_empty() {
            let results: Vec<String> = node
                .results
                .iter()
                .map(|v| format!("{v}: {}", self.ty(v)))
                .collect();
            write!(f, "{} = ", results.join(", "))?;
        }
        match node.data {
            InstData::Const { bits } => write!(f, "const {bits:#x}"),
            InstData::Unary { op, arg } => write!(f, "{} {arg}", op.name()),
            InstData::Binary { op, args } => write!(f, "{} {}", op.name(), join(&args)),
            InstData::Compare { op, args } => write!(f, "{} {}", op.name(), join(&args)),
            InstData::Select { cond, args } => write!(f, "select {cond}, {}", join(&args)),
            InstData::BoundsCheck { memory, addr, slack } => {
                write!(f, "bounds_check {memory}, {addr} + {slack}")
            }
            InstData::Load {
                op,
                memory,
                offset,
                addr,
            } => {
                write!(f, "{} {memory}[{addr} + {offset}]", op.name())
            }
            InstData::Store {
                op,
                memory,
                offset,
                args: [addr, value],
            } => {
                write!(f, "{} {memory}[{addr} + {offset}], {value}", op.name())
            }
            InstData::MemorySize { memory } => write!(f, "memory_size {memory}"),
            InstData::TableSize { table } => write!(f, "table_size {table}"),
            InstData::GlobalGet { global } => write!(f, "global_get {global}"),
            InstData::GlobalSet { global, value } => write!(f, "global_set {global}, {value}"),
            InstData::Call { func, args, .. } => write!(f, "call {func}({})", self.args(args)),
            InstData::CallIndirect { table, ty, args, .. } => {
                write!(f, "call_indirect {table} {ty}({})", self.args(args))
            }
            InstData::CallLibrary { library, args, .. } => write!(f, "call {library}({})", self.args(args)),
            InstData::TrapIf { cond, trap } => write!(f, "trap_if {cond}, {trap:?}"),
            InstData::Jump { to } => write!(f, "jump {}", self.to(to)),
            InstData::Branch { cond, to } => {
                write!(f, "branch {cond}, {}, {}", self.to(to[0]), self.to(to[1]))
            }
            InstData::Switch { index, targets } => {
                let list: Vec<String> = self.switches[targets as usize]
                    .iter()
                    .map(|&to| self.to(to))
                    .collect();
                write!(f, "switch {index}, [{}]", list.join(", "))
            }
            InstData::Return { args } => write!(f, "return {}", self.args(args)),
            InstData::Trap { trap } => write!(f, "trap {trap:?}"),
        }
    }
}

fn join(values: &[Value]) -> String {
    values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
