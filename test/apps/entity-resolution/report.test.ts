import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { collectReport } from '../../../src/apps/entity-resolution/report/collect.ts';
import type { ReportData } from '../../../src/apps/entity-resolution/report/data.ts';
import { pairSteps, reportFigures } from '../../../src/apps/entity-resolution/report/figures.ts';
import { renderReport } from '../../../src/apps/entity-resolution/report/page.ts';
import { writeReport } from '../../../src/apps/entity-resolution/report/write-report.ts';
import { silent } from '../../../src/base/progress.ts';
import { Database } from '../../../src/sql/duckdb.ts';
import { values, writeRunFolder } from '../../records/run-folder-fixture.ts';

// Three people over three facilities. Ann is at all three; her third record is damaged so that demographics leave it alone. Bob is at
// two and joined by demographics, Cy at one.
const people = [
  ['ann', 'Ann', 'Lee', '1970-02-03', 'F', '999-11-0001', '1 Oak Street'],
  ['bob', 'Bob', 'Ray', '1980-05-06', 'M', '999-11-0002', '2 Elm Street'],
] as const;
const patients = (rows: readonly (readonly (string | null)[])[]) =>
  values('Id, FIRST, LAST, BIRTHDATE, GENDER, SSN, ADDRESS', rows).replace('select *', 'select * replace (BIRTHDATE::DATE as BIRTHDATE)');
const damaged = ['ann', 'A7n', 'Lie', '1971-02-03', 'F', null, '<b>9 Ash</b>'];
const cy = ['cy', 'Cy', 'Poe', '1990-01-01', 'M', null, '3 Fir Street'];

const truth = values('original_patient_uuid, facility_id, errors_applied', [
  ['ann', 1, 'none'],
  ['bob', 1, 'none'],
  ['ann', 2, 'none'],
  ['bob', 2, 'name_typo'],
  ['ann', 3, 'name_typo,name_typo,date_off_by_one,missing_field_value'],
  ['cy', 3, 'none'],
]);

/** record 1, record 2, demographic and clinical log-odds. */
const pairs = [
  ['facility_001_ann', 'facility_002_ann', 9, 4],
  ['facility_001_ann', 'facility_003_ann', -3, 8],
  ['facility_002_ann', 'facility_003_ann', -2, 7],
  ['facility_001_bob', 'facility_002_bob', 8, 3],
  ['facility_001_bob', 'facility_003_cy', -6, -5],
] as const;

async function fixture({ withTruth = true, synthetic = true } = {}): Promise<{ folder: string; run: string }> {
  const folder = await writeRunFolder(
    [{ patients: patients(people) }, { patients: patients(people) }, { patients: patients([damaged, cy]) }],
    {
      ...(withTruth ? { truth } : {}),
    },
  );
  if (synthetic) {
    mkdirSync(join(folder, 'metadata'), { recursive: true });
    writeFileSync(join(folder, 'metadata', 'run_config.yaml'), 'random_seed: 1\n');
  }
  const run = mkdtempSync(join(tmpdir(), 'clinfuse-report-'));
  onTestFinished(() => rmSync(run, { recursive: true }));
  for (const name of ['resolved', 'inferred', 'golden_records', 'baselines']) mkdirSync(join(run, name));
  await using db = await Database.open({ threads: 1 });
  const copy = (sql: string, file: string) => db.run(`copy (${sql}) to '${join(run, file)}' (format parquet)`);
  const scored = values('record_id_1, record_id_2, d, c', pairs);
  await copy(
    `select record_id_1, record_id_2, d::DOUBLE as demographic_log_odds, c::DOUBLE as clinical_log_odds, (d + c)::DOUBLE as log_odds,
      case when d > 5 then 'auto_match' else 'gray_zone' end as tier from (${scored})`,
    'inferred/predictions.parquet',
  );
  await copy(
    `select record_id_1, record_id_2, d / ln(2) as match_weight, 8.0 as bf_first_name, 0.5 as bf_address, 2.0 as bf_tf_adj_first_name from (${scored})`,
    'resolved/features.parquet',
  );
  const golden = { ann: 'golden_000000', bob: 'golden_000001', cy: 'golden_000002' };
  const records = ['facility_001_ann', 'facility_001_bob', 'facility_002_ann', 'facility_002_bob', 'facility_003_ann', 'facility_003_cy'];
  await copy(
    values(
      'record_id, golden_id',
      records.map((id) => [id, golden[id.slice(13) as 'ann']]),
    ),
    'golden_records/clusters.parquet',
  );
  await copy(
    `select golden_id, first_name, last_name, null::VARCHAR as maiden_name, birthdate::DATE as birthdate, gender, ssn, address, null::VARCHAR as city, null::VARCHAR as zip
      from (${values('golden_id, first_name, last_name, birthdate, gender, ssn, address', [['golden_000000', 'Ann', 'Lee', '1970-02-03', 'F', '999110001', '1 Oak Street']])})`,
    'golden_records/golden_records.parquet',
  );
  const scenario = {
    threshold: 0.16,
    pair_metrics: { precision: 0.79, recall: 0.73, f1_score: 0.759 },
    cluster_metrics: { split_patients: 1, impure_clusters: 2 },
  };
  writeFileSync(join(run, 'baselines', 'baseline_comparison.json'), JSON.stringify({ scenarios: { splink_best_f1: scenario } }));
  writeFileSync(join(run, 'run.json'), JSON.stringify({ seconds: { resolve: 1.5, infer: 0.5 }, peakRssMb: 512 }));
  writeFileSync(join(run, 'inferred', 'inference_metrics.json'), JSON.stringify({ throughput: 90_000 }));
  return { folder, run };
}

