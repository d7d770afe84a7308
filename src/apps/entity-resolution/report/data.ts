import type { ReliabilityBin } from '../../../evaluation/calibration.ts';
import type { SplitRow } from '../../../evaluation/split-by-errors.ts';

/** One method's line of the result table; what is not known is absent. */
export type ResultRow = {
  readonly method: string;
  readonly origin: 'published' | 'this run';
  readonly patients?: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly f1Interval?: { readonly low: number; readonly high: number };
  readonly splitPatients?: number;
  readonly impureClusters?: number;
  /** The row the report is about. */
  readonly ours?: boolean;
};

export type CurveData = {
  readonly name: string;
  readonly kind: 'em' | 'demographics' | 'fused';
  readonly averagePrecision: number;
  readonly points: readonly { readonly recall: number; readonly precision: number }[];
};

export type PointData = { readonly precision: number; readonly recall: number };

/** One reason for or against a pair, in words. */
export type Fact = {
  readonly side: 'demographic' | 'clinical';
  readonly theme: string;
  readonly text: string;
  /** Nats; above 0 speaks for one patient. */
  readonly weight: number;
};

/** One pair's evidence taken apart; all weights in nats. */
export type PairStory = {
  readonly left: string;
  readonly right: string;
  readonly demographic: number;
  readonly clinical: number;
  /** Log-odds before any evidence of this pair. */
  readonly prior: number;
  readonly facts: readonly Fact[];
};

export type CaseLink = {
  readonly left: number;
  readonly right: number;
  /** Log-odds in nats; absent for a pair that was never compared. */
  readonly demographic?: number;
  readonly total?: number;
};

/** One patient whose records only the clinical evidence could join. Members are numbered from 0 in order of facility. */
export type CaseStudy = {
  readonly goldenId: string;
  readonly facilities: readonly string[];
  readonly fields: readonly string[];
  /** Values per member, in the order of `fields`; null is missing. */
  readonly rows: readonly (readonly (string | null)[])[];
  readonly golden: readonly (string | null)[];
  /** Cluster of each member when demographics decide alone, numbered from 0. */
  readonly piecesBefore: readonly number[];
  readonly links: readonly CaseLink[];
  readonly story?: PairStory & { readonly leftMember: number; readonly rightMember: number };
};

/** Everything the page says, as plain data. Parts that need ground truth, or data known to be synthetic, are absent without. */
export type ReportData = {
  /** Name of the run folder, not its path. */
  readonly source: string;
  readonly synthetic: boolean;
  readonly records: number;
  readonly facilities: number;
  readonly goldenRecords: number;
  readonly candidates: number;
  /** Golden records by number of source records, from 1 up. */
  readonly clusterSizes: readonly { readonly records: number; readonly goldenRecords: number }[];
  readonly tiers: readonly { readonly tier: string; readonly pairs: number }[];
  readonly truth?: {
    readonly patients: number;
    readonly truePairs: number;
    readonly results: readonly ResultRow[];
    readonly curves: readonly CurveData[];
    /** Pairs at probability one half, and the same after clustering. */
    readonly chosenPairs: PointData;
    readonly chosenClusters: PointData;
    readonly completeness: number;
    readonly splitPatients: number;
    readonly impureClusters: number;
    readonly perfectResolutionRate: number;
    readonly split: Readonly<
      Record<'demographics' | 'fused', { readonly errors: readonly SplitRow[]; readonly facilities: readonly SplitRow[] }>
    >;
    readonly calibration: {
      readonly bins: readonly ReliabilityBin[];
      readonly error: number;
      readonly brier: number;
      readonly pairs: number;
    };
  };
  readonly caseStudy?: CaseStudy;
  readonly cost: {
    readonly stages: readonly { readonly stage: string; readonly seconds: number }[];
    readonly pairsPerSecond?: number;
    readonly peakRssMb?: number;
  };
};
