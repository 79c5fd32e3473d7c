/** GetKeyPolicy, PutKeyPolicy, ListKeyPolicies: each key has one policy, named `default`. */
import { shownText } from '../../iam/meant.ts';
import { keyOperation } from '../define.ts';
import { fail, validation } from '../errors.ts';
import { requireCustomerKey } from './keys.ts';
import { accountsIn, checkedPolicy, policyRecord } from '../keypolicy.ts';
import { slicePage } from '../marker.ts';
import { share } from '../material.ts';
import { changed, type PolicyRecord } from '../records.ts';
import { sharersByGrants } from '../sharing.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';

function checkName(name = 'default'): string {
  if (name !== 'default') throw fail('NotFoundException', 'No such policy exists');
  return name;
}

export const getKeyPolicy = keyOperation({
  name: 'GetKeyPolicy',
  input: { KeyId: s.KeyIdType, PolicyName: optional(s.PolicyNameType) },
  readOnly: true,
  key: (input) => input.KeyId,
  states: 'any',
  async run(run, { PolicyName }, key) {
    const name = checkName(PolicyName);
    const row = await run.store.get<PolicyRecord>('policy', key.id);
    return { Policy: row && (await shownText(run.store, row.body.text, row.body.ids)), PolicyName: name };
  },
});

export const putKeyPolicy = keyOperation({
  name: 'PutKeyPolicy',
  input: {
    KeyId: s.KeyIdType,
    PolicyName: optional(s.PolicyNameType),
    Policy: s.PolicyType,
    BypassPolicyLockoutSafetyCheck: optional(s.BooleanType),
  },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'any',
  async run(run, { PolicyName, Policy: text, BypassPolicyLockoutSafetyCheck: bypass = false }, key) {
    if (PolicyName === 'AWS_RAM') throw validation('The AWS_RAM policy can only be managed by the RAM service.');
    checkName(PolicyName);
    requireCustomerKey(key);
    const policy = await checkedPolicy(run, text, key, bypass);
    const body = await policyRecord(run, text, policy);
    const admitted = accountsIn(policy, key.account);
    let forget = () => {};
    await run.store.tx(async (tx) => {
      const now = await run.reread(tx, key, 'any');
      const row = await tx.get<PolicyRecord>('policy', key.id);
      if (row === undefined) throw new Error(`key ${key.arn} has no policy`);
      tx.update(row, { body });
      const sharedWith = [...new Set([...admitted, ...(await sharersByGrants(tx, now))])].sort();
      if (sharedWith.join() === now.record.sharedWith.join()) return;
      forget = await share(run.services, tx, now, sharedWith);
      tx.update(now.row, { body: changed(now.record, { sharedWith }) });
    });
    forget();
    return {};
  },
});

export const listKeyPolicies = keyOperation({
  name: 'ListKeyPolicies',
  input: { KeyId: s.KeyIdType, Limit: optional(s.LimitType), Marker: optional(s.MarkerType) },
  readOnly: true,
  key: (input) => input.KeyId,
  states: 'any',
  run(run, input, key) {
    const { items, more } = slicePage(run.services.markers, `ListKeyPolicies ${key.id}`, ['default'], input, { otherwise: 100, most: 1000 });
    return { PolicyNames: items, ...more };
  },
});
