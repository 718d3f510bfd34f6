//! The dependency matrix and the absences of ARCHITECTURE.md, compared with the tree.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Row: room. Columns: the rooms it may use. The same matrix as in ARCHITECTURE.md.
const MATRIX: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("wasm", &["base"]),
    ("ir", &["base"]),
    ("isa", &["base"]),
    ("abi", &["base"]),
    ("rules", &["ir", "isa"]),
    ("compile", &["base", "wasm", "ir", "isa", "abi"]),
    ("link", &["base", "wasm", "abi"]),
    ("verify", &["base", "abi"]),
    ("runtime", &["base", "abi", "verify"]),
    ("component", &["base", "wasm"]),
    ("bindgen", &[]),
    (
        "cellwall",
        &[
            "base",
            "wasm",
            "isa",
            "abi",
            "compile",
            "link",
            "verify",
            "runtime",
            "component",
            "bindgen",
        ],
    ),
    ("wasi", &["cellwall"]),
    ("cli", &["cellwall", "wasi"]),
    ("capi", &["cellwall", "wasi"]),
];

/// Engines that are compared with; never under `crates/`.
const PEERS: &[&str] = &["wasmtime", "wasmi", "cranelift"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
        .to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(dir: &Path, ending: &str, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            files(&path, ending, into);
        } else if path.to_string_lossy().ends_with(ending) {
            into.push(path);
        }
    }
}

/// Every Rust source below `crates/`, with its path relative to the root.
fn sources() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    files(&root().join("crates"), ".rs", &mut paths);
    paths.sort();
    assert!(paths.len() > 30, "the sources were found");
    paths
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(root())
                .expect("below the root")
                .to_string_lossy()
                .into_owned();
            (name, read(&path))
        })
        .collect()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// The normal dependencies of each package under `crates/`, by folder name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let crates = root().join("crates");
    let mut rooms = BTreeMap::new();
    for package in packages {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let Ok(inside) = manifest.strip_prefix(&crates) else {
            continue;
        };
        let room = inside.parent().expect("a folder").to_string_lossy().into_owned();
        let list = package["dependencies"].as_array().expect("dependencies").iter();
        let normal = list
            .filter(|d| d["kind"].is_null())
            .map(|d| d["name"].as_str().expect("a name").to_owned());
        rooms.insert(room, normal.collect());
    }
    rooms
}

fn room_of(package: &str) -> Option<&str> {
    if package == "cellwall" {
        Some(package)
    } else {
        package.strip_prefix("cellwall-")
    }
}

fn allowed(room: &str, other: &str) -> bool {
    MATRIX
        .iter()
        .any(|(row, columns)| *row == room && columns.contains(&other))
}

#[test]
fn the_workspace_keeps_the_dependency_matrix() {
    let rooms = dependencies();
    let expected: BTreeSet<&str> = MATRIX.iter().map(|(room, _)| *room).collect();
    assert_eq!(
        rooms.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        expected
    );
    for (room, packages) in &rooms {
        for other in packages.iter().filter_map(|p| room_of(p)) {
            assert!(allowed(room, other), "{room} must not use {other}");
        }
    }
}

/// The reference interpreter and the planted mistakes are for tests alone.
#[test]
fn no_room_asks_for_a_feature_of_tests() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let mut users = BTreeSet::new();
    for package in packages {
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let features = dependency["features"].as_array().expect("features");
            if features.iter().any(|f| f == "oracle" || f == "planted") {
                users.insert(package["name"].as_str().expect("a name").to_owned());
            }
        }
    }
    assert_eq!(users, BTreeSet::from(["cellwall-tests".to_owned()]));
}

#[test]
fn the_matrix_refuses_what_it_should() {
    for (room, other) in [
        ("verify", "isa"),
        ("verify", "wasm"),
        ("ir", "wasm"),
        ("isa", "ir"),
        ("compile", "rules"),
        ("wasi", "runtime"),
        ("component", "runtime"),
    ] {
        assert!(!allowed(room, other), "{room} may use {other}");
    }
    let order: Vec<&str> = MATRIX.iter().map(|(room, _)| *room).collect();
    for (row, (room, columns)) in MATRIX.iter().enumerate() {
        for column in *columns {
            assert!(
                order[..row].contains(column),
                "{room} uses {column}: the matrix is not lower-triangular"
            );
        }
    }
}

