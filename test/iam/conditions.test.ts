import { describe, expect, test } from 'vitest';
import { compileCondition } from '../../src/iam/conditions.ts';
import { contextOf } from '../../src/iam/context.ts';

type Given = Readonly<Record<string, string | readonly string[]>>;

function holds(operator: string, key: string, values: readonly string[], given: Given): boolean | undefined {
  return compileCondition(operator, key, values)?.holds(contextOf(given), true);
}

describe('operators', () => {
  const table: readonly [string, readonly string[], string | readonly string[] | undefined, boolean][] = [
    ['StringEquals', ['a', 'b'], 'b', true],
    ['StringEquals', ['a'], 'A', false],
    ['StringEquals', ['a*'], 'ab', false],
    ['StringEquals', ['a'], undefined, false],
    ['StringEqualsIfExists', ['a'], undefined, true],
    ['StringEqualsIfExists', ['a'], 'b', false],
    ['StringNotEquals', ['a', 'b'], 'c', true],
    ['StringNotEquals', ['a', 'b'], 'b', false],
    ['StringNotEquals', ['a'], undefined, true],
    ['StringEqualsIgnoreCase', ['Abc'], 'aBC', true],
    ['StringNotEqualsIgnoreCase', ['Abc'], 'aBC', false],
    ['StringLike', ['pro?-*'], 'prod-x', true],
    ['StringLike', ['a**b'], 'ab', true],
    ['StringLike', ['*'], '', true],
    ['StringLike', ['a'], 'ab', false],
    ['StringNotLike', ['x*'], 'y', true],
    ['stringlike', ['x*'], 'xy', true],
    ['NumericEquals', ['10'], '10.0', true],
    ['NumericLessThan', ['10'], '9', true],
    ['NumericLessThanEquals', ['10'], '10', true],
    ['NumericGreaterThan', ['10'], '9', false],
    ['NumericGreaterThanEquals', ['10'], '10', true],
    ['NumericNotEquals', ['10'], '9', true],
    ['NumericEquals', ['10'], 'ten', false],
    ['DateLessThan', ['2026-01-01T00:00:00Z'], '2025-12-31T23:59:59Z', true],
    ['DateGreaterThan', ['2026-01-01'], '2025-12-31T23:59:59Z', false],
    ['DateEquals', ['1767225600'], '2026-01-01T00:00:00Z', true],
    ['DateLessThanEquals', ['2026-01-01'], '2026-01-01T00:00:00Z', true],
    ['DateGreaterThanEquals', ['2026-01-01'], '2026-01-01T00:00:00Z', true],
    ['DateNotEquals', ['2026-01-01'], '2026-01-02', true],
    ['Bool', ['true'], 'true', true],
    ['Bool', ['true'], 'false', false],
    ['Bool', ['true'], undefined, false],
    ['BoolIfExists', ['true'], undefined, true],
    ['BinaryEquals', ['aGk='], 'aGk=', true],
    ['IpAddress', ['10.0.0.0/8', '192.168.1.1'], '10.9.8.7', true],
    ['IpAddress', ['10.0.0.0/8', '192.168.1.1'], '192.168.1.1', true],
    ['IpAddress', ['10.0.0.0/8'], '11.0.0.1', false],
    ['IpAddress', ['2001:db8::/32'], '2001:db8:1::5', true],
    ['IpAddress', ['2001:db8::/32'], '2001:db9::5', false],
    ['IpAddress', ['127.0.0.1/32'], '::ffff:127.0.0.1', true],
    ['IpAddress', ['0.0.0.0/0'], '::1', false],
    ['NotIpAddress', ['10.0.0.0/8'], '11.0.0.1', true],
    ['ArnEquals', ['arn:aws:iam::*:role/app*'], 'arn:aws:iam::1:role/app/x', true],
    ['ArnLike', ['arn:aws:s3:::bucket'], 'arn:aws:s3:::bucket', true],
    ['ArnLike', ['arn:aws:*:key/x'], 'arn:aws:kms:us-east-1:1:key/x', false],
    ['ArnNotLike', ['arn:aws:s3:::b'], 'arn:aws:s3:::c', true],
    ['ArnNotEquals', ['arn:aws:s3:::b'], 'arn:aws:s3:::b', false],
    ['Null', ['true'], undefined, true],
    ['Null', ['true'], 'x', false],
    ['Null', ['false'], 'x', true],
    ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'b'], true],
    ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'c'], false],
    ['ForAllValues:StringEquals', ['a'], undefined, true],
    ['ForAllValues:StringEquals', ['a'], [], true],
    ['ForAllValues:StringNotEquals', ['a'], ['b', 'c'], true],
    ['ForAllValues:StringNotEquals', ['a'], ['a', 'c'], false],
    ['ForAnyValue:StringEquals', ['a', 'b'], ['x', 'b'], true],
    ['ForAnyValue:StringEquals', ['a'], ['x'], false],
    ['ForAnyValue:StringEquals', ['a'], undefined, false],
    ['ForAnyValue:StringNotEquals', ['a'], ['a', 'b'], true],
    ['ForAnyValue:StringLikeIfExists', ['a*'], undefined, false],
    ['ForAnyValue:StringNotLikeIfExists', ['a*'], undefined, false],
    ['ForAnyValue:StringLikeIfExists', ['a*'], ['b', 'ac'], true],
    ['ForAllValues:StringLikeIfExists', ['a*'], undefined, true],
    ['ForAnyValue:StringLike', ['a*'], ['b', 'ac'], true],
  ];
  test.each(table)('%s %j given %j is %s', (operator, values, given, expected) => {
    expect(holds(operator, 'aws:Thing', values, given === undefined ? {} : { 'AWS:thing': given })).toBe(expected);
  });
});

describe('policy variables', () => {
  test('take the value of their key', () => {
    expect(holds('StringEquals', 'kms:EncryptionContext:user', ['${aws:username}'], { 'aws:username': 'alice', 'kms:encryptioncontext:user': 'alice' })).toBe(true);
  });
  test('have defaults', () => {
    expect(holds('StringEquals', 'aws:PrincipalTag/team', ["${aws:PrincipalTag/group, 'none'}"], { 'aws:principaltag/team': 'none' })).toBe(true);
  });
  test('without a value match nothing', () => {
    expect(holds('StringEquals', 'k', ['${missing}'], { k: '' })).toBe(false);
  });
  test('stand for themselves when they are *, ? or $', () => {
    expect(holds('StringLike', 'k', ['a${*}b'], { k: 'a*b' })).toBe(true);
    expect(holds('StringLike', 'k', ['a${*}b'], { k: 'axb' })).toBe(false);
    expect(holds('StringEquals', 'k', ['${$}{x}'], { k: '${x}' })).toBe(true);
  });
});

test('unknown operators and values of the wrong type are not compiled', () => {
  for (const [operator, value] of [['StringIs', 'a'], ['NumericEquals', 'ten'], ['Bool', 'yes'], ['IpAddress', '10.0.0.0/33'], ['DateEquals', 'x'], ['NullIfExists', 'true'], ['Null', 'x']] as const) {
    expect(compileCondition(operator, 'k', [value])).toBeUndefined();
  }
});
