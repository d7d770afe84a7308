import { wrapText } from './text-width.ts';

/**
 * The one palette. Blue and orange stay apart for every common kind of colour blindness, and by lightness in grey print; meaning is
 * never carried by colour alone (labels, dashes and signs repeat it).
 */
export const palette = {
  ink: '#1c2733',
  muted: '#5d6b7a',
  faint: '#a7b2bd',
  grid: '#e7ebef',
  paper: '#ffffff',
  /** Ours, and evidence for. */
  blue: '#14689a',
  blueLight: '#a9cde3',
  /** The other system, and evidence against. */
  orange: '#cf6a17',
  orangeLight: '#f2cfa8',
} as const;

/** First the bundled font, then what a machine has; charts are measured with the bundled one. */
export const fontStack = 'Inter, "Segoe UI", "Helvetica Neue", Arial, sans-serif';

/** Shared look of all charts: no frame, faint grid, quiet axes, text large enough to print at half width. A Vega-Lite config. */
export const theme = {
  background: palette.paper,
  font: fontStack,
  padding: 6,
  view: { stroke: null },
  axis: {
    domainColor: palette.faint,
    gridColor: palette.grid,
    labelColor: palette.muted,
    labelFontSize: 12,
    labelPadding: 6,
    tickColor: palette.faint,
    tickSize: 4,
    titleColor: palette.muted,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    titlePadding: 10,
  },
  axisX: { grid: false, labelAngle: 0 },
  axisY: { domain: false, ticks: false },
  header: { labelColor: palette.ink, labelFontSize: 13, title: null },
  legend: { labelColor: palette.ink, labelFontSize: 12, title: null, symbolSize: 90 },
  title: {
    anchor: 'start',
    frame: 'group',
    color: palette.ink,
    fontSize: 13,
    fontWeight: 600,
    offset: 14,
    subtitleColor: palette.muted,
    subtitleFontSize: 12,
    subtitleLineHeight: 16,
    subtitlePadding: 5,
  },
  text: { color: palette.ink, fontSize: 12 },
  bar: { color: palette.blue },
  line: { color: palette.blue, strokeWidth: 2.2 },
  point: { color: palette.blue, filled: true, size: 90, opacity: 1 },
  rule: { color: palette.faint },
} as const;

/** Labels of an axis of shares: `25 %`. */
export const percentLabel = "round(100 * datum.value) + ' %'";

/** What a chart shows and, below it in smaller type, where it is from: over the whole chart, wrapped to `width`. */
export function titleOver(text: string, source: string, width: number) {
  return {
    title: {
      text: wrapText(text, width, 15, true),
      subtitle: wrapText(source, width, 12),
      fontSize: 15,
      frame: 'bounds',
      offset: 18,
    },
  } as const;
}
