//! The doors `decode`, `walk` and `validate`: each accepted module beside a refused neighbour.

use cellwall_base::{EntityId, FuncIdx, GlobalIdx, MemoryIdx, TableIdx};
use cellwall_wasm::{
    At, ConstExpr, ConstOp, ElementItems, ElementMode, Item, Module, Operator, Sink, ValType, decode,
    validate, walk,
};

fn bytes(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).expect("the test's text is well-formed")
}

fn accepted(wat: &str) -> Module {
    validate(bytes(wat)).unwrap_or_else(|e| panic!("{wat}: {e}"))
}

/// The reason why a module is refused.
#[track_caller]
fn refused(wat: &str) -> String {
    let error = validate(bytes(wat)).expect_err("the module must be refused");
    assert!(error.offset > 0, "{error}");
    error.reason
}

const EVERYTHING: &str = r#"(module $whole
    (type $pair (func (param i32 i64) (result f32 f64)))
    (import "a" "f" (func $imported (type $pair)))
    (import "a" "m" (memory 1 2))
    (import "a" "g" (global i32))
    (import "a" "t" (table 3 funcref))
    (memory $second 7)
    (table 4 9 externref)
    (global $mine (mut i64) (i64.add (i64.const 40) (i64.const 2)))
    (global f32 (f32.const -0))
    (func $first (type $pair) (f32.const 1) (f64.const 2))
    (func $second (export "run"))
    (export "memory" (memory $second))
    (start $second)
    (elem (i32.const 1) func $first $second)
    (elem funcref (ref.func $first) (ref.null func))
    (elem declare func $imported)
    (data (memory $second) (offset (i32.sub (global.get 0) (i32.const 1))) "hello")
    (data "passive"))"#;

#[test]
fn every_section_is_decoded() {
    let module = accepted(EVERYTHING);
    let (f0, f1) = (FuncIdx::new(0), FuncIdx::new(1));
    assert_eq!(module.imported_funcs(), 1);
    assert_eq!(module.func_type(f1).params[..], [ValType::I32, ValType::I64]);
    assert_eq!(module.func_type(f1).results[..], [ValType::F32, ValType::F64]);
    assert_eq!(module.defined_funcs().collect::<Vec<_>>(), [f1, FuncIdx::new(2)]);
    assert!(module.body(f0).is_none() && module.body(f1).is_some());
    assert_eq!(module.body(FuncIdx::new(3)), None);
    assert_eq!(module.memories()[MemoryIdx::new(0)].max_pages, Some(2));
    assert_eq!(module.memories()[MemoryIdx::new(1)].min_pages, 7);
    assert!(module.is_memory_imported(MemoryIdx::new(0)));
    assert!(!module.is_memory_imported(MemoryIdx::new(1)));
    assert_eq!(module.tables()[TableIdx::new(1)].element, ValType::ExternRef);
    let mine = &module.globals()[GlobalIdx::new(1)];
    assert!(mine.mutable && mine.ty == ValType::I64);
    assert_eq!(
        mine.init,
        Some(ConstExpr(vec![
            ConstOp::I64(40),
            ConstOp::I64(2),
            ConstOp::I64Add
        ]))
    );
    assert_eq!(
        module.globals()[GlobalIdx::new(2)].init,
        Some(ConstExpr(vec![ConstOp::F32(0x8000_0000)]))
    );
    assert_eq!(module.imports().len(), 4);
    assert_eq!(module.imports()[2].item, Item::Global(GlobalIdx::new(0)));
    assert_eq!(module.exports()[1].item, Item::Memory(MemoryIdx::new(1)));
    assert_eq!(module.start(), Some(FuncIdx::new(2)));
    assert_eq!(
        (module.name(), module.func_name(f1)),
        (Some("whole"), Some("first"))
    );
    assert_eq!(module.func_name(FuncIdx::new(99)), None);
}

