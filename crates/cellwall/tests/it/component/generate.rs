//! Random types of components, programs that pass values of them on, and values. The properties in `fuzz/`
//! use this file too.

use cellwall::component::{Type, Val};
use std::fmt::Write;

/// Types that one program defines beside numbers and strings.
const TYPES: usize = 6;
/// The one whose values are sent.
const LAST: usize = TYPES - 1;

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

/// A type where it is used.
#[derive(Clone, Copy)]
enum Part {
    /// A number, or a string.
    Simple(usize),
    /// A resource of the host, given away.
    Own,
    ErrorContext,
    /// One of those before.
    Defined(usize),
}

impl Part {
    fn text(self) -> String {
        match self {
            Self::Simple(n) => SIMPLE[n].to_owned(),
            Self::Own => "(own $r)".to_owned(),
            Self::ErrorContext => "error-context".to_owned(),
            Self::Defined(n) => format!("$t{n}"),
        }
    }

    fn has_handle(self, types: &[Defined]) -> bool {
        match self {
            Self::Simple(_) => false,
            Self::Own | Self::ErrorContext => true,
            Self::Defined(n) => match &types[n] {
                Defined::List(part)
                | Defined::Fixed(part, _)
                | Defined::Option(part)
                | Defined::Result(None, part) => part.has_handle(types),
                Defined::Result(Some(ok), error) => ok.has_handle(types) || error.has_handle(types),
                Defined::Tuple(parts) | Defined::Record(parts) => {
                    parts.iter().any(|part| part.has_handle(types))
                }
                Defined::Variant(cases) => cases.iter().flatten().any(|part| part.has_handle(types)),
                Defined::Map(..) | Defined::Enum(_) | Defined::Flags(_) => false,
            },
        }
    }

    /// The core types of a parameter, added to those before.
    fn flatten(self, types: &[Defined], flat: &mut Vec<Core>) {
        match self {
            Self::Simple(n) => match SIMPLE[n] {
                "s64" | "u64" => flat.push(Core::I64),
                "f32" => flat.push(Core::F32),
                "f64" => flat.push(Core::F64),
                "string" => flat.extend([Core::I32; 2]),
                _ => flat.push(Core::I32),
            },
            Self::Own | Self::ErrorContext => flat.push(Core::I32),
            Self::Defined(n) => types[n].flatten(types, flat),
        }
    }
}

/// A core type of a parameter.
#[derive(Clone, Copy, PartialEq)]
enum Core {
    I32,
    I64,
    F32,
    F64,
}

impl Core {
    fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// The type that takes both, in cases of one variant.
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::I32, Self::F32) | (Self::F32, Self::I32) => Self::I32,
            _ => Self::I64,
        }
    }
}

/// Core types, as parameters or results.
fn listed(kind: &str, flat: &[Core]) -> String {
    let names: Vec<&str> = flat.iter().map(|core| core.name()).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("({kind} {})", names.join(" ")),
    }
}

/// A type that is defined.
enum Defined {
    List(Part),
    Fixed(Part, usize),
    Tuple(Vec<Part>),
    Option(Part),
    Result(Option<Part>, Part),
    Map(&'static str, Part),
    Record(Vec<Part>),
    Variant(Vec<Option<Part>>),
    Enum(usize),
    Flags(usize),
}

impl Defined {
    fn text(&self) -> String {
        let all = |parts: &[Part]| parts.iter().map(|part| part.text()).collect::<Vec<_>>().join(" ");
        let numbered = |letter: char, count: usize| {
            let names: Vec<String> = (0..count).map(|n| format!("\"{letter}{n}\"")).collect();
            names.join(" ")
        };
        match self {
            Self::List(part) => format!("(list {})", part.text()),
            Self::Fixed(part, length) => format!("(list {} {length})", part.text()),
            Self::Tuple(parts) => format!("(tuple {})", all(parts)),
            Self::Option(part) => format!("(option {})", part.text()),
            Self::Result(Some(ok), error) => format!("(result {} (error {}))", ok.text(), error.text()),
            Self::Result(None, error) => format!("(result (error {}))", error.text()),
            Self::Map(key, part) => format!("(map {key} {})", part.text()),
            Self::Record(parts) => {
                let fields = parts.iter().enumerate();
                let fields = fields.map(|(n, part)| format!("(field \"f{n}\" {})", part.text()));
                format!("(record {})", fields.collect::<Vec<_>>().join(" "))
            }
            Self::Variant(cases) => {
                let cases = cases.iter().enumerate().map(|(n, case)| match case {
                    Some(part) => format!("(case \"c{n}\" {})", part.text()),
                    None => format!("(case \"c{n}\")"),
                });
                format!("(variant {})", cases.collect::<Vec<_>>().join(" "))
            }
            Self::Enum(count) => format!("(enum {})", numbered('c', *count)),
            Self::Flags(count) => format!("(flags {})", numbered('n', *count)),
        }
    }

