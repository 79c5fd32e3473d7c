/** GetKeyLastUsage. */
import { keyOperation } from '../define.ts';
import { epoch } from '../metadata.ts';
import * as s from '../shapes.ts';

export const getKeyLastUsage = keyOperation({
  name: 'GetKeyLastUsage',
  input: { KeyId: s.KeyIdType },
  readOnly: true,
  key: (input) => input.KeyId,
  states: 'any',
  async run(run, _, key) {
    const use = await run.services.usage.of(key.id);
    const made = epoch(key.record.createdMs);
    return {
      KeyId: key.record.keyId,
      KeyLastUsage: use === undefined ? {} : { Operation: use.operation, Timestamp: epoch(use.atMs), CloudTrailEventId: use.eventId, KmsRequestId: use.requestId },
      // Uses have been recorded for as long as there have been keys.
      TrackingStartDate: made,
      KeyCreationDate: made,
    };
  },
});
