/** The rules of tags, the same wherever they are given. */
import { fail } from './errors.ts';
import type { Tag } from './records.ts';

const most = 50;

/** Tags as a key is made with them. */
export function checkTags(tags: readonly Tag[]): void {
  if (tags.some(({ TagKey }) => /^aws:/i.test(TagKey))) throw fail('TagException', 'Tags beginning with aws: are reserved');
  if (new Set(tags.map(({ TagKey }) => TagKey)).size !== tags.length) throw fail('TagException', 'Duplicate tag keys');
  checkCount(tags);
}

/** Given tags over those that are there; order of first appearance. */
export function withTags(present: readonly Tag[], given: readonly Tag[]): readonly Tag[] {
  checkTags(given);
  const merged = new Map(present.map((tag) => [tag.TagKey, tag]));
  for (const { TagKey, TagValue } of given) merged.set(TagKey, { TagKey, TagValue });
  const tags = [...merged.values()];
  checkCount(tags);
  return tags;
}

function checkCount(tags: readonly Tag[]): void {
  if (tags.length > most) throw fail('TagException', 'Too many tags');
}
