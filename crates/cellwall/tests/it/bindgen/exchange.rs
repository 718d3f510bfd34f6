//! Every type of values in typed calls: the host in place of either of the two components of
//! `examples/components`.

use cellwall::component::{Component, ErrorContext, HasSelf, Linker, Resource, ResourceTable};
use cellwall::{Engine, Result, Store};
use std::collections::BTreeMap;

mod bank {
    cellwall::component::bindgen!({ path: "../../examples/components/exchange.wit", world: "bank" });
}

mod app {
    cellwall::component::bindgen!({
        path: "../../examples/components/exchange.wit",
        world: "app",
        with: { "docs:exchange/types.account": super::Account },
    });
}

fn example(name: &str) -> String {
    format!("{}/../../examples/components/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_c_component_answers_typed_calls_of_every_type() -> Result<()> {
    use bank::exports::docs::exchange::types::{Color, Point, Rights, Shape};

    let engine = Engine::default();
    let component = Component::from_file(&engine, example("bank.wasm"))?;
    let mut store = Store::new(&engine, ());
    let bank = bank::Bank::instantiate(&mut store, &component, &Linker::new(&engine))?;
    let types = bank.docs_exchange_types();
    let found = types.call_numbers(&mut store, false, 1, 2, 3, 4, 5, 6, 7, 8, 1.5, -2.5, 'y')?;
    assert_eq!(found, (true, 2, 3, 4, 5, 6, 7, 8, 9, 2.5, -1.5, 'z'));
    assert_eq!(types.call_greet(&mut store, "\u{1f600}")?, "hello, \u{1f600}");
    let words = ["a".to_owned(), String::new()];
    assert_eq!(types.call_reverse(&mut store, &words)?, ["", "a"]);
    assert_eq!(types.call_reverse_bytes(&mut store, b"abc")?, b"cba");
    assert_eq!(types.call_sums(&mut store, [1, 2, 3, 0xffff])?, [1, 3, 6, 5]);
    let mirrored = types.call_mirror(&mut store, Point { x: -7, y: 9 })?;
    assert_eq!((mirrored.x, mirrored.y), (9, -7));
    assert_eq!(types.call_next(&mut store, Color::Blue)?, Color::Red);
    let others = types.call_others(&mut store, Rights::WRITE)?;
    assert_eq!(others, Rights::READ | Rights::EXECUTE);
    let grown = types.call_grow(&mut store, &Shape::Named("ab".to_owned()))?;
    assert!(matches!(grown, Shape::Named(name) if name == "abab"));
    assert_eq!(types.call_half(&mut store, Some(6))?, Some(3));
    assert_eq!(types.call_divide(&mut store, 7, 2)?, Ok(3));
    assert_eq!(
        types.call_divide(&mut store, 7, 0)?,
        Err("division by zero".to_owned())
    );
    let prices = BTreeMap::from([("tea".to_owned(), 3), ("coffee".to_owned(), 4)]);
    let doubled = BTreeMap::from([("tea".to_owned(), 6), ("coffee".to_owned(), 8)]);
    assert_eq!(types.call_double(&mut store, &prices)?, doubled);
    let traced = types.call_trace(&mut store, ErrorContext::new("no money"))?;
    assert_eq!(traced.to_string(), "at the bank: no money");

    let accounts = types.account();
    let ada = accounts.call_constructor(&mut store, "ada")?;
    let grace = accounts.call_constructor(&mut store, "grace")?;
    assert_eq!(accounts.call_owner(&mut store, ada)?, "ada");
    assert_eq!(accounts.call_deposit(&mut store, grace, 5)?, 5);
    let ada = accounts.call_merge(&mut store, ada, grace)?;
    assert_eq!(accounts.call_deposit(&mut store, ada, 2)?, 7);
    grace.resource_drop(&mut store)?;
    assert_eq!(accounts.call_count(&mut store)?, 1);
    assert!(accounts.call_owner(&mut store, grace).is_err(), "it is gone");
    Ok(())
}

/// A resource of the host.
pub(crate) struct Account {
    owner: String,
    money: u64,
}

#[derive(Default)]
struct Host {
    table: ResourceTable,
    accounts: u32,
    traced: Vec<String>,
}

impl Host {
    fn account(&mut self, account: &Resource<Account>) -> &mut Account {
        self.table.get_mut(account).expect("handles are checked")
    }
}

use app::docs::exchange::types;

impl types::HostAccount for Host {
    fn new(&mut self, owner: String) -> Resource<Account> {
        self.accounts += 1;
        self.table
            .push(Account { owner, money: 0 })
            .expect("there is room")
    }

    fn owner(&mut self, self_: Resource<Account>) -> String {
        self.account(&self_).owner.clone()
    }

    fn deposit(&mut self, self_: Resource<Account>, amount: u64) -> u64 {
        let account = self.account(&self_);
        account.money += amount;
        account.money
    }

    fn merge(&mut self, to: Resource<Account>, from: Resource<Account>) -> Resource<Account> {
        let moved = std::mem::take(&mut self.account(&from).money);
        self.account(&to).money += moved;
        to
    }

    fn count(&mut self) -> u32 {
        self.accounts
    }

    fn drop(&mut self, rep: Resource<Account>) -> Result<()> {
        self.accounts -= 1;
        self.table.delete(rep)?;
        Ok(())
    }
}

impl types::Host for Host {
    fn numbers(
        &mut self,
        a: bool,
        b: i8,
        c: u8,
        d: i16,
        e: u16,
        f: i32,
        g: u32,
        h: i64,
        i: u64,
        j: f32,
        k: f64,
        l: char,
    ) -> (bool, i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, char) {
        let letter = char::from_u32(u32::from(l) + 1).expect("it is not the last one");
        let (b, c, d, e) = (
            b.wrapping_add(1),
            c.wrapping_add(1),
            d.wrapping_add(1),
            e.wrapping_add(1),
        );
        let (f, g, h, i) = (
            f.wrapping_add(1),
            g.wrapping_add(1),
            h.wrapping_add(1),
            i.wrapping_add(1),
        );
        (!a, b, c, d, e, f, g, h, i, j + 1.0, k + 1.0, letter)
    }

    fn greet(&mut self, name: String) -> String {
        format!("hello, {name}")
    }

    fn reverse(&mut self, mut words: Vec<String>) -> Vec<String> {
        words.reverse();
        words
    }

    fn reverse_bytes(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.reverse();
        bytes
    }

    fn sums(&mut self, numbers: [u16; 4]) -> [u16; 4] {
        let mut sum = 0_u16;
        numbers.map(|n| {
            sum = sum.wrapping_add(n);
            sum
        })
    }

    fn mirror(&mut self, p: types::Point) -> types::Point {
        types::Point { x: p.y, y: p.x }
    }

    fn next(&mut self, c: types::Color) -> types::Color {
        match c {
            types::Color::Red => types::Color::Green,
            types::Color::Green => types::Color::Blue,
            types::Color::Blue => types::Color::Red,
        }
    }

    fn others(&mut self, r: types::Rights) -> types::Rights {
        !r
    }

    fn grow(&mut self, s: types::Shape) -> types::Shape {
        match s {
            types::Shape::Circle(radius) => types::Shape::Circle(radius * 2.0),
            types::Shape::Box((a, b)) => types::Shape::Box((a * 2.0, b * 2.0)),
            types::Shape::Named(name) => types::Shape::Named(name.repeat(2)),
            types::Shape::Nothing => types::Shape::Nothing,
        }
    }

    fn half(&mut self, n: Option<u32>) -> Option<u32> {
        n.filter(|n| n % 2 == 0).map(|n| n / 2)
    }

    fn divide(&mut self, a: u32, b: u32) -> Result<u32, String> {
        a.checked_div(b).ok_or_else(|| "division by zero".to_owned())
    }

    fn double(&mut self, mut prices: BTreeMap<String, u32>) -> BTreeMap<String, u32> {
        prices.values_mut().for_each(|price| *price *= 2);
        prices
    }

    fn trace(&mut self, why: ErrorContext) -> ErrorContext {
        self.traced.push(why.to_string());
        ErrorContext::new(format!("at the bank: {why}"))
    }
}

#[test]
fn the_rust_component_is_given_every_type_by_the_host() -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_file(&engine, example("app.wasm"))?;
    let mut store = Store::new(&engine, Host::default());
    let mut linker = Linker::new(&engine);
    app::App::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    let app = app::App::instantiate(&mut store, &component, &linker)?;
    assert_eq!(app.call_check(&mut store)?, Ok("every type came back".to_owned()));
    assert_eq!(store.data().traced, ["no money \u{1f4b8}"]);
    assert!(store.data().table.is_empty());
    Ok(())
}
