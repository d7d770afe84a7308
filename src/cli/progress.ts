import type { Progress, Step } from '../base/progress.ts';
import { bytesText, duration, thousands } from '../base/text.ts';

// Bars are drawn on a terminal alone; whoever starts without one need not load them.
const bars = process.stderr.isTTY ? await import('cli-progress') : undefined;

/** Progress for people: a bar with rate and time left on a terminal; elsewhere one line per 10 %, so that logs stay short. */
export function drawnProgress(out: NodeJS.WriteStream): Progress {
  return {
    step: (name, { total, unit = '' } = {}) => (out.isTTY && bars ? bar(out, bars, { name, total, unit }) : lines(out, name, total, unit)),
  };
}

function bar(
  out: NodeJS.WriteStream,
  { SingleBar }: typeof import('cli-progress'),
  { name, total, unit }: { readonly name: string; readonly total: number | undefined; readonly unit: string },
): Step {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const known = total !== undefined && total > 0;
  let said = '';
  const drawn = new SingleBar({
    stream: out,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 24,
    fps: 8,
    format: (_options, parameters) => {
      if (!known) return `${name.padEnd(28)} ${duration(seconds())}`;
      const share = Math.min(1, parameters.value / parameters.total);
      const rate = parameters.value / Math.max(seconds(), 1e-3);
      const left = rate > 0 ? duration((parameters.total - parameters.value) / rate) : '?';
      const filled = Math.round(share * 24);
      const percent = String(Math.floor(share * 100)).padStart(3);
      return `${name.padEnd(28)} ${'█'.repeat(filled)}${'░'.repeat(24 - filled)} ${percent} %  ${perSecond(rate, unit)}  ${left} left${said}`;
    },
  });
  drawn.start(total ?? 1, 0);
  return {
    advance: (amount, note) => {
      if (note !== undefined) said = `  ${note}`;
      drawn.increment(known ? amount : 0);
    },
    finish: () => {
      drawn.stop();
      out.write(`${name.padEnd(28)} ${duration(seconds()).padStart(8)}\n`);
    },
  };
}

/** Slow work keeps two digits: 0.83, 4.2, 17, 1,234; bytes are told in MB. */
function perSecond(rate: number, unit: string): string {
  if (unit === 'bytes') return `${bytesText(rate)}/s`;
  return `${rate < 1 ? rate.toFixed(2) : rate < 10 ? rate.toFixed(1) : thousands(Math.round(rate))} ${unit}/s`;
}

/** A step that ends this soon needs no lines on the way. */
const quietSeconds = 2;

function lines(out: NodeJS.WriteStream, name: string, total: number | undefined, unit: string): Step {
  const start = performance.now();
  let done = 0;
  let tenths = 0;
  return {
    advance: (amount, note) => {
      done += amount;
      if (!total) return;
      const reached = Math.floor((10 * done) / total);
      if (reached <= tenths || reached >= 10) return;
      tenths = reached;
      const seconds = (performance.now() - start) / 1000;
      if (seconds < quietSeconds) return;
      const rate = done / Math.max(seconds, 1e-3);
      out.write(
        `${name}: ${reached * 10} %, ${perSecond(rate, unit)}, ${duration((total - done) / rate)} left${note === undefined ? '' : `, ${note}`}\n`,
      );
    },
    finish: () => void out.write(`${name}: ${duration((performance.now() - start) / 1000)}\n`),
  };
}
