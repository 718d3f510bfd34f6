// Runs one program in node: FILE FOLDER REPORT. The guest's world is that of
// src/wasi.rs as far as it matters: argument 0, no environment, a wall clock
// that stands, a monotonic clock that is CPU time, random bytes from a seed.
const fs = require('node:fs');
const { WASI } = require('node:wasi');
const [file, folder, report] = process.argv.slice(1);

function cpuNs() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}
// The clock's step is a microsecond: less than one counts as one.
function since(before) { return Math.max(1000, cpuNs() - before); }

const wasi = new WASI({
  version: 'preview1',
  args: ['benchmark'],
  env: {},
  preopens: { '.': folder },
  returnOnExit: true,
});
let memory;
let seed = 0x9e3779b97f4a7c15n;
const mask = (1n << 64n) - 1n;
const wasiImport = {
  ...wasi.wasiImport,
  clock_time_get(id, _precision, out) {
    const now = id === 0 ? 1704067200000000000n : BigInt(cpuNs());
    new DataView(memory.buffer).setBigUint64(out, now, true);
    return 0;
  },
  random_get(out, len) {
    const bytes = new Uint8Array(memory.buffer, out, len);
    for (let i = 0; i < len; i++) {
      seed ^= (seed << 13n) & mask;
      seed ^= seed >> 7n;
      seed ^= (seed << 17n) & mask;
      bytes[i] = Number(seed & 255n);
    }
    return 0;
  },
};
let began = null;
let measured = null;
const bench = {
  start() { began = cpuNs(); },
  end() {
    if (began !== null) measured = (measured ?? 0) + since(began);
    began = null;
  },
};

const times = {};
const bytes = fs.readFileSync(file);
let before = cpuNs();
const module_ = new WebAssembly.Module(bytes);
times.compile_ns = since(before);
before = cpuNs();
const instance = new WebAssembly.Instance(module_, { wasi_snapshot_preview1: wasiImport, bench });
times.instantiate_ns = since(before);
memory = instance.exports.memory;
before = cpuNs();
try {
  times.exit = wasi.start(instance) ?? 0;
} catch (error) {
  times.trap = String(error);
}
times.execute_ns = measured ?? since(before);
fs.writeFileSync(report, JSON.stringify(times));
