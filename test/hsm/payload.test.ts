import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { addonPath, loadAddon } from '../../src/hsm/addon.ts';
import { PayloadPool } from '../../src/hsm/payload.ts';

const addon = loadAddon();

describe('a payload', () => {
  test('is at least 4 KiB outside V8, and wiped when it is released', () => {
    const pool = new PayloadPool(addon);
    const payload = pool.take(32);
    const { room } = payload;
    expect(room.length).toBe(4096);
    expect(room.buffer.byteLength).toBe(4096);
    room.fill(0x5a);
    expect(payload.fill(32).bytes).toEqual(Buffer.alloc(32, 0x5a));
    payload.release();
    expect(room.equals(Buffer.alloc(4096))).toBe(true);
  });

  test('goes back to the pool and comes out of it again', () => {
    const pool = new PayloadPool(addon);
    const first = pool.take(5000);
    const memory = first.room.buffer;
    expect(first.room.length).toBe(8192);
    first.release();
    const second = pool.take(8192);
    expect(second.room.buffer).toBe(memory);
    expect(pool.take(8192).room.buffer).not.toBe(memory);
  });

  test('cannot be used after its release; releasing twice is fine', () => {
    const pool = new PayloadPool(addon);
    const payload = pool.take(1).fill(1);
    payload.release();
    payload.release();
    expect(() => payload.room).toThrow('released');
    expect(() => payload.bytes).toThrow('released');
    expect(() => payload.fill(1)).toThrow('released');
    const [a, b] = [pool.take(1), pool.take(1)];
    expect(a.room.buffer).not.toBe(b.room.buffer);
  });

  test('holds what fits and says when something does not', () => {
    const pool = new PayloadPool(addon);
    const payload = pool.take(0);
    expect(payload.bytes).toHaveLength(0);
    expect(() => payload.fill(4097)).toThrow(RangeError);
    expect(() => payload.fill(-1)).toThrow(RangeError);
    for (const wrong of [-1, 1.5, NaN, '4', 2 ** 60]) expect(() => pool.take(wrong as number)).toThrow();
  });

  test('above a mebibyte is freed at release: its buffer is detached', () => {
    const pool = new PayloadPool(addon);
    const payload = pool.take((1 << 20) + 1);
    const { buffer } = payload.room;
    expect(buffer.byteLength).toBeGreaterThan(1 << 20);
    payload.release();
    expect(buffer.byteLength).toBe(0);
  });

  test('the pool keeps a bounded number of rooms', () => {
    const pool = new PayloadPool(addon);
    const rooms = Array.from({ length: 300 }, () => pool.take(1));
    const buffers = rooms.map((p) => p.room.buffer);
    for (const room of rooms) room.release();
    expect(buffers.filter((b) => b.byteLength > 0)).toHaveLength(256);
    pool.drain();
    expect(buffers.filter((b) => b.byteLength > 0)).toHaveLength(0);
  });
});

describe('payload memory', () => {
  test('is freed once, and nothing but payload is freed', () => {
    const buffer = addon.payloadAlloc(1);
    expect(buffer.byteLength).toBe(4096);
    addon.payloadFree(buffer);
    expect(buffer.byteLength).toBe(0);
    expect(() => { addon.payloadFree(buffer); }).toThrow(TypeError);
    expect(() => { addon.payloadFree(new ArrayBuffer(4096)); }).toThrow(TypeError);
  });

  test('stays where it was made: what is to be transferred is copied', () => {
    const buffer = addon.payloadAlloc(1);
    const copy = structuredClone(buffer, { transfer: [buffer] });
    expect(buffer.byteLength).toBe(4096);
    expect(() => { addon.payloadFree(copy); }).toThrow(TypeError);
    addon.payloadFree(buffer);
  });

  test('goes with its environment', async () => {
    const size = (): number => Number(/VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
    const worker = new Worker(`
      const addon = require(require('node:worker_threads').workerData);
      globalThis.kept = Array.from({ length: 400 }, () => addon.payloadAlloc(1 << 20));
      require('node:worker_threads').parentPort.postMessage('made');
    `, { eval: true, workerData: addonPath });
    await new Promise((done) => worker.once('message', done));
    const during = size();
    await worker.terminate();
    expect(during - size()).toBeGreaterThan(390);
  });
});