    /// Whether it must have a name to be used outside.
    fn is_named(&self) -> bool {
        matches!(
            self,
            Self::Record(_) | Self::Variant(_) | Self::Enum(_) | Self::Flags(_)
        )
    }

    /// As [`Part::flatten`].
    fn flatten(&self, types: &[Self], flat: &mut Vec<Core>) {
        match self {
            Self::List(_) | Self::Map(..) => flat.extend([Core::I32; 2]),
            Self::Fixed(part, length) => (0..*length).for_each(|_| part.flatten(types, flat)),
            Self::Tuple(parts) | Self::Record(parts) => {
                parts.iter().for_each(|part| part.flatten(types, flat));
            }
            Self::Option(part) => cases(&[None, Some(*part)], types, flat),
            Self::Result(ok, error) => cases(&[*ok, Some(*error)], types, flat),
            Self::Variant(parts) => cases(parts, types, flat),
            Self::Enum(_) | Self::Flags(_) => flat.push(Core::I32),
        }
    }
}

/// The core types of a variant: the number of the case, and what takes the payload of any.
fn cases(parts: &[Option<Part>], types: &[Defined], flat: &mut Vec<Core>) {
    flat.push(Core::I32);
    let start = flat.len();
    for part in parts.iter().flatten() {
        let mut own = Vec::new();
        part.flatten(types, &mut own);
        for (n, core) in own.into_iter().enumerate() {
            match flat.get_mut(start + n) {
                Some(joined) => *joined = joined.join(core),
                None => flat.push(core),
            }
        }
    }
}

/// Some type that is there: a simple one, a handle, or one of those before.
fn part(random: &mut Random, types: &[Defined], has_errors: bool) -> Part {
    match random.below(3) {
        0 | 1 if !types.is_empty() => Part::Defined(random.below(types.len())),
        _ => match random.below(SIMPLE.len() + 2) {
            n if n < SIMPLE.len() => Part::Simple(n),
            n if n > SIMPLE.len() && has_errors => Part::ErrorContext,
            _ => Part::Own,
        },
    }
}

fn defined(random: &mut Random, types: &[Defined], has_errors: bool) -> Defined {
    let kind = random.below(11);
    let few = 1 + random.below(5);
    let one = |random: &mut Random| part(random, types, has_errors);
    match kind {
        0 => Defined::List(one(random)),
        1 => Defined::Fixed(one(random), few),
        2 => Defined::Tuple((0..few).map(|_| one(random)).collect()),
        3 => Defined::Option(one(random)),
        4 => Defined::Result(Some(one(random)), one(random)),
        5 => Defined::Result(None, one(random)),
        6 => {
            // Values of maps hold no handles.
            let value = one(random);
            let is_handle = value.has_handle(types);
            let value = if is_handle { Part::Simple(few) } else { value };
            Defined::Map(["u8", "string", "char"][few % 3], value)
        }
        7 => Defined::Record((0..few).map(|_| one(random)).collect()),
        8 => {
            let case = |random: &mut Random| (random.below(4) > 0).then(|| one(random));
            Defined::Variant((0..few).map(|_| case(random)).collect())
        }
        9 => Defined::Enum(1 + random.below(300)),
        _ => Defined::Flags(1 + random.below(32)),
    }
}

/// What is made stands above all results. After a return everything is made anew, in what was overwritten.
const LIBC: &str = r#"
  (core module $libc
    (memory (export "memory") 64)
    (global $next (mut i32) (i32.const 0x100000))
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $new)))
      (memory.copy (local.get $at) (local.get $old) (local.get $size))
      (local.get $at))
    (func (export "forget")
      (memory.fill (i32.const 0x100000) (i32.const 0xfe) (i32.sub (global.get $next) (i32.const 0x100000)))
      (global.set $next (i32.const 0x100000))))
  (core instance $libc (instantiate $libc))"#;