#[test]
fn segments_are_decoded() {
    let module = accepted(EVERYTHING);
    let elements = module.elements().as_slice();
    assert_eq!(
        elements[0].mode,
        ElementMode::Active(TableIdx::new(0), ConstExpr(vec![ConstOp::I32(1)]))
    );
    assert_eq!(
        elements[0].items,
        ElementItems::Funcs(vec![FuncIdx::new(1), FuncIdx::new(2)])
    );
    assert_eq!(
        elements[1].items,
        ElementItems::Exprs(vec![
            ConstExpr(vec![ConstOp::RefFunc(FuncIdx::new(1))]),
            ConstExpr(vec![ConstOp::RefNull]),
        ])
    );
    assert_eq!(elements[2].mode, ElementMode::Declared);
    let data = module.data().as_slice();
    let text = |i: usize| {
        let range = data[i].bytes.start as usize..data[i].bytes.end as usize;
        std::str::from_utf8(&module.bytes()[range]).expect("the data is text")
    };
    assert_eq!((text(0), text(1)), ("hello", "passive"));
    assert_eq!(data[0].active.as_ref().map(|a| a.0), Some(MemoryIdx::new(1)));
    assert_eq!(data[1].active, None);
}

#[test]
fn features_beyond_the_set_are_named() {
    for (wat, feature) in [
        ("(module (type (struct)))", "gc"),
        ("(module (func (param structref)))", "gc"),
        ("(module (table 1 (ref null struct)))", "gc"),
        ("(module (global (ref null array) (ref.null array)))", "gc"),
        ("(module (func (local (ref null struct))))", "gc"),
        ("(module (func (block (result arrayref) unreachable) drop))", "gc"),
        (
            "(module (func (try_table (result arrayref) unreachable) drop))",
            "gc",
        ),
        (
            "(module (func (drop (select (result structref) unreachable))))",
            "gc",
        ),
        ("(module (func (drop (ref.null struct))))", "gc"),
        ("(module (func unreachable array.len drop))", "gc"),
        ("(module (func unreachable (drop (ref.null array))))", "gc"),
        (
            "(module (func (param externref) (drop (any.convert_extern (local.get 0)))))",
            "gc",
        ),
        (
            "(module (func (param anyref) (drop (extern.convert_any (local.get 0)))))",
            "gc",
        ),
        (
            "(module (func (param anyref) (drop (ref.test (ref struct) (local.get 0)))))",
            "gc",
        ),
        (
            "(module (type $f (func)) (func (param funcref) (drop (ref.test (ref $f) (local.get 0)))))",
            "gc",
        ),
        (
            "(module (type $f (func)) (func (param funcref) (drop (ref.cast (ref $f) (local.get 0)))))",
            "gc",
        ),
        (
            "(module (type $f (func)) (func (param funcref) (result funcref)
               (br_on_cast 0 funcref (ref $f) (local.get 0))))",
            "gc",
        ),
        ("(component)", "component-model"),
    ] {
        let reason = refused(wat);
        assert!(reason.contains(feature), "{wat}: {reason}");
    }
    // The neighbours that are in the set.
    accepted("(module (memory i64 1) (memory 1 (pagesize 1)) (table i64 1 funcref))");
    accepted("(module (memory 1) (memory 1) (func (param externref) (result i32 i32) unreachable))");
    accepted("(module (func (param anyref) (local (ref null eq)) (block (result anyref) unreachable) drop))");
    accepted("(module (global (ref null i31) (ref.null i31)) (table 1 (ref i31) (ref.i31 (i32.const 1))))");
    accepted("(module (func (param funcref) (drop (ref.test (ref func) (local.get 0)))))");
    accepted("(module (func (param anyref) (result anyref) (br_on_cast 0 anyref i31ref (local.get 0))))");
    accepted("(module (func $f (return_call $f)))");
    accepted("(module (func (param (ref func))))");
    accepted("(module (func $f) (table 1 (ref func) (ref.func $f)))");
    accepted(
        "(module (rec (type $a (func (param (ref null $b)))) (type $b (sub (func (result (ref $a)))))))",
    );
    accepted("(module (func (result i64) (i64.trunc_sat_f32_s (f32.const 1)) (i64.extend8_s)))");
    accepted("(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))");
}

