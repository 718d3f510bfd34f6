// Counts the lines, words and bytes of standard input; with `--longest`, says the longest word too.
import { getArguments, getEnvironment } from 'wasi:cli/environment@0.2.12';
import { getStdin } from 'wasi:cli/stdin@0.2.12';
import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { getStderr } from 'wasi:cli/stderr@0.2.12';

function readAll(stream) {
  const parts = [];
  for (;;) {
    try {
      parts.push(stream.blockingRead(65536n));
    } catch (error) {
      if (error.payload?.tag === 'closed') break;
      throw error;
    }
  }
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function print(stream, text) {
  stream.blockingWriteAndFlush(new TextEncoder().encode(text));
}

export const run = {
  run() {
    const options = getArguments().slice(1);
    const unknown = options.find((option) => option !== '--longest');
    if (unknown !== undefined) {
      print(getStderr(), `count: unknown option ${unknown}\n`);
      throw undefined; // the error of `result`, which is status 1
    }
    const label = new Map(getEnvironment()).get('LABEL') ?? 'stdin';
    const input = readAll(getStdin());
    const text = new TextDecoder().decode(input);
    const words = text.split(/[ \t\n\v\f\r]+/).filter((word) => word !== '');
    const lines = input.reduce((sum, byte) => sum + (byte === 10), 0);
    const out = getStdout();
    print(out, `${label}: ${lines} lines, ${words.length} words, ${input.length} bytes\n`);
    if (options.length > 0) {
      const longest = words.reduce((one, two) => (two.length > one.length ? two : one), '');
      print(out, `longest: ${longest}\n`);
    }
  },
};
