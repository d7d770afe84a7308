// npm run bench -- NAME [--quick] [--json]: runs bench/NAME.bench.ts and prints its rows. Exit 1 when a must does not hold.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Row } from './row.ts';

const folder = import.meta.dirname;
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.bench.ts'))
  .map((name) => name.replace('.bench.ts', ''));

const [name, ...flags] = process.argv.slice(2);
const unknown = flags.find((flag) => flag !== '--quick' && flag !== '--json');
if (!name || !existsSync(join(folder, `${name}.bench.ts`)) || unknown) {
  console.error(`bench: usage: npm run bench -- NAME [--quick] [--json]; benches: ${names.join(', ')}`);
  process.exit(2);
}

const { bench } = (await import(`./${name}.bench.ts`)) as { bench: (options: { readonly quick: boolean }) => AsyncIterable<Row> };
const rows: Row[] = [];
for await (const row of bench({ quick: flags.includes('--quick') })) {
  rows.push(row);
  console.error(`${row.ok ? 'ok  ' : 'MISS'} ${row.figure}: ${show(row)}`);
}
if (flags.includes('--json')) console.log(JSON.stringify(rows));
else {
  console.log('\n| Figure | Value | Peer | Ratio | Must | |\n|---|---|---|---|---|---|');
  for (const row of rows) {
    console.log(
      `| ${row.figure} | ${number(row.value)} ${row.unit} | ${row.peer ?? ''} | ${row.ratio ? `${row.ratio.toFixed(2)}x` : ''} | ${row.must ?? ''} | ${row.ok ? 'ok' : 'MISS'} |`,
    );
  }
}
process.exitCode = rows.every((row) => row.ok) ? 0 : 1;

function show(row: Row): string {
  return [
    `${number(row.value)} ${row.unit}`.trim(),
    row.peer && `peer ${row.peer}`,
    row.ratio && `ratio ${row.ratio.toFixed(2)}`,
    row.must && `must ${row.must}`,
  ]
    .filter(Boolean)
    .join('; ');
}

function number(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  return Math.abs(value) < 1 ? value.toPrecision(4) : value.toFixed(value < 100 ? 2 : 0);
}
