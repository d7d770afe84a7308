// `status`: what differs from the last run, stage by stage, without running anything. The object is the one `dvc status --json` prints.

import type { Change, PathState } from './decide.ts';
import { type Selection, selectStages } from './graph.ts';
import { compareStage, openWorkplace } from './workplace.ts';

type Paths = Readonly<Record<string, string | Readonly<Record<string, string>>>>;

/** `{"changed deps": {"data": "modified", "params.yaml": {"lr": "modified"}}}`, `{"changed outs": ...}`, `"changed command"`, `"always changed"`. */
export type StatusEntry = string | { readonly 'changed deps': Paths } | { readonly 'changed outs': Paths };

export type StageStatus = { readonly stage: string; readonly changes: readonly Change[] };

/** What differs from the last run, for each chosen stage; those that are up to date have no changes. */
export async function status({ folder, ...selection }: Selection & { readonly folder: string }): Promise<readonly StageStatus[]> {
  const workplace = openWorkplace(folder);
  const found: StageStatus[] = [];
  for (const stage of selectStages(workplace.graph, workplace.pipeline.folder, selection)) {
    found.push({ stage: stage.name, changes: (await compareStage(workplace, stage)).changes });
  }
  workplace.prints.save();
  return found;
}

/** As DVC writes it for machines: only stages that changed. */
export function statusJson(found: readonly StageStatus[]): Readonly<Record<string, readonly StatusEntry[]>> {
  return Object.fromEntries(
    found.map(({ stage, changes }) => [stage, entriesOf(changes)] as const).filter(([, entries]) => entries.length > 0),
  );
}

/** What was never seen differs, to DVC, from what was seen. */
const asDvcSays = (state: PathState): PathState => (state === 'new' ? 'modified' : state);

function entriesOf(changes: readonly Change[]): readonly StatusEntry[] {
  const deps: Record<string, string | Record<string, string>> = {};
  const outs: Record<string, PathState> = {};
  const texts: string[] = [];
  for (const change of changes) {
    if (change.kind === 'dependency') deps[change.path] = asDvcSays(change.state);
    else if (change.kind === 'output') outs[change.path] = asDvcSays(change.state);
    else if (change.kind === 'parameter') {
      // Of a stage that never ran DVC names the file alone.
      const keys = { ...(deps[change.file] as Record<string, string>), [change.key]: change.state };
      deps[change.file] = changes[0]?.kind === 'never run' ? 'new' : keys;
    } else if (change.kind === 'always') texts.unshift('always changed');
    else if (change.kind === 'command') texts.push('changed command');
  }
  return [
    ...(Object.keys(deps).length > 0 ? [{ 'changed deps': deps }] : []),
    ...(Object.keys(outs).length > 0 ? [{ 'changed outs': outs }] : []),
    ...texts,
  ];
}
