/**
 * What a log file's events were when it was delivered: a line each, id and SHA-256, in the file's order.
 * A digest says that a log file was edited; its sums say which event of it was. Pure.
 */
export interface SumsFinding {
  readonly kind: 'edited' | 'removed' | 'added' | 'moved';
  readonly eventId: string;
}

type Hash = (text: string) => string;

/** Of events as they lie in the chain. */
export function sumsOf(bodies: readonly string[], hash: Hash): string {
  return bodies.map((body) => `${eventIdOf(body) ?? '-'} ${hash(body)}\n`).join('');
}

/** Empty: the events are those that were delivered, in their order. */
export function differences(log: string, sums: string, hash: Hash): readonly SumsFinding[] {
  const was = new Map(sums.trimEnd().split('\n').map((line) => line.split(' ') as [string, string]));
  const now = new Map(recordsIn(log).map((text) => [eventIdOf(text) ?? '-', hash(text)]));
  const found: SumsFinding[] = [];
  for (const eventId of new Set([...was.keys(), ...now.keys()])) {
    const kind = !now.has(eventId) ? 'removed' : !was.has(eventId) ? 'added' : was.get(eventId) === now.get(eventId) ? undefined : 'edited';
    if (kind !== undefined) found.push({ kind, eventId });
  }
  const order = [...now.keys()].filter((id) => was.has(id));
  [...was.keys()].filter((id) => now.has(id)).forEach((eventId, i) => { if (order[i] !== eventId) found.push({ kind: 'moved', eventId }); });
  return found;
}

/** The events' own texts, brackets counted outside of strings: what was edited need not be JSON. */
function recordsIn(log: string): readonly string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (const { 0: token, index } of log.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}]/g)) {
    if (token === '{' && ++depth === 2) start = index;
    if (token === '}' && --depth === 1) found.push(log.slice(start, index + 1));
  }
  return found;
}

export function eventIdOf(body: string): string | undefined {
  return /"eventID":"([0-9a-f-]{36})"/.exec(body)?.[1];
}
