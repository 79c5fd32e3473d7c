import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packContext } from '../../src/hsm/context.ts';
import { HsmError } from '../../src/hsm/core.ts';

/** The format read back, written without the code under test. */
function unpack(packed: Buffer): [string, string][] {
  const texts: string[] = [];
  for (let at = 0; at < packed.length;) {
    const length = packed.readUInt32BE(at);
    texts.push(packed.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return Array.from({ length: texts.length / 2 }, (_, i) => [texts[2 * i]!, texts[2 * i + 1]!]);
}

test('an encryption context is lengths and UTF-8', () => {
  expect(packContext({ a: 'é' }).toString('hex')).toBe('0000000161' + '00000002c3a9');
  expect(packContext({})).toHaveLength(0);
  expect(packContext(undefined)).toHaveLength(0);
});

test('any well-formed context reads back as it was', () => {
  fc.assert(fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), (context) => {
    expect(unpack(packContext(context))).toEqual(Object.entries(context));
  }));
});

test('a lone surrogate is refused, a pair is not', () => {
  for (const bad of ['\ud800', 'a\udc00b']) {
    expect(() => packContext({ name: bad })).toThrow(HsmError);
    expect(() => packContext({ [bad]: 'value' })).toThrow(expect.objectContaining({ code: 'HSM_E_DATA' }));
  }
  expect(unpack(packContext({ k: '\u{1f511}' }))).toEqual([['k', '\u{1f511}']]);
});
