// Files and settings that cannot be used: one line that names the fault and the way out, exit 2, nothing written. Through the command line, as users meet them.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const parquet = readFileSync(resolve(import.meta.dirname, '../oracle/splink/records.parquet'));
const home = mkdtempSync(join(tmpdir(), 'clinfuse-link-bad-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const level = (column: string, more: object = {}) => ({
  output_column_name: column,
  comparison_levels: [
    { sql_condition: `${column}_l is null or ${column}_r is null`, is_null_level: true },
    { sql_condition: `${column}_l = ${column}_r`, m_probability: 0.9, u_probability: 0.1, ...more },
    { sql_condition: 'ELSE', m_probability: 0.1, u_probability: 0.9 },
  ],
});
const model = {
  link_type: 'dedupe_only',
  unique_id_column_name: 'record_id',
  probability_two_random_records_match: 0.01,
  blocking_rules_to_generate_predictions: ['l.ssn = r.ssn'],
  comparisons: [level('first_name'), level('zip')],
};
const withLevel = (more: object) => ({ ...model, comparisons: [level('first_name', more), level('zip')] });
/** Without m and u, so that the training block is used. */
const untrained = (training: object) => ({
  ...model,
  comparisons: ['first_name', 'zip'].map((column) => {
    const levels = level(column).comparison_levels.map((one) => ({ ...one, m_probability: undefined, u_probability: undefined }));
    return { output_column_name: column, comparison_levels: levels };
  }),
  training,
});
const header = 'record_id,first_name,zip,ssn\n';
const rows = `${header}1,Ann,01234,1\n2,Ann,01234,1\n3,Bob,98765,2\n`;

type Fault = {
  readonly name: string;
  readonly settings?: unknown;
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly words?: readonly string[];
  readonly says: RegExp;
};
const dedupe = (...files: string[]) => [
  'dedupe',
  ...files.flatMap((file) => ['--in', file]),
  '--settings',
  's.json',
  '--out',
  'out.parquet',
];

