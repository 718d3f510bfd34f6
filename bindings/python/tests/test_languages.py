"""Every type of values, with Python in place of either of the two components of `examples/components`."""

from pathlib import Path

import pytest

from cellwall import CellwallError
from cellwall.component import Component, Linker, Record, ResourceHost, ResourceType, Variant

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "components"
TYPES = "docs:exchange/types@1.0.0"
ACCOUNT = 11


@pytest.fixture
def bank(engine, store):
    """What the component in C exports, by name."""
    instance = Linker(engine).instantiate(store, Component.from_file(engine, str(EXAMPLES / "bank.wasm")))
    types = instance.get_export_index(store, TYPES)
    return lambda name, *args: instance.get_func(store, instance.get_export_index(store, name, types))(store, *args)


def test_the_component_in_c_is_called_with_every_type(bank):
    found = bank("numbers", False, 1, 2, 3, 4, 5, 6, 7, 8, 1.5, -2.5, "y")
    assert found == (True, 2, 3, 4, 5, 6, 7, 8, 9, 2.5, -1.5, "z")
    assert bank("greet", "\U0001f600") == "hello, \U0001f600"
    assert bank("reverse", ["a", ""]) == ["", "a"]
    assert bank("reverse-bytes", b"abc") == b"cba"
    assert bank("sums", [1, 2, 3, 0xFFFF]) == [1, 3, 6, 5]
    with pytest.raises(CellwallError, match="a list of 4 elements, found 3"):
        bank("sums", [1, 2, 3])
    assert bank("mirror", {"x": -7, "y": 9}) == Record(x=9, y=-7)
    assert bank("next", "blue") == "red"
    assert bank("others", {"write"}) == {"read", "execute"}
    for shape in [2.5, (1.0, -2.5), "ab", None]:
        twice = {2.5: 5.0, (1.0, -2.5): (2.0, -5.0), "ab": "abab", None: None}[shape]
        assert bank("grow", shape) == twice
    assert bank("grow", Variant("circle", 1.0)) == 2.0
    assert [bank("half", n) for n in (6, 7, None)] == [3, None, None]
    assert bank("divide", 7, 2) == 3 and bank("divide", 7, 0) == "division by zero"
    assert bank("double", {"tea": 3, "coffee": 4}) == {"tea": 6, "coffee": 8}
    assert bank("trace", "no money \U0001f4b8") == "at the bank: no money \U0001f4b8"


def test_resources_of_the_component_in_c(bank):
    ada, grace = bank("[constructor]account", "ada"), bank("[constructor]account", "grace")
    assert bank("[method]account.owner", ada) == "ada" and bank("[method]account.deposit", grace, 5) == 5
    ada = bank("[static]account.merge", ada, grace)
    assert bank("[method]account.deposit", ada, 2) == 7 and bank("[static]account.count") == 2


class Bank:
    """What the component in Rust imports."""

    def __init__(self, engine):
        self.accounts = {}
        self.made = 0
        self.traced = []
        self.linker = Linker(engine)
        with self.linker.root() as root, root.add_instance(TYPES) as types:
            types.add_resource("account", ResourceType.host(ACCOUNT), lambda _, rep: self.accounts.pop(rep))
            for name, func in {
                "numbers": self.numbers,
                "greet": lambda _, name: f"hello, {name}",
                "reverse": lambda _, words: words[::-1],
                "reverse-bytes": lambda _, data: data[::-1],
                "sums": lambda _, n: [sum(n[: last + 1]) & 0xFFFF for last in range(4)],
                "mirror": lambda _, p: Record(x=p.y, y=p.x),
                "next": lambda _, color: {"red": "green", "green": "blue", "blue": "red"}[color],
                "others": lambda _, rights: {"read", "write", "execute"} - rights,
                "grow": self.grow,
                "half": lambda _, n: None if n is None or n % 2 else n // 2,
                "divide": lambda _, a, b: a // b if b else "division by zero",
                "double": lambda _, prices: {name: 2 * price for name, price in prices.items()},
                "trace": self.trace,
                "[constructor]account": self.new,
                "[method]account.owner": lambda store, it: self.accounts[it.to_host(store).rep][0],
                "[method]account.deposit": self.deposit,
                "[static]account.merge": self.merge,
                "[static]account.count": lambda _: len(self.accounts),
            }.items():
                types.add_func(name, func)

    def numbers(self, _, a, b, c, d, e, f, g, h, i, j, k, letter):
        signed = lambda n, bits: (n + 1 + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
        whole = lambda n, bits: (n + 1) % (1 << bits)
        small = (signed(b, 8), whole(c, 8), signed(d, 16), whole(e, 16))
        large = (signed(f, 32), whole(g, 32), signed(h, 64), whole(i, 64))
        return (not a, *small, *large, j + 1, k + 1, chr(ord(letter) + 1))

    def grow(self, _, shape):
        return shape if shape is None else tuple(2 * n for n in shape) if isinstance(shape, tuple) else 2 * shape

    def trace(self, _, why):
        self.traced.append(why)
        return f"at the bank: {why}"

    def new(self, _, owner):
        self.made += 1
        self.accounts[self.made] = [owner, 0]
        return ResourceHost.own(self.made, ACCOUNT)

    def deposit(self, store, account, amount):
        account = self.accounts[account.to_host(store).rep]
        account[1] += amount
        return account[1]

    def merge(self, store, to, other):
        to, other = to.to_host(store), self.accounts[other.to_host(store).rep]
        self.accounts[to.rep][1] += other[1]
        other[1] = 0
        return to


def test_the_component_in_rust_is_given_every_type(engine, store):
    bank = Bank(engine)
    app = bank.linker.instantiate(store, Component.from_file(engine, str(EXAMPLES / "app.wasm")))
    answer = app.get_func(store, "check")(store)
    assert answer == Variant("ok", "every type came back")
    assert bank.traced == ["no money \U0001f4b8"] and bank.made == 2 and not bank.accounts
