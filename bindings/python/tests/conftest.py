"""What every test starts from."""

import pytest

from cellwall import Engine, Instance, Module, Store


@pytest.fixture(scope="session")
def engine():
    return Engine()


@pytest.fixture
def store(engine):
    with Store(engine) as store:
        yield store


@pytest.fixture
def make(engine, store):
    """Makes an instance from text and answers its exports."""

    def make(text, imports=()):
        return Instance(store, Module(engine, text), imports).exports(store)

    return make
