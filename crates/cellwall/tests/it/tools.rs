//! `tools::explain`: every stage of a function, and functions that there are not.

use cellwall::tools::{Stage, explain};
use cellwall::{Engine, Invalid};

const MODULE: &str = r#"
    (module
      (import "" "" (func (param i32)))
      (memory 1)
      (table funcref (elem $callee))
      (func $callee)
      (func $f (param i32) (result i32)
        (call 0 (i32.const 1))
        (drop (call $f (local.get 0)))
        (call_indirect (i32.const 0))
        (block (block (block (br_table 0 1 2 0 2 1 0 1 2 (local.get 0))) (return (i32.const 6)))
          (return (i32.const 7)))
        (i32.div_u (i32.load offset=8 (local.get 0)) (memory.size))))"#;

#[test]
fn each_stage_shows_the_function_in_its_own_words() {
    let engine = Engine::default();
    let show = |stage| explain(&engine, MODULE.as_bytes(), 2, stage).expect("it has a body");
    for (stage, words) in [
        (
            Stage::Wasm,
            &["I32Const", "CallIndirect", "I32Load", "0x"] as &[_],
        ),
        (Stage::Ir, &["load"]),
        (Stage::Mir, &["ret"]),
        (
            Stage::Asm,
            &[
                "ret",
                "function 2",
                "ImportEntry(f0)",
                "out of bounds memory access",
                "jump table 0: L",
            ],
        ),
    ] {
        let text = show(stage);
        for word in words {
            assert!(text.contains(word), "{word} in {stage:?}:\n{text}");
        }
    }
    assert_eq!(show(Stage::Asm), show(Stage::Asm));
}

#[test]
fn what_has_no_body_cannot_be_shown() {
    let engine = Engine::default();
    for func in [0, 3] {
        let error = explain(&engine, MODULE.as_bytes(), func, Stage::Ir).expect_err("no body");
        assert!(error.to_string().contains(&func.to_string()), "{error}");
    }
    let bad = "(module (func (result i32)))";
    for stage in [Stage::Wasm, Stage::Ir, Stage::Mir, Stage::Asm] {
        assert!(
            explain(&engine, bad.as_bytes(), 0, stage)
                .expect_err("invalid")
                .is::<Invalid>()
        );
    }
}
