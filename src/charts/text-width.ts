// Width of a text in the bundled font, so that charts are laid out alike on every machine, also where no canvas measures text.
// Sum of advance widths in thousandths of the font size; characters beyond ASCII count as a mean letter. Kerning is left out (under 1 %).

// Space to tilde, read from the files in assets/fonts.
const regular = [
  281, 288, 466, 633, 642, 982, 644, 300, 365, 365, 501, 662, 288, 460, 288, 360, 631, 407, 610, 618, 646, 593, 620, 566, 619, 620, 288,
  302, 662, 662, 662, 511, 966, 690, 654, 730, 722, 601, 590, 746, 743, 269, 571, 672, 565, 903, 753, 765, 639, 765, 644, 642, 646, 744,
  690, 985, 682, 679, 629, 365, 360, 365, 471, 456, 323, 562, 612, 571, 612, 583, 370, 613, 591, 242, 242, 549, 242, 876, 591, 600, 612,
  612, 376, 528, 327, 591, 562, 818, 546, 562, 552, 426, 333, 426, 662,
];
const semiBold = [
  252, 321, 523, 644, 650, 1004, 663, 326, 373, 373, 540, 673, 319, 465, 319, 379, 660, 423, 623, 636, 666, 612, 640, 576, 640, 640, 319,
  329, 673, 673, 673, 543, 999, 728, 659, 737, 722, 605, 588, 749, 746, 277, 580, 703, 565, 922, 759, 769, 645, 773, 652, 650, 660, 736,
  728, 1020, 720, 713, 652, 373, 379, 373, 481, 469, 351, 574, 624, 583, 624, 591, 389, 625, 612, 262, 262, 569, 262, 900, 612, 609, 624,
  624, 397, 549, 353, 612, 587, 839, 569, 588, 566, 455, 359, 455, 673,
];

/** Width in pixels of one line of text at a font size. */
export function textWidth(text: string, fontSize: number, bold = false): number {
  const widths = bold ? semiBold : regular;
  let thousandths = 0;
  for (const character of text) thousandths += widths[character.codePointAt(0)! - 32] ?? 600;
  return (thousandths * fontSize) / 1000;
}

/** The text where it fits, else with an ellipsis in its middle: names often differ at their ends. */
export function shorten(text: string, width: number, fontSize: number, bold = false): string {
  if (textWidth(text, fontSize, bold) <= width) return text;
  const characters = [...text];
  for (let kept = characters.length - 1; kept > 1; kept--) {
    const head = characters
      .slice(0, Math.ceil(kept * 0.6))
      .join('')
      .trimEnd();
    const cut = `${head}…${characters
      .slice(characters.length - Math.floor(kept * 0.4))
      .join('')
      .trimStart()}`;
    if (textWidth(cut, fontSize, bold) <= width) return cut;
  }
  return '…';
}

/** Breaks a text at spaces into lines that fit; a word that is too long for a line is shortened. */
export function wrapText(text: string, width: number, fontSize: number, bold = false): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : word;
    if (lines.length > 0 && textWidth(longer, fontSize, bold) <= width) lines[lines.length - 1] = longer;
    else lines.push(shorten(word, width, fontSize, bold));
  }
  return lines;
}
