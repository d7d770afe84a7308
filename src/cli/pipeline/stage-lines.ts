import { duration } from '../../base/text.ts';
import type { ReproEvent } from '../../pipeline/run.ts';

/**
 * Tells a run as it goes, a line for what begins and for what ends, and what the stages print in between:
 *
 *   [2/9] segment: up to date
 *   [3/9] resolve: runs: parameter resolve.threshold changed from 0.9 to 0.95
 *   [3/9] resolve: done in 12 s
 *
 * With several at once, what a stage prints has its name before it. On a terminal the last line says what runs, and for how long.
 */
export function stageLines(
  out: NodeJS.WriteStream,
  { jobs }: { readonly jobs: number },
): { readonly tell: (event: ReproEvent) => void; readonly finish: () => void } {
  const running = new Map<string, number>();
  const begun = new Map<string, string>();
  let isLineOpen = false;
  let drawn = false;
  const erase = () => {
    if (drawn) out.write('\r\u001b[K');
    drawn = false;
  };
  const line = (text: string) => {
    erase();
    out.write(`${isLineOpen ? '\n' : ''}${text}\n`);
    isLineOpen = false;
  };
  const draw = () => {
    if (running.size === 0 || isLineOpen) return;
    const names = [...running].map(([name, since]) => `${name} ${duration((performance.now() - since) / 1000)}`).join(', ');
    out.write(`\r\u001b[K${names.slice(0, Math.max(20, (out.columns ?? 80) - 1))}`);
    drawn = true;
  };
  const timer = out.isTTY ? setInterval(draw, 1000).unref() : undefined;
  const rests = new Map<string, string>();
  const output = (stage: string, text: string) => {
    if (jobs === 1) {
      erase();
      out.write(text);
      isLineOpen = !text.endsWith('\n');
      return;
    }
    const lines = ((rests.get(stage) ?? '') + text).split('\n');
    rests.set(stage, lines.pop()!);
    for (const one of lines) line(`${stage} | ${one.split('\r').findLast((part) => part !== '') ?? ''}`);
  };
  const tell = (event: ReproEvent) => {
    if (event.kind === 'note') return line(event.text);
    if (event.kind === 'output') return output(event.stage, event.text);
    const head = `[${event.position}/${event.total}] ${event.stage}`;
    if (event.kind === 'begin') {
      running.set(event.stage, performance.now());
      begun.set(event.stage, event.why);
      return line(`${head}: ${event.why}`);
    }
    running.delete(event.stage);
    if (rests.get(event.stage)) line(`${event.stage} | ${rests.get(event.stage)}`);
    const words = endWords(event);
    if (words !== undefined) line(`${head}: ${words}`);
  };
  return {
    tell,
    finish: () => {
      clearInterval(timer);
      erase();
      if (isLineOpen) out.write('\n');
    },
  };
}

function endWords({ outcome, reason, seconds, fault }: Extract<ReproEvent, { readonly kind: 'end' }>): string | undefined {
  switch (outcome) {
    case 'ran':
      return `done in ${duration(seconds)}`;
    case 'failed':
      return `failed after ${duration(seconds)}: ${fault}`;
    case 'restored':
    case 'stored':
      // Said when it began.
      return undefined;
    case 'up to date':
      return reason;
    case 'stopped':
      return `stopped after ${duration(seconds)}`;
    case 'not reached':
    case 'would run':
    case 'may run':
      return `${outcome.replace('not reached', 'skipped')}: ${reason}`;
  }
}
