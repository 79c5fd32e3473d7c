import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PageTokens } from '../../src/audit/tokens.ts';
import { core } from '../store/core.ts';

const tokens = new PageTokens(core);

describe('a page\'s token', () => {
  it('opens to its place, for its question alone', () => {
    fc.assert(fc.property(fc.string({ maxLength: 300 }), fc.string({ maxLength: 300 }), fc.string({ minLength: 1, maxLength: 200 }), (question, other, place) => {
      fc.pre(question !== other);
      const token = tokens.make(question, place);
      expect(tokens.open(question, token)).toBe(place);
      expect(tokens.open(other, token)).toBeUndefined();
    }), { numRuns: 300 });
  });

  it('with one bit changed opens no more', () => {
    const bytes = Buffer.from(tokens.make('q', '{"shard-1":12345,"shard-2":7}'), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(tokens.open('q', changed.toString('base64url'))).toBeUndefined();
    }
    for (const token of ['', 'x', 'AAAA', bytes.subarray(0, 16).toString('base64url'), `${bytes.toString('base64url')}=`]) expect(tokens.open('q', token)).toBeUndefined();
  });

  it('says nothing of the place: neighbours have nothing in common', () => {
    const [a, b] = ['{"shard":1000000}', '{"shard":1000001}'].map((place) => Buffer.from(tokens.make('q', place), 'base64url'));
    expect(a!.toString('latin1')).not.toContain('shard');
    expect([...a!].filter((byte, i) => byte === b![i]).length).toBeLessThan(5);
  });
});
