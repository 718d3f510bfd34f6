// Lists the files of a folder with their sizes, and writes the list into the folder as `INDEX`.
import { getArguments } from 'wasi:cli/environment@0.2.12';
import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { getStderr } from 'wasi:cli/stderr@0.2.12';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';

function print(stream, text) {
  stream.blockingWriteAndFlush(new TextEncoder().encode(text));
}

function index(folder) {
  const granted = getDirectories().find(([, name]) => name === folder);
  if (granted === undefined) throw { payload: 'no such folder is granted' };
  const [dir] = granted;
  const names = [];
  const listing = dir.readDirectory();
  for (let entry; (entry = listing.readDirectoryEntry()); ) {
    if (entry.type === 'regular-file' && entry.name !== 'INDEX') names.push(entry.name);
  }
  const row = (name) => `${String(dir.statAt({}, name).size).padStart(8)} ${name}\n`;
  const list = names.sort().map(row).join('');
  const file = dir.openAt({}, 'INDEX', { create: true, truncate: true }, { write: true });
  const bytes = new TextEncoder().encode(list);
  for (let at = 0; at < bytes.length; ) {
    at += Number(file.write(bytes.subarray(at), BigInt(at)));
  }
  return list;
}

export const run = {
  run() {
    const folder = getArguments()[1];
    if (folder === undefined) {
      print(getStderr(), 'usage: index FOLDER\n');
      throw undefined;
    }
    try {
      print(getStdout(), index(folder));
    } catch (error) {
      print(getStderr(), `index: ${folder}: ${error.payload ?? error}\n`);
      throw undefined;
    }
  },
};
