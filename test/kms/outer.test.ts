/** The outer blob, by docs/formats/keystore.md. */
import { createDecipheriv, createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { packOuter, peekOuter, readOuter } from '../../src/kms/keystores/outer.ts';
import { examples } from '../formats/reader.ts';

const core = { sha256: (bytes: Uint8Array) => createHash('sha256').update(bytes).digest() };
const page = examples('keystore');
const of = (name: string): Buffer => page[name] ?? Buffer.alloc(0);

/** Written from the page alone. */
function open(blob: Buffer, key: Buffer): Buffer {
  const end = blob.length - 16;
  expect(blob.subarray(0, 4).toString('latin1')).toBe('SRk\u0001');
  expect(blob.subarray(end)).toEqual(createHash('sha256').update(blob.subarray(0, end)).digest().subarray(0, 16));
  const ivEnd = 66 + (blob[65] ?? 0);
  const tag = ivEnd + 1 + (blob[ivEnd] ?? 0);
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(66, ivEnd)).setAAD(blob.subarray(0, 65)).setAuthTag(blob.subarray(tag, tag + 16));
  return Buffer.concat([decipher.update(blob.subarray(tag + 16, end)), decipher.final()]);
}

test('the worked example', () => {
  expect(open(of('outer'), of('key'))).toEqual(of('inner'));
  const read = readOuter(core, of('outer'));
  expect(read?.name).toEqual({
    account: '111122223333', objectId: '1234abcd-12ab-34cd-56ef-1234567890ab', materialId: '00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef', type: 'AWS_CLOUDHSM',
  });
  expect(read?.header).toEqual(of('header'));
  expect(read?.wrapped.iv).toEqual(of('iv'));
  if (read !== undefined) expect(packOuter(core, read.header, read.wrapped)).toEqual(of('outer'));
});

test('every byte, and every length, counts', () => {
  const blob = of('outer');
  for (let i = 0; i < blob.length; i++) {
    for (const bit of [1, 0x80]) {
      const altered = Buffer.from(blob);
      altered[i] = (altered[i] ?? 0) ^ bit;
      expect(peekOuter(core, altered), String(i)).toBeUndefined();
    }
    expect(peekOuter(core, blob.subarray(0, i)), String(i)).toBeUndefined();
  }
  expect(peekOuter(core, of('inner'))).toBeUndefined();
});

test('lengths that do not fit are refused, whoever mends the sum', () => {
  const mended = (change: (blob: Buffer) => void): Buffer => {
    const whole = Buffer.from(of('outer').subarray(0, -16));
    change(whole);
    return Buffer.concat([whole, core.sha256(whole).subarray(0, 16)]);
  };
  expect(peekOuter(core, mended(() => undefined))).toBeDefined();
  for (const length of [0, 11, 13, 17, 255]) expect(peekOuter(core, mended((blob) => { blob[65] = length; }))).toBeUndefined();
  for (const length of [21, 255]) expect(peekOuter(core, mended((blob) => { blob[78] = length; }))).toBeUndefined();
  for (const kind of [0, 3, 255]) expect(peekOuter(core, mended((blob) => { blob[4] = kind; }))).toBeUndefined();
  expect(peekOuter(core, mended((blob) => { blob[3] = 2; }))).toBeUndefined();
});
