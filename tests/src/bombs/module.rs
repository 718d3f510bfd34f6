//! Writes modules in the binary format, of any size and in one pass. Only what bombs need.

/// `i32` as a value type, and as the type of a block with one result.
pub(super) const I32: u8 = 0x7f;
/// `i64`.
pub(super) const I64: u8 = 0x7e;
/// `f32`.
pub(super) const F32: u8 = 0x7d;
/// `f64`.
pub(super) const F64: u8 = 0x7c;
/// The type of a block without parameters and results.
pub(super) const EMPTY: u8 = 0x40;

/// A function type of a [`Module`].
#[derive(Clone, Copy)]
pub(super) struct Type(u32);

/// The code of a body.
#[derive(Default)]
pub(super) struct Code {
    pub(super) bytes: Vec<u8>,
}

/// A module: a memory of one page, a table of eight functions, a global (all exported but the table).
#[derive(Default)]
pub(super) struct Module {
    types: Vec<(Vec<u8>, Vec<u8>)>,
    funcs: Vec<(Type, Vec<u8>)>,
    exports: Vec<(String, u32)>,
}

fn unsigned(into: &mut Vec<u8>, mut value: u64) {
    // Ends: every round takes seven bits away.
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return into.push(low);
        }
        into.push(low | 0x80);
    }
}

fn signed(into: &mut Vec<u8>, mut value: i64) {
    // Ends: every round takes seven bits away.
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && low & 0x40 == 0) || (value == -1 && low & 0x40 != 0) {
            return into.push(low);
        }
        into.push(low | 0x80);
    }
}

