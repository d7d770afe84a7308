// What was published for the same task: 2,922 Synthea patients, 6,264 records, 5 facilities, 8 to 12 errors asked for per record.
// Their patients are not ours one by one: same generator, same parameters, another release.

import type { ResultRow } from './data.ts';

export const publishedRows: readonly ResultRow[] = [
  { method: 'Splink, P > 0.99', origin: 'published', patients: 2922, precision: 0.91, recall: 0.467, f1: 0.617, splitPatients: 993 },
  {
    method: 'Splink, threshold best in hindsight',
    origin: 'published',
    patients: 2922,
    precision: 0.787,
    recall: 0.744,
    f1: 0.764,
    splitPatients: 421,
  },
  {
    method: 'Splink + 4B language model',
    origin: 'published',
    patients: 2922,
    precision: 0.922,
    recall: 0.91,
    f1: 0.916,
    splitPatients: 115,
  },
];

/** Scoring the gray zone with the language model, as published. */
export const publishedCost = { pairs: 151_309, pairsPerSecond: 20, dollarsPerHour: 2.79, machine: 'an H100 GPU' };
