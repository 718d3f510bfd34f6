//! WIT in, Rust text out.

use crate::config::Config;
use crate::generate::Generator;
use crate::load;
use expect_test::{Expect, expect, expect_file};
use std::path::Path;

fn generate(options: &str) -> Result<String, syn::Error> {
    let config: Config = syn::parse_str(options)?;
    let loaded = load::load(&config, Path::new(env!("CARGO_MANIFEST_DIR")))?;
    Generator::new(&config, &loaded.resolve, loaded.world).run()
}

fn refuses(options: &str, expected: Expect) {
    let error = generate(options).expect_err("it is refused");
    expected.assert_eq(&error.to_string());
}

/// The text that the book shows.
#[test]
fn what_is_generated_can_be_read() {
    let text = generate(
        r##"{
            inline: "
                package example:greeter@1.0.0;

                /// Where greetings come from.
                interface words {
                    /// How someone is greeted.
                    record greeting { text: string, %loud: bool }
                    enum tone { plain, warm }
                    flags parts { hello, name }
                    variant problem { unknown, other(string) }

                    resource dictionary {
                        constructor(tone: tone);
                        look-up: func(name: string) -> result<greeting, problem>;
                    }
                    default-parts: func() -> parts;
                }

                /// Greets.
                world greeter {
                    import words;
                    import log: func(line: string);
                    export greet: func(name: string, times: option<u32>) -> list<string>;
                    export friends: interface {
                        resource friend {
                            constructor(name: string);
                            name: func() -> string;
                        }
                        add: func(friend: borrow<friend>);
                    }
                }
            ",
            imports: { "log": trappable },
            with: { "example:greeter/words.dictionary": crate::Dictionary },
            trappable_error_type: { "example:greeter/words.problem" => crate::Problem },
        }"##,
    );
    let text = text.expect("it is bound");
    expect_file!["tests/greeter.golden"].assert_eq(&text);
    syn::parse_str::<proc_macro2::TokenStream>(&text).expect("it is Rust");
}

#[test]
fn what_waits_is_a_future() {
    let text = generate(
        r##"{
            inline: "
                package a:b;
                interface i { resource r { wait: func(x: u8) -> u32; } now: func(); }
                world w { import i; export run: func(); }
            ",
            imports: { "a:b/i.[method]r.wait": async, "a:b/i.[drop]r": async },
            exports: { default: async },
        }"##,
    );
    let text = text.expect("it is bound");
    expect_file!["tests/waits.golden"].assert_eq(&text);
}

#[test]
fn versions_of_one_package_are_modules_of_their_own() {
    let text = generate(
        r##"{
            inline: "
                package a:b;
                package c:d@1.0.0 { interface i { f: func(); } }
                package c:d@2.1.0 { interface i { f: func(); } }
                world w { import c:d/i@1.0.0; import c:d/i@2.1.0; }
            ",
            world: "a:b/w",
        }"##,
    );
    let text = text.expect("it is bound");
    for module in [
        "pub mod d1_0_0 {",
        "pub mod d2_1_0 {",
        "self::c::d2_1_0::i::add_to_linker",
    ] {
        assert!(text.contains(module), "{text}");
    }
}

