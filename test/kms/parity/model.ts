/** AWS's service model (kms-service-2.NOTICE), as the parity tests ask it. */
import { readFileSync } from 'node:fs';

export interface ModelShape {
  readonly type: string;
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly sensitive?: boolean;
  readonly required?: readonly string[];
  readonly members?: Readonly<Record<string, { readonly shape: string }>>;
  readonly member?: { readonly shape: string };
  readonly fault?: boolean;
  readonly error?: { readonly httpStatusCode?: number };
}
interface Operation {
  readonly input?: { readonly shape: string };
  readonly output?: { readonly shape: string };
  readonly errors?: readonly { readonly shape: string }[];
}
const model = JSON.parse(readFileSync(new URL('../kms-service-2.json', import.meta.url), 'utf8')) as {
  readonly operations: Readonly<Record<string, Operation>>;
  readonly shapes: Readonly<Record<string, ModelShape>>;
};

export const operationNames: readonly string[] = Object.keys(model.operations);

export function shapeOf(name: string): ModelShape {
  const shape = model.shapes[name];
  if (shape === undefined) throw new Error(`the model has no shape ${name}`);
  return shape;
}

export const inputOf = (operation: string): string | undefined => model.operations[operation]?.input?.shape;
export const outputOf = (operation: string): string | undefined => model.operations[operation]?.output?.shape;
export const errorsOf = (operation: string): readonly string[] => (model.operations[operation]?.errors ?? []).map(({ shape }) => shape);

/** What is wrong with a value that should be of this shape: nothing, in the end. */
export function complaints(name: string, value: unknown, path = name): readonly string[] {
  const shape = shapeOf(name);
  const { min = 0, max = Infinity } = shape;
  const sized = (size: number) => (size < min || size > max ? [`${path}: ${size} is not within ${min}..${max}`] : []);
  switch (shape.type) {
    case 'string': {
      if (typeof value !== 'string') return [`${path} is no text`];
      // The old member has the same value as KeySpec, says the model; its own set stopped growing.
      const set = name === 'CustomerMasterKeySpec' ? shapeOf('KeySpec').enum : shape.enum;
      if (set !== undefined) return set.includes(value) ? [] : [`${path}: ${value} is none of the set`];
      const fits = shape.pattern === undefined || new RegExp(`^(?:${shape.pattern})$`, 'u').test(value);
      return [...sized(value.length), ...(fits ? [] : [`${path}: ${value} does not fit ${shape.pattern ?? ''}`])];
    }
    case 'blob': return Buffer.isBuffer(value) ? sized(value.length) : [`${path} is no blob`];
    case 'integer': return Number.isInteger(value) ? sized(value as number) : [`${path} is no integer`];
    case 'boolean': return typeof value === 'boolean' ? [] : [`${path} is no flag`];
    // Epoch seconds: milliseconds would be in the year 50,000.
    case 'timestamp': return typeof value === 'number' && value > 1e9 && value < 1e10 ? [] : [`${path}: ${String(value)} is no time in seconds`];
    case 'list': return Array.isArray(value) ? value.flatMap((item, i) => complaints(shape.member?.shape ?? '', item, `${path}[${i}]`)) : [`${path} is no list`];
    case 'map': return typeof value === 'object' && value !== null ? [] : [`${path} is no map`];
    case 'structure': {
      if (typeof value !== 'object' || value === null) return [`${path} is no structure`];
      const members = shape.members ?? {};
      const missing = (shape.required ?? []).filter((member) => !(member in value)).map((member) => `${path}.${member} is missing`);
      return [...missing, ...Object.entries(value).flatMap(([member, item]) =>
        (members[member] === undefined ? [`${path}.${member} is not in the model`] : complaints(members[member].shape, item, `${path}.${member}`)))];
    }
    default: return [`${path} is of type ${shape.type}`];
  }
}

/** The HTTP status of a modelled exception: AWS's reference gives the three faults 500, 503 and 500. */
export const statusOf = (exception: string): number => (exception === 'DependencyTimeoutException' ? 503 : shapeOf(exception).fault === true ? 500 : 400);
