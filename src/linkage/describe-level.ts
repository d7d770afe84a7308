import { conditionSql } from './conditions.ts';
import { type Comparison, type Condition, conditionExpressions } from './settings.ts';
import { oneLine } from './sql-text.ts';

/**
 * What a level asks for, in words: its label, or where it has none (or only its own SQL for one) its condition.
 *
 * @example describeLevel(birthdate, 2) // 'at most 31 days apart'
 */
export function describeLevel({ levels }: Comparison, level: number): string {
  const { label, condition } = levels[level]!;
  if (label !== undefined && label !== oneLine(conditionSql(condition))) return label;
  const usual = levels.find((one) => one.condition.kind === 'exact')?.condition;
  const subject = conditionExpressions(usual ?? levels[0]!.condition)[0];
  return inWords(condition, (column, other) => {
    if (column === subject && (other === undefined || other === column)) return '';
    return `${bare(other === undefined || other === column ? column : `${column} and ${other}`)} `;
  });
}

type Subject = (column: string, other?: string) => string;

function inWords(condition: Condition, about: Subject): string {
  switch (condition.kind) {
    case 'null':
      return 'missing';
    case 'else':
      return 'anything else';
    case 'sql':
      return bare(condition.sql).replace(/\s+/g, ' ');
    case 'and':
    case 'or':
      return condition.conditions.map((one) => inWords(one, about)).join(` ${condition.kind} `);
    case 'not':
      return `not ${inWords(condition.condition, about)}`;
    case 'exact':
      return condition.other !== undefined && condition.other !== condition.column
        ? bare(`${condition.column} = ${condition.other}`)
        : `${about(condition.column)}equal`;
    case 'jaro':
    case 'jaroWinkler':
    case 'jaccard':
    case 'cosine':
      return `${about(condition.column, condition.other)}${measures[condition.kind]} ≥ ${condition.atLeast}`;
    case 'levenshtein':
    case 'damerauLevenshtein':
      return `${about(condition.column, condition.other)}${measures[condition.kind]} ≤ ${condition.atMost}`;
    case 'difference':
      return difference(condition, about);
    case 'percentageDifference':
      return `${about(condition.column, condition.other)}differs by < ${Number((100 * condition.below).toPrecision(12))}%`;
    case 'distanceKm':
      return `at most ${condition.atMost} km apart`;
    case 'arrayIntersect':
      return `${about(condition.column, condition.other)}shares ≥ ${condition.atLeast}`;
    case 'arraySubset':
      return `${about(condition.column, condition.other)}is part of the other`;
    case 'pairwise': {
      const limit = 'atLeast' in condition ? `≥ ${condition.atLeast}` : `≤ ${condition.atMost}`;
      return `${about(condition.column, condition.other)}nearest ${measures[condition.measure]} ${limit}`;
    }
    case 'holds':
      return bare(`${condition.side}: ${condition.column}`);
  }
}

const measures = {
  jaro: 'Jaro',
  jaroWinkler: 'Jaro-Winkler',
  jaccard: 'Jaccard',
  cosine: 'cosine',
  levenshtein: 'Levenshtein',
  damerauLevenshtein: 'Damerau-Levenshtein',
} as const;

/** Dates are compared in seconds: said in days, and in years from two years up. */
function difference({ column, other, atMost }: Extract<Condition, { readonly kind: 'difference' }>, about: Subject): string {
  const date = (expression: string) => expression.match(/^epoch\((.*)\)$/i)?.[1];
  if (date(column) === undefined) return `${about(column, other)}differs by ≤ ${atMost}`;
  const days = Math.round(atMost / 86_400);
  const span = days === 1 ? '1 day' : days < 700 ? `${days} days` : `${Math.round(days / 36.525) / 10} years`;
  return `${about(date(column)!, other === undefined ? undefined : date(other))}at most ${span} apart`;
}

/** SQL without quotes around plain names. */
function bare(sql: string): string {
  return sql.replace(/"([A-Za-z_]\w*)"/g, '$1');
}
