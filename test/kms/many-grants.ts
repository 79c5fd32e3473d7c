/** A key with many grants, up to the 50,000 that one may have: a page of a list costs the same anywhere in it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Query, Table } from '../../src/store/store.ts';
import { away, home, makeWorld, type Body, type World } from './world.ts';

const retiree = `arn:aws:iam::${home}:user/retiree`;
const grantee = (i: number): string => `arn:aws:iam::${home}:user/grantee-${i % 100}`;

export function manyGrants(count: number): void {
  let w: World;
  let key: Body;
  let touched: number[] = [];
  let gets = 0;

  beforeAll(async () => {
    w = await makeWorld();
    key = (await w.call('CreateKey')).KeyMetadata;
    for (let at = 0; at < count; at += 500) {
      await Promise.all(Array.from({ length: Math.min(500, count - at) }, (_, i) => w.call('CreateGrant', { KeyId: key.KeyId, GranteePrincipal: grantee(at + i), RetiringPrincipal: retiree, Operations: ['Encrypt', 'RetireGrant'], Name: `n${at + i}` })));
    }
    // What a list reads is counted at the store's face; behind it is one range of one index (below).
    const [list, get] = [w.store.list.bind(w.store), w.store.get.bind(w.store)];
    w.store.list = async <T>(table: Table, query: Query) => {
      const page = await list<T>(table, query);
      if (table === 'grant') touched.push(page.rows.length);
      return page;
    };
    w.store.get = <T>(table: Table, id: string) => {
      if (table === 'grant') gets += 1;
      return get<T>(table, id);
    };
  }, 600_000);
  afterAll(() => w.close());

  async function pages(operation: string, input: Body): Promise<{ readonly ids: readonly string[]; readonly rows: readonly (readonly number[])[] }> {
    const ids: string[] = [];
    const rows: (readonly number[])[] = [];
    let Marker: string | undefined;
    do {
      touched = [];
      gets = 0;
      const page = await w.call(operation, { ...input, ...(Marker === undefined ? {} : { Marker }) });
      ids.push(...page.Grants.map((grant: Body) => grant.GrantId));
      rows.push(touched);
      expect(gets).toBe(0);
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    return { ids, rows };
  }

  it.each([['ListGrants', 100, (): Body => ({ KeyId: key.KeyId })], ['ListRetirableGrants', 100, (): Body => ({ RetiringPrincipal: retiree })]] as const)('%s reads a page\'s rows and no more, on the first page as on the last', async (operation, Limit, input) => {
    const { ids, rows } = await pages(operation, { ...input(), Limit });
    expect(new Set(ids).size).toBe(count);
    expect(ids).toHaveLength(count);
    expect(rows).toEqual(Array.from({ length: count / Limit }, () => [Limit]));
  });

  it('finds the grants of one grantee, and one grant, without reading the others', async () => {
    const { ids, rows } = await pages('ListGrants', { KeyId: key.KeyId, GranteePrincipal: grantee(7) });
    expect(ids).toHaveLength(count / 100);
    expect(rows.flat().reduce((a, b) => a + b)).toBe(count / 100);
    touched = [];
    gets = 0;
    expect((await w.call('ListGrants', { KeyId: key.KeyId, GrantId: ids[0] })).Grants).toHaveLength(1);
    expect([touched, gets]).toEqual([[], 1]);
  });

  it('authorises by a grant without reading the others', async () => {
    touched = [];
    await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') }, { who: 'user/grantee-7' });
    expect(touched.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(count / 100);
    touched = [];
    expect((await w.refusal('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') }, { who: 'user/stranger' })).code).toBe('AccessDeniedException');
    expect(touched.reduce((a, b) => a + b, 0)).toBe(0);
  });

  it('knows a name among them, and whoever may ends one', async () => {
    const input = { KeyId: key.KeyId, GranteePrincipal: grantee(3), RetiringPrincipal: retiree, Operations: ['Encrypt', 'RetireGrant'], Name: 'n3' };
    const mine = (await pages('ListGrants', { KeyId: key.KeyId, GranteePrincipal: grantee(3), Limit: 100 })).ids;
    const { GrantId: first } = await w.call('CreateGrant', input);
    expect(mine).toContain(first);
    expect((await w.call('CreateGrant', input)).GrantId).toBe(first);
    if (count === 50_000) expect((await w.refusal('CreateGrant', { ...input, Name: 'one-more' })).code).toBe('LimitExceededException');
    const [second, third, fourth] = mine.filter((id) => id !== first);
    const outsider = { who: 'user/stranger' };
    expect((await w.refusal('RetireGrant', { KeyId: key.Arn, GrantId: second }, outsider)).code).toBe('AccessDeniedException');
    expect((await w.refusal('RevokeGrant', { KeyId: key.Arn, GrantId: second }, outsider)).code).toBe('AccessDeniedException');
    expect((await w.refusal('RetireGrant', { KeyId: key.Arn, GrantId: second }, { account: away })).code).toBe('AccessDeniedException');
    await w.call('RetireGrant', { KeyId: key.Arn, GrantId: second }, { who: 'user/retiree' });
    await w.call('RetireGrant', { KeyId: key.Arn, GrantId: third }, { who: 'user/grantee-3' });
    await w.call('RevokeGrant', { KeyId: key.KeyId, GrantId: fourth });
    expect((await pages('ListGrants', { KeyId: key.KeyId, Limit: 100 })).ids).toHaveLength(count - 3);
    if (count === 50_000) await w.call('CreateGrant', { ...input, Name: 'one-more' });
  });
}