const faults: readonly Fault[] = [
  { name: 'm of 0', settings: withLevel({ m_probability: 0 }), says: /comparison_levels\[1\]\.m_probability: not in \(0, 1\]/ },
  { name: 'u above 1', settings: withLevel({ u_probability: 1.5 }), says: /comparison_levels\[1\]\.u_probability: not in \(0, 1\]/ },
  { name: 'm that is text', settings: withLevel({ m_probability: 'high' }), says: /m_probability: expected number, received string/ },
  {
    name: 'a prior of 1',
    settings: { ...model, probability_two_random_records_match: 1 },
    says: /probability_two_random_records_match: not in \(0, 1\)/,
  },
  { name: 'no blocking rule', settings: { ...model, blocking_rules_to_generate_predictions: [] }, says: /no blocking rule: s\.json/ },
  {
    name: 'a blocking rule on a column that does not exist',
    settings: { ...model, blocking_rules_to_generate_predictions: ['l.snn = r.snn'] },
    says: /column not found: snn; did you mean ssn\?/,
  },
  {
    name: 'a blocking rule that does not parse',
    settings: { ...model, blocking_rules_to_generate_predictions: ['lower(l.ssn = lower(r.ssn'] },
    says: /linkage: (sql fails|blocking rule)/,
  },
  {
    name: 'a function that does not exist',
    settings: withLevel({ sql_condition: 'nearly(first_name_l, first_name_r)' }),
    says: /sql fails: first_name: Catalog Error: Scalar Function with name nearly does not exist/,
  },
  { name: 'a quote that is not closed', settings: withLevel({ sql_condition: "first_name_l = 'x" }), says: /sql cannot be read/ },
  {
    name: 'a block that explodes',
    files: { 'people.csv': header + Array.from({ length: 64_000 }, (_, n) => `${n},Ann,01234,999\n`).join('') },
    says: /blocking rule explodes: ssn: "999" is shared by 64,000 records/,
  },
  {
    name: 'a block beyond a cap of one’s own',
    files: { 'people.csv': header + Array.from({ length: 20 }, (_, n) => `${n},Ann,01234,999\n`).join('') },
    words: [...dedupe('people.csv'), '--max-block-pairs', '100'],
    says: /"999" is shared by 20 records, 190 pairs; .* raise maxBlockPairs \(--max-block-pairs\) from 100/,
  },
  { name: 'no rows', files: { 'people.csv': header }, says: /no rows: people\.csv; nothing to link/ },
  {
    name: 'one row, to be trained on',
    settings: untrained({ deterministic_rules: ['l.ssn = r.ssn'], em_rules: ['l.ssn = r.ssn'] }),
    files: { 'people.csv': `${header}1,Ann,01234,1\n` },
    says: /deterministic rules find 0 of 0 pairs: ssn/,
  },
  {
    name: 'an EM rule without pairs',
    settings: untrained({ em_rules: ['l.record_id = r.record_id'] }),
    says: /em rule has no pairs: record_id/,
  },
  {
    name: 'a training block that trains no m',
    settings: untrained({ recall: 0.5 }),
    says: /training block without em_rules or label_column/,
  },
  { name: 'max_pairs of 0', settings: untrained({ em_rules: ['l.ssn = r.ssn'], max_pairs: 0 }), says: /settings\.training\.max_pairs/ },
  {
    name: 'a row that is too short',
    files: { 'people.csv': `${rows}4,Cyd\n` },
    says: /people\.csv: line 5: 2 columns, but the header's 4/,
  },
  { name: 'a CSV that is no text', files: { 'people.csv': parquet }, says: /input: cannot be read: people\.csv/ },
  {
    name: 'a Parquet file that is none',
    files: { 'p.parquet': rows },
    words: dedupe('p.parquet'),
    says: /cannot be read: p\.parquet: .*[Nn]o magic bytes/,
  },
  {
    name: 'a Parquet file cut short',
    files: { 'p.parquet': parquet.subarray(0, 9000) },
    words: dedupe('p.parquet'),
    says: /cannot be read: p\.parquet/,
  },
  {
    name: 'a Parquet file that is damaged inside',
    settings: { ...model, comparisons: [level('first_name')] },
    files: { 'p.parquet': Buffer.concat([parquet.subarray(0, 2000), Buffer.alloc(9000), parquet.subarray(11_000)]) },
    words: dedupe('p.parquet'),
    says: /cannot be read: p\.parquet: it is damaged/,
  },
  {
    name: 'JSON lines that are none',
    files: { 'p.jsonl': '{"record_id": 1}\n{{' },
    words: dedupe('p.jsonl'),
    says: /cannot be read: p\.jsonl/,
  },
  {
    name: 'two files for dedupe_only',
    files: { 'b.csv': rows },
    words: dedupe('people.csv', 'b.csv'),
    says: /dedupe_only takes one file: 2 given/,
  },
  {
    name: 'one file for link_only',
    settings: { ...model, link_type: 'link_only' },
    says: /column not found: source_dataset in people\.csv; .*or give a file for each source/,
  },
  {
    name: 'a file of labels that no one has',
    files: { 'labels.csv': 'record_id_l,record_id_r\n7,8\n' },
    words: ['train', '--in', 'people.csv', '--settings', 's.json', '--out', 'm.json', '--pairwise-labels', 'labels.csv'],
    says: /labels: ids that no record has: 2 in labels\.csv/,
  },
  {
    name: 'a method of clustering that there is none of',
    words: ['cluster', '--in', 'people.csv', '--threshold', '0.5', '--out', 'c.parquet', '--method', 'best'],
    says: /--method: not one of components, best-links, mean/,
  },
  { name: 'nothing to evaluate', words: ['evaluate', '--in', 'people.csv', '--labels', 'ssn'], says: /name --clusters, --pairs or both/ },
  {
    name: 'pairs whose weight is missing',
    files: { 'pairs.csv': 'match_weight,record_id_l,record_id_r\n,1,2\n' },
    words: ['evaluate', '--in', 'people.csv', '--labels', 'ssn', '--pairs', 'pairs.csv', '--id', 'record_id'],
    says: /pairs without a match weight: 1 in pairs\.csv/,
  },
];

describe('link with what cannot be used', () => {
  test.each(faults)('$name: one line, exit 2, nothing written', ({ settings = model, files = {}, words = dedupe('people.csv'), says }) => {
    const folder = join(home, 'work');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    for (const [file, content] of Object.entries({ 's.json': JSON.stringify(settings), 'people.csv': rows, ...files })) {
      writeFileSync(join(folder, file), content);
    }
    const before = readdirSync(folder);
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'link', ...words, '--quiet'], { cwd: folder, encoding: 'utf8' });
    expect({ stderr, status, stdout }).toMatchObject({ status: 2, stdout: '' });
    expect(stderr).toMatch(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).not.toMatch(/Ann|Cyd|98765/);
    expect(readdirSync(folder)).toEqual(before);
  });
});
