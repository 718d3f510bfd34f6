//! What functions mean. The breadth of operators is tested with translation, on the specification's
//! tests.

use crate::{at, block, func, jump, ret, to};
use cellwall_base::{EntityId, FuncIdx, GlobalIdx, MemoryIdx, TableIdx, TypeIdx};
use cellwall_ir::interp::{Bits, Callee, Environment, Outcome, Stop, run};
use cellwall_ir::{BinaryOp, Func, InstData, Library, LoadOp, Signature, StoreOp, Trap, Type, check};
use std::rc::Rc;

/// One memory of eight bytes and one global; calls answer their arguments in reverse.
#[derive(Default)]
struct Small {
    memory: [u8; 8],
    global: Bits,
    bodies: Vec<Rc<Func>>,
    thrown: Vec<Bits>,
}

impl Environment for Small {
    fn memory(&mut self, _memory: MemoryIdx) -> &mut [u8] {
        &mut self.memory
    }
    fn table_size(&mut self, _table: TableIdx) -> u64 {
        3
    }
    fn global(&mut self, _global: GlobalIdx) -> &mut Bits {
        &mut self.global
    }
    fn throw(&mut self, _: cellwall_base::TagIdx, values: &[Bits]) -> Stop {
        self.thrown = values.to_vec();
        Stop::Thrown
    }
    fn catch(&mut self, tag: Option<cellwall_base::TagIdx>, with_ref: bool) -> Option<Vec<Bits>> {
        // Exceptions of this environment have tag 0.
        let fits = tag.is_none_or(|tag| tag.as_u32() == 0);
        let values = tag.map_or(&[][..], |_| &self.thrown[..]);
        fits.then(|| [&[Bits::from(with_ref)], values].concat())
    }
    fn call(&mut self, _func: FuncIdx, args: &[Bits], _fuel: &mut u64) -> Outcome {
        Ok(args.iter().rev().copied().collect())
    }
    fn call_indirect(&mut self, _: TableIdx, _: TypeIdx, index: u64, args: &[Bits], _: &mut u64) -> Outcome {
        if index >= 3 {
            return Err(Trap::TableOutOfBounds.into());
        }
        Ok(args.to_vec())
    }
    fn call_ref(&mut self, reference: u64, args: &[Bits], _: &mut u64) -> Outcome {
        match reference {
            0 => Err(Trap::NullReference.into()),
            _ => Ok(args.to_vec()),
        }
    }
    fn tail_callee(&mut self, callee: Callee) -> Result<(FuncIdx, Option<Rc<Func>>), Stop> {
        match callee {
            Callee::Func(func) => Ok((func, self.bodies.get(func.index()).cloned())),
            Callee::Indirect { index, .. } if index >= 3 => Err(Trap::TableOutOfBounds.into()),
            Callee::Ref(0) => Err(Trap::NullReference.into()),
            Callee::Ref(reference) => Ok((FuncIdx::from_u32(reference as u32), None)),
            Callee::Indirect { index, .. } => Ok((FuncIdx::from_u32(index as u32 + 100), None)),
        }
    }
    fn call_library(&mut self, _library: Library, _args: &[Bits], _fuel: &mut u64) -> Outcome {
        Err(Stop::Exhausted)
    }
}

fn runs(func: &Func, args: &[Bits]) -> Outcome {
    check(func).unwrap_or_else(|e| panic!("{e}\n{func}"));
    run(func, args, &mut Small::default(), &mut 1000)
}

