//! A host of a component, with bindings that `bindgen!` makes of `greeter.wit`.
//!
//! `cargo run -p cellwall --example greeter`

use cellwall::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use cellwall::{Engine, Result, Store};

mod bindings {
    cellwall::component::bindgen!({
        path: "../../examples/greeter/greeter.wit",
        with: { "example:greeter/people.guest-list": super::GuestList },
    });
}

use bindings::example::greeter::people::{Host, HostGuestList, Person};

/// What stands behind the guest's handles.
pub(crate) struct GuestList {
    title: String,
    people: Vec<Person>,
}

/// The data of the store.
#[derive(Default)]
struct State {
    table: ResourceTable,
    titles: Vec<String>,
}

impl Host for State {}

impl HostGuestList for State {
    fn new(&mut self, title: String) -> Resource<GuestList> {
        let people = Vec::new();
        self.table
            .push(GuestList { title, people })
            .expect("there is room")
    }

    fn add(&mut self, self_: Resource<GuestList>, person: Person) {
        let list = self.table.get_mut(&self_).expect("the guest holds it");
        list.people.push(person);
    }

    fn oldest(&mut self, self_: Resource<GuestList>) -> Option<Person> {
        let list = self.table.get(&self_).expect("the guest holds it");
        list.people.iter().max_by_key(|person| person.age).cloned()
    }

    fn drop(&mut self, rep: Resource<GuestList>) -> Result<()> {
        let list = self.table.delete(rep)?;
        self.titles.push(list.title);
        Ok(())
    }
}

pub(crate) fn main() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, include_str!("greeter.wat"))?;
    let mut linker = Linker::new(&engine);
    bindings::Greeter::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;

    let mut store = Store::new(&engine, State::default());
    let greeter = bindings::Greeter::instantiate(&mut store, &component, &linker)?;
    let names = ["Ada", "Grace", "Barbara"].map(String::from);
    let greeting = greeter.call_greet(&mut store, &names)?;
    println!("{greeting}");
    assert_eq!(greeting, "Hello, Barbara!");
    assert_eq!(store.data().titles, ["to greet"]);
    Ok(())
}