/// A core function that lends what it was lent to `$lend`, and gives all of it back. Its body starts with `damage`.
fn lending(damage: &str) -> String {
    format!(
        r#"(func (export "lend") (param i32 i32) (result i32) (local $sum i32)
        {damage}
        (local.set $sum (call $lend (local.get 0) (local.get 1)))
        (block $done (loop $next
          (br_if $done (i32.eqz (local.get 1)))
          (call $drop (i32.load (local.get 0)))
          (local.set 0 (i32.add (local.get 0) (i32.const 4)))
          (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
          (br $next)))
        (local.get $sum))"#
    )
}

/// What the inner side does to what it was given, before it passes that on. Locals of its code are the core
/// parameters.
#[derive(Default)]
pub(crate) struct Damage {
    /// To a list, whose address and length are the first locals.
    pub(crate) list: String,
    /// To the values that a host returned, whose address is the first local.
    pub(crate) returned: String,
    /// Core parameters that become another number: which one, if there are so many, and the number.
    pub(crate) params: Vec<(usize, i32)>,
}

/// Core functions of one side that pass values on, and how they are lifted and lowered.
struct Side<'a> {
    flat: &'a [Core],
    options: String,
    /// Whether memory is overwritten once the caller has taken the results.
    forgets: bool,
}

impl<'a> Side<'a> {
    fn new(random: &mut Random, flat: &'a [Core]) -> Self {
        Self {
            flat,
            options: Self::options(ENCODINGS[random.below(3)]),
            forgets: random.below(2) == 1,
        }
    }

    fn options(encoding: &str) -> String {
        format!(
            "(memory (core memory $libc \"memory\")) (realloc (core func $libc \"realloc\")) string-encoding={encoding}"
        )
    }

    /// Parameters of a core function that takes a value.
    fn params(&self) -> &'a [Core] {
        match self.flat.len() {
            0..=16 => self.flat,
            _ => &[Core::I32],
        }
    }

    /// The result of a core function that is one, and the parameter that says where it is to be put.
    fn result(&self) -> (Core, Option<Core>) {
        match self.flat {
            [only] => (*only, None),
            _ => (Core::I32, Some(Core::I32)),
        }
    }

    /// The type of a core function that is imported.
    fn lowered(&self) -> String {
        let (result, place) = self.result();
        let params: Vec<Core> = self.params().iter().copied().chain(place).collect();
        let result = if place.is_some() { &[] } else { &[result][..] };
        format!("{} {}", listed("param", &params), listed("result", result))
    }

    /// A core function that passes its parameters to `$next` and the answer back.
    fn passing(&self, damage: &Damage) -> String {
        let (result, place) = self.result();
        let mut code = String::new();
        for (local, number) in &damage.params {
            if let Some(core) = self.params().get(*local) {
                let core = core.name();
                write!(code, "(local.set {local} ({core}.const {number}))")
                    .expect("a String takes every write");
            }
        }
        let given: Vec<String> = (0..self.params().len())
            .map(|n| format!("(local.get {n})"))
            .collect();
        let given = given.join(" ");
        code += &match place {
            None => format!("(call $next {given})"),
            Some(_) => {
                format!("(call $next {given} (i32.const 16)) (call $damage (i32.const 16)) (i32.const 16)")
            }
        };
        let (params, results) = (listed("param", self.params()), listed("result", &[result]));
        let returned = &damage.returned;
        format!(
            r#"(func $damage (param i32) {returned})
      (func (export "forget-pass") (param {}) (call $forget))
      (func (export "pass") {params} {results} {code})"#,
            result.name()
        )
    }

    /// How a core function is lifted.
    fn lift(&self, name: &str) -> String {
        let forgets = match self.forgets {
            true => format!("(post-return (core func $m \"forget-{name}\"))"),
            false => String::new(),
        };
        format!(
            "(canon lift (core func $m \"{name}\") {} {forgets})",
            self.options
        )
    }
}

/// Definitions of all types, those with a name in the way of the place where they stand.
fn definitions(types: &[Defined], named: &dyn Fn(usize, &str) -> String) -> String {
    let one = |(n, ty): (usize, &Defined)| match ty.is_named() {
        true => named(n, &ty.text()),
        false => format!("(type $t{n} {})", ty.text()),
    };
    let mut all: Vec<String> = types.iter().enumerate().map(one).collect();
    all.push(format!("(type $list (list $t{LAST}))"));
    all.join("\n    ")
}

