// Lays a .gz copy beside each file of the built page that gains from it; the hub sends it to browsers that accept it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';

const GAIN_MIN_BYTES = 1024;
const TEXT = /\.(html|js|css|svg|json|txt|webmanifest)$/;

const [folder] = process.argv.slice(2);
const rows = [];
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !TEXT.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const plain = readFileSync(path);
  if (plain.length < GAIN_MIN_BYTES) continue;
  const packed = gzipSync(plain, { level: constants.Z_BEST_COMPRESSION });
  writeFileSync(`${path}.gz`, packed);
  rows.push([path, plain.length, packed.length]);
}
const script = rows.filter(([path]) => path.endsWith('.js')).reduce((sum, [, , bytes]) => sum + bytes, 0);
console.log(`JavaScript in all: ${(script / 1024).toFixed(1)} KiB gzip`);
