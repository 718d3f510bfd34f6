//! The interfaces of WASI 0.2 as Rust, made of `wit/`.
//!
//! Functions that may wait are `async`; all others end without waiting.

cellwall::component::bindgen!({
    path: "wit",
    world: "cellwall:wasi/command",
    features: ["clocks-timezone"],
    imports: {
        default: trappable,
        "wasi:io/poll.poll": async | trappable,
        "wasi:io/poll.[method]pollable.block": async | trappable,
        "wasi:io/streams.[method]input-stream.blocking-read": async | trappable,
        "wasi:io/streams.[method]input-stream.blocking-skip": async | trappable,
        "wasi:io/streams.[method]output-stream.blocking-write-and-flush": async | trappable,
        "wasi:io/streams.[method]output-stream.blocking-flush": async | trappable,
        "wasi:io/streams.[method]output-stream.blocking-write-zeroes-and-flush": async | trappable,
        "wasi:io/streams.[method]output-stream.blocking-splice": async | trappable,
        "wasi:filesystem/types.[method]descriptor.sync": async | trappable,
        "wasi:filesystem/types.[method]descriptor.sync-data": async | trappable,
    },
    exports: { default: async },
    with: {
        "wasi:io/error.error": cellwall::Error,
        "wasi:io/poll.pollable": crate::p2::DynPollable,
        "wasi:io/streams.input-stream": crate::p2::DynInputStream,
        "wasi:io/streams.output-stream": crate::p2::DynOutputStream,
        "wasi:cli/terminal-input.terminal-input": crate::p2::TerminalInput,
        "wasi:cli/terminal-output.terminal-output": crate::p2::TerminalOutput,
        "wasi:filesystem/types.descriptor": crate::p2::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": crate::p2::DirectoryEntryStream,
    },
    trappable_error_type: {
        "wasi:io/streams.stream-error" => crate::p2::StreamError,
        "wasi:filesystem/types.error-code" => crate::p2::FsError,
    },
    require_store_data_send: true,
});
