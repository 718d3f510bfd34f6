//! Every function that a header declares is in both libraries.

use super::{compile, here, scratch};
use std::collections::BTreeSet;
use std::process::Command;

/// The functions that a header declares, after the preprocessor.
fn declared(header: &str) -> BTreeSet<String> {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(compiler)
        .args(["-E", "-P", "-xc", "-I"])
        .arg(here().join("include"))
        .arg(here().join("include").join(header))
        .output()
        .expect("a C compiler is installed, as Rust's linker");
    let text = String::from_utf8(output.stdout).expect("a header is text");
    let mut names = BTreeSet::new();
    for (start, _) in text.match_indices("wasm_").chain(text.match_indices("cellwall_")) {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if text[..start].ends_with(is_word) {
            continue;
        }
        let rest = &text[start..];
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(len);
        // A declaration: a name with parameters; not a pointer to a function, not a call.
        let before = text[..start].trim_end();
        let is_declared =
            behind.trim_start().starts_with('(') && !before.ends_with(['=', '(', ';', '{', '}', ',']);
        let is_inline = text[..start]
            .rsplit([';', '}'])
            .next()
            .is_some_and(|line| line.contains("inline"));
        let is_return = before.ends_with("return");
        if is_declared && !is_inline && !is_return {
            names.insert(name.to_owned());
        }
    }
    names
}

#[test]
fn every_declared_function_is_there() {
    for (header, functions_min) in [("wasm.h", 250), ("cellwall.h", 300)] {
        let names = declared(header);
        assert!(
            names.len() > functions_min,
            "{header} declares {} functions",
            names.len()
        );
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = format!(
            "#include <{header}>\n#include <stdio.h>\ntypedef void (*any)(void);\n\
             any volatile all[] = {{ (any){} }};\n\
             int main(void) {{ for (size_t i = 0; i < sizeof all / sizeof *all; i++) if (!all[i]) return 1; puts(\"all\"); return 0; }}\n",
            list.join(", (any)")
        );
        let source = scratch().join("symbols.c");
        std::fs::write(&source, text).expect("the target folder can be written");
        let program = scratch().join("symbols");
        compile(&source, &program, &["-Wno-cast-function-type", "-Wno-address"]);
        let output = Command::new(&program).output().expect("it was just built");
        assert_eq!(output.stdout, b"all\n");
    }
}
