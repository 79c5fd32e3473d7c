/** What is served while the root key is closed: one answer to everybody, how the server is, and the operator's door. */
import type { Core } from '../hsm/core.ts';
import { AdminDoor } from './admin.ts';
import type { AdminRoute } from './admin.ts';
import { healthWhileSealed } from './admin-routes.ts';
import type { Door } from './http.ts';
import type { Exchange, Reply } from './endpoint.ts';
import { healthOf } from './health.ts';
import type { Health } from './health.ts';
import { HttpDoor } from './http.ts';
import type { TlsFiles } from './http.ts';
import * as json11 from './json11.ts';
import { Metrics } from './metrics.ts';
import * as query from './query.ts';
import { refusals } from './refusals.ts';
import type { Refusal } from './refusals.ts';

export interface SealedOptions {
  readonly core: Core;
  readonly home: string;
  readonly host: string;
  readonly port: number;
  readonly tls?: TlsFiles;
  /** What an operator has to do. */
  readonly sentence: string;
  readonly adminRoutes: readonly AdminRoute[];
  readonly report?: (error: unknown) => void;
}

export interface RunningSealed {
  readonly url: string;
  close(): Promise<void>;
}

export async function serveSealed(options: SealedOptions): Promise<RunningSealed> {
  const { core, sentence, report } = options;
  const health = (): Health => ({ ...healthOf(core, http.stopping), hint: sentence });
  const endpoint = {
    answer: (exchange: Exchange): Promise<Reply> => {
      exchange.body.fill(0);
      return Promise.resolve(refused(exchange, sentence));
    },
    refuse: (refusal: Refusal): Reply => rendered(refusal),
  };
  const others: Door = { bodyLimit: 1024 * 1024, takes: (url) => !/^\/(?:health|metrics)?(?:\?|$)/.test(url), answer: endpoint.answer, tooLarge: () => rendered(refusals.sealed(sentence)) };
  const http: HttpDoor = new HttpDoor({ endpoint, metrics: new Metrics(), health, doors: [others], ...(options.tls === undefined ? {} : { tls: options.tls }) });
  const admin = new AdminDoor(core, [healthWhileSealed(health, sentence), ...options.adminRoutes], report, sentence);
  const url = await http.listen(options.host, options.port);
  try {
    await admin.listen(options.home);
  } catch (error) {
    await http.close();
    throw error;
  }
  return { url, close: async () => { await Promise.all([http.close(), admin.close()]); } };
}

/** In the words of whom it asked. */
function refused(exchange: Exchange, sentence: string): Reply {
  if (exchange.headers['x-amz-target'] !== undefined || exchange.url !== '/') return rendered(refusals.sealed(sentence));
  const error = refusals.sealed(sentence).in('query');
  return { status: error.status, type: query.contentType, body: query.renderError('https://sts.amazonaws.com/doc/2011-06-15/', error, exchange.requestId) };
}

function rendered(refusal: Refusal): Reply {
  const error = refusal.in('json');
  return { status: error.status, type: json11.contentType, body: json11.renderError(error) };
}
