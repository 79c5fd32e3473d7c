import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { contextOf } from '../../src/iam/context.ts';
import { denialSentence, evaluate, type Question } from '../../src/iam/evaluate.ts';
import { parsePolicy, PolicyError, type Policy } from '../../src/iam/policy.ts';
import { principalOf } from '../../src/iam/principal.ts';

const home = '111122223333';
const away = '444455556666';
const key = `arn:aws:kms:us-east-1:${home}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const root = `arn:aws:iam::${home}:root`;
const alice = `arn:aws:iam::${home}:user/alice`;
const session = `arn:aws:sts::${home}:assumed-role/app/one`;
const role = `arn:aws:iam::${home}:role/app`;
const foreigner = `arn:aws:iam::${away}:user/carol`;

type Plain = Record<string, unknown>;
const allow = (principal: unknown, more: Plain = {}): Plain => ({ Effect: 'Allow', Principal: principal, Action: 'kms:*', Resource: '*', ...more });
const deny = (principal: unknown, more: Plain = {}): Plain => ({ ...allow(principal, more), Effect: 'Deny' });
const keyPolicy = (...statements: Plain[]): Policy => parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), 'resource');
const mine = (...statements: Plain[]): Policy => parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), 'identity');
const may = (action = 'kms:*', more: Plain = {}) => mine({ Effect: 'Allow', Action: action, Resource: '*', ...more });
const mayNot = (action = 'kms:*', more: Plain = {}) => mine({ Effect: 'Deny', Action: action, Resource: '*', ...more });
const delegated = keyPolicy(allow({ AWS: root }));

function ask(caller: string, resourcePolicy: Policy | undefined, more: Partial<Question> = {}): string {
  const principal = principalOf(caller);
  const decision = evaluate({
    principal, action: 'kms:Decrypt', resource: key, resourceAccount: home, resourcePolicy, identity: [], context: contextOf({}), ...more,
  });
  if (decision.allowed) return 'allow';
  return `${decision.explicit ? 'deny' : 'no'} ${decision.source}`;
}

describe('decisions', () => {
  const table: readonly [string, string, Policy | undefined, Partial<Question>, string][] = [
    ['root under the default policy', root, delegated, {}, 'allow'],
    ['root where the policy names only a user', root, keyPolicy(allow({ AWS: alice })), {}, 'no resource-based'],
    ['a user under delegation without a policy', alice, delegated, {}, 'no identity-based'],
    ['a user under delegation with a policy', alice, delegated, { identity: [may()] }, 'allow'],
    ['a user with a policy but no delegation', alice, keyPolicy(allow({ AWS: role })), { identity: [may()] }, 'no resource-based'],
    ['a user named by the key policy', alice, keyPolicy(allow({ AWS: alice })), {}, 'allow'],
    ['a user named by account id alone', alice, keyPolicy(allow({ AWS: home })), { identity: [may()] }, 'allow'],
    ['everybody named, same account', alice, keyPolicy(allow('*')), {}, 'allow'],
    ['a named user is not narrowed by a boundary', alice, keyPolicy(allow({ AWS: alice })), { boundary: may('s3:*') }, 'allow'],
    ['a delegated user is narrowed by a boundary', alice, delegated, { identity: [may()], boundary: may('s3:*') }, 'no boundary'],
    ['a boundary alone gives nothing', alice, delegated, { boundary: may() }, 'no identity-based'],
    ['a role named by the key policy', session, keyPolicy(allow({ AWS: role })), {}, 'allow'],
    ['a named role is narrowed by its session policy', session, keyPolicy(allow({ AWS: role })), { session: [may('s3:*')] }, 'no session'],
    ['a named role is narrowed by its boundary', session, keyPolicy(allow({ AWS: role })), { boundary: may('s3:*') }, 'no boundary'],
    ['a named session is not narrowed', session, keyPolicy(allow({ AWS: session })), { session: [may('s3:*')] }, 'allow'],
    ['a delegated role needs all three', session, delegated, { identity: [may()], session: [may('kms:Decrypt')] }, 'allow'],
    ['one of two session policies must allow', session, delegated, { identity: [may()], session: [may(), may('s3:*')] }, 'allow'],
    ['no session policy allows', session, delegated, { identity: [may()], session: [may('ec2:*'), may('s3:*')] }, 'no session'],
    ['deny in the key policy', alice, keyPolicy(allow({ AWS: alice }), deny({ AWS: alice })), {}, 'deny resource-based'],
    ['deny of the account reaches its users', alice, keyPolicy(allow({ AWS: alice }), deny({ AWS: root })), {}, 'deny resource-based'],
    ['deny of everybody reaches root', root, keyPolicy(allow({ AWS: root }), deny('*')), {}, 'deny resource-based'],
    ['deny of everybody but one', alice, keyPolicy(allow({ AWS: alice }), { Effect: 'Deny', NotPrincipal: { AWS: [role, root] }, Action: '*', Resource: '*' }), {}, 'deny resource-based'],
    ['deny in an identity policy', alice, keyPolicy(allow({ AWS: alice })), { identity: [mayNot()] }, 'deny identity-based'],
    ['deny in a boundary', alice, keyPolicy(allow({ AWS: alice })), { boundary: mayNot() }, 'deny boundary'],
    ['deny in a session policy', session, keyPolicy(allow({ AWS: session })), { session: [mayNot()] }, 'deny session'],
    ['deny of another action', alice, keyPolicy(allow({ AWS: alice }), deny('*', { Action: 'kms:Encrypt' })), {}, 'allow'],
    ['a grant', alice, keyPolicy(allow({ AWS: role })), { granted: true }, 'allow'],
    ['a grant does not outdo a deny', alice, keyPolicy(deny('*')), { granted: true }, 'deny resource-based'],
    ['a grant to a role is narrowed', session, keyPolicy(allow({ AWS: alice })), { granted: true, session: [may('s3:*')] }, 'no session'],
    ['another account, both sides', foreigner, keyPolicy(allow({ AWS: away })), { identity: [may()] }, 'allow'],
    ['another account, its own side missing', foreigner, keyPolicy(allow({ AWS: away })), {}, 'no identity-based'],
    ['another account named exactly, its own side missing', foreigner, keyPolicy(allow({ AWS: foreigner })), {}, 'no identity-based'],
    ['another account, the key side missing', foreigner, delegated, { identity: [may()] }, 'no resource-based'],
    ['another account by a grant', foreigner, delegated, { identity: [may()], granted: true }, 'allow'],
    ['another account\'s root', `arn:aws:iam::${away}:root`, keyPolicy(allow({ AWS: away })), {}, 'allow'],
    ['everybody named, another account', foreigner, keyPolicy(allow('*')), { identity: [may()] }, 'allow'],
    ['another account, narrowed', foreigner, keyPolicy(allow({ AWS: foreigner })), { identity: [may()], boundary: may('s3:*') }, 'no boundary'],
    ['no resource: root', root, undefined, { resource: '*' }, 'allow'],
    ['no resource: a user with a policy', alice, undefined, { resource: '*', identity: [may('kms:Decrypt')] }, 'allow'],
    ['no resource: a user without', alice, undefined, { resource: '*' }, 'no identity-based'],
    ['an action in another case', alice, keyPolicy(allow({ AWS: alice }, { Action: 'KMS:DECRYPT' })), {}, 'allow'],
    ['an action pattern', alice, keyPolicy(allow({ AWS: alice }, { Action: ['kms:En*', 'kms:D?crypt'] })), {}, 'allow'],
    ['everything but some actions', alice, keyPolicy({ Effect: 'Allow', Principal: '*', NotAction: 'kms:Decrypt', Resource: '*' }), {}, 'no resource-based'],
    ['this key by ARN', alice, delegated, { identity: [may('kms:Decrypt', { Resource: key })] }, 'allow'],
    ['a pattern of keys', alice, delegated, { identity: [may('kms:Decrypt', { Resource: `arn:aws:kms:*:${home}:key/*` })] }, 'allow'],
    ['another key by ARN', alice, delegated, { identity: [may('kms:Decrypt', { Resource: `${key}0` })] }, 'no identity-based'],
    ['a wildcard does not cross a colon', alice, delegated, { identity: [may('kms:Decrypt', { Resource: 'arn:aws:kms:*:key/*' })] }, 'no identity-based'],
    ['all resources but this', alice, delegated, { identity: [mine({ Effect: 'Allow', Action: 'kms:*', NotResource: key })] }, 'no identity-based'],
    ['a statement without action', alice, keyPolicy({ Effect: 'Allow', Principal: '*', Resource: '*' }), {}, 'no resource-based'],
    ['a service named', 'arn:aws:iam::aws:service/s3.amazonaws.com', keyPolicy(allow({ AWS: alice })), { principal: principalOf('', undefined, 's3.amazonaws.com') }, 'no resource-based'],
    ['a service named, allowed', '', keyPolicy(allow({ Service: 's3.amazonaws.com' })), { principal: principalOf('', undefined, 's3.amazonaws.com') }, 'allow'],
    ['a policy variable', alice, delegated, { identity: [may('kms:*', { Resource: `arn:aws:kms:us-east-1:${home}:key/\${aws:username}` })], resource: `arn:aws:kms:us-east-1:${home}:key/alice`, context: contextOf({ 'aws:username': 'alice' }) }, 'allow'],
    ['a variable without value matches nothing', alice, delegated, { identity: [may('kms:*', { Resource: 'arn:aws:kms:us-east-1:*:key/${aws:username}' })] }, 'no identity-based'],
    ['a variable\'s own wildcard is text', alice, delegated, { identity: [may('kms:*', { Resource: `arn:aws:kms:us-east-1:${home}:key/\${aws:username}` })], context: contextOf({ 'aws:username': '*' }) }, 'no identity-based'],
  ];
  test.each(table)('%s', (_, caller, resourcePolicy, more, expected) => {
    expect(ask(caller, resourcePolicy, more)).toBe(expected);
  });
});

test('the sentences of a refusal', () => {
  const who = principalOf(alice);
  const say = (explicit: boolean, source: 'resource-based' | 'identity-based') =>
    denialSentence(who, 'kms:Decrypt', key, { allowed: false, explicit, source, statement: undefined });
  expect(say(false, 'identity-based')).toBe(`User: ${alice} is not authorized to perform: kms:Decrypt on resource: ${key} because no identity-based policy allows the kms:Decrypt action`);
  expect(say(false, 'resource-based')).toBe(`User: ${alice} is not authorized to perform: kms:Decrypt on resource: ${key} because no resource-based policy allows the kms:Decrypt action`);
  expect(say(true, 'resource-based')).toBe(`User: ${alice} is not authorized to perform: kms:Decrypt on resource: ${key} with an explicit deny in a resource-based policy`);
});

describe('for all policies', () => {
  const principals = fc.constantFrom<unknown>('*', { AWS: root }, { AWS: alice }, { AWS: role }, { AWS: session }, { AWS: away }, { AWS: foreigner });
  const statement = fc.record({
    Effect: fc.constantFrom('Allow', 'Deny'), Principal: principals,
    Action: fc.constantFrom<string | string[]>('kms:*', 'kms:Decrypt', 'kms:Encrypt', ['kms:Describe*', 'kms:D*']),
    Resource: fc.constantFrom('*', key, 'arn:aws:kms:*:*:alias/*'),
    Condition: fc.option(fc.constantFrom({ Bool: { 'aws:SecureTransport': 'true' } }, { StringLike: { 'kms:ViaService': 's3.*' } }), { nil: undefined }),
  });
  const statements = fc.array(statement, { minLength: 1, maxLength: 5 });
  const callers = fc.constantFrom(root, alice, session, foreigner, `arn:aws:iam::${away}:root`);
  const contexts = fc.constantFrom(contextOf({}), contextOf({ 'aws:SecureTransport': 'true' }), contextOf({ 'kms:ViaService': 's3.us-east-1.amazonaws.com' }));
  const without = (statement: Plain): Plain => Object.fromEntries(Object.entries(statement).filter(([name]) => name !== 'Principal'));
  const identities = fc.array(statements.map((all) => mine(...all.map(without))), { maxLength: 2 });
  const extras = fc.record({ identity: identities, context: contexts, granted: fc.boolean(), boundary: fc.option(fc.constantFrom(may(), may('kms:Encrypt')), { nil: undefined }) });

  test('a deny that speaks of the request always wins', () => {
    fc.assert(fc.property(callers, statements, extras, (caller, all, more) => {
      expect(ask(caller, keyPolicy(...all, deny('*')), more)).toMatch(/^deny/);
      expect(ask(caller, keyPolicy(...all), { ...more, identity: [...more.identity, mayNot()] })).toMatch(/^deny/);
    }));
  });

  test('one more allow never takes access away', () => {
    fc.assert(fc.property(callers, statements, statement, extras, (caller, all, more, rest) => {
      const extra = { ...more, Effect: 'Allow' };
      if (ask(caller, keyPolicy(...all), rest) === 'allow') {
        expect(ask(caller, keyPolicy(...all, extra), rest)).toBe('allow');
        expect(ask(caller, keyPolicy(...all), { ...rest, identity: [...rest.identity, mine(without(extra))] })).toBe('allow');
        expect(ask(caller, keyPolicy(...all), { ...rest, granted: true })).toBe('allow');
      }
    }));
  });

  const bounds = fc.array(statements.map((all) => mine(...all.map(without))), { minLength: 1, maxLength: 2 });
  const rank = (answer: string): number => (answer === 'allow' ? 2 : answer.startsWith('no') ? 1 : 0);

  test('a boundary or session policy never gives access', () => {
    fc.assert(fc.property(callers, statements, extras, bounds, (caller, all, rest, [first, ...others]) => {
      const free = ask(caller, keyPolicy(...all), { ...rest, boundary: undefined });
      for (const narrowed of [{ boundary: first }, { boundary: undefined, session: [first as Policy, ...others] }, { boundary: first, session: [first as Policy] }]) {
        expect(rank(ask(caller, keyPolicy(...all), { ...rest, ...narrowed }))).toBeLessThanOrEqual(rank(free));
      }
    }));
  });

  test('a boundary or session policy that allows everything takes nothing away', () => {
    fc.assert(fc.property(callers, statements, extras, (caller, all, rest) => {
      const free = ask(caller, keyPolicy(...all), { ...rest, boundary: undefined });
      expect(ask(caller, keyPolicy(...all), { ...rest, boundary: may('*'), session: [may('*')] })).toBe(free);
    }));
  });

  test('the order of statements, policies and conditions is irrelevant', () => {
    fc.assert(fc.property(callers, statements, extras, fc.integer({ min: 1, max: 4 }), (caller, all, rest, turns) => {
      const turned = <T>(list: readonly T[]): T[] => [...list.slice(turns % list.length), ...list.slice(0, turns % list.length)].reverse();
      const [here, there] = [ask(caller, keyPolicy(...all), rest), ask(caller, keyPolicy(...turned(all)), { ...rest, identity: turned(rest.identity) })];
      expect(there).toBe(here);
    }));
  });

  test('policies may be cut up or put together: only their statements count', () => {
    fc.assert(fc.property(callers, fc.array(statement, { minLength: 1, maxLength: 4 }), statements, extras, (caller, own, all, rest) => {
      const whole = ask(caller, keyPolicy(...all), { ...rest, identity: [mine(...own.map(without))] });
      expect(ask(caller, keyPolicy(...all), { ...rest, identity: own.map((one) => mine(without(one))) })).toBe(whole);
    }));
  });

  test('one more deny never gives access, and saying a thing twice changes nothing', () => {
    fc.assert(fc.property(callers, statements, statement, extras, (caller, all, more, rest) => {
      const before = ask(caller, keyPolicy(...all), rest);
      expect(rank(ask(caller, keyPolicy(...all, { ...more, Effect: 'Deny' }), rest))).toBeLessThanOrEqual(rank(before));
      expect(rank(ask(caller, keyPolicy(...all), { ...rest, identity: [...rest.identity, mine({ ...without(more), Effect: 'Deny' })] }))).toBeLessThanOrEqual(rank(before));
      expect(ask(caller, keyPolicy(...all, ...all), { ...rest, identity: [...rest.identity, ...rest.identity] })).toBe(before);
    }));
  });

  test('names are compared without regard to case, and the answer is always the same', () => {
    fc.assert(fc.property(callers, statements, extras, (caller, all, rest) => {
      const here = ask(caller, keyPolicy(...all), rest);
      expect(ask(caller, keyPolicy(...all.map((one) => ({ ...one, Action: JSON.parse(JSON.stringify(one.Action).toUpperCase()) as unknown }))), rest)).toBe(here);
      expect(ask(caller, keyPolicy(...all), { ...rest, action: 'KMS:decrypt' })).toBe(here);
      expect(ask(caller, keyPolicy(...all), rest)).toBe(here);
    }));
  });

  test('another account\'s principals need both sides', () => {
    fc.assert(fc.property(statements, extras, (all, rest) => {
      const none = { ...rest, boundary: undefined, granted: false };
      expect(ask(foreigner, keyPolicy(...all), { ...none, identity: [] })).not.toBe('allow');
      const ownOnly = keyPolicy(...all.filter(({ Principal }) => !JSON.stringify(Principal).includes(away) && Principal !== '*'), allow({ AWS: alice }));
      expect(ask(foreigner, ownOnly, { ...none, identity: [may()] })).not.toBe('allow');
    }));
  });

  test('nobody is let in by a policy that allows nothing', () => {
    fc.assert(fc.property(callers, statements, extras, (caller, all, rest) => {
      const silent = all.map((one) => ({ ...one, Effect: 'Deny' }));
      expect(ask(caller, keyPolicy(...silent), { ...rest, granted: false })).not.toBe('allow');
    }));
  });
});

describe('documents that are refused', () => {
  const bad: readonly [string, string][] = [
    ['not JSON', '{'],
    ['a list', '[]'],
    ['no statement', '{"Version":"2012-10-17"}'],
    ['an empty statement list', '{"Statement":[]}'],
    ['a wrong version', '{"Version":"2020-01-01","Statement":[]}'],
    ['no effect', '{"Statement":{"Principal":"*","Action":"kms:*","Resource":"*"}}'],
    ['a wrong effect', '{"Statement":{"Effect":"allow","Principal":"*","Action":"kms:*","Resource":"*"}}'],
    ['no principal', '{"Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}'],
    ['an unknown member', '{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Who":"x"}}'],
    ['both Action and NotAction', '{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","NotAction":"kms:*","Resource":"*"}}'],
    ['an action without vendor', '{"Statement":{"Effect":"Allow","Principal":"*","Action":"Decrypt","Resource":"*"}}'],
    ['a principal pattern', `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::${home}:user/*"},"Action":"kms:*","Resource":"*"}}`],
    ['a principal that is no ARN', '{"Statement":{"Effect":"Allow","Principal":{"AWS":"alice"},"Action":"kms:*","Resource":"*"}}'],
    ['a group as principal', `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::${home}:group/g"},"Action":"kms:*","Resource":"*"}}`],
    ['an unknown operator', '{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringSounds":{"aws:x":"y"}}}}'],
    ['a date that is none', '{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"soon"}}}}'],
  ];
  test.each(bad)('%s', (_, text) => {
    expect(() => parsePolicy(text, 'resource')).toThrow(PolicyError);
  });
});
