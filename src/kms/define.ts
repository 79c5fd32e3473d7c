/**
 * What an operation declares. The pipeline in service.ts does the rest: shape, key, authority, state,
 * run, record.
 */
import type { Key } from './key.ts';
import type { Answer } from './operation.ts';
import type { Run } from './run.ts';
import { struct, type InputOf, type Members, type StructShape } from './shape.ts';
import type { KeyUsageName } from './shapes.ts';
import type { StateRule } from './states.ts';

interface Basics<M extends Members> {
  readonly name: string;
  readonly input: M;
  /** What CloudTrail calls it: reads and cryptography change nothing. */
  readonly readOnly: boolean;
  /** Callers of other accounts may, where policies let them; else they are refused whatever those say. */
  readonly crossAccount?: boolean;
  /** Makes `GetKeyLastUsage` remember it. */
  readonly cryptographic?: boolean;
}

/** An operation on one key, named in its input: resolved, authorised and its state checked before `run`. */
interface Keyed<M extends Members> extends Basics<M> {
  readonly key: (input: InputOf<M>) => string;
  /** An alias may name the key. */
  readonly aliases?: boolean;
  readonly states: StateRule;
  /** The key's usage must be this. */
  readonly usage?: KeyUsageName;
  /** What is checked between shape and key: sentences that do not need the key. */
  check?(input: InputOf<M>, run: Run): void;
  run(run: Run, input: InputOf<M>, key: Key): Promise<Answer> | Answer;
}

/** An operation without a key, or one that finds its keys itself. */
interface Keyless<M extends Members> extends Basics<M> {
  run(run: Run, input: InputOf<M>): Promise<Answer> | Answer;
}

type Input = Readonly<Record<string, unknown>>;

/** An operation as the pipeline sees it. */
export interface Operation {
  readonly name: string;
  readonly input: StructShape<Members>;
  readonly readOnly: boolean;
  readonly crossAccount: boolean;
  readonly cryptographic: boolean;
  readonly keyed?: {
    readonly key: (input: Input) => string;
    readonly aliases: boolean;
    readonly states: StateRule;
    readonly usage?: KeyUsageName | undefined;
    readonly check?: ((input: Input, run: Run) => void) | undefined;
  };
  run(run: Run, input: Input, key: Key | undefined): Promise<Answer> | Answer;
}

export function keyOperation<const M extends Members>(definition: Keyed<M>): Operation {
  const { name, input, readOnly, crossAccount = false, cryptographic = false, key, aliases = false, states, usage, check } = definition;
  return Object.freeze({
    name, input: struct(input), readOnly, crossAccount, cryptographic,
    keyed: Object.freeze({ key, aliases, states, usage, check: check?.bind(definition) }),
    run: definition.run.bind(definition),
  }) as unknown as Operation;
}

export function operation<const M extends Members>(definition: Keyless<M>): Operation {
  const { name, input, readOnly, crossAccount = false, cryptographic = false } = definition;
  return Object.freeze({ name, input: struct(input), readOnly, crossAccount, cryptographic, run: definition.run.bind(definition) }) as unknown as Operation;
}
