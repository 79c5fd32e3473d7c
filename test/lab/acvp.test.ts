// `strongroom acvp run`: NIST's vectors with the expected results taken out, answered by the core, and then compared.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { answerAcvp } from '../../src/cli/acvp.ts';
import { loadCore } from '../../src/hsm/native.ts';

const root = resolve(import.meta.dirname, '../..');
const core = loadCore();
const folder = mkdtempSync(join(tmpdir(), 'acvp-'));
afterAll(() => { core.close(); rmSync(folder, { recursive: true }); });

type Fields = Record<string, unknown>;
interface Set extends Fields { readonly testGroups: readonly (Fields & { readonly tests: readonly Fields[] })[] }
const read = (name: string): Set => JSON.parse(readFileSync(join(root, 'test/vectors/acvp', `${name}.json`), 'utf8')) as Set;

/** Name, mode, what the answers hold; and how many at least are answered. */
const sets: readonly (readonly [name: string, mode: string | undefined, results: readonly string[], atLeast: number])[] = [
  ['ACVP-AES-CBC-1.0', undefined, [], 40], ['ACVP-AES-CTR-1.0', undefined, [], 4], ['ACVP-AES-KW-1.0', undefined, [], 20], ['ACVP-AES-KWP-1.0', undefined, [], 20],
  ['ACVP-AES-GCM-1.0', undefined, [], 4], ['ACVP-AES-CCM-1.0', undefined, [], 100], ['ACVP-AES-GMAC-1.0', undefined, [], 4], ['CMAC-AES-1.0', undefined, [], 20],
  ['HMAC-SHA2-256-2.0', undefined, ['mac'], 1], ['HMAC-SHA2-384-2.0', undefined, ['mac'], 1], ['HMAC-SHA2-512-2.0', undefined, ['mac'], 1], ['HMAC-SHA3-256-2.0', undefined, ['mac'], 1],
  ['SHA2-256-1.0', undefined, ['md'], 1], ['SHA2-384-1.0', undefined, ['md'], 1], ['SHA2-512-1.0', undefined, ['md'], 1], ['SHA3-256-2.0', undefined, ['md'], 1], ['SHA3-512-2.0', undefined, ['md'], 1],
  ['ECDSA-SigVer-FIPS186-5', 'sigVer', ['testPassed'], 10], ['DetECDSA-SigGen-FIPS186-5', 'sigGen', ['r', 's'], 10],
  ['EDDSA-SigGen-1.0', 'sigGen', ['signature'], 2], ['EDDSA-SigVer-1.0', 'sigVer', ['testPassed'], 2], ['RSA-SigVer-FIPS186-5', 'sigVer', ['testPassed'], 20],
];
const results = (given: readonly string[], group: Fields): readonly string[] => {
  if (given.length > 0) return given;
  if (group['direction'] === 'gen') return ['mac'];
  if (group['direction'] === 'ver') return ['testPassed'];
  return group['direction'] === 'encrypt' ? ['ct', 'tag'] : ['pt', 'testPassed'];
};
/** GMAC's decryption checks a tag; the answer is a verdict. */
const norm = (value: unknown): unknown => (typeof value === 'string' ? value.toUpperCase() : value);

function stripped(set: Set, given: readonly string[]): Set {
  return {
    ...set,
    testGroups: set.testGroups.map((group) => ({
      ...group, tests: group.tests.map((one) => Object.fromEntries(Object.entries(one).filter(([name]) => ![...results(given, group), 'testPassed', 'reason'].includes(name)))),
    })),
  };
}

test.each(sets)('%s', (name, mode, given, atLeast) => {
  const set = read(name);
  const { response, answered } = answerAcvp(core, stripped(set, given), mode);
  let compared = 0;
  for (const group of (response as unknown as Set).testGroups) {
    const wanted = set.testGroups.find(({ tgId }) => tgId === group['tgId']);
    for (const one of group.tests) {
      const right = wanted?.tests.find(({ tcId }) => tcId === one['tcId']) ?? {};
      for (const [field, value] of Object.entries(one)) {
        if (field === 'tcId') continue;
        // A refusal is right where the set says so; an answer must be the set's.
        const expected = field === 'testPassed' ? right['testPassed'] ?? true : right[field] ?? '';
        expect([name, one['tcId'], field, norm(value)]).toEqual([name, one['tcId'], field, norm(expected)]);
        if (field === 'pt') expect(right['testPassed'] ?? true).toBe(true);
        compared += 1;
      }
    }
  }
  expect(answered).toBeGreaterThanOrEqual(atLeast);
  expect(compared).toBeGreaterThanOrEqual(answered);
});

test('the command answers a file, and tells what it left out', () => {
  const file = join(folder, 'prompt.json');
  writeFileSync(file, JSON.stringify([{ acvVersion: '1.0' }, stripped(read('ACVP-AES-GCM-1.0'), [])]));
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'acvp', 'run', file], { cwd: root, encoding: 'utf8' });
  expect(status === 0 ? '' : stderr).toBe('');
  expect(stderr).toMatch(/\d+ cases answered/);
  expect(JSON.parse(stdout)).toMatchObject([{ acvVersion: '1.0' }, { algorithm: 'ACVP-AES-GCM', testGroups: expect.any(Array) }]);
  writeFileSync(file, JSON.stringify({ algorithm: 'SLH-DSA', testGroups: [] }));
  expect(spawnSync(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'acvp', 'run', file], { cwd: root, encoding: 'utf8' })).toMatchObject({ status: 2, stderr: expect.stringContaining('no answers for SLH-DSA') });
});
