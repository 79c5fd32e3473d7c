// IAM and STS as boto3 and the AWS CLI see them, and users whose policies bite on KMS over HTTP.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { iamActions } from '../../src/server/iam.ts';
import { pythonClients } from './built.ts';
import { steps, type Step } from './iam_cli.ts';
import { startServer, type Running } from './running.ts';

const script = join(import.meta.dirname, 'iam_checks.py');
const names = [...readFileSync(script, 'utf8').matchAll(/^@check\ndef (\w+)/gm)].map((m) => m[1] ?? '');

let server: Running;
let bin: string;
let results: Map<string, { ok: boolean; why?: string }>;

beforeAll(async () => {
  bin = pythonClients();
  server = await startServer();
  const { stdout, stderr } = spawnSync(join(bin, 'python'), [script], { env: { ...server.env, OTHER_ACCOUNT: server.cli('account', 'create', '--json').stdout, SERVICE: server.cli('service-principal', 'create', 's3', '--account', '000000000000', '--json').stdout }, encoding: 'utf8' });
  results = new Map(stdout.split('\n').filter((l) => l.startsWith('{')).map((l) => {
    const row = JSON.parse(l) as { name: string; ok: boolean; why?: string };
    return [row.name, row];
  }));
  if (results.size === 0) throw new Error(stderr);
});
afterAll(async () => { await server?.stop(); });

describe('IAM by boto3', () => {
  it.each(names)('%s', (name) => {
    const result = results.get(name);
    expect(result?.why).toBeUndefined();
    expect(result?.ok).toBe(true);
  });
});

describe('IAM by the AWS CLI', () => {
  const aws = (...args: string[]): Record<string, never> => {
    const { status, stdout, stderr } = spawnSync(join(bin, 'aws'), args, { env: server.env, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    return (stdout.trim() === '' ? {} : JSON.parse(stdout)) as Record<string, never>;
  };

  it('makes a user, its key and its policy', () => {
    expect(aws('iam', 'create-user', '--user-name', 'cli', '--path', '/a/')).toMatchObject({ User: { Path: '/a/', UserName: 'cli' } });
    expect(aws('iam', 'create-access-key', '--user-name', 'cli')).toMatchObject({ AccessKey: { UserName: 'cli', Status: 'Active' } });
    const text = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'kms:*', Resource: '*' }] };
    aws('iam', 'put-user-policy', '--user-name', 'cli', '--policy-name', 'p', '--policy-document', JSON.stringify(text));
    expect(aws('iam', 'get-user-policy', '--user-name', 'cli', '--policy-name', 'p')).toMatchObject({ PolicyDocument: text });
    expect(aws('iam', 'list-users', '--max-items', '1')).toMatchObject({ Users: [{}] });
    expect(aws('iam', 'get-account-summary')).toMatchObject({ SummaryMap: { UsersQuota: 5000 } });
  });
});

