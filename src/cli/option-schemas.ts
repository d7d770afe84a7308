import { z } from 'zod';

/** Options as they come from the command line: text that holds a number. */
export const numberOption = z.union([z.number(), z.string().trim().min(1)]).transform((value, context) => {
  const number = Number(value);
  if (Number.isFinite(number)) return number;
  context.addIssue({ code: 'custom', message: `not a number: ${value}` });
  return z.NEVER;
});

/** A whole number that is not negative. */
export const countOption = numberOption.refine((value) => Number.isInteger(value) && value >= 0, {
  message: 'not a whole number from 0 up',
});

export const threadsSchema = countOption.refine((count) => count > 0, { message: 'not a whole number from 1 up' }).optional();
