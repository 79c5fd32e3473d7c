/** A form's parameters by type, refused in IAM's words. */
import { refused } from '../iam/errors.ts';
import { limits } from '../iam/limits.ts';
import type { Tag } from '../iam/records.ts';
import type { Form } from './query.ts';

const camel = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

const nameChars = /^[\w+=,.@-]+$/;
const pathChars = /^(\/|\/[\u0021-\u007F]+\/)$/;
const tagChars = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
const documentChars = /^[\u0009\u000A\u000D\u0020-\u00FF]+$/;

export class Fields {
  readonly #form: Form;

  constructor(form: Form) {
    this.#form = form;
  }

  text(name: string): string | undefined {
    return this.#form.get(name);
  }

  need(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw constraint('null', name, 'Member must not be null');
    return value;
  }

  /** Of `least` to `most` characters. */
  sized(name: string, least: number, most: number): string | undefined {
    const value = this.text(name);
    if (value !== undefined) checkLength(name, value, least, most);
    return value;
  }

  /** A name as IAM has them. */
  name(name: string, most = 128): string {
    return this.optionalName(name, most) ?? this.need(name);
  }

  optionalName(name: string, most = 128): string | undefined {
    const value = this.sized(name, 1, most);
    if (value !== undefined && !nameChars.test(value)) {
      throw refused.invalid(`The specified value for ${camel(name)} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-`);
    }
    return value;
  }

  path(name = 'Path'): string | undefined {
    const value = this.sized(name, 1, 512);
    if (value !== undefined && !pathChars.test(value)) {
      throw refused.invalid(`The specified value for ${camel(name)} is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.`);
    }
    return value;
  }

  /** What paths begin with; by default every path does. */
  pathPrefix(): string {
    const value = this.sized('PathPrefix', 1, 512) ?? '/';
    if (!value.startsWith('/')) throw refused.invalid('The specified value for pathPrefix is invalid. It must begin with / and contain only alphanumeric characters and/or / characters.');
    return value;
  }

  arn(name: string): string {
    const value = this.optionalArn(name);
    return value ?? this.need(name);
  }

  optionalArn(name: string): string | undefined {
    const value = this.sized(name, 20, 2048);
    if (value !== undefined && !/^arn:[^:]*:[^:]*:[^:]*:[^:]*:.+$/.test(value)) throw refused.invalid(`ARN ${value} is not valid.`);
    return value;
  }

  document(name: string, most = 131_072): string {
    const value = this.sized(name, 1, most) ?? this.need(name);
    if (!documentChars.test(value)) throw refused.invalid(`The specified value for ${camel(name)} is invalid. It must contain only printable ASCII characters.`);
    return value;
  }

  number(name: string, least: number, most: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^-?\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isNaN(value)) throw refused.invalid(`Value '${text.slice(0, 64)}' at '${camel(name)}' is not a whole number.`);
    if (value < least) throw constraint(`'${value}'`, name, `Member must have value greater than or equal to ${least}`);
    if (value > most) throw constraint(`'${value}'`, name, `Member must have value less than or equal to ${most}`);
    return value;
  }

  flag(name: string): boolean {
    return this.text(name)?.toLowerCase() === 'true';
  }

  oneOf<T extends string>(name: string, ...values: readonly T[]): T {
    const value = this.need(name);
    const found = values.find((one) => one === value);
    if (found === undefined) throw constraint(`'${value.slice(0, 128)}'`, name, `Member must satisfy enum value set: [${values.join(', ')}]`);
    return found;
  }

  /** `Name.member.1`, `Name.member.2` … */
  list(name: string): readonly string[] {
    return this.#indexes(name).map((i) => this.text(`${name}.member.${i}`) ?? '');
  }

  /** `Name.member.1.A`, … : the members of each. */
  records(name: string): readonly Fields[] {
    return this.#indexes(name).map((i) => {
      const prefix = `${name}.member.${i}.`;
      return new Fields(new Map([...this.#form].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), value])));
    });
  }

  tags(name = 'Tags'): readonly Tag[] {
    const tags = this.records(name).map((one): Tag => ({ Key: one.need('Key'), Value: one.need('Value') }));
    for (const [i, { Key, Value }] of tags.entries()) {
      checkLength(`${name}.${i + 1}.member.key`, Key, 1, 128);
      checkLength(`${name}.${i + 1}.member.value`, Value, 0, 256);
      if (!tagChars.test(Key) || !tagChars.test(Value)) throw refused.invalid(`1 validation error detected: Value at '${camel(name)}.${i + 1}.member' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*`);
      if (/^aws:/i.test(Key)) throw refused.invalid("Tag keys beginning with 'aws:' are reserved.");
    }
    if (new Set(tags.map(({ Key }) => Key.toLowerCase())).size !== tags.length) throw refused.invalid('Duplicate tag keys found. Please note that Tag keys are case insensitive.');
    if (tags.length > limits.tags) throw constraint('null', name, `Member must have length less than or equal to ${limits.tags}`);
    return tags;
  }

  /** In the order of their numbers, which need not begin at 1. */
  #indexes(name: string): readonly number[] {
    const prefix = `${name}.member.`;
    const found = new Set<number>();
    for (const key of this.#form.keys()) {
      if (!key.startsWith(prefix)) continue;
      const number = /^\d{1,4}(?=\.|$)/.exec(key.slice(prefix.length))?.[0];
      if (number !== undefined) found.add(Number(number));
    }
    return [...found].sort((a, b) => a - b);
  }
}

function checkLength(name: string, value: string, least: number, most: number): void {
  if (value.length < least) throw constraint(`'${value}'`, name, `Member must have length greater than or equal to ${least}`);
  if (value.length > most) throw constraint(`'${value.slice(0, 128)}'`, name, `Member must have length less than or equal to ${most}`);
}

const constraint = (value: string, name: string, must: string) =>
  refused.invalid(`1 validation error detected: Value ${value} at '${camel(name)}' failed to satisfy constraint: ${must}`);
