/** GenerateRandom. */
import { operation } from '../define.ts';
import { fail, validation } from '../errors.ts';
import { clusterRandom } from './keystores.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';

export const generateRandom = operation({
  name: 'GenerateRandom',
  input: { NumberOfBytes: optional(s.NumberOfBytesType), CustomKeyStoreId: optional(s.CustomKeyStoreIdType), Recipient: optional(s.RecipientInfo) },
  readOnly: true,
  async run(run, { NumberOfBytes: length, CustomKeyStoreId: store, Recipient }) {
    if (length === undefined) throw validation('NumberOfBytes is required.');
    const recipient = run.recipient(Recipient);
    await run.permit('kms:GenerateRandom');
    if (recipient !== undefined && store !== undefined) throw fail('UnsupportedOperationException', 'Recipient is not supported together with CustomKeyStoreId.');
    if (recipient !== undefined) return { CiphertextForRecipient: run.core.recipientRandom(run.session, length, recipient.publicKey) };
    const bytes = run.core.payload(length);
    try {
      if (store !== undefined) {
        await clusterRandom(run, store, bytes, length);
      } else {
        run.core.random(run.session, bytes.room.subarray(0, length));
        bytes.fill(length);
      }
      return { Plaintext: bytes };
    } catch (error) {
      bytes.release();
      throw error;
    }
  },
});
