// Every line of decisions.tsv played through the function that decides. The table is written from AWS's
// published evaluation logic by write-decisions.ts, which knows neither documents nor this code.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { contextOf } from '../../src/iam/context.ts';
import { evaluate } from '../../src/iam/evaluate.ts';
import { parsePolicy, type Policy } from '../../src/iam/policy.ts';
import { principalOf, type Principal } from '../../src/iam/principal.ts';

const home = '111122223333';
const away = '444455556666';
const key = `arn:aws:kms:us-east-1:${home}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const tenantA = { StringEquals: { 'kms:EncryptionContext:tenant': 'a' } };
const tenantB = { StringEquals: { 'kms:EncryptionContext:tenant': 'b' } };

const people: Readonly<Record<string, Principal>> = {
  root: principalOf(`arn:aws:iam::${home}:root`),
  user: principalOf(`arn:aws:iam::${home}:user/alice`),
  'role session': principalOf(`arn:aws:sts::${home}:assumed-role/app/one`),
  'foreign root': principalOf(`arn:aws:iam::${away}:root`),
  'foreign user': principalOf(`arn:aws:iam::${away}:user/carol`),
  'foreign role session': principalOf(`arn:aws:sts::${away}:assumed-role/job/two`),
  service: principalOf('s3.amazonaws.com', undefined, 's3.amazonaws.com'),
};

type Statement = Readonly<Record<string, unknown>>;
const document = (kind: 'resource' | 'identity', ...statements: readonly Statement[]): Policy => parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), kind);
const on = (Effect: 'Allow' | 'Deny', Principal: unknown, more: Statement = {}): Statement => ({ Effect, Principal, Action: 'kms:*', Resource: '*', ...more });
const say = (Effect: 'Allow' | 'Deny', more: Statement = {}): Statement => ({ Effect, Action: 'kms:Decrypt', Resource: '*', ...more });

function keyPolicy(words: string, who: Principal): Policy {
  const delegation = on('Allow', { AWS: `arn:aws:iam::${home}:root` });
  const self = who.service === undefined ? { AWS: who.roleArn ?? who.arn } : { Service: who.service };
  const statements: Readonly<Record<string, readonly Statement[]>> = {
    delegates: [delegation],
    'names the principal': [on('Allow', self)],
    'names the session': [on('Allow', { AWS: who.arn || '*' })],
    "names the principal's account": [on('Allow', { AWS: who.account || home })],
    'names everybody': [on('Allow', '*')],
    'names everybody for tenant a': [on('Allow', '*', { Condition: tenantA })],
    'delegates, denies everybody': [delegation, on('Deny', '*')],
    'delegates, denies tenant b': [delegation, on('Deny', '*', { Condition: tenantB })],
    'names somebody else': [on('Allow', { AWS: `arn:aws:iam::${home}:user/other` })],
  };
  return document('resource', ...(statements[words] ?? []));
}

const identity: Readonly<Record<string, readonly Statement[]>> = {
  none: [],
  allows: [say('Allow')],
  'allows another action': [say('Allow', { Action: 'kms:Encrypt' })],
  'allows tenant a': [say('Allow', { Condition: tenantA })],
  'allows another key': [say('Allow', { Resource: `${key}0` })],
  denies: [say('Allow'), say('Deny')],
  'allows, denies tenant b': [say('Allow'), say('Deny', { Condition: tenantB })],
};

const narrowing: Readonly<Record<string, Policy | undefined>> = {
  absent: undefined,
  allows: document('identity', say('Allow')),
  lacks: document('identity', say('Allow', { Action: 's3:*' })),
  denies: document('identity', say('Allow'), say('Deny')),
};

const [header = '', ...lines] = readFileSync(join(import.meta.dirname, 'decisions.tsv'), 'utf8').trimEnd().split('\n');
const columns = header.split('\t');
const rows = lines.map((line) => Object.fromEntries(line.split('\t').map((value, i) => [columns[i], value])) as Readonly<Record<string, string>>);

function decided(row: Readonly<Record<string, string>>): string {
  const principal = people[row['principal'] ?? ''];
  const own = identity[row['identity'] ?? ''];
  if (principal === undefined || own === undefined) throw new Error(JSON.stringify(row));
  const session = narrowing[row['session'] ?? ''];
  const decision = evaluate({
    principal, action: 'kms:Decrypt', resource: key, resourceAccount: home, resourcePolicy: keyPolicy(row['key policy'] ?? '', principal),
    identity: own.length === 0 ? [] : [document('identity', ...own)], boundary: narrowing[row['boundary'] ?? ''],
    ...(session === undefined ? {} : { session: [session] }),
    context: contextOf({ 'kms:EncryptionContext:tenant': row['tenant'] }),
    // Which grants fit is the key service's to find.
    granted: row['grant'] === 'to the principal' || (row['grant'] === 'to the principal for tenant a' && row['tenant'] === 'a'),
  });
  return decision.allowed ? 'allow' : decision.explicit ? 'explicit deny' : 'implicit deny';
}

describe('the table of decisions', () => {
  it('has more than 400 lines, of every kind', () => {
    expect(rows.length).toBeGreaterThan(400);
    for (const decision of ['allow', 'explicit deny', 'implicit deny']) expect(rows.filter((row) => row['decision'] === decision).length).toBeGreaterThan(50);
  });

  const sections = [...new Set(rows.map((row) => row['section'] ?? ''))];
  it.each(sections)('%s', (section) => {
    const wrong = rows.filter((row) => row['section'] === section && decided(row) !== row['decision']);
    expect(wrong).toEqual([]);
  });
});