/// Two components. `echo` of the outer one gives a list to the inner one and returns the answer, a part of
/// memory; `pass` gives one value, as core parameters if it is small, through both to `pass` of the host's
/// instance `host`, and the answer back; `lend` lends a list of resources in the same way, for a number. The inner
/// one does damage to what it is given. With `has_errors` there
/// are error contexts, which not every engine's host can make.
pub(crate) fn program(random: &mut Random, has_errors: bool, damage: &Damage) -> String {
    let mut types = Vec::new();
    while types.len() < TYPES {
        let next = defined(random, &types, has_errors);
        types.push(next);
    }
    let mut flat = Vec::new();
    types[LAST].flatten(&types, &mut flat);
    let own = definitions(&types, &|n, text| {
        format!("(type $t{n}' {text}) (export $t{n} \"t{n}\" (type $t{n}'))")
    });
    let declared = definitions(&types, &|n, text| {
        format!("(type $t{n}' {text}) (export \"t{n}\" (type $t{n} (eq $t{n}')))")
    });
    let host = format!(
        r#"(import "host" (instance $host (export "r" (type $r (sub resource)))
    {declared}
      (export "pass" (func (param "v" $t{LAST}) (result $t{LAST})))
      (type $lent (list (borrow $r)))
      (export "lend" (func (param "v" $lent) (result u32)))))"#
    );
    let (inner_lend, outer_lend) = (lending(&damage.list), lending(""));
    let mut inner = Side::new(random, &flat);
    if !damage.returned.is_empty() || !damage.params.is_empty() {
        // Behind what is damaged may be read what else the host has made room for, and a damaged string may be
        // too large for what is left. How often the host asks for room is its own affair where it has to
        // encode strings anew.
        inner.options = Side::options(ENCODINGS[0]);
    }
    // The outer side's own code passes strings on as they are: it has one encoding.
    let outer = Side::new(random, &flat);
    let (inner_options, outer_options) = (&inner.options, &outer.options);
    let (lowered, list_damage) = (inner.lowered(), &damage.list);
    let (inner_pass, outer_pass) = (inner.passing(damage), outer.passing(&Damage::default()));
    let (lift_inner, lift_inner_pass) = (inner.lift("echo"), inner.lift("pass"));
    let (lift_outer, lift_outer_pass) = (outer.lift("echo"), outer.lift("pass"));
    // The answer of the inner side lies at 8, that of the outer side at 16.
    format!(
        r#"(component
  {host}
  (component $C
    {host}
    (alias export $host "r" (type $r))
    {own}
    {LIBC}
    (core func $pass (canon lower (func $host "pass") {inner_options}))
    (core func $lend (canon lower (func $host "lend") {inner_options}))
    (core func $drop (canon resource.drop $r))
    (type $lent (list (borrow $r)))
    (core module $m
      (import "libc" "memory" (memory 1))
      (import "libc" "forget" (func $forget))
      (import "" "pass" (func $next {lowered}))
      (import "" "lend" (func $lend (param i32 i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "echo") (param i32 i32) (result i32)
        {list_damage}
        (i32.store (i32.const 8) (local.get 0))
        (i32.store (i32.const 12) (local.get 1))
        (i32.const 8))
      (func (export "forget-echo") (param i32) (call $forget))
      {inner_lend}
      {inner_pass})
    (core instance $m (instantiate $m (with "libc" (instance $libc))
      (with "" (instance (export "pass" (func $pass)) (export "lend" (func $lend)) (export "drop" (func $drop))))))
    (func (export "echo") (param "v" $list) (result $list) {lift_inner})
    (func (export "pass") (param "v" $t{LAST}) (result $t{LAST}) {lift_inner_pass})
    (func (export "lend") (param "v" $lent) (result u32) (canon lift (core func $m "lend") {inner_options})))
  (component $D
    {host}
    (alias export $host "r" (type $r))
    (import "c" (instance $c
    {declared}
      (export "echo" (func (param "v" $list) (result $list)))
      (export "pass" (func (param "v" $t{LAST}) (result $t{LAST})))
      (type $lent (list (borrow $r)))
      (export "lend" (func (param "v" $lent) (result u32)))))
    {own}
    {LIBC}
    (core func $echo (canon lower (func $c "echo") {outer_options}))
    (core func $pass (canon lower (func $c "pass") {outer_options}))
    (core func $lend (canon lower (func $c "lend") {outer_options}))
    (core func $drop (canon resource.drop $r))
    (type $lent (list (borrow $r)))
    (core module $m
      (import "libc" "memory" (memory 1))
      (import "libc" "forget" (func $forget))
      (import "" "echo" (func $echo (param i32 i32 i32)))
      (import "" "pass" (func $next {lowered}))
      (import "" "lend" (func $lend (param i32 i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "echo") (param i32 i32) (result i32)
        (call $echo (local.get 0) (local.get 1) (i32.const 16))
        (i32.const 16))
      (func (export "forget-echo") (param i32) (call $forget))
      {outer_lend}
      {outer_pass})
    (core instance $m (instantiate $m (with "libc" (instance $libc))
      (with "" (instance (export "echo" (func $echo)) (export "pass" (func $pass))
        (export "lend" (func $lend)) (export "drop" (func $drop))))))
    (func (export "echo") (param "v" $list) (result $list) {lift_outer})
    (func (export "pass") (param "v" $t{LAST}) (result $t{LAST}) {lift_outer_pass})
    (func (export "lend") (param "v" $lent) (result u32) (canon lift (core func $m "lend") {outer_options})))
  (instance $c (instantiate $C (with "host" (instance $host))))
  (instance $d (instantiate $D (with "host" (instance $host)) (with "c" (instance $c))))
  (export "d" (instance $d)))"#
    )
}

