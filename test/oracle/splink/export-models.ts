// Writes the untrained models of the Splink oracle, each with a key `training` for recipe.py.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { TrainingPlan } from '../../../src/linkage/training.ts';
import { ruleSql, toSplinkJson } from '../../../src/linkage/splink-json.ts';
import { oracleModels } from './models.ts';

const folder = join(import.meta.dirname, 'models');
mkdirSync(folder, { recursive: true });
for (const [name, { settings, training }] of Object.entries(oracleModels)) {
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify({ ...(toSplinkJson(settings) as object), training: inSplinkWords(training) }, null, 1)}\n`);
}

function inSplinkWords({ deterministicRules = [], recall, emRules }: TrainingPlan) {
  return { deterministic_rules: deterministicRules.map(ruleSql), recall, em_rules: emRules.map(ruleSql) };
}
