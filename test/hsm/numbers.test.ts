import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ATTR, CLASS, CURVE, HASH, KEY, MECH, PARAM, SALT_DIGEST, USE } from '../../src/hsm/numbers.ts';

const strip = (path: string): string => readFileSync(new URL(`../../native/mech/${path}`, import.meta.url), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
const params = strip('params.h');
const mech = strip('mech.h');
const hsm = readFileSync(new URL('../../native/module/hsm.h', import.meta.url), 'utf8');

/** Every enumerator and numeric #define of the headers. */
function numbersOf(...texts: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const text of texts) {
    for (const [, name, value] of text.matchAll(/#define\s+(\w+)\s+(0x[0-9A-Fa-f]+|\d+)u?\b/g)) found.set(name!, Number(value));
    for (const [, body] of text.matchAll(/enum(?:\s+\w+)?\s*\{([\s\S]*?)\}/g)) {
      let next = 0;
      for (const item of body!.split(',').map((part) => part.trim()).filter(Boolean)) {
        const [name, value] = item.split('=').map((part) => part.trim());
        next = value === undefined ? next : Number(value);
        found.set(name!, next++);
      }
    }
  }
  return found;
}

const header = numbersOf(params, mech, hsm);
const named = (prefix: string): Set<string> => new Set([...header.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)));
const each = (table: Readonly<Record<string, number>>, nameInC: (name: string) => string): void => {
  for (const [name, value] of Object.entries(table)) expect([name, header.get(nameInC(name)) ?? header.get(`${nameInC(name)}_`)]).toEqual([name, value]);
};

test('the headers are read', () => {
  expect(header.size).toBeGreaterThan(200);
  expect(header.get('HSM_KEY_AES')).toBe(0x1f);
});

test.each([['KEY', KEY, 'HSM_KEY_'], ['CLASS', CLASS, 'HSM_CLASS_'], ['USE', USE, 'MECH_']] as const)('%s says what the header says, and all of it', (_, table, prefix) => {
  each(table, (name) => prefix + name);
  expect(new Set(Object.keys(table))).toEqual(named(prefix));
});

test.each([['PARAM', PARAM, 'HSM_PARAM_'], ['ATTR', ATTR, 'HSM_ATTR_']] as const)('%s says what the header says', (_, table, prefix) => {
  each(table, (name) => prefix + name);
});

test('CURVE, HASH and MECH say what the header says', () => {
  each(CURVE, (name) => `HSM_${name}`);
  each(HASH, (name) => (name === 'NONE' ? 'HSM_HASH_NONE' : `HSM_${name}`));
  for (const [name, value] of Object.entries(MECH)) {
    const c = header.get(`HSM_${name}_`) ?? header.get(`HSM_${name}`);
    expect([name, c]).toEqual([name, value]);
  }
  expect(SALT_DIGEST).toBe(header.get('HSM_SALT_DIGEST'));
});