describe('aws, every action once', () => {
  const named = (ask: string): string => (ask.split(' ')[1] ?? '').split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  let answers: { ask: string; status: number; error: string; answer: unknown }[];
  let played: readonly Step[];
  beforeAll(() => {
    const account = (JSON.parse(server.cli('account', 'create', '--json').stdout) as { accountId: string; accessKeyId: string; secretAccessKey: string });
    played = steps(account.accountId);
    const env = { ...server.env, AWS_ACCESS_KEY_ID: account.accessKeyId, AWS_SECRET_ACCESS_KEY: account.secretAccessKey };
    const { stdout, stderr } = spawnSync(join(bin, 'python'), [join(import.meta.dirname, 'iam_cli.py')], { env, input: JSON.stringify(played), encoding: 'utf8' });
    answers = stdout.trim().split('\n').map((line) => JSON.parse(line) as (typeof answers)[number]);
    if (answers.length !== played.length) throw new Error(stderr);
  });

  it('is asked', () => {
    const asked = new Set(played.map(({ ask }) => named(ask)));
    expect([...iamActions, 'GetCallerIdentity', 'AssumeRole', 'GetSessionToken', 'GetAccessKeyInfo', 'LookupEvents'].filter((name) => !asked.has(name))).toEqual([]);
  });
  it('answers as it should', () => {
    expect(answers.filter(({ status, error }) => status !== 0 || error !== '')).toEqual([]);
    for (const [i, { ask, holds }] of played.entries()) if (holds !== undefined) expect(answers[i]?.answer, ask).toMatchObject(shape(holds));
  });
  it('says in the credential report what there is', () => {
    const { answer } = answers.find(({ ask }) => ask.endsWith('get-credential-report')) ?? {};
    const [header = '', ...lines] = Buffer.from((answer as { Content: string }).Content, 'base64').toString('utf8').split('\n');
    expect(lines.map((line) => line.split(',').length)).toEqual(lines.map(() => header.split(',').length));
    const [root = '', user = ''] = lines;
    expect(root).toMatch(/^<root_account>,arn:aws:iam::\d{12}:root,/);
    expect(user.split(',').slice(0, 2)).toEqual(['u', expect.stringMatching(/:user\/team\/u$/)]);
    expect(user.split(',')[header.split(',').indexOf('access_key_1_active')]).toBe('true');
    expect(user.split(',')[header.split(',').indexOf('access_key_1_last_used_service')]).toBe('sts');
  });
});

/** 'text' stands for any. */
function shape(wanted: unknown): Record<string, unknown> {
  const one = (value: unknown): unknown => (value === 'text' ? expect.any(String) : Array.isArray(value) ? value.map((item) => (typeof item === 'object' ? expect.objectContaining(one(item) as object) : item) as unknown) : typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, one(item)])) : value);
  return one(wanted) as Record<string, unknown>;
}

describe('strongroom policy test', () => {
  it('says what would be answered, and which statement decides', async () => {
    const aws = (...args: string[]) => JSON.parse(spawnSync(join(bin, 'aws'), args, { env: server.env, encoding: 'utf8' }).stdout || '{}') as Record<string, Record<string, string>>;
    const arn = aws('kms', 'create-key')['KeyMetadata']?.['Arn'] ?? '';
    const user = aws('iam', 'create-user', '--user-name', 'tested')['User']?.['Arn'] ?? '';
    const text = { Version: '2012-10-17', Statement: [{ Sid: 'Tenant', Effect: 'Allow', Action: 'kms:Decrypt', Resource: arn, Condition: { StringEquals: { 'kms:EncryptionContext:tenant': 'a' } } }] };
    aws('iam', 'put-user-policy', '--user-name', 'tested', '--policy-name', 'p', '--policy-document', JSON.stringify(text));
    const test = (...more: string[]) => {
      const { status, stdout, stderr } = server.cli('policy', 'test', '--principal', user, '--action', 'kms:Decrypt', '--resource', arn, '--json', ...more);
      if (stdout === '') throw new Error(stderr);
      return { status, ...(JSON.parse(stdout) as Record<string, unknown>) };
    };
    expect(test('--context', 'kms:EncryptionContext:tenant=a')).toMatchObject({ status: 0, decision: 'allowed', policy: 'user_tested_p', statement: { index: 0, sid: 'Tenant', effect: 'Allow' } });
    expect(test()).toMatchObject({ status: 4, decision: 'implicitDeny', because: 'no identity-based policy allows it', missingContext: ['kms:encryptioncontext:tenant'] });
    aws('kms', 'create-grant', '--key-id', arn, '--grantee-principal', user, '--operations', 'Decrypt');
    expect(test()).toMatchObject({ status: 0, decision: 'allowed' });
    expect(server.cli('policy', 'test', '--principal', `${user}x`, '--action', 'kms:Decrypt').status).toBe(3);
  });
});
