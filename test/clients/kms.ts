/** Keys for a client under test, made with the AWS SDK. */
import { CreateAliasCommand, CreateKeyCommand, DisableKeyCommand, EnableKeyCommand, KMSClient, type CreateKeyCommandInput } from '@aws-sdk/client-kms';
import { credentialsOf, type Served } from './running.ts';

export interface Keys {
  readonly client: KMSClient;
  /** A new key's ARN. */
  create(input?: CreateKeyCommandInput): Promise<string>;
  alias(name: string, key: string): Promise<void>;
  disable(key: string): Promise<void>;
  enable(key: string): Promise<void>;
}

export function keysOf({ url, home }: Served): Keys {
  const client = new KMSClient({ endpoint: url, region: 'us-east-1', credentials: credentialsOf(home) });
  return {
    client,
    async create(input = {}) { return (await client.send(new CreateKeyCommand(input))).KeyMetadata?.Arn ?? ''; },
    async alias(AliasName, TargetKeyId) { await client.send(new CreateAliasCommand({ AliasName, TargetKeyId })); },
    async disable(KeyId) { await client.send(new DisableKeyCommand({ KeyId })); },
    async enable(KeyId) { await client.send(new EnableKeyCommand({ KeyId })); },
  };
}
