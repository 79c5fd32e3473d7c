/**
 * The facts of one request that conditions ask about, by lower-case key (`kms:viaservice`,
 * `aws:principaltag/team`). A lookup, not a map: most requests meet no condition at all, so most
 * values are never made.
 */
export interface Context {
  /** The key's values: undefined when the request does not carry it. */
  values(key: string): readonly string[] | undefined;
}

/** A context of given values; names in any case. */
export function contextOf(values: Readonly<Record<string, string | readonly string[] | undefined>>): Context {
  const known = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) known.set(name.toLowerCase(), typeof value === 'string' ? [value] : value);
  }
  return { values: (key) => known.get(key) };
}

/** Asked in order; the first that knows answers. */
export function joinContexts(...contexts: readonly Context[]): Context {
  return {
    values(key) {
      for (const context of contexts) {
        const found = context.values(key);
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}

const variable = /\$\{([^}]*)\}/g;

/**
 * Fill in policy variables: `${aws:username}`, `${key, 'default'}`, and `${*}` `${?}` `${$}`, which
 * stand for themselves. Undefined when a variable has no single value: then the text matches nothing.
 * `quote` keeps a filled-in value's own wildcards from matching; leave it out where text is compared whole.
 */
export function expand(text: string, context: Context, quote: (value: string) => string = (value) => value): string | undefined {
  if (!text.includes('${')) return text;
  let complete = true;
  const filled = text.replace(variable, (_, inside: string) => {
    if (inside === '*' || inside === '?' || inside === '$') return quote(inside);
    const comma = inside.indexOf(',');
    const name = (comma < 0 ? inside : inside.slice(0, comma)).trim().toLowerCase();
    const values = context.values(name);
    if (values?.length === 1) return quote(values[0] as string);
    const fallback = comma < 0 ? undefined : /^\s*'(.*)'\s*$/.exec(inside.slice(comma + 1))?.[1];
    if (fallback === undefined) complete = false;
    return quote(fallback ?? '');
  });
  return complete ? filled : undefined;
}
