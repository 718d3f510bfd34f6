//! Living code: mapping, stores, instances, memories, tables, traps, cell stacks
