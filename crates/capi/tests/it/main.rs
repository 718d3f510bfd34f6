//! Programs in C against the headers and the library, under AddressSanitizer with its leak checker.
//!
//! Every `NAME.c` in `tests/c` and in the repository's `examples/c` is a test: it must exit with 0,
//! print nothing on standard error, and print what `NAME.out` beside it has (`BLESS=1` rewrites those).

mod definitions;
mod symbols;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with `libcellwall.so`. Cargo builds no library for tests that Rust cannot link, so
/// the first test that asks does.
fn libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let own = std::env::current_exe().expect("a test knows its file");
        let folder = own
            .ancestors()
            .nth(2)
            .expect("it is in deps, below the folder of the profile");
        let target = folder
            .parent()
            .expect("the folder of the profile is in the target folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--locked",
            "--offline",
            "--package",
            "cellwall-capi",
            "--target-dir",
        ]);
        cargo.arg(target).current_dir(here());
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        let output = cargo.output().expect("cargo runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        folder.to_owned()
    })
}

/// Compiles a program, by the compiler that links Rust programs too.
fn compile(source: &Path, program: &Path, options: &[&str]) {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let libraries = libraries();
    let output = Command::new(compiler)
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-parameter",
            "-g",
        ])
        .args(options)
        .arg("-I")
        .arg(here().join("include"))
        .arg(source)
        .arg("-o")
        .arg(program)
        .arg("-L")
        .arg(libraries)
        .arg("-lcellwall")
        .arg(format!("-Wl,-rpath,{}", libraries.display()))
        .args(["-lpthread", "-lm"])
        .output()
        .expect("a C compiler is installed, as Rust's linker");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", source.display());
}

fn scratch() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("capi-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the target folder can be written");
    dir
}

#[test]
fn programs_print_what_they_should() {
    let mut sources: Vec<PathBuf> = Vec::new();
    for folder in ["tests/c", "../../examples/c"] {
        let entries = std::fs::read_dir(here().join(folder)).expect("the folder is in the repository");
        sources.extend(entries.map(|entry| entry.expect("it can be listed").path()));
    }
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    assert!(!sources.is_empty());
    let is_blessing = std::env::var_os("BLESS").is_some();
    let mut wrong = String::new();
    for source in &sources {
        let program = scratch().join(source.file_stem().expect("a source has a name"));
        compile(
            source,
            &program,
            &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        );
        let output = Command::new(&program)
            .env("ASAN_OPTIONS", "detect_leaks=1:handle_segv=0")
            .output()
            .expect("it was just built");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let expected = source.with_extension("out");
        if is_blessing {
            std::fs::write(&expected, &printed).expect("the repository can be written");
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        if !output.status.success() || !errors.is_empty() || printed != wanted {
            wrong += &format!(
                "\n== {}: {}\n-- printed:\n{printed}-- wanted:\n{wanted}-- errors:\n{errors}",
                source.display(),
                output.status
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The check above sees leaks and wild reads: a program with one of each fails.
#[test]
fn the_sanitizer_has_teeth() {
    let bodies = [
        (
            "leak",
            "wasm_engine_t* volatile e = wasm_engine_new(); (void)e; e = 0;",
            false,
        ),
        (
            "deleted",
            "wasm_engine_t* e = wasm_engine_new(); wasm_engine_delete(e);",
            true,
        ),
        (
            "over",
            "wasm_byte_vec_t v; wasm_byte_vec_new(&v, 3, \"abc\"); volatile char c = v.data[3]; (void)c; wasm_byte_vec_delete(&v);",
            false,
        ),
    ];
    for (name, body, is_fine) in bodies {
        let source = scratch().join(format!("{name}.c"));
        let text = format!("#include <wasm.h>\nint main(void) {{ {body} return 0; }}\n");
        std::fs::write(&source, text).expect("the target folder can be written");
        let program = scratch().join(name);
        compile(&source, &program, &["-fsanitize=address", "-O0"]);
        let output = Command::new(&program).output().expect("it was just built");
        assert_eq!(
            output.status.success(),
            is_fine,
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
