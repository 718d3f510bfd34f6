#!/bin/sh
# Builds net.wasm anew. Needs a Rust compiler with its source (Debian: rustc-web cargo-web rust-web-src lld)
# in RUST_BIN, /usr/bin by default. Without locations there are no paths of this machine in it.
set -eu
cd "$(dirname "$0")"
cellwall=${CELLWALL:-../../../../target/debug/cellwall}
rust=${RUST_BIN:-/usr/bin}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
target=${CARGO_TARGET_DIR:-$out/target}

PATH="$rust:$PATH" RUSTC_BOOTSTRAP=1 RUSTC="$rust/rustc" \
  RUSTFLAGS="-Zlocation-detail=none" CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$rust/wasm-ld" CARGO_TARGET_DIR="$target" \
  "$rust/cargo" build --manifest-path net/Cargo.toml --release --locked \
  -Zbuild-std=std,panic_abort --target wasm32-unknown-unknown
"$cellwall" componentize "$target/wasm32-unknown-unknown/release/net.wasm" -o net.wasm
