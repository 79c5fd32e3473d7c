/** Random requests and policies, the same for the same seed. Policies lean towards the request: most random ones would speak of something else. */
export const home = '111122223333';
export const away = '444455556666';

export interface Case {
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  readonly resourceAccount: string;
  readonly context: Readonly<Record<string, string | readonly string[]>>;
  readonly identity: readonly unknown[];
  readonly boundary: unknown;
  readonly session: unknown;
  readonly resourcePolicy: unknown;
}

type Plain = Record<string, unknown>;

const key = (account: string): string => `arn:aws:kms:us-east-1:${account}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const principals = [
  `arn:aws:iam::${home}:user/alice`, `arn:aws:iam::${home}:user/alice`, `arn:aws:sts::${home}:assumed-role/app/one`, `arn:aws:sts::${home}:assumed-role/app/one`,
  `arn:aws:iam::${home}:root`, `arn:aws:iam::${away}:user/carol`, `arn:aws:sts::${away}:assumed-role/job/two`, `arn:aws:iam::${away}:root`,
];
const actions = ['kms:Decrypt', 'kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'];

/** Condition keys by the type of their values: what a request may carry, and what a policy may ask. */
const keys: Readonly<Record<string, { readonly names: readonly string[]; readonly given: readonly string[]; readonly asked: readonly string[]; readonly operators: readonly string[] }>> = {
  text: {
    names: ['kms:ViaService', 'aws:PrincipalTag/team', 'aws:ResourceTag/team', 'aws:SourceVpc', 'aws:PrincipalOrgID', 'aws:UserAgent'],
    given: ['red', 'Red', 'blue', 'r*d', 'red/blue'],
    asked: ['red', 'RED', 'blue', 'r*', '*', 're?', 'r**d', '?', '', '${aws:PrincipalTag/team}', '${aws:PrincipalTag/team}*', "${aws:PrincipalTag/none, 'red'}", '${aws:PrincipalTag/none}', 'r${*}d', '${aws:UserAgent}', 'x${$}'],
    operators: ['StringEquals', 'StringNotEquals', 'StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase', 'StringLike', 'StringNotLike'],
  },
  number: { names: ['aws:MultiFactorAuthAge'], given: ['0', '5', '10', '10.5', '-1'], asked: ['0', '5', '10', '10.0', '11', '-1'], operators: ['NumericEquals', 'NumericNotEquals', 'NumericLessThan', 'NumericLessThanEquals', 'NumericGreaterThan', 'NumericGreaterThanEquals'] },
  date: { names: ['aws:CurrentTime', 'aws:TokenIssueTime'], given: ['2026-01-01T00:00:00Z', '2026-06-01T12:00:00Z'], asked: ['2026-01-01T00:00:00Z', '2026-03-01T00:00:00Z', '2026-06-01T12:00:00Z', '2026-06-01T12:00:00.000Z'], operators: ['DateEquals', 'DateNotEquals', 'DateLessThan', 'DateLessThanEquals', 'DateGreaterThan', 'DateGreaterThanEquals'] },
  bool: { names: ['aws:SecureTransport', 'aws:ViaAWSService'], given: ['true', 'false'], asked: ['true', 'false'], operators: ['Bool'] },
  address: {
    names: ['aws:SourceIp', 'aws:VpcSourceIp'], given: ['10.1.2.3', '192.168.0.1', '2001:db8::1', '2001:db8:ffff::1'],
    asked: ['10.0.0.0/8', '10.1.2.3', '10.1.2.3/32', '192.168.0.0/31', '0.0.0.0/0', '2001:db8::/32', '2001:db8::/48', '2001:DB8::1/128'], operators: ['IpAddress', 'NotIpAddress'],
  },
  arn: {
    names: ['aws:PrincipalArn', 'aws:SourceArn'], given: [`arn:aws:iam::${home}:user/alice`, `arn:aws:iam::${home}:role/app`, 'arn:aws:s3:::bucket'],
    asked: [`arn:aws:iam::${home}:user/alice`, `arn:aws:iam::*:user/*`, `arn:aws:iam::${home}:role/ap?`, 'arn:aws:*:::bucket', 'arn:aws:s3:*:*:*', `arn:aws:iam::${home}:*`], operators: ['ArnEquals', 'ArnLike', 'ArnNotEquals', 'ArnNotLike'],
  },
  texts: {
    names: ['aws:TagKeys', 'kms:EncryptionContextKeys'], given: ['a', 'b', 'A', 'ab'], asked: ['a', 'b', 'a*', '*'],
    operators: ['StringEquals', 'StringNotEquals', 'StringLike', 'StringNotLike', 'StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase'].flatMap((name) => [`ForAllValues:${name}`, `ForAnyValue:${name}`]),
  },
};

/** mulberry32 */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomCase(seed: number): Case {
  const next = random(seed);
  const chance = (part: number): boolean => next() < part;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  const some = <T>(list: readonly T[], most: number): T[] => Array.from({ length: 1 + Math.floor(next() * most) }, () => pick(list));
  const oneOrList = (list: readonly string[]): string | readonly string[] => (list.length === 1 && chance(0.5) ? (list[0] as string) : list);

  const principal = pick(principals);
  const action = pick(actions);
  const resource = key(home);
  const context: Record<string, string | readonly string[]> = {};
  for (const { names, given } of Object.values(keys)) {
    for (const name of names) {
      if (!chance(0.5) || (action === 'kms:DescribeKey' && name === 'kms:EncryptionContextKeys')) continue;
      context[name] = names.includes('aws:TagKeys') ? [...new Set(some(given, 3))] : pick(given);
    }
  }

  const condition = (): Plain => {
    const block: Plain = {};
    for (let i = chance(0.3) ? 2 : 1; i > 0; i--) {
      const { names, asked, operators } = pick(Object.values(keys));
      if (chance(0.1)) {
        block['Null'] = { [pick(names)]: pick(['true', 'false']) };
        continue;
      }
      const operator = pick(operators) + (chance(0.2) ? 'IfExists' : '');
      block[operator] = { ...(block[operator] as Plain | undefined), [pick(names)]: oneOrList([...new Set(some(asked, 2))]) };
    }
    return block;
  };
  const statement = (deny: number): Plain => {
    const wanted = chance(0.75) ? [action, 'kms:*', '*', action.slice(0, 6) + '*', action.toUpperCase().replace('KMS:', 'kms:')] : ['kms:Encrypt', 'kms:Dec*', 'kms:Describe???', 's3:*'];
    const places = chance(0.8) ? ['*', resource, `arn:aws:kms:*:${home}:key/*`, resource.replace('1234abcd', '????abcd')] : [key(away), 'arn:aws:s3:::bucket', `${resource}0`, 'arn:aws:kms:us-east-1:*:alias/*'];
    return {
      Effect: chance(deny) ? 'Deny' : 'Allow',
      [chance(0.1) ? 'NotAction' : 'Action']: oneOrList(some(wanted, 2)),
      [chance(0.1) ? 'NotResource' : 'Resource']: oneOrList(some(places, 2)),
      ...(chance(0.4) ? { Condition: condition() } : {}),
    };
  };
  const document = (statements: readonly unknown[]): Plain => ({ Version: chance(0.95) ? '2012-10-17' : '2008-10-17', Statement: statements });
  const policy = (deny = 0.2): Plain => document(some([0], 3).map(() => statement(deny)));
  const account = principal.split(':')[4] ?? '';
  const named = (): unknown => {
    const role = principal.includes(':assumed-role/') ? principal.replace(':sts:', ':iam:').replace(/:assumed-role\/([^/]+)\/.*/, ':role/$1') : principal;
    return pick<unknown>([
      '*', { AWS: '*' }, { AWS: principal }, { AWS: role }, { AWS: account }, { AWS: `arn:aws:iam::${account}:root` }, { AWS: [`arn:aws:iam::${home}:user/other`, role] },
      { AWS: `arn:aws:iam::${home}:root` }, { AWS: `arn:aws:iam::${home}:root` }, { AWS: `arn:aws:iam::${home}:user/other` }, { Service: 's3.amazonaws.com' },
    ]);
  };
  const root = principal.endsWith(':root');
  return {
    principal, action, resource, resourceAccount: home, context,
    identity: root ? [] : Array.from({ length: Math.floor(next() * 3) }, () => policy()),
    boundary: !root && chance(0.25) ? policy(0.1) : undefined,
    session: principal.includes(':assumed-role/') && chance(0.3) ? policy(0.1) : undefined,
    resourcePolicy: document(some([0], 3).map(() => ({ ...statement(0.15), Principal: named() }))),
  };
}
