/** Where a policy's statements stand in its text, for people who look for the one that decided. */

export interface Position {
  /** Both from 1. */
  readonly Line: number;
  readonly Column: number;
}

export interface Span {
  readonly start: Position;
  readonly end: Position;
}

/** The n-th statement of a document that parsed. */
export function statementSpan(text: string, index: number): Span | undefined {
  const all = statementsAt(text, skipBlank(text, 0));
  const found = all[index];
  return found && { start: positionOf(text, found[0]), end: positionOf(text, found[1]) };
}

type Range = readonly [from: number, to: number];

function statementsAt(text: string, at: number): readonly Range[] {
  for (const [name, value] of members(text, at)) {
    if (name !== 'Statement') continue;
    return text[value[0]] === '[' ? elements(text, value[0]) : [value];
  }
  return [];
}

function* members(text: string, open: number): Generator<readonly [name: string, value: Range]> {
  for (let at = skipBlank(text, open + 1); text[at] === '"'; at = skipBlank(text, at)) {
    const nameEnd = skipValue(text, at);
    const from = skipBlank(text, skipBlank(text, nameEnd) + 1);
    const to = skipValue(text, from);
    yield [JSON.parse(text.slice(at, nameEnd)) as string, [from, to]];
    at = skipBlank(text, to);
    if (text[at] !== ',') return;
    at += 1;
  }
}

function elements(text: string, open: number): readonly Range[] {
  const found: Range[] = [];
  for (let at = skipBlank(text, open + 1); at < text.length && text[at] !== ']'; ) {
    const to = skipValue(text, at);
    found.push([at, to]);
    at = skipBlank(text, to);
    if (text[at] === ',') at = skipBlank(text, at + 1);
  }
  return found;
}

const skipBlank = (text: string, at: number): number => {
  while (/\s/.test(text[at] ?? '')) at += 1;
  return at;
};

/** Behind the value that begins here. */
function skipValue(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const c = text[i];
    if (c === '"') {
      while (text[++i] !== '"') if (text[i] === '\\') i += 1;
      if (depth === 0) return i + 1;
    } else if (c === '{' || c === '[') {
      depth += 1;
    } else if (c === '}' || c === ']') {
      if (depth === 0) return i;
      depth -= 1;
      if (depth === 0) return i + 1;
    } else if (depth === 0 && (c === ',' || /\s/.test(c ?? ''))) {
      return i;
    }
  }
  return text.length;
}

function positionOf(text: string, at: number): Position {
  const before = text.slice(0, at);
  const line = before.lastIndexOf('\n');
  return { Line: before.split('\n').length, Column: at - line };
}