/// `b0(x, n): jump b1(0, 1, n)`, a loop that exchanges two parameters n times, then returns both.
fn exchange() -> Func {
    let mut f = func(&[Type::I32], &[Type::I32, Type::I32]);
    let entry = f.entry();
    let n = f.blocks[entry].params[0];
    let head = block(&mut f, &[Type::I32, Type::I32, Type::I32]);
    let exit = block(&mut f, &[]);
    let mut build = at(&mut f, entry);
    let (zero, one) = (build.constant(Type::I32, 0), build.constant(Type::I32, 1));
    jump(&mut f, entry, head, &[zero, one, n]);
    let [x, y, left] = f.blocks[head].params[..] else {
        panic!("three parameters were made");
    };
    let less = at(&mut f, head).binary(BinaryOp::Sub, left, one);
    let targets = [to(&mut f, head, &[y, x, less]), to(&mut f, exit, &[])];
    at(&mut f, head).push(
        InstData::Branch {
            cond: less,
            to: targets,
        },
        &[],
    );
    ret(&mut f, exit, &[x, y]);
    f
}

#[test]
fn arguments_are_read_before_parameters_are_set() {
    assert_eq!(runs(&exchange(), &[1]), Ok(vec![0, 1]));
    assert_eq!(runs(&exchange(), &[2]), Ok(vec![1, 0]));
    assert_eq!(runs(&exchange(), &[3]), Ok(vec![0, 1]));
}

#[test]
fn fuel_ends_a_loop() {
    // 2^32 rounds with a count of 0.
    assert_eq!(runs(&exchange(), &[0]), Err(Stop::Exhausted));
}

#[test]
fn accesses_stay_inside_the_memory() {
    let copy = |offset: u32| {
        let mut f = func(&[Type::I32, Type::I64], &[Type::I64]);
        let entry = f.entry();
        let (addr, value) = (f.blocks[entry].params[0], f.blocks[entry].params[1]);
        let memory = MemoryIdx::from_u32(0);
        let store = InstData::Store {
            op: StoreOp::Low16,
            memory,
            offset,
            args: [addr, value],
        };
        let load = InstData::Load {
            op: LoadOp::S16,
            memory,
            offset,
            addr,
        };
        let mut build = at(&mut f, entry);
        build.push(store, &[]);
        let loaded = build.value(load, Type::I64);
        ret(&mut f, entry, &[loaded]);
        f
    };
    assert_eq!(runs(&copy(6), &[0, 0x1_8001]), Ok(vec![0xffff_ffff_ffff_8001]));
    let out = Err(Stop::Trap(Trap::MemoryOutOfBounds));
    assert_eq!(runs(&copy(7), &[0, 0]), out);
    assert_eq!(runs(&copy(6), &[0xffff_ffff, 0]), out);
}

#[test]
fn bounds_checks_do_not_wrap() {
    let checked = |slack: u64| {
        let mut f = func(&[Type::I64], &[Type::I64]);
        let entry = f.entry();
        let addr = f.blocks[entry].params[0];
        let memory = MemoryIdx::from_u32(0);
        let data = InstData::BoundsCheck { memory, addr, slack };
        let value = at(&mut f, entry).value(data, Type::I64);
        ret(&mut f, entry, &[value]);
        f
    };
    let out = Err(Stop::Trap(Trap::MemoryOutOfBounds));
    assert_eq!(runs(&checked(0), &[8]), Ok(vec![8]));
    assert_eq!(runs(&checked(0), &[9]), out);
    assert_eq!(runs(&checked(4), &[4]), Ok(vec![4]));
    assert_eq!(runs(&checked(4), &[5]), out);
    assert_eq!(runs(&checked(4), &[Bits::from(u64::MAX - 1)]), out);
}

#[test]
fn calls_pass_values_and_stops() {
    let mut f = func(&[Type::I32, Type::I64], &[Type::I64, Type::I32]);
    let entry = f.entry();
    let sig = f.signatures.push(Signature {
        params: vec![Type::I32, Type::I64],
        results: vec![Type::I64, Type::I32],
    });
    let params = f.blocks[entry].params.clone();
    let args = f.make_list(&params);
    let data = InstData::Call {
        func: FuncIdx::from_u32(1),
        sig,
        args,
    };
    let call = at(&mut f, entry).push(data, &[Type::I64, Type::I32]);
    let results: Vec<_> = f.insts[call].results.iter().collect();
    ret(&mut f, entry, &results);
    assert_eq!(runs(&f, &[3, 9]), Ok(vec![9, 3]));
    let library = InstData::CallLibrary {
        library: Library::from_u32(0),
        sig,
        args,
    };
    f.insts[call].data = library;
    assert_eq!(runs(&f, &[3, 9]), Err(Stop::Exhausted));
}

