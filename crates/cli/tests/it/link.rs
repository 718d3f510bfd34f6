//! Components linked on the command line, and made of modules, through files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn output(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cellwall"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env_clear()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the command can be started")
}

/// What it prints; it must succeed.
fn printed(args: &[&str]) -> String {
    let done = output(args);
    let error = String::from_utf8_lossy(&done.stderr);
    assert_eq!((done.status.code(), &*error), (Some(0), ""), "{args:?}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A folder of this test's own, empty.
fn scratch(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the target folder can be written");
    dir
}

#[test]
fn what_is_composed_runs_and_compiles_and_is_proven() {
    let dir = scratch("compose");
    let all = dir.join("all.wasm").display().to_string();
    let compiled = dir.join("all.cwall").display().to_string();
    printed(&[
        "compose",
        "link/app.wat",
        "--link",
        "docs:math/add=link/add.wat",
        "-o",
        &all,
    ]);
    assert_eq!(printed(&["run", "--invoke", "sum(1, 2, 3)", &all]), "6\n");
    // Nothing is imported any more.
    assert!(!printed(&["wit", &all]).contains("import"));

    printed(&["compile", &all, "-o", &compiled]);
    assert_eq!(printed(&["run", "--invoke", "sum(1, 2, 3)", &compiled]), "6\n");
    let proof = printed(&["verify", &compiled]);
    assert!(proof.contains("proven to be safe"), "{proof}");
    let code = printed(&["objdump", &compiled]);
    // Numbers need no adapter: the callee's entry stands in the caller's import.
    assert!(
        code.contains(";; core module 1") && !code.contains(";; adapter"),
        "{code}"
    );

    let refused = output(&["explain", &compiled]);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        error.contains("it is a compiled component") && error.contains("`cellwall objdump`"),
        "{error}"
    );

    // The same links by what files export, in the order that stands one between.
    printed(&[
        "compose",
        "link/app.wat",
        "-d",
        "link/twice.wat",
        "-d",
        "link/add.wat",
        "-o",
        &all,
    ]);
    assert_eq!(printed(&["run", "--invoke", "sum(1, 2, 3)", &all]), "18\n");
    // What nobody gives stays an import.
    printed(&["compose", "link/app.wat", "-d", "link/twice.wat", "-o", &all]);
    assert!(printed(&["wit", &all]).contains("import docs:math/add@1.0.0"));
    // It can be linked later.
    let linked = [
        "run",
        "--link",
        "docs:math/add=link/add.wat",
        "--invoke",
        "sum(1, 2, 3)",
        &all,
    ];
    assert_eq!(printed(&linked), "18\n");
}

#[test]
fn modules_become_components() {
    let dir = scratch("componentize");
    let made = dir.join("made.wasm").display().to_string();
    printed(&[
        "componentize",
        "link/area.wat",
        "--wit",
        "link/area.wit",
        "-o",
        &made,
    ]);
    assert_eq!(
        printed(&["run", "--invoke", "area(70000, 70000)", &made]),
        "4900000000\n"
    );
    printed(&["componentize", "link/preview1.wat", "-o", &made]);
    let world = printed(&["wit", &made]);
    assert!(world.contains("export wasi:cli/run@0.2"), "{world}");
    assert!(world.contains("import wasi:cli/stdout@0.2"), "{world}");
    // A library gets the adapter without a main function.
    printed(&[
        "componentize",
        "link/preview1.wat",
        "--adapter",
        "proxy",
        "-o",
        &made,
    ]);
    assert!(!printed(&["wit", &made]).contains("wasi:filesystem"));
}

#[test]
fn a_compiled_component_is_checked_where_it_lies() {
    let dir = scratch("compiled-component");
    let file = dir.join("c.cwall");
    let name = file.display().to_string();
    printed(&["compile", "component.wat", "-o", &name]);
    assert_eq!(
        printed(&["run", "--invoke", "pair(1, \"x\")", &name]),
        "(1, \"x\")\n"
    );
    let mut bytes = std::fs::read(&file).expect("it was written");
    bytes.pop();
    std::fs::write(&file, &bytes).expect("it is ours");
    let refused = output(&["verify", &name]);
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(error.contains("the file has another length"), "{error}");
    // Linking wants what is not compiled yet.
    let refused = output(&["run", "--link", "a:b/c=component.wat", &name]);
    assert_eq!(refused.status.code(), Some(1));
}

/// A component in C and one in Rust send each other every type of values.
#[test]
fn components_of_two_languages_exchange_every_type() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/components");
    let (app, bank) = (examples.join("app.wasm"), examples.join("bank.wasm"));
    let (app, bank) = (app.display().to_string(), bank.display().to_string());
    let came_back = "ok(\"every type came back\")\n";
    let link = format!("docs:exchange/types={bank}");
    let run = ["run", "--no-cache", "--link", &link, "--invoke", "check()", &app];
    assert_eq!(printed(&run), came_back);

    let dir = scratch("languages");
    let (all, compiled) = (dir.join("all.wasm"), dir.join("all.cwall"));
    let (all, compiled) = (all.display().to_string(), compiled.display().to_string());
    printed(&["compose", &app, "-d", &bank, "-o", &all]);
    assert_eq!(
        printed(&["run", "--no-cache", "--invoke", "check()", &all]),
        came_back
    );
    printed(&["compile", &all, "-o", &compiled]);
    assert_eq!(printed(&["run", "--invoke", "check()", &compiled]), came_back);
    // Alone it has nobody to send to.
    let alone = output(&["run", "--no-cache", "--invoke", "check()", &app]);
    assert_eq!(alone.status.code(), Some(1));
}

