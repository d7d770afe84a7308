import { describe, expect, test } from 'vitest';

import { changesOf, decide, type Present, reason } from '../../src/pipeline/decide.ts';
import type { LockEntry } from '../../src/pipeline/lock-entry.ts';
import type { Stage } from '../../src/pipeline/stage.ts';
import { stage } from './stages.ts';

const print = (md5: string) => ({ md5, size: 1 });
const train = stage('train', {
  dependencies: ['data', 'code.py'],
  parameters: [{ file: 'params.yaml', keys: ['train.lr'] }],
  out: ['model'],
});
const locked: LockEntry = {
  command: 'make train',
  dependencies: [
    { path: 'code.py', ...print('c') },
    { path: 'data', ...print('d') },
  ],
  parameters: { 'params.yaml': { 'train.lr': 0.1 } },
  outputs: [{ path: 'model', ...print('m') }],
};
const same: Present = {
  dependencies: new Map([
    ['data', print('d')],
    ['code.py', print('c')],
  ]),
  parameters: { 'params.yaml': { 'train.lr': 0.1 } },
  outputs: new Map([['model', print('m')]]),
  uncached: new Set(),
};

type Case = {
  readonly name: string;
  readonly stage?: Stage;
  readonly entry?: LockEntry | null;
  readonly present?: Partial<Present>;
  readonly force?: boolean;
  readonly action: string;
  readonly says: string;
};

const lr = (value: unknown) => ({ parameters: { 'params.yaml': { 'train.lr': value as number } } });
const block = (values: object) => new Map(Object.entries(values));
const without = (path: string) => new Map([...same.dependencies].filter(([name]) => name !== path));

