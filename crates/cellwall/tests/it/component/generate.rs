//! Random types of components, programs that pass values of them on, and values. The properties in `fuzz/`
//! use this file too.

use cellwall::component::{Type, Val};

/// Types that one program defines beside numbers and strings.
const TYPES: usize = 6;

/// A sequence of numbers; the same each time.
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below a limit.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }
}

const SIMPLE: [&str; 13] = [
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string",
];
const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// A type in the text format, and whether it must have a name to be used outside.
struct Definition {
    text: String,
    is_named: bool,
}

/// Some type that is there: a simple one, or one of those before.
fn part(random: &mut Random, count: usize) -> String {
    match random.below(3) {
        0 | 1 if count > 0 => format!("$t{}", random.below(count)),
        _ => SIMPLE[random.below(SIMPLE.len())].to_owned(),
    }
}

fn definition(random: &mut Random, count: usize) -> Definition {
    let kind = random.below(11);
    let few = 1 + random.below(5);
    let text = match kind {
        0 => format!("(list {})", part(random, count)),
        1 => format!("(list {} {few})", part(random, count)),
        2 => {
            let parts: Vec<String> = (0..few).map(|_| part(random, count)).collect();
            format!("(tuple {})", parts.join(" "))
        }
        3 => format!("(option {})", part(random, count)),
        4 => format!("(result {} (error {}))", part(random, count), part(random, count)),
        5 => format!("(result (error {}))", part(random, count)),
        6 => format!(
            "(map {} {})",
            ["u8", "string", "char"][few % 3],
            part(random, count)
        ),
        7 => {
            let fields = (0..few).map(|n| format!("(field \"f{n}\" {})", part(random, count)));
            format!("(record {})", fields.collect::<Vec<_>>().join(" "))
        }
        8 => {
            let cases = (0..few).map(|n| match random.below(4) {
                0 => format!("(case \"c{n}\")"),
                _ => format!("(case \"c{n}\" {})", part(random, count)),
            });
            format!("(variant {})", cases.collect::<Vec<_>>().join(" "))
        }
        9 => {
            let count = 1 + random.below(300);
            let cases: Vec<String> = (0..count).map(|n| format!("\"c{n}\"")).collect();
            format!("(enum {})", cases.join(" "))
        }
        _ => {
            let count = 1 + random.below(32);
            let names: Vec<String> = (0..count).map(|n| format!("\"n{n}\"")).collect();
            format!("(flags {})", names.join(" "))
        }
    };
    Definition {
        text,
        is_named: kind >= 7,
    }
}

const LIBC: &str = r#"
  (core module $libc
    (memory (export "memory") 16)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $new)))
      (memory.copy (local.get $at) (local.get $old) (local.get $size))
      (local.get $at)))
  (core instance $libc (instantiate $libc))"#;

/// Two components: what the outer one is given it gives to the inner one, and returns the answer. The inner
/// one does `damage` to it, whose address and length are its first locals.
pub(crate) fn program(random: &mut Random, damage: &str) -> String {
    let mut types: Vec<Definition> = Vec::new();
    while types.len() < TYPES {
        let next = definition(random, types.len());
        types.push(next);
    }
    let each = |named: &dyn Fn(usize, &str) -> String| {
        let one = |(n, ty): (usize, &Definition)| match ty.is_named {
            true => named(n, &ty.text),
            false => format!("(type $t{n} {})", ty.text),
        };
        let mut all: Vec<String> = types.iter().enumerate().map(one).collect();
        all.push(format!("(type $list (list $t{}))", types.len() - 1));
        all.join("\n    ")
    };
    let own = each(&|n, text| format!("(type $t{n}' {text}) (export $t{n} \"t{n}\" (type $t{n}'))"));
    let declared =
        each(&|n, text| format!("(type $t{n}' {text}) (export \"t{n}\" (type $t{n} (eq $t{n}')))"));
    let options = |encoding: &str| {
        format!(
            "(memory (core memory $libc \"memory\")) (realloc (core func $libc \"realloc\")) string-encoding={encoding}"
        )
    };
    let inner = options(ENCODINGS[random.below(3)]);
    // The outer side's own code passes strings on as they are: it has one encoding.
    let outer = options(ENCODINGS[random.below(3)]);
    // The answer of the inner side lies at 8, that of the outer side at 16.
    format!(
        r#"(component
  (component $C
    {own}
    {LIBC}
    (core module $m
      (import "libc" "memory" (memory 1))
      (func (export "echo") (param i32 i32) (result i32)
        {damage}
        (i32.store (i32.const 8) (local.get 0))
        (i32.store (i32.const 12) (local.get 1))
        (i32.const 8)))
    (core instance $m (instantiate $m (with "libc" (instance $libc))))
    (func (export "echo") (param "v" $list) (result $list) (canon lift (core func $m "echo") {inner})))
  (component $D
    (import "c" (instance $c
    {declared}
      (export "echo" (func (param "v" $list) (result $list)))))
    {own}
    {LIBC}
    (core func $echo (canon lower (func $c "echo") {outer}))
    (core module $m
      (import "" "echo" (func $echo (param i32 i32 i32)))
      (func (export "echo") (param i32 i32) (result i32)
        (call $echo (local.get 0) (local.get 1) (i32.const 16))
        (i32.const 16)))
    (core instance $m (instantiate $m (with "" (instance (export "echo" (func $echo))))))
    (func (export "echo") (param "v" $list) (result $list) (canon lift (core func $m "echo") {outer})))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "c" (instance $c))))
  (export "d" (instance $d)))"#
    )
}

