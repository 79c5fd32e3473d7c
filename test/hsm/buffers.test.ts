import { describe, expect, test } from 'vitest';
import { openHsm } from '../../src/index.ts';

const hsm = await openHsm();
const session = hsm.session();
const key = await session.generateKey({ type: 'aes' });
const rsa = await session.generateKey({ type: 'rsa', bits: 2048 });

const ResizableBuffer = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
const detached = (): Uint8Array => {
  const bytes = new Uint8Array(64);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
};
const refused: Readonly<Record<string, readonly [make: () => Uint8Array, says: RegExp]>> = {
  'a detached buffer': [detached, /not detached/],
  'a shared buffer': [() => new Uint8Array(new SharedArrayBuffer(64)), /not shared/],
  'a resizable buffer': [() => new Uint8Array(new ResizableBuffer(64, { maxByteLength: 128 })), /not resizable/],
  'a growable shared buffer': [() => new Uint8Array(new (SharedArrayBuffer as unknown as new (length: number, options: object) => SharedArrayBuffer)(64, { maxByteLength: 128 })), /not shared/],
};

describe.each(Object.entries(refused))('%s', (_, [make, says]) => {
  test('is refused as input and as room, with the argument named', () => {
    expect(() => key.encrypt(make())).toThrow(says);
    expect(() => key.encrypt(make())).toThrow(/^input /);
    expect(() => key.encryptInto(Buffer.alloc(8), make())).toThrow(/^room /);
    expect(() => key.encryptInto(Buffer.alloc(8), make())).toThrow(TypeError);
    expect(() => key.encrypt('text', { aad: make() })).toThrow(/^aad /);
  });

  test('is refused by work that goes to the queue', async () => {
    await expect(rsa.sign(make())).rejects.toThrow(says);
  });
});

describe('work on the queue', () => {
  test('reads its input before the caller can change it', async () => {
    const message = Buffer.from('as it was');
    const signing = rsa.sign(message);
    message.fill(0);
    expect(rsa.verify('as it was', await signing)).toBe(true);
  });

  test('survives a caller that detaches its input', async () => {
    const message = new Uint8Array(Buffer.from('as it was'));
    const signing = rsa.sign(message);
    structuredClone(message.buffer, { transfer: [message.buffer] });
    expect(rsa.verify('as it was', await signing)).toBe(true);
  });
});

describe('views', () => {
  test('at any offset and of any length are taken as they are', () => {
    const whole = Buffer.alloc(300, 7);
    for (const [from, to] of [[0, 0], [1, 2], [13, 200], [299, 300], [300, 300]] as const) {
      const view = new Uint8Array(whole.buffer, whole.byteOffset + from, to - from);
      expect(key.decrypt(key.encrypt(view))).toEqual(Buffer.from(view));
    }
  });

  test('that begin at a page of memory are taken', () => {
    const big = Buffer.alloc(1 << 20, 1);
    expect(key.decrypt(key.encrypt(big)).equals(big)).toBe(true);
  });

  test('a room one byte short is HSM_E_BUFFER and stays as it was', () => {
    const room = Buffer.alloc(8 + 27, 0xee);
    expect(() => key.encryptInto(Buffer.alloc(8), room)).toThrow(expect.objectContaining({ code: 'HSM_E_BUFFER' }));
    expect(room.every((byte) => byte === 0xee)).toBe(true);
  });
});
