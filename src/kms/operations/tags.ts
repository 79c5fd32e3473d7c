/** TagResource, UntagResource, ListResourceTags. */
import { keyOperation } from '../define.ts';
import { requireCustomerKey } from './keys.ts';
import { slicePage } from '../marker.ts';
import { changed } from '../records.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';
import { checkTags, withTags } from '../tagging.ts';

export const tagResource = keyOperation({
  name: 'TagResource',
  input: { KeyId: s.KeyIdType, Tags: s.TagList },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'edit',
  check: (input) => checkTags(input.Tags),
  async run(run, { Tags: given }, key) {
    requireCustomerKey(key);
    await run.change(key, 'edit', ({ record }) => changed(record, { tags: withTags(record.tags, given) }));
    return {};
  },
});

export const untagResource = keyOperation({
  name: 'UntagResource',
  input: { KeyId: s.KeyIdType, TagKeys: s.TagKeyList },
  readOnly: false,
  key: (input) => input.KeyId,
  states: 'edit',
  check: (input) => checkTags([...new Set(input.TagKeys)].map((TagKey) => ({ TagKey, TagValue: '' }))),
  async run(run, { TagKeys: names }, key) {
    requireCustomerKey(key);
    await run.change(key, 'edit', ({ record }) => changed(record, { tags: record.tags.filter(({ TagKey }) => !names.includes(TagKey)) }));
    return {};
  },
});

export const listResourceTags = keyOperation({
  name: 'ListResourceTags',
  input: { KeyId: s.KeyIdType, Limit: optional(s.LimitType), Marker: optional(s.MarkerType) },
  readOnly: true,
  key: (input) => input.KeyId,
  states: 'any',
  run(run, input, key) {
    const { items, more } = slicePage(run.services.markers, `ListResourceTags ${key.id}`, key.record.tags, input, { otherwise: 50, most: 50 });
    return { Tags: items.map(({ TagKey, TagValue }) => ({ TagKey, TagValue })), ...more };
  },
});
