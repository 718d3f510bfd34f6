//! A WebAssembly runtime that proves the machine code it runs
