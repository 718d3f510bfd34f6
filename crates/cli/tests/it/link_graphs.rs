//! For all link graphs without a circle: what is composed, in whatever order the parts are named,
//! computes what the graph says. With a circle, or with a part too few, it is refused or stays open.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Graphs that are generated; the same each time.
const GRAPHS: usize = 6;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// A component: what it multiplies by, how long the string is that it sends on, and from which others it
/// imports.
struct Node {
    factor: u32,
    text: u32,
    imports: Vec<usize>,
}

/// `f(x, s)` of node `n` is `x * factor + len(s)`, and the sum of what its imports answer to `x` and its
/// own string.
fn expected(nodes: &[Node], n: usize, x: u32, len: u32) -> u32 {
    let node = &nodes[n];
    let own = x.wrapping_mul(node.factor).wrapping_add(len);
    let others = node.imports.iter();
    others.fold(own, |sum, &m| sum.wrapping_add(expected(nodes, m, x, node.text)))
}

fn component(n: usize, node: &Node) -> String {
    let mut text = String::from("(component\n");
    let write =
        |text: &mut String, line: String| writeln!(text, "  {line}").expect("a String takes every write");
    let (mut bag, mut given, mut sum) = (String::new(), String::new(), String::new());
    write(
        &mut text,
        "(core module $mem (memory (export \"m\") 1)".to_string(),
    );
    write(
        &mut text,
        format!("  (data (i32.const 64) \"{}\"))", "x".repeat(node.text as usize)),
    );
    write(&mut text, "(core instance $mem (instantiate $mem))".to_string());
    for &m in &node.imports {
        let ty = "(func (param \"x\" u32) (param \"s\" string) (result u32))";
        write(
            &mut text,
            format!("(import \"t:g/f{m}@1.0.{n}\" (instance $i{m} (export \"f\" {ty})))"),
        );
        write(
            &mut text,
            format!("(core func $l{m} (canon lower (func $i{m} \"f\") (memory (core memory $mem \"m\"))))"),
        );
        write!(
            bag,
            "(import \"\" \"f{m}\" (func $f{m} (param i32 i32 i32) (result i32)))"
        )
        .expect("as above");
        write!(given, "(export \"f{m}\" (func $l{m}))").expect("as above");
        write!(
            sum,
            "(i32.add (call $f{m} (local.get 0) (i32.const 64) (i32.const {})))",
            node.text
        )
        .expect("as above");
    }
    write(
        &mut text,
        format!(
            r#"(core module $m
    {bag}
    (memory (export "m") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "f") (param i32 i32 i32) (result i32)
      (i32.add (i32.mul (local.get 0) (i32.const {})) (local.get 2)) {sum}))
  (core instance $i (instantiate $m (with "" (instance {given}))))
  (func $f (param "x" u32) (param "s" string) (result u32)
    (canon lift (core func $i "f") (memory (core memory $i "m")) (realloc (core func $i "realloc"))))
  (instance $out (export "f" (func $f)))
  (export "t:g/f{n}@1.0.9" (instance $out)))"#,
            node.factor
        ),
    );
    text
}

fn output(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cellwall"))
        .current_dir(dir)
        .env_clear()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the command can be started")
}

fn printed(dir: &Path, args: &[&str]) -> String {
    let done = output(dir, args);
    let error = String::from_utf8_lossy(&done.stderr);
    assert_eq!((done.status.code(), &*error), (Some(0), ""), "{args:?}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The options that link all nodes but the first, from somewhere on around.
fn links(count: usize, start: usize) -> Vec<String> {
    let order = (0..count - 1).map(|at| 1 + (at + start) % (count - 1));
    order
        .flat_map(|n| ["-d".to_string(), format!("{n}.wat")])
        .collect()
}

fn composed(dir: &Path, links: &[String]) -> Output {
    let mut args = vec!["compose", "0.wat", "-o", "all.wasm"];
    args.extend(links.iter().map(String::as_str));
    output(dir, &args)
}

fn write(dir: &Path, nodes: &[Node]) {
    for (n, node) in nodes.iter().enumerate() {
        std::fs::write(dir.join(format!("{n}.wat")), component(n, node)).expect("it can be written");
    }
}

fn scratch() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("graphs-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the target folder can be written");
    dir
}

#[test]
fn what_is_composed_computes_what_its_graph_says() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let dir = scratch();
    for graph in 0..GRAPHS {
        let count = 3 + random.below(4);
        let mut nodes: Vec<Node> = Vec::new();
        for n in 0..count {
            // Each node is wanted by one before it, and by some others.
            let later = (n + 1..count).filter(|m| *m == n + 1 || random.below(2) == 0);
            let imports = later.collect();
            nodes.push(Node {
                factor: random.below(100) as u32,
                text: random.below(40) as u32,
                imports,
            });
        }
        write(&dir, &nodes);
        let done = composed(&dir, &links(count, random.below(count - 1)));
        let error = String::from_utf8_lossy(&done.stderr);
        assert_eq!((done.status.code(), &*error), (Some(0), ""), "graph {graph}");
        let value = printed(&dir, &["run", "--invoke", "f(7, \"four\")", "all.wasm"]);
        assert_eq!(value, format!("{}\n", expected(&nodes, 0, 7, 4)), "graph {graph}");
        // A part too few: what it would give stays an import.
        let last = format!("{}.wat", count - 1);
        let fewer: Vec<String> = (1..count - 1)
            .flat_map(|n| ["-d".to_string(), format!("{n}.wat")])
            .collect();
        assert_eq!(
            composed(&dir, &fewer).status.code(),
            Some(0),
            "graph {graph} without {last}"
        );
        let open = format!("import t:g/f{}@", count - 1);
        assert!(
            printed(&dir, &["wit", "all.wasm"]).contains(&open),
            "graph {graph}"
        );
        // Back from the last to one before it.
        let back = 1 + random.below(count - 2);
        nodes[count - 1].imports.push(back);
        write(&dir, &nodes);
        let refused = composed(&dir, &links(count, 0));
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(error.contains("in a circle"), "graph {graph}: {error}");
    }
    std::fs::remove_dir_all(&dir).expect("it is ours");
}
