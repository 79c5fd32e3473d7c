/**
 * Patterns with `*` (any run) and `?` (any one character), as policies use them. One backtrack point
 * that only moves forward, never recursion: a hostile pattern costs at most pattern x text.
 */

/** Stand-ins for a `*` or `?` that is meant as itself: Unicode noncharacters, in no valid name. */
const literalStar = '\uFDD0';
const literalMark = '\uFDD1';

export function quoteWildcards(text: string): string {
  return hasWildcard(text) ? text.replaceAll('*', literalStar).replaceAll('?', literalMark) : text;
}

const meant = (c: string | undefined): string | undefined => (c === literalStar ? '*' : c === literalMark ? '?' : c);

export function matchesWildcard(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let mark = 0;
  while (t < text.length) {
    const c = pattern[p];
    if (c === '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.length && (c === '?' || meant(c) === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

export const hasWildcard = (pattern: string): boolean => pattern.includes('*') || pattern.includes('?');