describe('the data of a report', () => {
  test('holds the run against the truth', async () => {
    const { truth: found, ...data } = await collectReport(await fixture());
    expect(data).toMatchObject({ records: 6, facilities: 3, goldenRecords: 3, candidates: 5, synthetic: true });
    expect(data.clusterSizes.map((row) => row.goldenRecords)).toEqual([1, 1, 1]);
    expect(found).toMatchObject({
      patients: 3,
      truePairs: 4,
      splitPatients: 0,
      impureClusters: 0,
      completeness: 1,
      chosenClusters: { precision: 1, recall: 1 },
    });
    expect(found!.results.map((row) => row.f1)).toEqual([0.617, 0.764, 0.916, 0.759, 1]);
    expect(found!.split.demographics.facilities).toEqual([
      { label: '2', patients: 1, split: 0, share: 0 },
      { label: '3', patients: 1, split: 1, share: 1 },
    ]);
    expect(found!.split.fused.errors).toEqual([{ label: '1–5', patients: 2, split: 0, share: 0 }]);
  });

  test('tells of the patient whom only clinical evidence joined', async () => {
    const { caseStudy } = await collectReport(await fixture());
    expect(caseStudy).toMatchObject({
      goldenId: 'golden_000000',
      piecesBefore: [0, 0, 1],
      golden: ['Ann', 'Lee', '1970-02-03', 'F', '999110001', '1 Oak Street'],
    });
    expect(caseStudy!.links).toEqual([
      { left: 0, right: 1, demographic: 9, total: 13 },
      { left: 0, right: 2, demographic: -3, total: 5 },
      { left: 1, right: 2, demographic: -2, total: 5 },
    ]);
    // Without a model at hand the linkage's Bayes factors stand in: 8 * 2 for the first name, 1/2 for the address.
    expect(caseStudy!.story).toMatchObject({ left: 'facility_001_ann', right: 'facility_003_ann', demographic: -3, clinical: 8 });
    expect(caseStudy!.story!.facts.map(({ theme, weight }) => [theme, weight / Math.LN2])).toEqual([
      ['first name', 4],
      ['address', -1],
    ]);
    expect(caseStudy!.story!.prior).toBeCloseTo(-3 - Math.log(8), 9);
  });

  test('without truth says nothing of accuracy; without word that patients are synthetic tells no case', async () => {
    expect((await collectReport(await fixture({ withTruth: false }))).truth).toBeUndefined();
    const real = await collectReport(await fixture({ synthetic: false }));
    expect(real.truth).toBeDefined();
    expect(real.caseStudy).toBeUndefined();
  });

  test('without the run folder counts are all there is', async () => {
    const { run } = await fixture();
    const data = await collectReport({ run });
    expect(data).toMatchObject({ records: 6, facilities: 3, goldenRecords: 3, synthetic: false });
    expect(data.truth ?? data.caseStudy).toBeUndefined();
  });

  test.each([
    {
      name: 'a run that is not there',
      change: (run: string) => rmSync(join(run, 'inferred'), { recursive: true }),
      says: /file not found: .*predictions.parquet; name the folder that clinfuse er run wrote/,
    },
    {
      name: 'a damaged file',
      change: (run: string) => writeFileSync(join(run, 'golden_records', 'clusters.parquet'), 'x'),
      says: /clusters.parquet/,
    },
  ])('refuses $name in one line', async ({ change, says }) => {
    const { folder, run } = await fixture();
    change(run);
    await expect(collectReport({ run, folder })).rejects.toThrow(says);
  });

  test('another run folder than the run was made from is refused', async () => {
    const { run } = await fixture();
    const folder = await writeRunFolder([
      { patients: patients([people[0]]) },
      { patients: patients([['eve', 'Eve', 'Zed', '1960-01-01', 'F', null, null]]) },
    ]);
    await expect(collectReport({ run, folder })).rejects.toThrow('report: 1 clustered records, 2 in the run folder');
  });
});