#[test]
fn a_switch_goes_to_its_last_target_beyond_the_others() {
    let mut f = func(&[Type::I32], &[Type::I32]);
    let entry = f.entry();
    let index = f.blocks[entry].params[0];
    let mut entries = Vec::new();
    for bits in [10, 11, 12] {
        let target = block(&mut f, &[]);
        let value = at(&mut f, target).constant(Type::I32, bits);
        ret(&mut f, target, &[value]);
        entries.push(to(&mut f, target, &[]));
    }
    f.switches.push(entries);
    at(&mut f, entry).push(InstData::Switch { index, targets: 0 }, &[]);
    for (index, expected) in [(0, 10), (1, 11), (2, 12), (3, 12), (0xffff_ffff, 12)] {
        assert_eq!(runs(&f, &[index]), Ok(vec![expected]));
    }
    assert!(f.to_string().contains("switch v0, b1, b2, b3"), "{f}");
}

#[test]
fn traps_are_told() {
    let mut f = func(&[Type::I32], &[]);
    let entry = f.entry();
    let cond = f.blocks[entry].params[0];
    let trap = Trap::BadSignature;
    at(&mut f, entry).push(InstData::TrapIf { cond, trap }, &[]);
    ret(&mut f, entry, &[]);
    assert_eq!(runs(&f, &[0]), Ok(Vec::new()));
    assert_eq!(runs(&f, &[2]), Err(Stop::Trap(trap)));
}

/// `b0(x): return_call f0(x - 1)` until x is 0, then through the table or to a function without a body.
fn counts_down() -> Func {
    let mut f = func(&[Type::I32], &[Type::I32]);
    let entry = f.entry();
    let x = f.blocks[entry].params[0];
    let (more, done) = (block(&mut f, &[]), block(&mut f, &[]));
    let to = [to(&mut f, more, &[]), to(&mut f, done, &[])];
    at(&mut f, entry).push(InstData::Branch { cond: x, to }, &[]);
    let signature = f.signature.clone();
    let sig = f.signatures.push(signature);
    let one = at(&mut f, more).constant(Type::I32, 1);
    let less = at(&mut f, more).binary(BinaryOp::Sub, x, one);
    let args = f.make_list(&[less]);
    let func = FuncIdx::from_u32(0);
    at(&mut f, more).push(InstData::ReturnCall { func, sig, args }, &[]);
    let index = at(&mut f, done).constant(Type::I32, 2);
    let args = f.make_list(&[index, x]);
    let (table, ty) = (TableIdx::from_u32(0), TypeIdx::from_u32(0));
    at(&mut f, done).push(InstData::ReturnCallIndirect { table, ty, sig, args }, &[]);
    f
}

#[test]
fn tail_calls_take_fuel_and_no_stack() {
    let f = counts_down();
    check(&f).unwrap_or_else(|e| panic!("{e}\n{f}"));
    let mut env = Small {
        bodies: vec![Rc::new(f.clone())],
        ..Small::default()
    };
    assert_eq!(run(&f, &[300_000], &mut env, &mut 10_000_000), Ok(vec![0]));
    assert_eq!(run(&f, &[300_000], &mut env, &mut 100_000), Err(Stop::Exhausted));
}

#[test]
fn a_tail_call_has_the_results_of_its_function() {
    let mut f = counts_down();
    f.signature.results = vec![Type::I64];
    let error = check(&f).unwrap_err().to_string();
    assert!(error.contains("the results are [I32], not [I64]"), "{error}");
}
