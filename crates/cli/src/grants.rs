//! What an import means to the user: which authority it uses, and how to hand
//! that over, or what to do about an import that nobody provides.

/// What there is to say about an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Part of what every program gets.
    Given(&'static str),
    /// Provided, but useless without an option of `run`.
    Option(&'static str, &'static str),
    /// Not provided; the text says what to do.
    Missing(&'static str),
}

/// One row per group of WASI functions: their prefix, the authority, and the
/// option that grants it (none: every program has it). The first prefix that
/// fits decides.
const WASI: &[(&str, &str, Option<&str>)] = &[
    ("args_", "its arguments", None),
    ("environ_", "environment variables", Some("--env NAME[=VALUE]")),
    ("clock_", "clocks", None),
    ("random_", "random numbers", None),
    ("path_", "files by path", Some("--dir HOST[::GUEST][:ro]")),
    (
        "fd_readdir",
        "directory listings",
        Some("--dir HOST[::GUEST][:ro]"),
    ),
    ("fd_", "standard streams and open files", None),
    ("poll_", "waiting", None),
    ("sched_", "waiting", None),
    ("proc_", "ending itself", None),
    ("sock_", "open sockets (none are granted)", None),
];

/// Advice for imports that are not provided: the module they come from (as a
/// prefix) and what to do.
const ADVICE: &[(&str, &str)] = &[
    (
        "wasi_snapshot_preview1",
        "WASI 0.1 has no such function: the module asks for an extension of another runtime",
    ),
    (
        "wasi_unstable",
        "this is WASI from before 0.1: build the program for `wasm32-wasip1`",
    ),
    (
        "wasi:",
        "this is WASI as a component: build the program for `wasm32-wasip1`",
    ),
    (
        "wasi_",
        "this extension of WASI is not provided: build the program without it",
    ),
    (
        "wasi",
        "threads are not provided: build the program for `wasm32-wasip1`",
    ),
    (
        "env",
        "a symbol that was left undefined when the program was linked: link the library that defines it, \
         or provide it from a host program with `Linker::func_wrap`",
    ),
    (
        "wbg",
        "bindings to JavaScript: build the program for `wasm32-wasip1`, without wasm-bindgen",
    ),
    (
        "",
        "link the module that exports it into this one, or provide it from a host program with \
         `Linker::define`",
    ),
];

/// Advice for a memory that linkers have imported if they are asked to.
const IMPORTED_MEMORY: &str = "the program was linked with `--import-memory`, as those with threads are: link it \
                               without, or provide the memory from a host program with `Linker::define`";

/// What the import `module`, `name` needs.
pub(crate) fn of(module: &str, name: &str) -> Need {
    if module == cellwall_wasi::MODULE && cellwall_wasi::FUNCTIONS.contains(&name) {
        let row = WASI.iter().find(|(prefix, ..)| name.starts_with(prefix));
        return match row {
            Some(&(_, what, None)) => Need::Given(what),
            Some(&(_, what, Some(option))) => Need::Option(what, option),
            None => Need::Given("WASI"),
        };
    }
    if (module, name) == ("env", "memory") {
        return Need::Missing(IMPORTED_MEMORY);
    }
    let row = ADVICE.iter().find(|(prefix, _)| module.starts_with(prefix));
    Need::Missing(row.expect("the last prefix is empty").1)
}