describe('the page', () => {
  const plainData = {
    source: 'sample',
    synthetic: false,
    records: 10,
    facilities: 2,
    goldenRecords: 7,
    candidates: 30,
    clusterSizes: [{ records: 1, goldenRecords: 7 }],
    tiers: [],
    cost: { stages: [] },
  } satisfies ReportData;

  test('is one file with every section, every figure and no word from elsewhere', async () => {
    const { folder, run } = await fixture();
    const out = mkdtempSync(join(tmpdir(), 'clinfuse-page-'));
    onTestFinished(() => rmSync(out, { recursive: true }));
    await writeReport({ run, folder, out, progress: silent });
    const page = readFileSync(join(out, 'report.html'), 'utf8');
    for (const text of [
      'beside the published one',
      'precision and recall',
      'Whose chart stays split?',
      'certainty be believed',
      'One patient, 3 records',
      'Time and cost',
    ]) {
      expect(page).toContain(text);
    }
    expect(page.match(/<svg /g)).toHaveLength(8);
    expect(page).not.toMatch(/<script|<link|src="http|@import|undefined|NaN|\[object/);
    expect(readdirSync(join(out, 'figures')).filter((file) => file.endsWith('.png'))).toHaveLength(8);
    expect(page).not.toContain(folder);
    const again = mkdtempSync(join(tmpdir(), 'clinfuse-page-'));
    onTestFinished(() => rmSync(again, { recursive: true }));
    await writeReport({ run, folder, out: again, progress: silent });
    expect(readFileSync(join(again, 'report.html'), 'utf8')).toBe(page);
  });

  test('values from records are shown as text, never as markup', async () => {
    const data = await collectReport(await fixture());
    const page = renderReport({ data, figures: {} });
    expect(page).toContain('&lt;b&gt;9 Ash&lt;/b&gt;');
    expect(page).not.toContain('<b>9 Ash');
  });

  test('without truth leaves accuracy out and says so', () => {
    const page = renderReport({ data: plainData, figures: {} });
    expect(page).toContain('The truth about these records was not at hand');
    expect(page).toContain('nothing in the run folder says that the patients are synthetic');
    expect(page).not.toMatch(/precision and recall|certainty be believed|Whose chart/);
    expect(Object.keys(reportFigures(plainData))).toEqual(['cluster-sizes']);
  });

  test('counts of one read as one', () => {
    const page = renderReport({ data: { ...plainData, records: 1, facilities: 1, goldenRecords: 1 }, figures: {} });
    expect(page).toContain('1 record from 1 facility joined into 1 golden record.');
  });
});

describe('the waterfall of a pair', () => {
  const story = {
    left: 'a',
    right: 'b',
    prior: -8 * Math.LN2,
    demographic: -2 * Math.LN2,
    clinical: 7 * Math.LN2,
    facts: [
      { side: 'demographic' as const, theme: 'SSN', text: '', weight: 5 * Math.LN2 },
      { side: 'demographic' as const, theme: 'city', text: '', weight: 0.001 },
      { side: 'clinical' as const, theme: 'body', text: '', weight: 4 * Math.LN2 },
      { side: 'clinical' as const, theme: 'body', text: '', weight: 2 * Math.LN2 },
    ],
  };

  test('adds up: prior and fields to the demographics, histories to all evidence', () => {
    const steps = pairSteps(story);
    expect(steps.map(({ label, value }) => [label, Math.round(value * 100) / 100])).toEqual([
      ['before any evidence', -8],
      ['SSN', 5],
      ['all the rest', 1],
      ['DEMOGRAPHICS', 0],
      ['height and weight', 6],
      ['all the rest', 1],
      ['ALL EVIDENCE', 0],
    ]);
  });

  test('a side nobody took apart is one step', () => {
    const steps = pairSteps({ ...story, prior: 0, facts: [] });
    expect(steps.map((step) => step.label)).toEqual(['demographics', 'DEMOGRAPHICS', 'clinical history', 'ALL EVIDENCE']);
  });
});