/// Each type of values has a text, on the way in and on the way out.
#[test]
fn a_call_takes_values_of_every_type() {
    let bank = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/components/bank.wasm");
    let bank = bank.display().to_string();
    let rows = [
        (
            "numbers(true, -1, 2, -3, 4, -5, 6, -7, 8, 1.5, nan, 'a')",
            "(false, 0, 3, -2, 5, -4, 7, -6, 9, 2.5, nan, 'b')",
        ),
        ("greet(\"you\")", "\"hello, you\""),
        ("reverse([\"a\", \"b\"])", "[\"b\", \"a\"]"),
        ("sums([1, 2, 3, 4])", "[1, 3, 6, 10]"),
        ("mirror({y: -2, x: 1})", "{x: -2, y: 1}"),
        ("next(blue)", "red"),
        ("others({read})", "{write, execute}"),
        ("grow(circle(1.5))", "circle(3)"),
        ("half(some(4))", "some(2)"),
        ("half(none)", "none"),
        // What is optional may be left out, and what is there needs no `some`.
        ("half()", "none"),
        ("half", "none"),
        ("half(6)", "some(3)"),
        ("docs:exchange/types#half(6)", "some(3)"),
        ("divide(6, 0)", "err(\"division by zero\")"),
        ("double({\"a\": 1})", "{\"a\": 2}"),
    ];
    for (call, expected) in rows {
        let result = printed(&["run", "--invoke", call, &bank]);
        assert_eq!(result, format!("{expected}\n"), "{call}");
    }
    for (call, reason) in [
        ("sums([1, 2, 3])", "3 elements where the type is list<u16, 4>"),
        ("sums([1, 2, 3, 70000])", "`70000` in `numbers` is no u16"),
        ("sums([1, 2, 3, x])", "`x` in `numbers` is no u16"),
        ("mirror({x: 1, y: \"2\"})", "`\"2\"` in `p` is no s32"),
        ("mirror({x: 1})", "`{x: 1}` in `p` is no record"),
        ("grow(circle(\"big\"))", "`\"big\"` in `s` is no f64"),
        ("half(some(-1))", "`-1` in `n` is no u32"),
        ("half(-1)", "`-1` in `n` is no u32"),
        ("double({\"a\": []})", "`[]` in `prices` is no u32"),
        ("reverse([\"a\", 7])", "`7` in `words` is no string"),
        ("next(pink)", "`pink` in `c` is no enum"),
        ("divide(6)", "the argument `b: u32` is missing"),
        ("divide(6, 0, 1)", "there is no parameter for `1`"),
        ("divide(6, 0) + 1", "at `+ 1`"),
        ("divide(6, @)", "at `@)`"),
        ("divide(6, 0", "at its end"),
    ] {
        let refused = output(&["run", "--invoke", call, &bank]);
        let error = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{error}");
        assert!(error.contains(reason), "{call}: {error}");
    }
}

/// Arguments behind the file are one value each, whatever stands in them.
#[test]
fn a_word_behind_the_file_is_one_argument() {
    let bank = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/components/bank.wasm");
    let bank = bank.display().to_string();
    let command = |func, words: &[&str]| {
        let args = [&["run", "--invoke", func, &bank, "--"], words].concat();
        args.into_iter().map(str::to_owned).collect::<Vec<String>>()
    };
    let rows: [(&str, &[&str], &str); 6] = [
        ("divide", &["6", "2"], "ok(3)"),
        ("half", &[], "none"),
        ("half", &["6"], "some(3)"),
        ("reverse", &["[\"a, b\", \"(\"]"], "[\"(\", \"a, b\"]"),
        ("mirror", &[" {x: 1,\n y: -2} "], "{x: -2, y: 1}"),
        ("grow", &["circle(1.5)"], "circle(3)"),
    ];
    for (func, words, expected) in rows {
        let args = command(func, words);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        assert_eq!(printed(&args), format!("{expected}\n"), "{func} {words:?}");
    }
    let rows: [(&str, &[&str], &str); 10] = [
        (
            "divide",
            &["6, 2"],
            "`6, 2` in `a` is no u32: trailing characters after value, at `, 2`",
        ),
        ("divide", &["6", "2, 1"], "`2, 1` in `b` is no u32"),
        ("divide", &["6"], "the argument `b: u32` is missing"),
        ("divide", &["6", "2", "1"], "there is no parameter for `1`"),
        ("divide", &["6", "x"], "`x` in `b` is no u32"),
        (
            "divide",
            &["6", ""],
            "`` in `b` is no u32: unexpected end of input, at its end",
        ),
        (
            "reverse",
            &["[\"a\"", "\"b\"]"],
            "there is no parameter for `\"b\"]`",
        ),
        (
            "reverse",
            &["[\"a\""],
            "`[\"a\"` in `words` is no list<string>: unexpected end of input, at its end",
        ),
        ("reverse", &["[\"a\", 7]"], "`7` in `words` is no string"),
        (
            "divide(6, 2)",
            &["1"],
            "arguments are given twice: `(6, 2)` in --invoke, and `1` behind the file",
        ),
    ];
    for (func, words, reason) in rows {
        let args = command(func, words);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let refused = output(&args);
        let error = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{error}");
        assert!(error.contains(reason), "{func} {words:?}: {error}");
    }
}
