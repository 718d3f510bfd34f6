//! Constant expressions (core specification, "Constant Expressions", with the extended ones).
//!
//! Those of a module were validated; those of a file that someone else made may be anything, so
//! each step is checked again and a malformed expression is an error.

use crate::error::Error;
use crate::store::StoreOpaque;
use crate::value::{AnyRef, FuncRef, RawVal};
use cellwall_abi::ValType;
use cellwall_abi::shape::{ConstExpr, ConstOp};

impl StoreOpaque {
    /// Evaluates an expression of type `ty` in an instance whose imports and earlier globals are
    /// in place.
    pub(crate) fn evaluate(&self, instance: u32, expr: &ConstExpr, ty: ValType) -> Result<RawVal, Error> {
        let mut stack: Vec<RawVal> = Vec::new();
        // Without an operand to keep, the list takes no memory.
        if let [op] = expr.0[..] {
            let value = self
                .step(instance, op, ty, &mut stack)
                .filter(|value| value.ty() == ty);
            return value.ok_or_else(malformed);
        }
        for &op in &expr.0 {
            let value = self.step(instance, op, ty, &mut stack).ok_or_else(malformed)?;
            stack.push(value);
        }
        match stack[..] {
            [value] if value.ty() == ty => Ok(value),
            _ => Err(malformed()),
        }
    }

    fn step(&self, instance: u32, op: ConstOp, ty: ValType, stack: &mut Vec<RawVal>) -> Option<RawVal> {
        let owner = &self.fields.instances[instance as usize];
        let pop_i32 = |stack: &mut Vec<RawVal>| match stack.pop() {
            Some(RawVal::I32(v)) => Some(v),
            _ => None,
        };
        let pop_i64 = |stack: &mut Vec<RawVal>| match stack.pop() {
            Some(RawVal::I64(v)) => Some(v),
            _ => None,
        };
        let mut two_i32 = |f: fn(i32, i32) -> i32| {
            let (right, left) = (pop_i32(stack)?, pop_i32(stack)?);
            Some(RawVal::I32(f(left, right)))
        };
        Some(match op {
            ConstOp::I32(v) => RawVal::I32(v),
            ConstOp::I64(v) => RawVal::I64(v),
            ConstOp::F32(bits) => RawVal::F32(bits),
            ConstOp::F64(bits) => RawVal::F64(bits),
            ConstOp::V128(bits) => RawVal::V128(bits),
            ConstOp::GlobalGet(global) => self.global_get(owner.global(global)?),
            // A null has the type that its place asks for.
            ConstOp::RefNull if ty.is_ref() => RawVal::default_of(ty),
            ConstOp::RefNull => return None,
            ConstOp::RefFunc(func) => RawVal::FuncRef(FuncRef(owner.func_reference(func)?)),
            ConstOp::RefI31 => RawVal::AnyRef(AnyRef::from_i31(pop_i32(stack)? as u32)),
            ConstOp::I32Add => two_i32(i32::wrapping_add)?,
            ConstOp::I32Sub => two_i32(i32::wrapping_sub)?,
            ConstOp::I32Mul => two_i32(i32::wrapping_mul)?,
            ConstOp::I64Add | ConstOp::I64Sub | ConstOp::I64Mul => {
                let (right, left) = (pop_i64(stack)?, pop_i64(stack)?);
                RawVal::I64(match op {
                    ConstOp::I64Add => left.wrapping_add(right),
                    ConstOp::I64Sub => left.wrapping_sub(right),
                    _ => left.wrapping_mul(right),
                })
            }
        })
    }
}

fn malformed() -> Error {
    Error::Type("a constant expression is malformed".into())
}
