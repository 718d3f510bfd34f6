//! Files that code is loaded from: copied if anyone can still change them, run in place if not.

use cellwall::{Engine, Instance, Module, Result, Store, Violation};
use cellwall_abi::pack;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

const ALL: [SealFlags; 3] = [SealFlags::WRITE, SealFlags::SHRINK, SealFlags::GROW];
/// Enough for a code section that lies at a page.
const FUNCS: i32 = 400;

fn packed(funcs: i32) -> Vec<u8> {
    let mut text = String::from("(module (memory 1) (data \"abc\")");
    for func in 0..funcs {
        let _ = write!(
            text,
            r#"(func (export "f{func}") (param i32) (result i32)
                (i32.xor (i32.const {func}) (i32.rotl (i32.load (local.get 0)) (i32.const {}))))"#,
            func % 31
        );
    }
    text.push(')');
    let packed = Engine::default().precompile_module(text.as_bytes());
    packed.expect("the module is valid")
}

/// A file in memory, and the name by which the kernel shows where it is mapped.
fn memory(name: &str, bytes: &[u8], seals: &[SealFlags]) -> (File, String) {
    let name = format!("cellwall-test-{name}-{}", std::process::id());
    let fd = memfd_create(&*name, MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC);
    let mut file = File::from(fd.expect("the kernel has files in memory"));
    file.write_all(bytes).expect("there is memory");
    let seals = seals.iter().fold(SealFlags::empty(), |all, seal| all | *seal);
    fcntl_add_seals(&file, seals).expect("it can be sealed");
    (file, name)
}

/// The permissions of every mapping of this file.
fn mappings(name: &str) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("there is /proc");
    let lines = maps.lines().filter(|line| line.contains(name));
    lines
        .map(|line| line.split(' ').nth(1).expect("permissions").to_owned())
        .collect()
}

fn load(file: &File) -> Result<Module> {
    Module::deserialize_open_file(
        &Engine::default(),
        file.try_clone().expect("there are descriptors"),
    )
}

fn runs(module: &Module) {
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[]).expect("it needs nothing");
    for func in [0, FUNCS - 1] {
        let name = format!("f{func}");
        let f = instance
            .get_typed_func::<i32, i32>(&mut store, &name)
            .expect("it is exported");
        assert_eq!(f.call(&mut store, 0).expect("it returns"), func);
    }
}

#[test]
fn a_sealed_file_runs_in_place() {
    let packed = packed(FUNCS);
    let (file, name) = memory("sealed", &packed, &ALL);
    let module = load(&file).expect("it is our own");
    let seen = mappings(&name);
    assert!(seen.contains(&"r-xp".to_owned()), "{seen:?}");
    assert!(
        seen.iter().all(|permissions| !permissions.contains('w')),
        "{seen:?}"
    );
    // Nobody can change it, and nobody needs it open.
    assert!(file.write_all_at(&[0], 0).is_err() && file.set_len(0).is_err());
    drop(file);
    runs(&module);
    assert_eq!(module.serialize().expect("it can be packed"), packed);
    drop(module);
    assert_eq!(mappings(&name), [""; 0], "gone with its module");
}

/// By its path too.
#[test]
fn the_way_to_a_sealed_file_does_not_matter() {
    let (file, name) = memory("path", &packed(FUNCS), &ALL);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let module = Module::deserialize_file(&Engine::default(), path).expect("it is our own");
    assert!(mappings(&name).contains(&"r-xp".to_owned()));
    runs(&module);
}

/// With one seal missing somebody can still change or truncate it: nothing of it is mapped.
#[test]
fn a_file_that_can_change_is_copied() {
    let packed = packed(FUNCS);
    for (missing, name) in ["write", "shrink", "grow"].iter().enumerate() {
        let seals: Vec<SealFlags> = ALL.iter().copied().filter(|seal| *seal != ALL[missing]).collect();
        let (file, name) = memory(&format!("{name}-open"), &packed, &seals);
        let module = load(&file).expect("it is our own");
        assert_eq!(mappings(&name), [""; 0], "without {:?}", ALL[missing]);
        // Whatever becomes of the file: what runs is the copy, and nothing faults.
        if missing == 0 {
            file.write_all_at(&vec![0xcc; packed.len()], 0)
                .expect("it is not sealed");
        }
        if missing == 1 {
            file.set_len(0).expect("it is not sealed");
        }
        runs(&module);
        assert_eq!(module.serialize().expect("it can be packed"), packed);
    }
}

/// A plain file, truncated and overwritten while the module lives.
#[test]
fn a_plain_file_is_copied() {
    let packed = packed(FUNCS);
    let path = std::env::temp_dir().join(format!("cellwall-plain-{}.cwall", std::process::id()));
    std::fs::write(&path, &packed).expect("writable");
    let module = Module::deserialize_file(&Engine::default(), &path).expect("it is our own");
    let file = File::options().write(true).open(&path).expect("it is ours");
    file.set_len(0).expect("it is ours");
    runs(&module);
    file.write_all_at(&vec![0xcc; packed.len()], 0)
        .expect("it is ours");
    runs(&module);
    std::fs::remove_file(&path).expect("it is ours");
    assert_eq!(module.serialize().expect("it can be packed"), packed);
}

/// Small code is copied from sealed files too, and what is sealed is proven like the rest.
#[test]
fn sealed_files_are_not_believed() {
    let (file, name) = memory("small", &packed(1), &ALL);
    let module = load(&file).expect("it is our own");
    assert!(!mappings(&name).contains(&"r-xp".to_owned()));
    drop(module);

    let (artifact, origin) = pack::unpack(&packed(FUNCS)).expect("it is our own");
    assert!(artifact.text.len() >= pack::IN_PLACE_BYTES_MIN);
    let mut hostile = artifact.clone();
    let at = hostile.funcs[7].start as usize;
    hostile.text[at..at + 2].copy_from_slice(&[0x0f, 0x05]);
    let (file, name) = memory("hostile", &pack::pack(&hostile, &origin), &ALL);
    let error = load(&file).expect_err("a system call");
    assert!(error.is::<Violation>(), "{error:#}");
    assert_eq!(mappings(&name), [""; 0], "nothing is left");

    // Bytes behind the code, in a page that becomes executable.
    let mut bytes = pack::pack(&artifact, &origin);
    let text = bytes
        .windows(64)
        .position(|window| *window == artifact.text[..64]);
    let behind = text.expect("the code is there") + artifact.text.len();
    assert!(!behind.is_multiple_of(4096) && bytes[behind] == 0xcc);
    bytes[behind] = 0xc3;
    let (file, _) = memory("behind", &bytes, &ALL);
    let error = load(&file).expect_err("something lies behind the code");
    assert!(
        error.to_string().contains("`rodata` is not where it must be"),
        "{error:#}"
    );
}
