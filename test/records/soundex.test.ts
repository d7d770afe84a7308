import { describe, expect, test } from 'vitest';

import { fullName, soundex } from '../../src/records/soundex.ts';

describe('soundex', () => {
  test.each([
    ['Robert', 'R163'],
    ['Rupert', 'R163'],
    ['Rubin', 'R150'],
    ['Ashcraft', 'A261'],
    ['Ashcroft', 'A261'],
    ['Tymczak', 'T522'],
    ['Pfister', 'P236'],
    ['Honeyman', 'H555'],
    ['Lee', 'L000'],
    ["o'brien", 'O165'],
    ['H5Istot', 'H233'],
    ['5', ''],
    ['', ''],
  ])('%s sounds like %s', (name, code) => {
    expect(soundex(name)).toBe(code);
  });
});

describe('full names', () => {
  test.each([
    ['Bill', 'WILLIAM'],
    ['CHRIS', 'CHRISTOPHER'],
    ['sam', 'SAMUEL'],
    ['Dot', 'DOROTHY'],
    ['William', 'WILLIAM'],
    ['Zelda', 'ZELDA'],
  ])('%s stands for %s', (nickname, name) => {
    expect(fullName(nickname)).toBe(name);
  });
});
