import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

import { clinicalRecordSettings, referenceSettings } from '../../src/linkage/presets.ts';
import { parseRule, readSplinkJson, ruleSql, toSplinkJson } from '../../src/linkage/splink-json.ts';
import { oracleModels } from '../oracle/splink/models.ts';

const folder = resolve(import.meta.dirname, '../oracle/splink');
const trained = ['splink4', 'splink5'].flatMap((version) => Object.keys(oracleModels).map((name) => `${version}/${name}.model.json`));
const overJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('Splink model files', () => {
  test.each(trained)('%s: read, written and read again is the same', (file) => {
    const settings = readSplinkJson(JSON.parse(readFileSync(join(folder, file), 'utf8')));
    expect(readSplinkJson(overJson(toSplinkJson(settings)))).toEqual(settings);
    expect(settings.comparisons.every(({ levels }) => levels.every(({ isNull, m }) => isNull || m === undefined || m > 0))).toBe(true);
  });

  test.each(Object.entries({ referenceSettings, clinicalRecordSettings }))(
    '%s: no level is lost to SQL on the way there and back',
    (_, settings) => {
      const read = readSplinkJson(overJson(toSplinkJson(settings)));
      expect(JSON.stringify(read)).not.toContain('"kind":"sql"');
      expect(overJson(toSplinkJson(read))).toEqual(overJson(toSplinkJson({ ...settings, comparisons: read.comparisons })));
    },
  );

  test.each([
    ['l.a = r.a', ['"a"']],
    ['l."first name" = r."first name" AND (r.b = l.b)', ['"first name"', '"b"']],
    ['(substr(l.zip, 1, 3) = SUBSTR(r.zip,1,3)) and l.x=r.x', ['substr("zip", 1, 3)', '"x"']],
    ['((l.a = r.a) and (l.b = r.b))', ['"a"', '"b"']],
  ])('blocking rule %s', (sql, on) => {
    expect(parseRule(sql)).toEqual({ on });
    expect(parseRule(ruleSql({ on }))).toEqual({ on });
  });

  test.each([
    ['l.a = r.a and levenshtein(l.b, r.b) < 3', { on: ['"a"'], where: 'levenshtein(l."b", r."b") < 3' }],
    [
      'l.a = r.a and l.b <> r.b and (l.c = r.c or l.d = r.d)',
      { on: ['"a"'], where: '(l."b" <> r."b") and (l."c" = r."c" or l."d" = r."d")' },
    ],
    ['l.a = r.b', { on: [], where: 'l."a" = r."b"' }],
    ['l.a = r.a or l.b = r.b', { on: [], where: 'l."a" = r."a" or l."b" = r."b"' }],
    ['not l.a = r.a', { on: [], where: 'not l."a" = r."a"' }],
    ["l.a = r.a and l.source = 'x'", { on: ['"a"'], where: 'l."source" = \'x\'' }],
  ])('blocking rule %s keeps what is no plain equality as a condition', (sql, rule) => {
    expect(parseRule(sql)).toEqual(rule);
    expect(parseRule(ruleSql(rule))).toMatchObject({ on: rule.on });
  });

  test('exploded arrays are read and written', () => {
    const json = changed((one) => {
      const rule = { blocking_rule: 'l.a = r.a', arrays_to_explode: ['a'], sql_dialect: 'duckdb' };
      return Object.assign(one, { blocking_rules_to_generate_predictions: [rule] });
    });
    const settings = readSplinkJson(json);
    expect(settings.blockingRules).toEqual([{ on: ['"a"'], explode: ['a'] }]);
    expect(readSplinkJson(toSplinkJson(settings)).blockingRules).toEqual(settings.blockingRules);
  });

  const model = () =>
    overJson(toSplinkJson(referenceSettings)) as { comparisons: { comparison_levels: Record<string, unknown>[] }[] } & Record<
      string,
      unknown
    >;
  const changed = (change: (json: ReturnType<typeof model>) => void) => {
    const json = model();
    change(json);
    return json;
  };
  const level = (json: ReturnType<typeof model>) => json.comparisons[0]!.comparison_levels[1]!;
  test.each([
    ['an unknown key', changed((json) => Object.assign(json, { blocking_rules: [] })), 'unknown key: "blocking_rules"'],
    [
      'an unknown key of a level',
      changed((json) => Object.assign(level(json), { m: 0.5 })),
      'settings.comparisons[0].comparison_levels[1]: unknown key: "m"',
    ],
    [
      'a level without a condition',
      changed((json) => delete level(json)['sql_condition']),
      'settings.comparisons[0].comparison_levels[1].sql_condition: level without an sql_condition',
    ],
    [
      'm above 1',
      changed((json) => Object.assign(level(json), { m_probability: 1.5 })),
      'settings.comparisons[0].comparison_levels[1].m_probability: not in (0, 1]',
    ],
    [
      'u of 0',
      changed((json) => Object.assign(level(json), { u_probability: 0 })),
      'settings.comparisons[0].comparison_levels[1].u_probability: not in (0, 1]',
    ],
    [
      'a rule within one record',
      changed((json) => Object.assign(json, { blocking_rules_to_generate_predictions: ['l.a = l.b'] })),
      'blocking rule does not compare left with right: l.a = l.b',
    ],
    ['no model at all', [], 'linkage: settings'],
  ])('%s is one line', (_, json, message) => {
    expect(() => readSplinkJson(json)).toThrow(message);
    expect(() => readSplinkJson(json)).toThrow(/^linkage: [^\n]+$/);
  });
});
