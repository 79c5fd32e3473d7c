/** What a KeyId says: an id, an ARN, an alias, in whose account. Purely textual; look-ups come after. */
import { aliasArn, keyArn, parseArn } from '../iam/arn.ts';
import { naming } from './errors.ts';

export type KeyName =
  | { readonly by: 'id'; readonly account: string; readonly keyId: string; readonly arn: string }
  | { readonly by: 'alias'; readonly account: string; readonly alias: string; readonly arn: string };

const keyIdForm = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/i;

export const isKeyId = (text: string): boolean => keyIdForm.test(text);

/** Throws AWS's refusal for what names no key in this Region. */
export function parseKeyName(text: string, account: string, region: string, aliases: boolean): KeyName {
  if (text.startsWith('arn:')) return parseKeyArn(text, region, aliases);
  if (aliases && text.startsWith('alias/')) return { by: 'alias', account, alias: text, arn: aliasArn(region, account, text) };
  if (!isKeyId(text)) throw naming.badKeyId(text);
  return { by: 'id', account, keyId: text, arn: keyArn(region, account, text) };
}

function parseKeyArn(text: string, region: string, aliases: boolean): KeyName {
  const arn = parseArn(text);
  if (arn === undefined || arn.service !== 'kms' || !/^[0-9]{12}$/.test(arn.account)) throw naming.badArn(text);
  if (arn.region !== region) throw naming.otherRegion(arn.region);
  if (arn.resource.startsWith('key/')) {
    const keyId = arn.resource.slice(4);
    if (!isKeyId(keyId)) throw naming.badKeyId(keyId);
    return { by: 'id', account: arn.account, keyId, arn: text };
  }
  if (aliases && arn.resource.startsWith('alias/')) return { by: 'alias', account: arn.account, alias: arn.resource, arn: text };
  throw naming.badKeyId(arn.resource);
}
