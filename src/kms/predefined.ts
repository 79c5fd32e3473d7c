/**
 * AWS managed keys: `alias/aws/SERVICE` is there before its key is. DescribeKey makes the key, once; it
 * serves requests that come through its service, rotates every year, and can be looked at, not changed.
 */
import { StoreError } from '../store/store.ts';
import { rootArn } from '../iam/arn.ts';
import { Key } from './key.ts';
import { makeMaterial, materialRow } from './material.ts';
import { aliasRowId, changed, keyRowId, type AliasRecord, type KeyRecord } from './records.ts';
import type { Run } from './run.ts';

/** Services with a managed key, in alphabetical order. */
export const predefinedServices = [
  'acm', 'backup', 'codecommit', 'dynamodb', 'ebs', 'elasticfilesystem', 'es', 'fsx', 'glue', 'kinesis', 'kinesisvideo', 'lambda', 'rds', 'redshift',
  's3', 'secretsmanager', 'sns', 'sqs', 'ssm', 'workspaces', 'xray',
] as const;

/** What a service is called in `kms:ViaService`, where that differs from its alias. */
const endpoints: Readonly<Record<string, string>> = { ebs: 'ec2' };

const prefix = 'alias/aws/';

export function serviceOf(alias: string): string | undefined {
  const service = alias.startsWith(prefix) ? alias.slice(prefix.length) : undefined;
  return (predefinedServices as readonly (string | undefined)[]).includes(service) ? service : undefined;
}

export const predefinedAliases: readonly string[] = predefinedServices.map((service) => prefix + service);

function policyOf(service: string, account: string, region: string): string {
  return JSON.stringify({
    Version: '2012-10-17', Id: `auto-${service}-1`,
    Statement: [
      {
        Sid: `Allow access through ${service} for all principals in the account that are authorized to use it`, Effect: 'Allow', Principal: { AWS: '*' },
        Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:CreateGrant', 'kms:DescribeKey'], Resource: '*',
        Condition: { StringEquals: { 'kms:CallerAccount': account, 'kms:ViaService': `${endpoints[service] ?? service}.${region}.amazonaws.com` } },
      },
      {
        Sid: 'Allow direct access to key metadata to the account', Effect: 'Allow', Principal: { AWS: rootArn(account) },
        Action: ['kms:Describe*', 'kms:Get*', 'kms:List*', 'kms:RevokeGrant'], Resource: '*',
      },
    ],
  }, null, 2);
}

/** The managed key of a service, made if this is the first to ask. */
export async function managedKey(run: Run, alias: string, service: string): Promise<Key> {
  const { services, account, region, nowMs } = run;
  const keyId = services.ids.uuid();
  const materialId = services.ids.long();
  const record: KeyRecord = changed({
    keyId, spec: 'SYMMETRIC_DEFAULT', usage: 'ENCRYPT_DECRYPT', origin: 'AWS_KMS', manager: 'AWS', state: 'Enabled',
    description: `Default key that protects my ${service} data when no other key is defined`, createdMs: nowMs, tags: [],
    materials: [{ id: materialId, state: 'CURRENT', createdMs: nowMs }], onDemandRotations: 0, hasGrants: false, sharedWith: [],
  }, { rotation: { enabled: true, periodDays: 365, nextMs: nowMs + 365 * 86_400_000 } });
  const place = { id: keyRowId(account, region, keyId), account, region };
  const sealed = await makeMaterial(services, await services.partitions.of(account), record, materialId);
  try {
    await run.store.tx(async (tx) => {
      tx.insert('key', { ...place, body: record });
      tx.insert('policy', { ...place, body: { text: policyOf(service, account, region) } });
      tx.insert('material', materialRow(place, keyId, materialId, sealed));
      tx.insert<AliasRecord>('alias', { id: aliasRowId(account, region, alias), account, region, body: { name: alias, key: place.id, keyId, createdMs: nowMs, updatedMs: nowMs } });
    });
    services.keyTally.add(`${account}/${region}`, 1);
  } catch (error) {
    // Somebody was first.
    if (!(error instanceof StoreError && error.code === 'Exists')) throw error;
  }
  const row = await run.store.get<AliasRecord>('alias', aliasRowId(account, region, alias));
  const key = row && (await run.lookUp(account, row.body.keyId));
  if (key === undefined) throw new Error(`${alias} was made and is not there`);
  return key;
}
