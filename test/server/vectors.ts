import { readFileSync } from 'node:fs';
import type { WireRequest } from '../../src/server/sigv4.ts';

export interface Case {
  readonly context: { readonly credentials: { readonly access_key_id: string; readonly secret_access_key: string; readonly token?: string }; readonly region: string; readonly service: string; readonly timestamp: string; readonly normalize: boolean };
  readonly 'header-canonical-request': string;
  readonly 'header-signature': string;
  readonly 'header-signed-request': string;
  readonly 'query-canonical-request': string;
  readonly 'query-signature': string;
  readonly 'query-signed-request': string;
}

export const cases = Object.entries((JSON.parse(readFileSync(new URL('../vectors/sigv4/sigv4-cases.json', import.meta.url), 'utf8')) as { cases: Record<string, Case> }).cases);

/** The request as node:http would give it: one character a byte. */
export function parsed(text: string): WireRequest & { readonly body: Buffer } {
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const [head = '', ...rest] = bytes.split('\n\n');
  const [line = '', ...lines] = head.split('\n');
  const method = line.slice(0, line.indexOf(' '));
  const url = line.slice(method.length + 1, line.lastIndexOf(' '));
  const headers: Record<string, string> = {};
  const rawHeaders: string[] = [];
  for (const header of lines) {
    const colon = header.indexOf(':');
    const [name, value] = [header.slice(0, colon), header.slice(colon + 1)];
    rawHeaders.push(name, value);
    const low = name.toLowerCase();
    headers[low] = low in headers ? `${headers[low] ?? ''}, ${value}` : value;
  }
  return { method, url, headers, rawHeaders, body: Buffer.from(rest.join('\n\n'), 'latin1') };
}
