#!/bin/sh
# Builds the guests of the part `files` anew: `std.wasm`, a module of WASI 0.1, and the components `std-p2.wasm` (the
# same behind the usual adapter) and `streams.wasm`. Needs a Rust compiler with its source and a linker for WebAssembly
# (Debian: rustc-web cargo-web rust-web-src lld wasi-libc) in RUST_BIN, /usr/bin by default.
set -eu
cd "$(dirname "$0")"
cellwall=${CELLWALL:-../../target/debug/cellwall}
rust=${RUST_BIN:-/usr/bin}
libc=/usr/lib/wasm32-wasi
out=${OUT:-$(mktemp -d)}

PATH="$rust:$PATH" RUSTC_BOOTSTRAP=1 RUSTC="$rust/rustc" \
  CARGO_TARGET_WASM32_WASIP1_LINKER="$rust/wasm-ld" CARGO_TARGET_DIR="$out/target" \
  CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-self-contained=no -Lnative=$libc -Clink-arg=$libc/crt1-command.o" \
  "$rust/cargo" build --release -Zbuild-std=std,panic_abort --target wasm32-wasip1
built="$out/target/wasm32-wasip1/release"
cp "$built/std.wasm" std.wasm
"$cellwall" componentize "$built/std.wasm" -o std-p2.wasm
"$cellwall" componentize "$built/streams.wasm" -o streams.wasm
