//! The text form: one line per instruction, `results: types = operator operands`.
//!
//! For people (`explain`, golden tests); there is no parser. Guarantees that equal functions print
//! alike and that blocks print in layout order.

use crate::func::{BlockCall, Func, InstData, ValueList};
use crate::op::Type;
use crate::{Block, Inst, Sig, Value};
use std::fmt;

impl fmt::Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = |types: &[Type]| types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
        let (params, results) = (types(&self.signature.params), types(&self.signature.results));
        writeln!(f, "func {}({params}) -> ({results}) {{", self.index)?;
        for &block in &self.order {
            self.write_block(f, block)?;
        }
        writeln!(f, "}}")
    }
}

impl Func {
    fn write_block(&self, f: &mut fmt::Formatter<'_>, block: Block) -> fmt::Result {
        write!(f, "{block}")?;
        let data = &self.blocks[block];
        if !data.params.is_empty() {
            let typed = |&v: &Value| format!("{v}: {}", self.ty(v));
            let params: Vec<String> = data.params.iter().map(typed).collect();
            write!(f, "({})", params.join(", "))?;
        }
        writeln!(f, ":")?;
        for &inst in &data.insts {
            writeln!(f, "  {}", InstText { func: self, inst })?;
        }
        Ok(())
    }

    /// An instruction in the text form.
    pub fn display_inst(&self, inst: Inst) -> impl fmt::Display + '_ {
        InstText { func: self, inst }
    }
}

struct InstText<'f> {
    func: &'f Func,
    inst: Inst,
}

impl InstText<'_> {
    fn list(&self, list: ValueList) -> String {
        let values: Vec<String> = self.func.list(list).iter().map(Value::to_string).collect();
        values.join(", ")
    }

    fn target(&self, to: BlockCall) -> String {
        if to.args.is_empty() {
            to.block.to_string()
        } else {
            format!("{}({})", to.block, self.list(to.args))
        }
    }

    fn constant(&self, bits: u64) -> String {
        let first = self.func.insts[self.inst].results.iter().next();
        match first.map(|v| self.func.ty(v)) {
            Some(Type::I32) => (bits as i32).to_string(),
            Some(Type::F32) if f32::from_bits(bits as u32).is_finite() => {
                format!("{:?}", f32::from_bits(bits as u32))
            }
            Some(Type::F32) => format!("bits 0x{bits:08x}"),
            Some(Type::F64) if f64::from_bits(bits).is_finite() => format!("{:?}", f64::from_bits(bits)),
            Some(Type::F64) => format!("bits 0x{bits:016x}"),
            _ => (bits as i64).to_string(),
        }
    }

    fn signature(&self, sig: Sig) -> String {
        let signature = &self.func.signatures[sig];
        let types = |types: &[Type]| types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
        format!(
            "({}) -> ({})",
            types(&signature.params),
            types(&signature.results)
        )
    }
}

