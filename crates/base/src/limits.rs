//! The table of limits. Everything that input can make large has a row here.

/// Parameters of one function (the JavaScript API's limit).
pub const PARAMS_MAX: usize = 1000;
/// Results of one function (the JavaScript API's limit).
pub const RESULTS_MAX: usize = 1000;
/// Bytes of machine code that one function may compile to; some operators of one byte take fifty.
pub const FUNC_CODE_BYTES_MAX: usize = 512 << 20;
/// Bytes of stack that one frame may take: 8 for each byte of the largest body, since none makes more
/// than one value. What is larger than the stack traps when it is entered.
pub const FRAME_BYTES_MAX: u32 = 64 << 20;
/// Bytes in one WebAssembly page.
pub const PAGE_BYTES: u64 = 1 << 16;
/// Pages of a 32-bit memory.
pub const MEMORY32_PAGES_MAX: u64 = 1 << 16;
/// Pages of a 64-bit memory.
pub const MEMORY64_PAGES_MAX: u64 = 1 << 48;
/// Elements of one table, whatever its type says.
pub const TABLE_ELEMENTS_MAX: u64 = 10_000_000;
/// Memories, tables, globals (each) of one module.
pub const MEMORIES_MAX: usize = 100;
/// Tables of one module.
pub const TABLES_MAX: usize = 100;
/// Globals of one module.
pub const GLOBALS_MAX: usize = 1_000_000;
/// Tags of one module.
pub const TAGS_MAX: usize = 1_000_000;
/// Bytes of a module.
pub const MODULE_BYTES_MAX: usize = 1 << 30;
