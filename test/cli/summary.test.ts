import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

const folder = 'test/oracle/run-folder/written';

function run(...words: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, ['src/cli/main.ts', 'er', 'summary', ...words], { encoding: 'utf8' });
}

describe('clinfuse er summary', () => {
  test('prints the summaries of the records asked for, in that order', () => {
    const { status, stdout } = run('--in', folder, '--record', 'facility_002_p3', 'facility_001_p2', '--json', '--quiet');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      summaries: [
        { recordId: 'facility_002_p3', summary: 'No clinical records available.' },
        {
          recordId: 'facility_001_p2',
          summary:
            'CONDITIONS:\n  2020: Prediabetes (finding) *\n\nMEDICATIONS:\n- Metformin 500 MG Oral Tablet (2020–ongoing)\n\nOBSERVATIONS:\n- Body Weight: 70.5 kg (2020-03-02)',
        },
      ],
    });
  });

  test.each([
    {
      name: 'an unknown record',
      record: 'facility_001_p9',
      says: 'summary: no such record: facility_001_p9; did you mean facility_001_p1?',
    },
    { name: 'a bare patient Id', record: 'p3', says: 'summary: no such record: p3; did you mean facility_002_p3?' },
    { name: 'something else', record: 'Zoe', says: 'summary: no such record: Zoe; a record id reads facility_001_<patient Id>' },
  ])('answers $name in one line with exit 2', ({ record, says }) => {
    const { status, stdout, stderr } = run('--in', folder, '--record', record);
    expect({ status, stdout, stderr }).toEqual({ status: 2, stdout: '', stderr: `clinfuse: ${says}\n` });
  });
});
