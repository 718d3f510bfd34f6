#!/bin/sh
# Builds bank.wasm (C) and app.wasm (Rust) anew. Needs the Python wheel `ziglang` for C, and for Rust a
# compiler with its source (Debian: rustc-web cargo-web rust-web-src lld) in RUST_BIN, /usr/bin by default.
set -eu
cd "$(dirname "$0")"
cellwall=${CELLWALL:-../../target/debug/cellwall}
rust=${RUST_BIN:-/usr/bin}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

python3 -m ziglang cc -target wasm32-wasi -mexec-model=reactor -O2 -Wall -Wextra -s bank.c -o "$out/bank.wasm"
"$cellwall" componentize "$out/bank.wasm" --wit exchange.wit --world bank -o bank.wasm

PATH="$rust:$PATH" RUSTC_BOOTSTRAP=1 RUSTC="$rust/rustc" \
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$rust/wasm-ld" CARGO_TARGET_DIR="$out/target" \
  "$rust/cargo" build --manifest-path app/Cargo.toml --release --locked \
  -Zbuild-std=core,alloc,panic_abort --target wasm32-unknown-unknown
"$cellwall" componentize "$out/target/wasm32-unknown-unknown/release/app.wasm" -o app.wasm
