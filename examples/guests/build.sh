#!/bin/sh
# Builds the guests of the languages that are named (`./build.sh rust c js python`) with the registries' tools alone.
#
# rust    a compiler with its source in RUST_BIN (Debian: rustc-web cargo-web rust-web-src lld wasi-libc). With rustup it
#         is shorter: `cargo build --release --target wasm32-wasip2`.
# c       the Python wheel `ziglang`, and `wit-bindgen` (the crate `wit-bindgen-cli`)
# js      npm's `@bytecodealliance/componentize-js`
# python  the Python wheel `componentize-py`
set -eu
cd "$(dirname "$0")"
cellwall=${CELLWALL:-$(pwd)/../../target/debug/cellwall}
rust=${RUST_BIN:-/usr/bin}
libc=/usr/lib/wasm32-wasi
out=${OUT:-$(mktemp -d)}
# The parsers of some tools follow no links.
mkdir -p "$out"
rm -rf "$out/wit"
cp -RL wit "$out/wit"

cargo_build() {
  PATH="$rust:$PATH" RUSTC_BOOTSTRAP=1 RUSTC="$rust/rustc" CARGO_TARGET_WASM32_WASIP1_LINKER="$rust/wasm-ld" \
    CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-self-contained=no -Lnative=$libc $1" CARGO_TARGET_DIR="$out/target" \
    "$rust/cargo" build --release --locked -Zbuild-std=std,panic_abort --target wasm32-wasip1 $2
}

build_rust() {
  cargo_build "-Clink-arg=$libc/crt1-command.o" "-p count -p index -p shout"
  cargo_build "" "-p hello"
  for each in command/rust/count files/rust/index tcp/rust/shout http/rust/hello; do
    "$cellwall" componentize "$out/target/wasm32-wasip1/release/$(basename "$each").wasm" -o "$each.wasm"
  done
}

build_c() {
  zig="python3 -m ziglang cc -target wasm32-wasi -Os -s -Wall -Wextra"
  wit-bindgen c "$out/wit" --world network --out-dir "$out/network"
  wit-bindgen c "$out/wit" --world handler --out-dir "$out/handler"
  $zig command/c/count.c -o "$out/count.wasm"
  $zig files/c/index.c -o "$out/index.wasm"
  $zig -I"$out/network" tcp/c/shout.c "$out"/network/network.c "$out"/network/network_component_type.o -o "$out/shout.wasm"
  $zig -mexec-model=reactor -I"$out/handler" http/c/hello.c "$out"/handler/handler.c \
    "$out"/handler/handler_component_type.o -o "$out/hello.wasm"
  for each in command/c/count files/c/index tcp/c/shout http/c/hello; do
    "$cellwall" componentize "$out/$(basename "$each").wasm" -o "$each.wasm"
  done
}

build_js() {
  for each in command/js/count files/js/index tcp/js/shout; do
    componentize-js "$each.js" --wit "$out/wit" --world-name program --disable http --disable fetch-event -o "$each.wasm"
  done
  # The engine answers `fetch` events as `wasi:http` 0.2.10.
  mkdir -p "$out/wit-js/deps"
  for each in world.wit deps/cli.wit deps/clocks.wit deps/filesystem.wit deps/http.wit deps/io.wit deps/random.wit \
    deps/sockets.wit; do
    sed 's/0\.2\.1[12]/0.2.10/g' "wit/$each" >"$out/wit-js/$each"
  done
  componentize-js http/js/hello.js --wit "$out/wit-js" --world-name handler -o http/js/hello.wasm
}

build_python() {
  for each in command/python/count files/python/index tcp/python/shout; do
    componentize-py -d wit -w program componentize -p "$(dirname "$each")" "$(basename "$each")" -o "$each.wasm"
  done
  componentize-py -d wit -w handler componentize -p http/python hello -o http/python/hello.wasm
}

for language in "$@"; do
  "build_$language"
done
