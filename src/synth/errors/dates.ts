// Damage to birth dates: off by a day, a month or a year; day and month swapped; the last two digits of the year swapped.

import type { ErrorClass } from './error-class.ts';

const dayMs = 86_400_000;

/** The date some days later, as `YYYY-MM-DD`. */
function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * dayMs).toISOString().slice(0, 10);
}

function isDate(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().slice(0, 10) === text;
}

export const dateErrors: readonly ErrorClass[] = [
  {
    name: 'date_off_by_one',
    fields: ['BIRTHDATE'],
    apply: (value, stream) => addDays(value, stream.pick([1, 30, 365]) * stream.pick([-1, 1])),
  },
  {
    name: 'date_digit_transposition',
    fields: ['BIRTHDATE'],
    apply: (value) => {
      const [year, month, day] = value.split('-') as [string, string, string];
      if (Number(day) <= 12 && day !== month) return `${year}-${day}-${month}`;
      const swapped = `${year.slice(0, 2)}${year[3]}${year[2]}`;
      const possible = swapped !== year && Number(swapped) >= 1900 && Number(swapped) <= 2025;
      const date = `${swapped}-${month}-${day}`;
      return possible && isDate(date) ? date : value;
    },
  },
];
