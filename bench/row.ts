/** One measured figure: what it is, what the peer gave in the same run, what it must reach. */
export type Row = {
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  readonly peer?: string;
  /** Peer's figure over ours for times and memory: above 1 we are better. */
  readonly ratio?: number;
  readonly must?: string;
  readonly ok: boolean;
};

/** A row with a lower bound. */
export function atLeast(figure: string, value: number, bound: number, unit = '', more: Partial<Row> = {}): Row {
  return { figure, value, unit, must: `>= ${bound}`, ok: value >= bound, ...more };
}

/** A row with an upper bound. */
export function atMost(figure: string, value: number, bound: number, unit = '', more: Partial<Row> = {}): Row {
  return { figure, value, unit, must: `<= ${bound}`, ok: value <= bound, ...more };
}
