import { describe, expect, test } from 'vitest';
import type { Binding, KeyHandle, PartitionHandle, SessionHandle } from '../../src/hsm/core.ts';
import { Keyring, type KeyringCore } from '../../src/hsm/keyring.ts';

class FakeCore implements KeyringCore {
  readonly open_ = new Map<number, string>();
  opened = 0;
  open(_session: SessionHandle, _partition: PartitionHandle, binding: Binding, sealed: Buffer): KeyHandle {
    if (sealed.toString() === 'broken') throw new Error('HSM_E_INTEGRITY');
    const handle = (100 + this.opened++) as KeyHandle;
    this.open_.set(handle, binding.objectId);
    return handle;
  }
  closeObject(_session: SessionHandle, key: KeyHandle): void {
    if (!this.open_.delete(key)) throw new Error('HSM_E_HANDLE');
  }
}

const session = 1 as SessionHandle;
const part = 2 as PartitionHandle;
const name = (objectId: string): Binding => ({ objectId, materialId: 'm' });
const sealed = Buffer.from('sealed');
const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

describe('a keyring', () => {
  test('opens a key once and gives the same handle again', async () => {
    const core = new FakeCore();
    const ring = new Keyring(core, session);
    const first = await ring.use(part, name('a'), async () => sealed, (key) => key);
    const second = await ring.use(part, name('a'), () => { throw new Error('asked again'); }, (key) => key);
    expect(second).toBe(first);
    expect(ring.peek(part, name('a'))).toBe(first);
    expect(core.opened).toBe(1);
  });

  test('lets many wait for one opening', async () => {
    const core = new FakeCore();
    const ring = new Keyring(core, session);
    let asked = 0;
    const load = async (): Promise<Buffer> => { asked++; await turn(); return sealed; };
    const handles = await Promise.all(Array.from({ length: 50 }, () => ring.use(part, name('a'), load, async (key) => { await turn(); return key; })));
    expect(new Set(handles).size).toBe(1);
    expect([asked, core.opened]).toEqual([1, 1]);
  });

  test('keeps at most its limit, drops the one used longest ago, and closes it in the core', () => {
    const core = new FakeCore();
    const ring = new Keyring(core, session, { limit: 3 });
    for (const id of ['a', 'b', 'c']) ring.open(part, name(id), sealed);
    ring.peek(part, name('a'));
    ring.open(part, name('d'), sealed);
    expect(ring.peek(part, name('b'))).toBeUndefined();
    expect([...core.open_.values()].sort()).toEqual(['a', 'c', 'd']);
    expect(ring.size).toBe(3);
  });

  test('never closes a key at work', async () => {
    const core = new FakeCore();
    const ring = new Keyring(core, session, { limit: 1 });
    let finish = (): void => undefined;
    const working = ring.use(part, name('a'), () => sealed, async (key) => {
      await new Promise<void>((done) => { finish = done; });
      expect(core.open_.has(key)).toBe(true);
      return key;
    });
    await turn();
    for (const id of ['b', 'c', 'd']) ring.open(part, name(id), sealed);
    ring.forget(part, name('a'));
    expect([...core.open_.values()]).toContain('a');
    finish();
    await working;
    expect([...core.open_.values()]).not.toContain('a');
  });

  test('does not keep what was loaded before it was told to forget', async () => {
    const core = new FakeCore();
    const ring = new Keyring(core, session);
    let deliver = (_: Buffer): void => undefined;
    const stale = ring.use(part, name('a'), () => new Promise<Buffer>((done) => { deliver = done; }), async (key) => { await turn(); return core.open_.has(key); });
    ring.forget(part, name('a'));
    const fresh = ring.use(part, name('a'), async () => sealed, (key) => key);
    deliver(sealed);
    expect(await stale).toBe(true);
    expect(ring.peek(part, name('a'))).toBe(await fresh);
    expect(core.open_.size).toBe(1);
  });

  test('forgets a failed opening, and tells everybody who waited', async () => {
    const ring = new Keyring(new FakeCore(), session);
    const results = await Promise.allSettled([1, 2, 3].map(() => ring.use(part, name('a'), async () => Buffer.from('broken'), () => 1)));
    expect(results.map((r) => r.status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await ring.use(part, name('a'), async () => sealed, () => 2)).toBe(2);
    await expect(ring.use(part, name('b'), () => { throw new Error('no such row'); }, () => 1)).rejects.toThrow('no such row');
    expect(await ring.use(part, name('b'), async () => sealed, () => 2)).toBe(2);
  });

  test('drops a partition whole, and everything when it is closed', () => {
    const core = new FakeCore();
    const ring = new Keyring(core, session);
    const other = 3 as PartitionHandle;
    ring.open(part, name('a'), sealed);
    ring.open(part, name('b'), sealed);
    ring.open(other, name('a'), sealed);
    ring.forgetPartition(part);
    expect([...core.open_.values()]).toEqual(['a']);
    ring.close();
    expect(core.open_.size).toBe(0);
  });
});
