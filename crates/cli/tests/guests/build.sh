#!/bin/sh
# Builds p2.wasm anew. Needs a Rust compiler with its source and a linker for WebAssembly (Debian: rustc-web
# cargo-web rust-web-src lld wasi-libc) in RUST_BIN, /usr/bin by default.
set -eu
cd "$(dirname "$0")"
cellwall=${CELLWALL:-../../../../target/debug/cellwall}
rust=${RUST_BIN:-/usr/bin}
libc=/usr/lib/wasm32-wasi
out=${OUT:-$(mktemp -d)}

PATH="$rust:$PATH" RUSTC_BOOTSTRAP=1 RUSTC="$rust/rustc" \
  CARGO_TARGET_WASM32_WASIP1_LINKER="$rust/wasm-ld" CARGO_TARGET_DIR="$out/target" \
  CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-self-contained=no -Lnative=$libc -Clink-arg=$libc/crt1-command.o" \
  "$rust/cargo" build --release -Zbuild-std=std,panic_abort --target wasm32-wasip1
"$cellwall" componentize "$out/target/wasm32-wasip1/release/p2.wasm" -o p2.wasm