impl Code {
    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes as they are: opcodes without immediates.
    pub(super) fn op(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn with(&mut self, opcode: u8, immediate: u32) -> &mut Self {
        self.bytes.push(opcode);
        unsigned(&mut self.bytes, u64::from(immediate));
        self
    }

    pub(super) fn get(&mut self, local: u32) -> &mut Self {
        self.with(0x20, local)
    }

    pub(super) fn set(&mut self, local: u32) -> &mut Self {
        self.with(0x21, local)
    }

    pub(super) fn tee(&mut self, local: u32) -> &mut Self {
        self.with(0x22, local)
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes.push(0x41);
        signed(&mut self.bytes, i64::from(value));
        self
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes.push(0x42);
        signed(&mut self.bytes, value);
        self
    }

    pub(super) fn f64(&mut self, value: f64) -> &mut Self {
        self.bytes.push(0x44);
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// `i32.load`; the address is on the stack.
    pub(super) fn load(&mut self, offset: u32) -> &mut Self {
        self.op(&[0x28, 2]).number(offset)
    }

    /// `i32.store`; the address and the value are on the stack.
    pub(super) fn store(&mut self, offset: u32) -> &mut Self {
        self.op(&[0x36, 2]).number(offset)
    }

    /// An immediate.
    pub(super) fn number(&mut self, number: u32) -> &mut Self {
        unsigned(&mut self.bytes, u64::from(number));
        self
    }

    pub(super) fn add(&mut self) -> &mut Self {
        self.op(&[0x6a])
    }

    pub(super) fn xor(&mut self) -> &mut Self {
        self.op(&[0x73])
    }

    pub(super) fn block(&mut self, ty: u8) -> &mut Self {
        self.op(&[0x02, ty])
    }

    pub(super) fn loop_(&mut self, ty: u8) -> &mut Self {
        self.op(&[0x03, ty])
    }

    pub(super) fn if_(&mut self, ty: u8) -> &mut Self {
        self.op(&[0x04, ty])
    }

    pub(super) fn else_(&mut self) -> &mut Self {
        self.op(&[0x05])
    }

    /// A `block`, `loop` or `if` (by its opcode) with parameters.
    pub(super) fn typed(&mut self, opcode: u8, ty: Type) -> &mut Self {
        self.bytes.push(opcode);
        signed(&mut self.bytes, i64::from(ty.0));
        self
    }

    /// `try_table` whose exceptions all go to a label.
    pub(super) fn try_catching_all(&mut self, label: u32) -> &mut Self {
        self.op(&[0x1f, EMPTY, 1, 0x02]).number(label)
    }

    /// `try` of the older encoding.
    pub(super) fn try_(&mut self, ty: u8) -> &mut Self {
        self.op(&[0x06, ty])
    }

    pub(super) fn catch_all(&mut self) -> &mut Self {
        self.op(&[0x19])
    }

    pub(super) fn end(&mut self) -> &mut Self {
        self.op(&[0x0b])
    }

    pub(super) fn br_if(&mut self, depth: u32) -> &mut Self {
        self.with(0x0d, depth)
    }

    /// The last target is the default.
    pub(super) fn br_table(&mut self, targets: impl ExactSizeIterator<Item = u32>) -> &mut Self {
        self.with(0x0e, targets.len() as u32 - 1);
        targets.for_each(|target| unsigned(&mut self.bytes, u64::from(target)));
        self
    }

    pub(super) fn call(&mut self, func: u32) -> &mut Self {
        self.with(0x10, func)
    }

    /// Through the table; the index is on the stack.
    pub(super) fn call_indirect(&mut self, ty: Type) -> &mut Self {
        self.with(0x11, ty.0).number(0)
    }

    pub(super) fn repeat(&mut self, count: u32, mut each: impl FnMut(&mut Self, u32)) -> &mut Self {
        (0..count).for_each(|i| each(self, i));
        self
    }
}

impl Module {
    pub(super) fn ty(&mut self, params: &[u8], results: &[u8]) -> Type {
        self.types.push((params.to_vec(), results.to_vec()));
        Type(self.types.len() as u32 - 1)
    }

    /// Adds a function with locals (how many of which type) and returns its index; the last `end`
    /// is added.
    pub(super) fn func(&mut self, ty: Type, locals: &[(u32, u8)], code: &Code) -> u32 {
        let mut body = Vec::with_capacity(code.len() + 16);
        unsigned(&mut body, locals.len() as u64);
        for &(count, ty) in locals {
            unsigned(&mut body, u64::from(count));
            body.push(ty);
        }
        body.extend_from_slice(&code.bytes);
        body.push(0x0b);
        self.funcs.push((ty, body));
        self.funcs.len() as u32 - 1
    }

    pub(super) fn export(&mut self, name: &str, func: u32) {
        self.exports.push((name.into(), func));
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        let list = |types: &[u8]| {
            let mut bytes = Vec::new();
            unsigned(&mut bytes, types.len() as u64);
            bytes.extend_from_slice(types);
            bytes
        };
        section(
            &mut module,
            1,
            self.types
                .iter()
                .map(|(params, results)| [&[0x60], &list(params)[..], &list(results)].concat()),
        );
        let funcs = self.funcs.iter().map(|(ty, _)| {
            let mut bytes = Vec::new();
            unsigned(&mut bytes, u64::from(ty.0));
            bytes
        });
        section(&mut module, 3, funcs);
        section(&mut module, 4, [vec![0x70, 0, 8]].into_iter());
        section(&mut module, 5, [vec![0, 1]].into_iter());
        section(&mut module, 6, [vec![I32, 1, 0x41, 0, 0x0b]].into_iter());
        let named = |name: &str, kind: u8, index: u32| {
            let mut bytes = list(name.as_bytes());
            bytes.push(kind);
            unsigned(&mut bytes, u64::from(index));
            bytes
        };
        let exports = self.exports.iter().map(|(name, func)| named(name, 0, *func));
        let others = [named("memory", 2, 0), named("global", 3, 0)];
        section(
            &mut module,
            7,
            exports.chain(others).collect::<Vec<_>>().into_iter(),
        );
        // The first function eight times.
        let element = [0, 0x41, 0, 0x0b, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        section(&mut module, 9, [element.to_vec()].into_iter());
        let bodies = self.funcs.iter().map(|(_, body)| {
            let mut bytes = Vec::with_capacity(body.len() + 5);
            unsigned(&mut bytes, body.len() as u64);
            bytes.extend_from_slice(body);
            bytes
        });
        section(&mut module, 10, bodies);
        module
    }
}

fn section(module: &mut Vec<u8>, id: u8, items: impl ExactSizeIterator<Item = Vec<u8>>) {
    let mut bytes = Vec::new();
    unsigned(&mut bytes, items.len() as u64);
    items.for_each(|item| bytes.extend_from_slice(&item));
    module.push(id);
    unsigned(module, bytes.len() as u64);
    module.append(&mut bytes);
}
