// Loaded before a program (--import): its code cannot reach node:crypto, by whatever way. The bench alone may: it signs as a client
// does, with keys of clients.
import Module, { register } from 'node:module';

const refuse = (how) => { throw new Error(`no node:crypto here: ${how}`); };
const names = /^(node:)?(_?crypto|webcrypto)$/;

register(`data:text/javascript,${encodeURIComponent(`export function resolve(name, context, next) { if (${names}.test(name) && !context.parentURL?.includes('/dist/bench/')) throw new Error('no node:crypto here: import'); return next(name, context); }`)}`);
const load = Module._load;
Module._load = function (name, ...rest) { return names.test(name) ? refuse('require') : load.call(this, name, ...rest); };
const builtin = process.getBuiltinModule?.bind(process);
if (builtin !== undefined) process.getBuiltinModule = (name) => (names.test(name) ? refuse('getBuiltinModule') : builtin(name));
const binding = process.binding.bind(process);
process.binding = (name) => (names.test(name) ? refuse('binding') : binding(name));
// Random ids that are no secrets come from the one of its functions that holds no key.
const { crypto } = globalThis;
Object.defineProperty(globalThis, 'crypto', {
  value: new Proxy(crypto, { get: (of, name) => (name === 'getRandomValues' ? of.getRandomValues.bind(of) : refuse(String(name))) }),
});
