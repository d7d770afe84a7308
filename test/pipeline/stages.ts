import type { Output, Stage } from '../../src/pipeline/stage.ts';

export const home = '/home/pipeline';

/** A stage with what a test says of it, and nothing else. */
export function stage(
  name: string,
  { out = [], ...rest }: Partial<Omit<Stage, 'outputs'>> & { readonly out?: readonly (string | Partial<Output>)[] } = {},
): Stage {
  return {
    name,
    workdir: home,
    commands: [`make ${name}`],
    commandsAsList: false,
    dependencies: [],
    parameters: [],
    frozen: false,
    alwaysChanged: false,
    ...rest,
    outputs: out.map((one) => ({
      path: name,
      role: 'out',
      cache: true,
      persist: false,
      ...(typeof one === 'string' ? { path: one } : one),
    })),
  };
}
