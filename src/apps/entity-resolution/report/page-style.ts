import { fontStack, palette } from '../../../charts/theme.ts';

/** The page's look, on screen and in print. Nothing is loaded from elsewhere. */
export const pageStyle = `
:root { color-scheme: light; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: ${palette.paper}; color: ${palette.ink}; font: 16px/1.55 ${fontStack}; }
main { max-width: 860px; margin: 0 auto; padding: 48px 24px 72px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 21px; line-height: 1.3; margin: 56px 0 8px; letter-spacing: -0.005em; }
p { margin: 0 0 14px; max-width: 68ch; }
.sub { color: ${palette.muted}; margin-bottom: 28px; }
.takeaway { font-weight: 600; }
.note { color: ${palette.muted}; font-size: 14px; line-height: 1.5; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 0 0 8px; padding: 0; list-style: none; }
.cards li { border: 1px solid ${palette.grid}; border-radius: 8px; padding: 14px 16px; }
.cards b { display: block; font-size: 26px; line-height: 1.25; font-weight: 600; letter-spacing: -0.01em; }
.cards span { color: ${palette.muted}; font-size: 14px; line-height: 1.4; display: block; }
figure { margin: 18px 0 10px; }
figure svg { max-width: 100%; height: auto; display: block; }
figcaption { color: ${palette.muted}; font-size: 14px; line-height: 1.5; margin-top: 8px; max-width: 72ch; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; line-height: 1.4; margin: 14px 0 8px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: ${palette.muted}; border-bottom: 1px solid ${palette.faint}; padding: 6px 10px 6px 0; vertical-align: bottom; }
td { border-bottom: 1px solid ${palette.grid}; padding: 6px 10px 6px 0; vertical-align: top; }
th.n, td.n { text-align: right; white-space: nowrap; }
tr.group td { color: ${palette.muted}; padding-top: 14px; font-weight: 600; }
tr.ours td { font-weight: 600; background: #eef5fa; }
tr.ours td:first-child { padding-left: 8px; }
.case { font-size: 12.5px; }
.case td, .case th { padding-right: 9px; white-space: nowrap; }
.off { color: #9a4a0b; background: #fdf1e4; border-radius: 3px; padding: 0 3px; margin: 0 -3px; }
.none { color: ${palette.faint}; }
.key { display: inline-block; width: 26px; height: 0; border-top: 3px solid; vertical-align: middle; margin: 0 6px 3px 0; }
.facts { padding: 0; list-style: none; margin: 10px 0; }
.facts li { display: flex; gap: 12px; padding: 4px 0; border-bottom: 1px solid ${palette.grid}; font-size: 14px; line-height: 1.45; }
.facts b { flex: 0 0 56px; text-align: right; font-weight: 600; font-variant-numeric: tabular-nums; }
.for b { color: ${palette.blue}; } .against b { color: ${palette.orange}; }
dl { display: grid; grid-template-columns: minmax(150px, max-content) 1fr; gap: 6px 18px; font-size: 14px; line-height: 1.5; }
dt { font-weight: 600; } dd { margin: 0; color: ${palette.muted}; }
footer { margin-top: 56px; border-top: 1px solid ${palette.grid}; padding-top: 14px; color: ${palette.muted}; font-size: 13px; }
@media print {
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  h2 { margin-top: 28px; break-after: avoid; }
  figure, table, .cards, .facts li { break-inside: avoid; }
  .off, tr.ours td { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
@media (max-width: 560px) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; } main { padding-top: 28px; } figure svg { max-width: none; } }
`;
