//! `cellwall.h`, its reference in the book and the check of the Rust signatures are made from the
//! definitions in `api/`, one file per noun. `BLESS=1` writes them.

use super::here;
use std::fmt::Write;
use std::path::PathBuf;

/// The nouns in the order of the header: what is used is declared before.
const NOUNS: [&str; 17] = [
    "error",
    "config",
    "module",
    "wasi",
    "engine",
    "val",
    "memory",
    "func",
    "trap",
    "exception",
    "linker",
    "component",
    "component_types",
    "component_val",
    "component_resource",
    "component_linker",
    "component_instance",
];

/// One definition file.
struct Noun {
    file: String,
    title: String,
    about: String,
    items: Vec<Item>,
}

enum Item {
    Type {
        name: String,
        about: String,
    },
    Enum {
        name: String,
        values: Vec<(String, String, String)>,
    },
    /// Fields and, if anything is to be said, what they mean.
    Struct {
        name: String,
        about: String,
        fields: Vec<(String, String)>,
    },
    Union {
        name: String,
        fields: Vec<String>,
    },
    Function {
        name: String,
        params: Vec<(String, String)>,
        result: Option<String>,
        about: String,
    },
}

fn noun(file: &str) -> Noun {
    let path = here().join("api").join(format!("{file}.api"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut parts = text.trim_end().split("\n\n");
    let head = parts.next().expect("split gives one part");
    let (title, about) = head.split_once('\n').expect("a title, then what it is about");
    Noun {
        file: file.to_owned(),
        title: title.to_owned(),
        about: about.to_owned(),
        items: parts.flat_map(items).collect(),
    }
}

/// One item; a vector is a structure and its functions.
fn items(text: &str) -> Vec<Item> {
    let Some(vec) = text.strip_prefix("vec ") else {
        return vec![item(text)];
    };
    let (head, about) = vec.split_once('\n').expect("a vector, then what it is");
    let (name, element) = head.split_once(" of ").expect("NAME of ELEMENT");
    let field = |field: &str, about: &str| (field.to_owned(), about.to_owned());
    let structure = Item::Struct {
        name: format!("{name}_t"),
        about: about.to_owned(),
        fields: vec![
            field("size_t size", "how many"),
            field(
                &format!("{element}* data"),
                "the elements; null if there are none",
            ),
        ],
    };
    let functions = [
        (
            "new",
            format!(", size: size_t, elements: own const {element}*"),
            "A vector of these elements, which it owns from now on.",
        ),
        ("new_empty", String::new(), "An empty vector."),
        (
            "new_uninit",
            ", size: size_t".to_owned(),
            "A vector whose elements the caller fills in: they are false, or empty, at first.",
        ),
        (
            "copy",
            format!(", from: const {name}_t*"),
            "A copy of a vector and its elements.",
        ),
        (
            "delete",
            String::new(),
            "Deletes a vector and its elements; it is empty then. Null is fine.",
        ),
    ];
    let functions = functions
        .map(|(verb, params, about)| item(&format!("fn {name}_{verb}(out: own {name}_t*{params})\n{about}")));
    [structure].into_iter().chain(functions).collect()
}

fn item(text: &str) -> Item {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (word, head) = first.split_once(' ').expect("a word, then a name");
    match word {
        "type" => Item::Type {
            name: head.to_owned(),
            about: rest.to_owned(),
        },
        "enum" => {
            let value = |line: &str| {
                let (name, rest) = line.split_once(" = ").expect("NAME = number: meaning");
                let (number, about) = rest.split_once(": ").expect("NAME = number: meaning");
                (name.to_owned(), number.to_owned(), about.to_owned())
            };
            Item::Enum {
                name: head.to_owned(),
                values: rest.lines().map(value).collect(),
            }
        }
        "struct" => {
            let field = |line: &str| {
                let (field, about) = line.split_once(": ").unwrap_or((line, ""));
                (field.to_owned(), about.to_owned())
            };
            Item::Struct {
                name: head.to_owned(),
                about: String::new(),
                fields: rest.lines().map(field).collect(),
            }
        }
        "union" => Item::Union {
            name: head.to_owned(),
            fields: rest.lines().map(str::to_owned).collect(),
        },
        "fn" => {
            let (name, rest_of_line) = head.split_once('(').expect("name(params)");
            let (params, result) = rest_of_line.rsplit_once(')').expect("name(params)");
            let param = |param: &str| {
                let (name, ty) = param.split_once(": ").expect("name: type");
                (name.to_owned(), ty.to_owned())
            };
            assert!(!rest.is_empty(), "{name} is not documented");
            Item::Function {
                name: name.to_owned(),
                params: params.split(", ").filter(|p| !p.is_empty()).map(param).collect(),
                result: result.strip_prefix(" -> ").map(str::to_owned),
                about: rest.to_owned(),
            }
        }
        word => panic!("{word} is nothing that can be defined"),
    }
}

fn comment(text: &mut String, about: &str) {
    for line in about.lines() {
        writeln!(text, "// {line}").expect("a String takes every write");
    }
}

/// `int x`, `char* x`.
fn declare(ty: &str, name: &str) -> String {
    format!("{ty} {name}")
}

fn declaration(name: &str, params: &[(String, String)], result: Option<&str>) -> String {
    let params: Vec<String> = params.iter().map(|(name, ty)| declare(ty, name)).collect();
    let params = match params.is_empty() {
        true => "void".to_owned(),
        false => params.join(", "),
    };
    let result = result.unwrap_or("void");
    let line = format!("WASM_API_EXTERN {result} {name}({params});");
    match line.len() > 100 {
        true => format!(
            "WASM_API_EXTERN {result} {name}(\n  {});",
            params.replace(", ", ",\n  ")
        ),
        false => line,
    }
}

fn header(nouns: &[Noun]) -> String {
    let mut text = String::from(
        "// Cellwall: what the standard C API (wasm.h) lacks.\n//\n\
         // Generated from crates/capi/api; not to be edited. As in wasm.h, `own` says who deletes.\n\n\
         #ifndef CELLWALL_H\n#define CELLWALL_H\n\n#include <wasm.h>\n\n#define own\n\n\
         #ifdef __cplusplus\nextern \"C\" {\n#endif\n\n\
         // What is called when data that was handed over is needed no more.\n\
         typedef void (*cellwall_finalizer_t)(void*);\n\
         // Takes what a guest writes; false if it cannot, which the guest sees as an error of writing.\n\
         typedef bool (*cellwall_wasi_write_t)(void* env, const uint8_t* bytes, size_t length);\n",
    );
    // Types first: a function of one noun may take another's.
    for item in nouns.iter().flat_map(|noun| &noun.items) {
        if let Item::Type { name, .. } | Item::Struct { name, .. } = item {
            writeln!(text, "typedef struct {name} {name};").expect("a String takes every write");
        }
    }
    text.push_str(
        "\n// A function of the host with the data that it was made with. The results are zeros and nulls of their types\n\
         // at first; references among them become the callee's. Null, or the trap that it ends with.\n\
         typedef own wasm_trap_t* (*cellwall_func_callback_t)(\n  void* env,\n  cellwall_caller_t* caller,\n  \
         const wasm_val_t* args,\n  size_t args_count,\n  wasm_val_t* results,\n  size_t results_count);\n\n\
         // A function of the host that components call. The store and the type are there until it returns; the\n\
         // arguments stay the caller's. The results are `false` at first; those that it writes become the caller's.\n\
         // Null, or the error that it ends with.\n\
         typedef own cellwall_error_t* (*cellwall_component_func_callback_t)(\n  void* env,\n  \
         wasm_store_t* store,\n  const cellwall_component_func_type_t* type,\n  \
         const cellwall_component_val_t* args,\n  size_t args_count,\n  \
         cellwall_component_val_t* results,\n  size_t results_count);\n\n\
         // The destructor of a resource of the host. Null, or the error that it ends with.\n\
         typedef own cellwall_error_t* (*cellwall_component_resource_destructor_t)(\n  void* env,\n  \
         wasm_store_t* store,\n  uint32_t rep);\n",
    );
    for noun in nouns {
        let line = "/".repeat(79);
        write!(text, "\n{line}\n// {}\n//\n", noun.title).expect("a String takes every write");
        comment(&mut text, &noun.about);
        for item in &noun.items {
            text.push('\n');
            item_text(&mut text, item);
        }
    }
    text.push_str(
        "\n#undef own\n\n#ifdef __cplusplus\n}  // extern \"C\"\n#endif\n\n#endif  // CELLWALL_H\n",
    );
    text
}

fn item_text(text: &mut String, item: &Item) {
    match item {
        Item::Type { name, about } => {
            comment(text, about);
            writeln!(text, "// (struct {name}, declared above)").expect("a String takes every write");
        }
        Item::Enum { name, values } => {
            writeln!(text, "enum {name}_enum {{").expect("a String takes every write");
            for (name, number, about) in values {
                writeln!(text, "  {name} = {number},  // {about}").expect("a String takes every write");
            }
            text.push_str("};\n");
        }
        Item::Struct { name, about, fields } => {
            comment(text, about);
            writeln!(text, "struct {name} {{").expect("a String takes every write");
            for (field, about) in fields {
                let about = match about.as_str() {
                    "" => String::new(),
                    about => format!("  // {about}"),
                };
                writeln!(text, "  {field};{about}").expect("a String takes every write");
            }
            text.push_str("};\n");
        }
        Item::Union { name, fields } => {
            writeln!(text, "typedef union {name} {{").expect("a String takes every write");
            for field in fields {
                writeln!(text, "  {field};").expect("a String takes every write");
            }
            writeln!(text, "}} {name};").expect("a String takes every write");
        }
        Item::Function {
            name,
            params,
            result,
            about,
        } => {
            comment(text, about);
            writeln!(text, "{}", declaration(name, params, result.as_deref()))
                .expect("a String takes every write");
        }
    }
}

/// The reference chapter of the book.
fn reference(nouns: &[Noun]) -> String {
    let mut text = String::from(
        "# The C API: reference of `cellwall.h`\n\n<!-- Generated from crates/capi/api; not to be edited. -->\n\n\
         The standard's `wasm.h` documents itself; this is what Cellwall has beyond it. `own` says who deletes.\n",
    );
    for noun in nouns {
        write!(text, "\n## {}\n\n{}\n", noun.title, noun.about).expect("a String takes every write");
        for item in &noun.items {
            match item {
                Item::Type { name, about } => {
                    write!(text, "\n**`{name}`**: {about}\n").expect("a String takes every write");
                }
                Item::Enum { name, values } => {
                    write!(text, "\n| `{name}` | | meaning |\n|---|---|---|\n")
                        .expect("a String takes every write");
                    for (name, number, about) in values {
                        writeln!(text, "| `{name}` | {number} | {about} |")
                            .expect("a String takes every write");
                    }
                }
                Item::Struct { name, about, fields } => {
                    let about = match about.as_str() {
                        "" => String::new(),
                        about => format!(": {about}"),
                    };
                    write!(
                        text,
                        "\n**`struct {name}`**{about}\n\n| field | meaning |\n|---|---|\n"
                    )
                    .expect("a String takes every write");
                    for (field, about) in fields {
                        writeln!(text, "| `{field}` | {about} |").expect("a String takes every write");
                    }
                }
                Item::Union { name, fields } => {
                    let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
                    write!(text, "\n**`union {name}`**: {}\n", fields.join(", "))
                        .expect("a String takes every write");
                }
                Item::Function {
                    name,
                    params,
                    result,
                    about,
                } => {
                    let declaration = declaration(name, params, result.as_deref());
                    let declaration = declaration.trim_start_matches("WASM_API_EXTERN ");
                    write!(text, "\n```c\n{declaration}\n```\n\n{about}\n")
                        .expect("a String takes every write");
                }
            }
        }
    }
    text
}

/// A type of C as Rust has it.
fn rust_type(ty: &str) -> String {
    let ty = ty.strip_prefix("own ").unwrap_or(ty);
    if let Some(pointed) = ty.strip_suffix('*') {
        // What is constant is the innermost.
        return match pointed.strip_prefix("const ") {
            Some(_) if pointed.ends_with('*') => format!("*mut {}", rust_type(pointed)),
            Some(pointed) => format!("*const {}", rust_type(pointed)),
            None => format!("*mut {}", rust_type(pointed)),
        };
    }
    match ty {
        "bool" => "bool",
        "char" => "c_char",
        "void" => "c_void",
        "size_t" => "usize",
        "uint8_t" => "u8",
        "uint32_t" => "u32",
        "uint64_t" => "u64",
        "int32_t" => "i32",
        "int64_t" => "i64",
        "wasm_name_t" => "wasm_byte_vec_t",
        "cellwall_finalizer_t" => "Option<unsafe extern \"C\" fn(*mut c_void)>",
        other => other,
    }
    .to_owned()
}

/// Rust's check that each function is what its definition says.
fn signatures(nouns: &[Noun]) -> String {
    let mut text = String::from(
        "//! Generated from `api/`; not to be edited. The functions have the types that the header says.\n\n\
         #![allow(unused_imports, reason = \"the list is for all definitions\")]\n\n\
         use crate::callback::*;\nuse crate::component::*;\nuse crate::config::*;\nuse crate::exception::*;\nuse crate::extra::*;\nuse crate::func::*;\nuse crate::instance::*;\nuse crate::linker::*;\nuse crate::memory::*;\nuse crate::raw::*;\nuse crate::refs::*;\nuse crate::signal::*;\n\
         use crate::store::*;\nuse crate::trap::*;\nuse crate::types::*;\nuse crate::val::*;\nuse crate::vec::*;\nuse crate::wasi::*;\n\
         use std::ffi::{c_char, c_void};\n\n",
    );
    for item in nouns.iter().flat_map(|noun| &noun.items) {
        if let Item::Function {
            name, params, result, ..
        } = item
        {
            let params: Vec<String> = params.iter().map(|(_, ty)| rust_type(ty)).collect();
            let result = result.as_deref().map(|ty| format!(" -> {}", rust_type(ty)));
            writeln!(
                text,
                "const _: unsafe extern \"C\" fn({}){} = {name};",
                params.join(", "),
                result.unwrap_or_default()
            )
            .expect("a String takes every write");
        }
    }
    text
}

/// What `cffi` reads: both headers as the preprocessor leaves them, without function bodies and without what
/// comes from the C library. Types of the library are known to `cffi`.
fn cdef() -> String {
    let stubs = super::scratch();
    for name in ["stddef.h", "stdint.h", "stdbool.h", "string.h", "assert.h"] {
        std::fs::write(stubs.join(name), "").expect("the scratch folder can be written");
    }
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = std::process::Command::new(compiler)
        .args(["-E", "-P", "-nostdinc", "-Dstatic_assert(a,b)=", "-I"])
        .arg(&stubs)
        .arg("-I")
        .arg(here().join("include"))
        .arg(here().join("include/cellwall.h"))
        .output()
        .expect("a C compiler is installed, as Rust's linker");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("the headers are UTF-8");
    let mut declarations =
        String::from("// Generated from the headers in crates/capi/include; not to be edited.\n\n");
    // One declaration at a time: up to a semicolon or the end of a body, outside of braces.
    let (mut depth, mut one, mut is_body) = (0, String::new(), false);
    for character in text.chars() {
        one.push(character);
        match character {
            '{' => {
                is_body |= depth == 0 && one.trim_end_matches(['{', ' ', '\n']).ends_with(')');
                depth += 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (character == ';' || (character == '}' && is_body)) {
            let line = one.split_whitespace().collect::<Vec<_>>().join(" ");
            let constant = line.starts_with("static ");
            if !is_body && !constant && line != ";" {
                declarations.push_str(&without_recursion(&line));
                declarations.push('\n');
            }
            one.clear();
            is_body = false;
        }
    }
    assert!(
        depth == 0 && one.trim().is_empty(),
        "the headers end in the middle: {one}"
    );
    declarations
}

/// A structure without types behind its pointers to values of components: `cffi` gets lost in what contains
/// itself by way of others.
fn without_recursion(line: &str) -> String {
    let is_value = line.contains("cellwall_component_val") && line.contains('{');
    let fields = line.split("; ").map(|field| {
        let before = field.find("cellwall_component_val").filter(|_| is_value);
        match before.zip(field.find("* ")) {
            Some((start, end)) => format!("{}void{}", &field[..start], &field[end..]),
            None => field.to_owned(),
        }
    });
    fields.collect::<Vec<_>>().join("; ")
}

#[test]
fn what_is_generated_is_fresh() {
    let nouns: Vec<Noun> = NOUNS.map(noun).into();
    let files = std::fs::read_dir(here().join("api"))
        .expect("the folder is in the repository")
        .count();
    assert_eq!(files, NOUNS.len(), "every definition file is a noun of the list");
    assert!(
        nouns.iter().all(|noun| !noun.items.is_empty()),
        "{:?}",
        nouns.iter().map(|n| &n.file).collect::<Vec<_>>()
    );
    let book = here().join("../../docs/capi-reference.md");
    let python = here().join("../../bindings/python/src/cellwall/core.cdef");
    let made: [(PathBuf, String); 4] = [
        (here().join("include/cellwall.h"), header(&nouns)),
        (book, reference(&nouns)),
        (here().join("src/signatures.rs"), signatures(&nouns)),
        // After the header that it is made from.
        (python, String::new()),
    ];
    for (path, mut text) in made {
        if path.extension().is_some_and(|ending| ending == "cdef") {
            text = cdef();
        }
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &text).expect("the repository can be written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        // Layout is the formatter's.
        let words = |text: &str| {
            text.split_whitespace()
                .map(|w| w.trim_end_matches(',').to_owned())
                .collect::<String>()
        };
        assert_eq!(
            words(&written),
            words(&text),
            "{} is not fresh (BLESS=1)",
            path.display()
        );
    }
}
