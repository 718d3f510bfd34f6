//! Machine IR: one row per instruction per ISA, encoding and printing