fn text(random: &mut Random) -> String {
    let ranges: [(u32, u32); 4] = [(0, 0x80), (0x80, 0x80), (0x100, 0xd00), (0x1_0000, 0x1000)];
    let kinds = 1 + random.below(4);
    let length = [0, 1, 7, 40][random.below(4)];
    let char = |_| {
        let (start, count) = ranges[random.below(kinds)];
        char::from_u32(start + random.below(count as usize) as u32).expect("no surrogates there")
    };
    (0..length).map(char).collect()
}

/// Some value of a type.
pub(crate) fn value(random: &mut Random, ty: &Type) -> Val {
    let bits = random.next();
    let optional = |random: &mut Random, ty: &Option<Type>| ty.as_ref().map(|ty| Box::new(value(random, ty)));
    match ty {
        Type::Bool => Val::Bool(bits & 1 == 1),
        Type::S8 => Val::S8(bits as i8),
        Type::U8 => Val::U8(bits as u8),
        Type::S16 => Val::S16(bits as i16),
        Type::U16 => Val::U16(bits as u16),
        Type::S32 => Val::S32(bits as i32),
        Type::U32 => Val::U32(bits as u32),
        Type::S64 => Val::S64(bits as i64),
        Type::U64 => Val::U64(bits),
        Type::Float32 => Val::Float32(f32::from_bits(bits as u32)),
        Type::Float64 => Val::Float64(f64::from_bits(bits)),
        Type::Char => Val::Char(text(random).chars().next().unwrap_or('\u{10ffff}')),
        Type::String => Val::String(text(random)),
        Type::List(ty) => {
            let count = random.below(4);
            Val::List((0..count).map(|_| value(random, ty)).collect())
        }
        Type::FixedLengthList(ty, length) => Val::List((0..*length).map(|_| value(random, ty)).collect()),
        Type::Map(entry) => {
            let count = random.below(4);
            Val::Map(
                (0..count)
                    .map(|_| (value(random, &entry.0), value(random, &entry.1)))
                    .collect(),
            )
        }
        Type::Record(fields) => {
            let fields = fields
                .iter()
                .map(|(name, ty)| (name.to_string(), value(random, ty)));
            Val::Record(fields.collect())
        }
        Type::Tuple(types) => Val::Tuple(types.iter().map(|ty| value(random, ty)).collect()),
        Type::Variant(cases) => {
            let (name, ty) = &cases[random.below(cases.len())];
            Val::Variant(name.to_string(), optional(random, ty))
        }
        Type::Enum(cases) => Val::Enum(cases[random.below(cases.len())].to_string()),
        Type::Option(ty) => Val::Option((bits & 1 == 1).then(|| Box::new(value(random, ty)))),
        Type::Result(parts) if bits & 1 == 1 => Val::Result(Ok(optional(random, &parts.0))),
        Type::Result(parts) => Val::Result(Err(optional(random, &parts.1))),
        Type::Flags(names) => {
            let set = names.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            Val::Flags(set.map(|(_, name)| name.to_string()).collect())
        }
        other => panic!("{other} is not generated"),
    }
}