#[test]
fn architecture_prints_the_same_matrix() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let mut lines = text
        .lines()
        .skip_while(|l| !l.trim_start().starts_with("base wasm ir"));
    let header = lines.next().expect("the header of the matrix");
    let columns: Vec<(usize, &str)> = header
        .split_whitespace()
        .map(|name| (header.find(name).expect("it was split from here"), name))
        .collect();
    let mut rows = 0;
    for line in lines.take_while(|l| !l.starts_with("```")) {
        let Some((room, allowed)) = MATRIX.iter().find(|(room, _)| {
            let mut words = line.split_whitespace();
            words.next() == Some(room) || words.next() == Some(room)
        }) else {
            panic!("unknown row: {line}");
        };
        let marked: Vec<&str> = columns
            .iter()
            .filter(|(at, _)| line.as_bytes().get(*at) == Some(&b'x'))
            .map(|(_, name)| *name)
            .collect();
        assert_eq!(marked, *allowed, "row {room}");
        rows += 1;
    }
    assert_eq!(rows, MATRIX.len());
}

#[test]
fn peers_are_never_linked_under_crates() {
    for (room, packages) in dependencies() {
        for package in packages {
            assert!(
                !PEERS.iter().any(|peer| package.starts_with(peer)),
                "{room} links {package}"
            );
        }
    }
    let lock = read(&root().join("Cargo.lock"));
    for peer in PEERS {
        assert!(
            !lock.contains(&format!("name = \"{peer}\"")),
            "{peer} is in Cargo.lock"
        );
    }
}

#[test]
fn unsafe_code_lives_in_the_runtime_and_the_c_api_alone() {
    let mut in_runtime = 0;
    for (name, text) in sources() {
        let uses = code_lines(&text).filter(|l| has_word(l, "unsafe")).count();
        if name.starts_with("crates/runtime/") {
            in_runtime += uses;
        } else if !name.starts_with("crates/capi/") {
            assert_eq!(uses, 0, "{name} has unsafe code");
        }
    }
    assert!(in_runtime > 0, "the search finds unsafe code where it is");
}

#[test]
fn assembly_and_platforms_stay_in_sys() {
    let sys =
        |name: &str| name.starts_with("crates/runtime/src/sys/") || name.starts_with("crates/wasi/src/sys/");
    let mut found = 0;
    for (name, text) in sources() {
        for line in code_lines(&text) {
            let special = [
                "global_asm!",
                "asm!(",
                "target_os",
                "target_arch",
                "cfg(unix",
                "cfg(windows",
                "target_family",
            ]
            .iter()
            .any(|word| line.contains(word));
            if special {
                found += 1;
                assert!(sys(&name), "{name}: {line}");
            }
        }
    }
    assert!(found > 0, "the search finds platform code where it is");
}

#[test]
fn rooms_below_the_door_are_pure() {
    let pure = [
        "base",
        "wasm",
        "ir",
        "isa",
        "abi",
        "compile",
        "link",
        "verify",
        "component",
    ];
    let forbidden = [
        "std::fs",
        "std::net",
        "std::env",
        "std::time",
        "std::process",
        "std::thread",
        "println!",
        "static mut",
    ];
    for (name, text) in sources() {
        let room = name.split('/').nth(1).expect("crates/ROOM/…");
        if !pure.contains(&room) || !name.contains("/src/") {
            continue;
        }
        let product = text
            .split("#[cfg(test)]")
            .next()
            .expect("split gives at least one part");
        for line in code_lines(product) {
            for word in forbidden {
                assert!(!line.contains(word), "{name} uses {word}: {line}");
            }
        }
    }
}

#[test]
fn only_abi_knows_a_context_offset_and_one_constructor_makes_verified() {
    for (name, text) in sources() {
        if !name.starts_with("crates/verify/src/") {
            assert!(!text.contains("Verified {"), "{name} constructs Verified");
        }
    }
    let makers = sources()
        .iter()
        .filter(|(name, _)| name.starts_with("crates/verify/src/"))
        .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains("Ok(Verified {"))
        .count();
    assert_eq!(makers, 1, "Verified has one way in");
}

/// No feature, environment variable, configuration or second constructor leaves the proof out.
#[test]
fn nothing_goes_around_the_verifier() {
    for (name, text) in sources() {
        let product = text.split("#[cfg(test)]").next().unwrap_or("");
        if name.starts_with("crates/verify/src/") {
            for word in [
                "cfg(",
                "cfg!(",
                "env!(",
                "std::env",
                "debug_assertions",
                "static mut",
            ] {
                let found = code_lines(product).find(|line| line.contains(word));
                assert_eq!(found, None, "{name} has {word}");
            }
        } else if !name.starts_with("crates/compile/") {
            // The planted mistakes are for the tests beside the crates.
            let planted =
                code_lines(&text).find(|line| has_word(line, "Plant") || line.contains("with_plant"));
            assert_eq!(planted, None, "{name} plants mistakes");
        }
    }
    let manifest = read(&root().join("crates/verify/Cargo.toml"));
    assert!(!manifest.contains("[features]") && !manifest.contains("optional"));
    let lib = read(&root().join("crates/verify/src/lib.rs"));
    let verified = "#[derive(Debug)]\npub struct Verified {\n    artifact: Artifact,\n    \
        /// By function of the artifact: whether it is detached.\n    detached: Vec<bool>,\n}";
    assert!(
        lib.contains(verified),
        "it has no public field and derives nothing that makes one"
    );
    let code = read(&root().join("crates/runtime/src/code.rs"));
    let makers: Vec<&str> = code_lines(&code)
        .filter(|line| line.contains("pub fn map"))
        .collect();
    assert!(makers.len() == 2 && makers.iter().all(|line| line.contains("verified: Verified")));
}