#[test]
fn what_cannot_be_bound_is_named_with_its_place() {
    refuses(
        r#"{ inline: "package a:b;\nworld w {\n  import f: func(x: stream<u8>);\n}" }"#,
        expect!["a stream cannot be bound yet at macro-input:3:21 in `f` at macro-input:3:10"],
    );
    refuses(
        r#"{ inline: "package a:b;\nworld w {\n  import f: async func();\n}" }"#,
        expect!["`f` cannot be bound yet: it is asynchronous or an accessor at macro-input:3:10"],
    );
    refuses(
        r#"{ inline: "package a:b;\nworld w {\n  import f: func(x: strin);\n}" }"#,
        expect![[r#"
            name `strin` does not exist
                 --> macro-input:3:21
                  |
                3 |   import f: func(x: strin);
                  |                     ^----"#]],
    );
    refuses(
        r#"{ inline: "package a:b;\nworld w {\n  import f func();\n}" }"#,
        expect![[r#"
            expected ';', found keyword `func`
                 --> macro-input:3:12
                  |
                3 |   import f func();
                  |            ^"#]],
    );
    let error = generate(r#"{ path: "no/such/folder" }"#).expect_err("it is not there");
    let error = error.to_string();
    assert!(
        error.starts_with("cannot read the WIT in `") && error.contains("no/such/folder"),
        "{error}"
    );
    refuses(
        r#"{ inline: "package a:b; world w {} world x {}" }"#,
        expect![[r#"
        There are multiple worlds in `a:b`; one must be explicitly chosen:
          a:b/w
          a:b/x"#]],
    );
}

#[test]
fn options_that_name_nothing_are_refused() {
    let wit = r#"inline: "package a:b; interface i { type t = u8; f: func(); } world w { import i; }""#;
    for accepted in [
        r#"imports: { "a:b/i.f": trappable }"#,
        r#"imports: { "a:b/i": trappable }"#,
        r#"with: { "a:b/i": somewhere }"#,
        r#"with: { "a:b": somewhere }"#,
        r#"with: { "a": somewhere }"#,
    ] {
        generate(&format!("{{ {wit}, {accepted} }}")).unwrap_or_else(|error| panic!("{accepted}: {error}"));
    }
    refuses(
        &format!(r#"{{ {wit}, imports: {{ "a:b/i.g": trappable }} }}"#),
        expect!["the world has no function `a:b/i.g`"],
    );
    refuses(
        &format!(r#"{{ {wit}, imports: {{ default: tracing }} }}"#),
        expect!["unknown flag `tracing`; there are `async` and `trappable`"],
    );
    refuses(
        &format!(r#"{{ {wit}, with: {{ "a:c/i": somewhere }} }}"#),
        expect!["the world has nothing of the name `a:c/i`"],
    );
    refuses(
        &format!(r#"{{ {wit}, trappable_error_type: {{ "a:b/i.u" => E }} }}"#),
        expect!["the world has nothing of the name `a:b/i.u`"],
    );
    refuses(
        &format!(r#"{{ {wit}, word: "w" }}"#),
        expect![
            "unknown option `word`; there are `path`, `inline`, `world`, `imports`, `exports`, `with`, `trappable_error_type`, `additional_derives`, `features`, `require_store_data_send`, `only_interfaces`, `stringify` and `cellwall_crate`"
        ],
    );
    refuses(
        &format!(r#"{{ {wit}, world: "x" }}"#),
        expect!["World `x` not found in package `a:b`"],
    );
    refuses(
        r#""w" of "path""#,
        expect![[r#"expected options in braces, or `"world" in "path"`"#]],
    );
}

#[test]
fn derives_refuse_what_wit_has_not() {
    let refuses = |text: &str, expected: Expect| {
        let item: syn::DeriveInput = syn::parse_str(text).expect("it is Rust");
        let error =
            crate::derive::derive(item, crate::derive::Trait::ComponentType).expect_err("it is refused");
        expected.assert_eq(&error.to_string());
    };
    let accepts = |text: &str| {
        let item: syn::DeriveInput = syn::parse_str(text).expect("it is Rust");
        crate::derive::derive(item, crate::derive::Trait::ComponentType)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    };
    accepts("#[component(record)] struct A { x: u8 }");
    refuses(
        "struct A { x: u8 }",
        expect![
            "say what it is in WIT: `#[component(record)]`, `#[component(variant)]` or `#[component(enum)]`"
        ],
    );
    refuses(
        "#[component(record)] struct A(u8);",
        expect!["fields of a record have names"],
    );
    refuses(
        "#[component(record)] struct A {}",
        expect!["WIT has no types without fields or cases"],
    );
    refuses(
        "#[component(record)] enum A { B }",
        expect!["a `record` is a Rust struct"],
    );
    refuses(
        "#[component(records)] struct A { x: u8 }",
        expect!["expected `record`, `variant`, `enum` or `cellwall_crate = path`"],
    );
    accepts("#[component(variant)] enum A { B, C(u8) }");
    refuses(
        "#[component(variant)] enum A { B, C(u8, u8) }",
        expect!["a case has one payload, or none: `Case(Type)` or `Case`"],
    );
    refuses(
        "#[component(variant)] enum A { B, C { x: u8 } }",
        expect!["a case has one payload, or none: `Case(Type)` or `Case`"],
    );
    accepts("#[component(enum)] enum A { B, C }");
    refuses(
        "#[component(enum)] enum A { B, C(u8) }",
        expect!["cases of an enum have no payloads; a `variant` may have some"],
    );
    refuses(
        "#[component(enum)] struct A { x: u8 }",
        expect!["a `enum` is a Rust enum"],
    );
}

#[test]
fn flags_are_at_least_one_and_at_most_as_many_as_have_bits() {
    let parse = |count: usize| {
        let flags: String = (0..count).map(|n| format!("const F{n};")).collect();
        syn::parse_str::<crate::flags::Flags>(&format!("Many {{ {flags} }}")).map(|flags| flags.expand())
    };
    assert!(parse(1).is_ok() && parse(32).is_ok());
    for count in [0, 33] {
        let error = parse(count).expect_err("it is refused").to_string();
        assert!(error.contains("a flags type has 1 to 32 flags"), "{error}");
    }
}
