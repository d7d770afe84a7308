// The public face, grouped by folder. Everything else is internal and may move.

export { explainRecords } from './apps/entity-resolution/explain.ts';
export { loadEvidenceModel } from './apps/entity-resolution/infer.ts';
export { type RunResult, run } from './apps/entity-resolution/run.ts';
export { openSession, type Session } from './apps/entity-resolution/session.ts';
export { type Parameters, readParameters } from './apps/entity-resolution/settings.ts';
export { UserError } from './base/errors.ts';
export { type Progress, type Step, silent } from './base/progress.ts';
export { barsChart } from './charts/bars.ts';
export { renderPng, renderSvg } from './charts/render.ts';
export { bCubed } from './evaluation/b-cubed.ts';
export { clusterMetrics } from './evaluation/clusters.ts';
export { pairwiseFromClusters, pairwiseFromEdges } from './evaluation/pairwise.ts';
export { type EvidenceModel, readEvidenceModel } from './evidence/model-file.ts';
export type { Candidates } from './linkage/candidates.ts';
export { connectedComponents, meanLinkage } from './linkage/cluster.ts';
export { buildGoldenRecords } from './linkage/golden-record.ts';
export { Linker } from './linkage/linker.ts';
export { clinicalRecordSettings, clinicalRecordTraining, referenceSettings, referenceTraining } from './linkage/presets.ts';
export type { BlockingRule, Comparison, Condition, Level, LinkageSettings } from './linkage/settings.ts';
export { readSplinkJson, toSplinkJson } from './linkage/splink-json.ts';
export type { TrainingPlan, TrainingReport } from './linkage/training.ts';
export { loadRecords } from './records/patient.ts';
export { attachRunFolder, openRunFolder, type RunFolder } from './records/run-folder.ts';
export { createSummaries, pairPrompt } from './records/summary.ts';
export { loadTruth, truthLabels } from './records/truth.ts';
export { Database } from './sql/duckdb.ts';