const cases: readonly Case[] = [
  { name: 'nothing changed', action: 'skip', says: 'up to date' },
  { name: 'never run', entry: null, present: { outputs: new Map() }, action: 'run', says: 'never run' },
  { name: 'another command', entry: { ...locked, command: 'make it' }, action: 'run', says: 'command changed' },
  { name: 'text became a list', entry: { ...locked, command: ['make train'] }, action: 'run', says: 'command changed' },
  {
    name: 'a list as before',
    stage: { ...train, commandsAsList: true },
    entry: { ...locked, command: ['make train'] },
    action: 'skip',
    says: 'up to date',
  },
  {
    name: 'a dependency changed',
    present: { dependencies: new Map([...same.dependencies, ['data', print('x')]]) },
    action: 'run',
    says: 'dependency data changed',
  },
  { name: 'a dependency is gone', present: { dependencies: without('data') }, action: 'run', says: 'dependency data is missing' },
  {
    name: 'a dependency was added',
    entry: { ...locked, dependencies: [{ path: 'data', ...print('d') }] },
    action: 'run',
    says: 'dependency code.py is new',
  },
  { name: 'a dependency was dropped', stage: { ...train, dependencies: ['data'] }, action: 'skip', says: 'up to date' },
  {
    name: 'a file became executable',
    present: { outputs: new Map([['model', { ...print('m'), isExecutable: true }]]) },
    action: 'skip',
    says: 'up to date',
  },
  { name: 'a parameter changed', present: lr(0.2), action: 'run', says: 'parameter train.lr changed from 0.1 to 0.2' },
  { name: 'a parameter is gone', present: lr(undefined), action: 'run', says: 'parameter train.lr is missing' },
  { name: 'a parameter was added', entry: { ...locked, parameters: {} }, action: 'run', says: 'parameter train.lr is new: 0.1' },
  { name: '1 and 1.0', entry: { ...locked, ...lr(1n) }, present: lr(1), action: 'skip', says: 'up to date' },
  {
    name: 'two integers beyond 2^53',
    entry: { ...locked, ...lr(9007199254740993n) },
    present: lr(9007199254740992n),
    action: 'run',
    says: 'parameter train.lr changed from 9007199254740993 to 9007199254740992',
  },
  {
    name: 'maps in another order',
    entry: {
      ...locked,
      ...lr(
        new Map([
          ['a', 1n],
          ['b', [true, null]],
        ] as never),
      ),
    },
    present: lr(
      new Map([
        ['b', [true, null]],
        ['a', 1n],
      ] as never),
    ),
    action: 'skip',
    says: 'up to date',
  },
  {
    name: 'one value of a map',
    entry: { ...locked, ...lr(block({ rate: 0.1, steps: new Map([['warmup', 5]]) })) },
    present: lr(block({ rate: 0.1, steps: new Map([['warmup', 9]]) })),
    action: 'run',
    says: 'parameter train.lr.steps.warmup changed from 5 to 9',
  },
  {
    name: 'several values of a map',
    entry: { ...locked, ...lr(block({ rate: 0.1, seed: null, steps: 3 })) },
    present: lr(block({ rank: 16, seed: 1, steps: 3 })),
    action: 'run',
    says: 'parameter train.lr.rank is new: 16 (and 2 more in train.lr)',
  },
  {
    name: 'a map became a value',
    entry: { ...locked, ...lr(block({ rate: 0.1 })) },
    present: lr(0.1),
    action: 'run',
    says: 'parameter train.lr changed from {"rate":0.1} to 0.1',
  },
  {
    name: 'text is not a number',
    entry: { ...locked, ...lr('1') },
    present: lr(1n),
    action: 'run',
    says: 'parameter train.lr changed from 1 to 1',
  },
  {
    name: 'of another file',
    stage: { ...train, parameters: [{ file: 'more.json', keys: ['a'] }] },
    present: { parameters: { 'more.json': { a: 'x' } } },
    action: 'run',
    says: 'parameter more.json:a is new: x',
  },
  {
    name: 'a file tracked whole that lost a key',
    stage: { ...train, parameters: [{ file: 'params.yaml', keys: [] }] },
    present: { parameters: { 'params.yaml': {} } },
    action: 'run',
    says: 'parameter train.lr is missing',
  },
  { name: 'an output is missing', present: { outputs: new Map() }, action: 'restore', says: 'output model is missing' },
  {
    name: 'an output was changed',
    present: { outputs: new Map([['model', print('x')]]) },
    action: 'restore',
    says: 'output model changed',
  },
  { name: 'an output was added', entry: { ...locked, outputs: [] }, action: 'run', says: 'output model is new' },
  {
    name: 'an output is not in the cache',
    present: { uncached: new Set(['model']) },
    action: 'store',
    says: 'output model is not in the cache',
  },
  {
    name: 'two reasons',
    present: { ...lr(0.2), outputs: new Map() },
    action: 'run',
    says: 'parameter train.lr changed from 0.1 to 0.2, and 1 more',
  },
  { name: 'forced', force: true, action: 'run', says: 'forced' },
  { name: 'always_changed', stage: { ...train, alwaysChanged: true }, action: 'run', says: 'runs every time' },
  { name: 'nothing to compare', stage: stage('train'), action: 'run', says: 'runs every time' },
  { name: 'no dependencies, but outputs', stage: stage('train', { out: ['model'] }), action: 'skip', says: 'up to date' },
  {
    name: 'frozen: dependencies are not looked at',
    stage: { ...train, frozen: true },
    present: { ...lr(0.2), dependencies: new Map() },
    action: 'skip',
    says: 'up to date',
  },
  { name: 'frozen: not even by force', stage: { ...train, frozen: true }, force: true, action: 'skip', says: 'up to date' },
  {
    name: 'frozen: its outputs are',
    stage: { ...train, frozen: true },
    present: { outputs: new Map() },
    action: 'restore',
    says: 'output model is missing',
  },
];

describe('why a stage runs', () => {
  test.each(cases)('$name: $action, "$says"', ({ stage: one = train, entry = locked, present = {}, force = false, action, says }) => {
    const decision = decide(one, changesOf(one, entry ?? undefined, { ...same, ...present }), { force });
    expect(decision.action).toBe(action);
    expect(reason(decision.changes)).toBe(says);
  });
});