/// Each rule of the chapter on the walls names the file that decides it and tests that exist.
#[test]
fn rules_of_the_walls_have_tests() {
    let text = read(&root().join("docs/walls.md"));
    let (_, table) = text
        .split_once("## Rule by rule")
        .expect("the chapter has the table");
    let table = table.split("\n## ").next().expect("split gives a first part");
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| V") || line.contains("`hostile.rs"));
    let mut tests = 0;
    for row in rows {
        let columns: Vec<&str> = row.split('|').collect();
        for name in quoted(columns[2]) {
            assert!(root().join("crates/verify/src").join(name).exists(), "{row}");
        }
        for test in quoted(columns[3]) {
            assert_is_a_test(test);
            tests += 1;
        }
    }
    assert!(tests > 40, "{tests} tests");
}

/// Each advisory of the chapter names tests that exist, or says why there can be none.
#[test]
fn advisories_have_tests() {
    let text = read(&root().join("docs/advisories.md"));
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| advisory"));
    let mut advisories = 0;
    for row in rows {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, advisory, _, here, shown, _] = columns[..] else {
            panic!("a row has four columns: {row}");
        };
        quoted(shown).for_each(assert_is_a_test);
        assert!(!shown.is_empty() || here.starts_with("absent"), "{row}");
        advisories += advisory.split(';').count();
    }
    assert!(advisories > 50, "{advisories} advisories");
}

/// `file::function`, where the file may be one of the verifier's.
fn assert_is_a_test(name: &str) {
    let (file, function) = name.split_once("::").expect("file and function");
    let file = match file.contains('/') {
        true => root().join(file),
        false => root().join("crates/verify/tests/it").join(file),
    };
    assert!(
        read(&file).contains(&format!("fn {function}(")),
        "there is no {name}"
    );
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn files_are_not_too_long() {
    for (name, text) in sources() {
        let generated = text.lines().take(3).any(|l| l.contains("enerated"));
        assert!(
            generated || text.lines().count() <= 1500,
            "{name} is longer than 1,500 lines"
        );
    }
}

#[test]
fn documents_are_whole_and_their_links_lead_somewhere() {
    let root = root();
    let mut documents: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&root).expect("the root can be listed") {
        let path = entry.expect("the root can be listed").path();
        if path.extension().is_some_and(|e| e == "md") {
            documents.push(path);
        }
    }
    files(&root.join("docs"), ".md", &mut documents);
    let mut links = 0;
    for document in &documents {
        let marked = |line: &str| line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>");
        assert!(
            !read(document).lines().any(marked),
            "{}: a merge was not finished",
            document.display()
        );
        let folder = document.parent().expect("a document lies in a folder");
        for part in read(document).split("](").skip(1) {
            let target = part
                .split([')', '#'])
                .next()
                .expect("split gives at least one part");
            if target.is_empty() || target.contains("://") {
                continue;
            }
            links += 1;
            assert!(
                folder.join(target).exists(),
                "{}: no {target}",
                document.display()
            );
        }
    }
    assert!(links > 20, "the links were found: {links}");
}

#[test]
fn no_test_is_ignored() {
    for (name, text) in sources() {
        assert!(!text.contains(concat!("#[", "ignore")), "{name} ignores a test");
    }
}

#[test]
fn formatting_is_clean() {
    let output = Command::new(env!("CARGO"))
        .args(["fmt", "--all", "--check"])
        .current_dir(root())
        .output();
    let output = output.expect("cargo runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.contains("is not installed") {
        println!("rustfmt is not installed: the formatting is not checked here");
        return;
    }
    assert!(
        output.status.success(),
        "run `cargo fmt --all`:\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Lines without comments and string contents that look like code.
fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .filter(|line| !line.trim().is_empty())
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let boundary = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        boundary(line[..at].chars().next_back()) && boundary(line[at + word.len()..].chars().next())
    })
}
