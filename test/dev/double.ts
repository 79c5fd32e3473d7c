/** A server in dev mode, its clients, and a listener for its events. */
import { createServer, type Server } from 'node:http';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { KMSClient } from '@aws-sdk/client-kms';
import { startServer, type Running, type StartOptions } from '../clients/running.ts';

export const startDouble = (options: StartOptions = {}): Promise<Running> => startServer({ ...options, env: { STRONGROOM_MODE: 'dev', ...options.env } });

export function clientOf(server: Running, credentials = credentialsOf(server), region = 'us-east-1'): KMSClient {
  return new KMSClient({ endpoint: server.url, region, credentials, maxAttempts: 1 });
}

export function credentialsOf({ home }: Running): { readonly accessKeyId: string; readonly secretAccessKey: string } {
  const file = readFileSync(join(home, 'credentials'), 'utf8');
  const value = (name: string): string => new RegExp(`${name}\\s*=\\s*(\\S+)`).exec(file)?.[1] ?? '';
  return { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') };
}

export interface Listener {
  readonly url: string;
  readonly heard: unknown[];
  /** Answers 503 to this many first. */
  refuse: number;
  close(): void;
}

export async function listen(): Promise<Listener> {
  const heard: unknown[] = [];
  const server: Server = createServer((request, response) => {
    let text = '';
    request.on('data', (part: Buffer) => { text += part.toString('utf8'); });
    request.on('end', () => {
      const refused = listener.refuse-- > 0;
      if (!refused) heard.push(JSON.parse(text));
      response.writeHead(refused ? 503 : 204).end();
    });
  });
  await new Promise<void>((ready) => { server.listen(0, '127.0.0.1', ready); });
  const listener: Listener = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`, heard, refuse: 0, close: () => { server.close(); server.closeAllConnections(); } };
  return listener;
}
