//! The optimizing compiler: translate, opt, lower, regalloc, emit
