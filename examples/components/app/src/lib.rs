//! Imports `docs:exchange/types`, sends every type of values, and compares what comes back.

#![no_std]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

wit_bindgen::generate!({ path: "../exchange.wit", world: "app" });

use wit_bindgen::rt::async_support::ErrorContext;

use docs::exchange::types::{self, Account, Color, Point, Rights, Shape};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

struct App;

export!(App);

/// An error that names the function, if the two differ.
fn same<T: PartialEq + core::fmt::Debug>(name: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{name}: {found:?}, and not {expected:?}"))
}

impl Guest for App {
    fn check() -> Result<String, String> {
        numbers()?;
        lists()?;
        composed()?;
        errors()?;
        resources()?;
        Ok("every type came back".to_string())
    }
}

fn numbers() -> Result<(), String> {
    let found = types::numbers(
        true, 127, 255, -1, 0xffff, i32::MAX, u32::MAX, i64::MIN, u64::MAX, 0.5, -1.5, '\u{d7ff}'.min('y'),
    );
    let expected = (false, -128, 0, 0, 0, i32::MIN, 0, i64::MIN + 1, 0, 1.5, -0.5, 'z');
    same("numbers", found, expected)
}

fn lists() -> Result<(), String> {
    same("greet", &*types::greet("wörld \u{1f600}"), "hello, wörld \u{1f600}")?;
    same("greet", &*types::greet(""), "hello, ")?;
    let words: Vec<String> = ["a", "", "long enough to be copied in several pieces", "ü"]
        .map(str::to_string)
        .into();
    let mut turned = words.clone();
    turned.reverse();
    same("reverse", types::reverse(&words), turned)?;
    same("reverse", types::reverse(&[]), vec![])?;
    let bytes: Vec<u8> = (0..1000_u32).map(|n| n as u8).collect();
    let mut turned = bytes.clone();
    turned.reverse();
    same("reverse-bytes", types::reverse_bytes(&bytes), turned)?;
    same("sums", types::sums([1, 2, 3, 0xffff]), [1, 3, 6, 5])?;
    let prices = [("tea", 3), ("coffee", 4)].map(|(name, price)| (name.to_string(), price));
    let prices: BTreeMap<String, u32> = prices.into();
    let doubled = prices.iter().map(|(name, price)| (name.clone(), price * 2)).collect();
    same("double", types::double(&prices), doubled)
}

fn composed() -> Result<(), String> {
    let mirrored = types::mirror(Point { x: -7, y: 9 });
    same("mirror", (mirrored.x, mirrored.y), (9, -7))?;
    same("next", types::next(Color::Blue), Color::Red)?;
    same("others", types::others(Rights::WRITE), Rights::READ | Rights::EXECUTE)?;
    same("grow", matches!(types::grow(&Shape::Circle(1.25)), Shape::Circle(2.5)), true)?;
    same("grow", matches!(types::grow(&Shape::Box((1.0, -2.5))), Shape::Box((2.0, -5.0))), true)?;
    let named = types::grow(&Shape::Named("ab".to_string()));
    same("grow", matches!(named, Shape::Named(name) if name == "abab"), true)?;
    same("grow", matches!(types::grow(&Shape::Nothing), Shape::Nothing), true)?;
    same("half", [types::half(Some(6)), types::half(Some(7)), types::half(None)], [Some(3), None, None])?;
    same("divide", types::divide(7, 2), Ok(3))?;
    same("divide", types::divide(7, 0), Err("division by zero".to_string()))
}

fn errors() -> Result<(), String> {
    let traced = types::trace(ErrorContext::new("no money \u{1f4b8}"));
    same("trace", traced.debug_message(), "at the bank: no money \u{1f4b8}".to_string())
}

fn resources() -> Result<(), String> {
    let (ada, grace) = (Account::new("ada"), Account::new("grace"));
    same("owner", &*ada.owner(), "ada")?;
    same("deposit", (ada.deposit(5), ada.deposit(2), grace.deposit(1)), (5, 7, 1))?;
    same("count", Account::count(), 2)?;
    let ada = Account::merge(ada, &grace);
    same("merge", (ada.deposit(0), grace.deposit(0)), (8, 0))?;
    drop(grace);
    same("count", Account::count(), 1)?;
    drop(ada);
    same("count", Account::count(), 0)
}