impl fmt::Display for InstText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = &self.func.insts[self.inst];
        if !node.results.is_empty() {
            let typed = |v| format!("{v}: {}", self.func.ty(v));
            let results: Vec<String> = node.results.iter().map(typed).collect();
            write!(f, "{} = ", results.join(", "))?;
        }
        match node.data {
            InstData::Const { bits } => write!(f, "const {}", self.constant(bits)),
            InstData::VectorConst { bytes } => write!(f, "const 0x{:032x}", u128::from_le_bytes(bytes)),
            InstData::Vector { op, lane, args } => {
                write!(f, "{} ", op.name())?;
                if op.form().has_lane() {
                    write!(f, "{lane}, ")?;
                }
                let args: Vec<String> = args[..op.arity()].iter().map(Value::to_string).collect();
                f.write_str(&args.join(", "))
            }
            InstData::Shuffle { mask, args: [x, y] } => write!(f, "i8x16.shuffle {mask:?}, {x}, {y}"),
            InstData::Unary { op, arg } => write!(f, "{} {arg}", op.name()),
            InstData::Binary { op, args: [x, y] } => write!(f, "{} {x}, {y}", op.name()),
            InstData::Compare { op, args: [x, y] } => {
                write!(f, "{} {} {x}, {y}", op.name(), self.func.ty(x))
            }
            InstData::Select { cond, args: [x, y] } => write!(f, "select {cond}, {x}, {y}"),
            InstData::BoundsCheck { memory, addr, slack } => {
                write!(f, "bounds_check {memory}, {addr}, slack {slack}")
            }
            InstData::Load {
                op,
                memory,
                offset,
                addr,
            } => write!(f, "{} {memory}[{addr} + {offset}]", op.name()),
            InstData::Store {
                op,
                memory,
                offset,
                args: [addr, value],
            } => write!(f, "{} {memory}[{addr} + {offset}], {value}", op.name()),
            InstData::Atomic {
                op,
                width,
                memory,
                offset,
                args,
            } => {
                let (&addr, operands) = self
                    .func
                    .list(args)
                    .split_first()
                    .unwrap_or((&Value::from_u32(0), &[]));
                write!(f, "{} {} {memory}[{addr} + {offset}]", op.name(), width.name())?;
                operands.iter().try_for_each(|operand| write!(f, ", {operand}"))
            }
            InstData::Fence => f.write_str("fence"),
            InstData::MemorySize { memory } => write!(f, "memory_size {memory}"),
            InstData::TableSize { table } => write!(f, "table_size {table}"),
            InstData::GlobalGet { global } => write!(f, "global_get {global}"),
            InstData::GlobalSet { global, value } => write!(f, "global_set {global}, {value}"),
            InstData::FrameGet { variable } => write!(f, "frame_get {variable}"),
            InstData::FrameSet { variable, value } => write!(f, "frame_set {variable}, {value}"),
            InstData::Call { func, args, .. } => write!(f, "call {func}({})", self.list(args)),
            InstData::CallIndirect { table, sig, args, .. } => {
                write!(
                    f,
                    "call_indirect {table} {}, {}",
                    self.signature(sig),
                    self.list(args)
                )
            }
            InstData::ReturnCall { func, args, .. } => {
                write!(f, "return_call {func}({})", self.list(args))
            }
            InstData::ReturnCallIndirect { table, sig, args, .. } => {
                write!(
                    f,
                    "return_call_indirect {table} {}, {}",
                    self.signature(sig),
                    self.list(args)
                )
            }
            InstData::CallRef { sig, args, .. } => {
                write!(f, "call_ref {}, {}", self.signature(sig), self.list(args))
            }
            InstData::ReturnCallRef { sig, args, .. } => {
                write!(f, "return_call_ref {}, {}", self.signature(sig), self.list(args))
            }
            InstData::CallLibrary { library, args, .. } => {
                write!(f, "call_library {library}({})", self.list(args))
            }
            InstData::Throw { tag, args, .. } => write!(f, "throw {tag}({})", self.list(args)),
            InstData::LandingPad { tag, with_ref } => {
                let tag = tag.map_or("all".to_owned(), |tag| tag.to_string());
                write!(f, "landing_pad {tag}{}", if with_ref { " with ref" } else { "" })
            }
            InstData::TrapIf { cond, trap } => write!(f, "trap_if {cond}, {trap:?}"),
            InstData::Jump { to } => write!(f, "jump {}", self.target(to)),
            InstData::Branch { cond, to: [yes, no] } => {
                write!(f, "branch {cond}, {}, {}", self.target(yes), self.target(no))
            }
            InstData::Switch { index, targets } => {
                let entries = &self.func.switches[targets as usize];
                let entries: Vec<String> = entries.iter().map(|&to| self.target(to)).collect();
                write!(f, "switch {index}, {}", entries.join(", "))
            }
            InstData::Catch { to, handlers } => {
                let handlers = &self.func.handlers[handlers as usize];
                let handlers: Vec<String> = handlers.iter().map(|&to| self.target(to)).collect();
                write!(f, "catch {}, or {}", self.target(to), handlers.join(", "))
            }
            InstData::Return { args } if args.is_empty() => write!(f, "return"),
            InstData::Return { args } => write!(f, "return {}", self.list(args)),
            InstData::Trap { trap } => write!(f, "trap {trap:?}"),
        }
    }
}