#[test]
fn limits_are_enforced() {
    let tables = |n: usize| format!("(module {})", "(table 0 funcref)".repeat(n));
    accepted(&tables(100));
    let error = validate(bytes(&tables(101))).expect_err("one table too many");
    assert!(error.reason.contains("limit of 100"), "{error}");
}

#[test]
fn bodies_are_checked_by_the_walk_and_not_by_decode() {
    let wrong = bytes("(module (func (result i32) (i64.const 1)))");
    let module = decode(wrong.clone()).expect("the sections are valid");
    let error = walk(&module, FuncIdx::new(0), &mut Log::default()).expect_err("types differ");
    assert_eq!(validate(wrong).map(|_| ()), Err(error.clone()));
    assert!(error.reason.contains("type mismatch"), "{error}");
    accepted("(module (func (result i64) (i64.const 1)))");
}

#[test]
fn an_imported_function_cannot_be_walked() {
    let module = accepted(r#"(module (import "a" "b" (func)) (func))"#);
    let mut log = Log::default();
    assert!(walk(&module, FuncIdx::new(0), &mut log).is_err());
    assert!(walk(&module, FuncIdx::new(2), &mut log).is_err());
    assert!(walk(&module, FuncIdx::new(1), &mut log).is_ok());
}

#[derive(Default)]
struct Log {
    locals: Vec<(u32, ValType)>,
    operators: Vec<(String, At)>,
}

impl Sink for Log {
    fn locals(&mut self, count: u32, ty: ValType) {
        self.locals.push((count, ty));
    }
    fn operator(&mut self, operator: &Operator<'_>, at: At) {
        let name = format!("{operator:?}");
        let word = name.split([' ', '{']).next().unwrap_or_default().to_owned();
        self.operators.push((word, at));
    }
}

#[test]
fn a_sink_hears_locals_then_operators_with_reachability() {
    let module = accepted(
        "(module (func (param i32) (local i64 i64 f32)
            block
              br 0
              block nop end
              if nop else nop end
            end
            nop
            local.get 0
            if unreachable else nop end))",
    );
    let mut log = Log::default();
    walk(&module, FuncIdx::new(0), &mut log).expect("the body is valid");
    assert_eq!(log.locals, [(2, ValType::I64), (1, ValType::F32)]);
    let dead: Vec<&str> = log
        .operators
        .iter()
        .filter(|(_, at)| !at.reachable)
        .map(|(name, _)| name.as_str())
        .collect();
    let inside = [
        "Block", "Nop", "End", "If", "Nop", "Else", "Nop", "End", "End", "Else",
    ];
    assert_eq!(dead, inside);
    let offsets: Vec<u32> = log.operators.iter().map(|(_, at)| at.offset).collect();
    assert!(offsets.is_sorted_by(|a, b| a < b));
    let body = module.body(FuncIdx::new(0)).expect("the function is defined");
    assert_eq!(offsets.last(), Some(&(body.end - 1)));
}

#[test]
fn a_broken_name_section_is_ignored() {
    let mut module = bytes("(module (func))");
    accepted("(module (func))");
    // Custom section "name" with a function subsection that claims more than it has.
    module.extend([0, 9, 4, b'n', b'a', b'm', b'e', 1, 9, 1, 0]);
    let module = validate(module).expect("names cannot make a module invalid");
    assert_eq!(module.func_name(FuncIdx::new(0)), None);
    assert_eq!(module.custom_sections()[0].name, "name");
}

#[test]
fn a_module_cut_inside_a_section_is_refused() {
    let whole = bytes(EVERYTHING);
    let code = accepted(EVERYTHING).code_section();
    for len in code.start..code.end {
        let error = validate(&whole[..len as usize]).expect_err("the bodies are incomplete");
        assert!(error.offset <= len as usize, "{error}");
    }
}