/// The same value, with what `change` makes of each of its simple parts.
pub(crate) fn mapped(val: &Val, ty: &Type, change: &mut dyn FnMut(&Val, &Type) -> Val) -> Val {
    let mut optional = |val: &Option<Box<Val>>, ty: &Option<Type>| match (val, ty) {
        (Some(val), Some(ty)) => Some(Box::new(mapped(val, ty, change))),
        _ => None,
    };
    match (val, ty) {
        (Val::List(it), Type::List(ty) | Type::FixedLengthList(ty, _)) => {
            Val::List(it.iter().map(|val| mapped(val, ty, change)).collect())
        }
        (Val::Map(it), Type::Map(ty)) => {
            let pair = |(key, val): &(Val, Val)| (mapped(key, &ty.0, change), mapped(val, &ty.1, change));
            Val::Map(it.iter().map(pair).collect())
        }
        (Val::Record(it), Type::Record(fields)) => {
            let field = |((name, val), (_, ty)): (&(String, Val), &(_, Type))| {
                (name.clone(), mapped(val, ty, change))
            };
            Val::Record(it.iter().zip(fields.iter()).map(field).collect())
        }
        (Val::Tuple(it), Type::Tuple(types)) => {
            let each = it.iter().zip(types.iter());
            Val::Tuple(each.map(|(val, ty)| mapped(val, ty, change)).collect())
        }
        (Val::Variant(name, it), Type::Variant(cases)) => {
            let case = cases.iter().find(|(own, _)| **own == **name);
            Val::Variant(name.clone(), optional(it, &case.expect("it is a case").1))
        }
        (Val::Option(it), Type::Option(ty)) => {
            Val::Option(it.as_ref().map(|val| Box::new(mapped(val, ty, change))))
        }
        (Val::Result(Ok(it)), Type::Result(parts)) => Val::Result(Ok(optional(it, &parts.0))),
        (Val::Result(Err(it)), Type::Result(parts)) => Val::Result(Err(optional(it, &parts.1))),
        (val, ty) => change(val, ty),
    }
}

fn text(random: &mut Random) -> String {
    let ranges: [(u32, u32); 4] = [(0, 0x80), (0x80, 0x80), (0x100, 0xd00), (0x1_0000, 0x1000)];
    let kinds = 1 + random.below(4);
    let length = match random.below(64) {
        0 => 1000,
        n => [0, 1, 7, 40][n % 4],
    };
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
            let few = random.below(4);
            let count = if matches!(**ty, Type::Borrow(_)) {
                16 * few
            } else {
                few
            };
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
        // A number stands for the resource of that number.
        Type::Own(_) | Type::Borrow(_) => Val::U32(bits as u32),
        Type::ErrorContext => Val::ErrorContext(text(random).into()),
        other => panic!("{other} is not generated"),
    }
}

/// What a host that returns what it is given, and of what it is lent the sum, answers to a value.
pub(crate) fn answer(name: &str, sent: &Val) -> Val {
    match (name, sent) {
        ("lend", Val::List(numbers)) => Val::U32(numbers.iter().fold(0, |sum: u32, number| match number {
            Val::U32(number) => sum.wrapping_add(*number),
            other => panic!("{other:?} is no number"),
        })),
        (_, sent) => sent.clone(),
    }
}
