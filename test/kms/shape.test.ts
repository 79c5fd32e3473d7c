import { describe, expect, test } from 'vitest';
import { readInput, struct, optional, type Members, type StructShape } from '../../src/kms/shape.ts';
import * as shapes from '../../src/kms/shapes.ts';
import { AwsError } from '../../src/kms/operation.ts';

function refusal<M extends Members>(shape: StructShape<M>, input: unknown, blobs: readonly Buffer[] = []): { code: string; sentence: string | undefined } {
  try {
    readInput(shape, input, blobs);
  } catch (error) {
    if (error instanceof AwsError) return { code: error.code, sentence: error.sentence };
    throw error;
  }
  throw new Error('was taken');
}

const encrypt = struct({
  KeyId: shapes.KeyIdType,
  Plaintext: shapes.PlaintextType,
  EncryptionContext: optional(shapes.EncryptionContextType),
  EncryptionAlgorithm: optional(shapes.EncryptionAlgorithmSpec),
  GrantTokens: optional(shapes.GrantTokenList),
  DryRun: optional(shapes.NullableBooleanType),
});
const bytes = (length: number) => Buffer.alloc(length, 1);

describe('constraint sentences', () => {
  const table: readonly [string, StructShape<Members>, unknown, readonly Buffer[], string][] = [
    ['a number too great', struct({ NumberOfBytes: shapes.NumberOfBytesType }), { NumberOfBytes: 1025 }, [],
      "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024"],
    ['a number too small', struct({ NumberOfBytes: shapes.NumberOfBytesType }), { NumberOfBytes: 0 }, [],
      "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1"],
    ['a blob too long', encrypt, { KeyId: 'k', Plaintext: 0 }, [bytes(4097)],
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096"],
    ['a blob too short', encrypt, { KeyId: 'k', Plaintext: 0 }, [bytes(0)],
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1"],
    ['an unknown choice', struct({ MacAlgorithm: shapes.MacAlgorithmSpec }), { MacAlgorithm: 'INVALID' }, [],
      "1 validation error detected: Value 'INVALID' at 'macAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512]"],
    ['a pattern', struct({ AliasName: shapes.AliasNameType }), { AliasName: 'alias/a!' }, [],
      "1 validation error detected: Value 'alias/a!' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"],
    ['a missing member', encrypt, { Plaintext: 0 }, [bytes(1)],
      "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null"],
    ['a missing sensitive member', encrypt, { KeyId: 'k' }, [],
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must not be null"],
    ['a sensitive text', struct({ KeyStorePassword: shapes.KeyStorePasswordType }), { KeyStorePassword: 0 }, [Buffer.from('short')],
      "1 validation error detected: Value at 'keyStorePassword' failed to satisfy constraint: Member must have length greater than or equal to 7"],
    ['a structure in a list', struct({ Tags: shapes.TagList }), { Tags: [{ TagKey: 'a'.repeat(129), TagValue: '' }] }, [],
      `1 validation error detected: Value '${'a'.repeat(129)}' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128`],
    ['a scalar in a list', struct({ Operations: shapes.DryRunModifierList }), { Operations: ['NO'] }, [],
      "1 validation error detected: Value '[NO]' at 'operations' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [IGNORE_CIPHERTEXT]]"],
    ['a list too long', struct({ GrantTokens: shapes.GrantTokenList }), { GrantTokens: Array(11).fill('t') }, [],
      "1 validation error detected: Value '[t, t, t, t, t, t, t, t, t, t, t]' at 'grantTokens' failed to satisfy constraint: Member must have length less than or equal to 10"],
    ['two at once', encrypt, { KeyId: '', Plaintext: 0 }, [bytes(4097)],
      "2 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1; Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096"],
  ];
  test.each(table)('%s', (_, shape, input, blobs, sentence) => {
    expect(refusal(shape, input, blobs)).toEqual({ code: 'ValidationException', sentence });
  });
});

describe('wrong JSON types', () => {
  const table: readonly [unknown, string][] = [
    [{ KeyId: 5, Plaintext: 0 }, 'NUMBER_VALUE can not be converted to a String'],
    [{ KeyId: true, Plaintext: 0 }, 'TRUE_VALUE can not be converted to a String'],
    [{ KeyId: {}, Plaintext: 0 }, 'Start of structure or map found where not expected.'],
    [{ KeyId: [], Plaintext: 0 }, 'Start of list found where not expected'],
    [{ KeyId: 'k', Plaintext: 1 }, 'NUMBER_VALUE can not be converted to a Blob'],
    [{ KeyId: 'k', Plaintext: false }, 'FALSE_VALUE can not be converted to a Blob'],
    [{ KeyId: 'k', Plaintext: 0, DryRun: 'true' }, 'STRING_VALUE can not be converted to a Boolean'],
    [{ KeyId: 'k', Plaintext: 0, EncryptionContext: 'x' }, 'Unexpected field type'],
    [{ KeyId: 'k', Plaintext: 0, EncryptionContext: { a: 1 } }, 'NUMBER_VALUE can not be converted to a String'],
    [{ KeyId: 'k', Plaintext: 0, GrantTokens: 'x' }, 'Unexpected field type'],
    [{ KeyId: 'k', Plaintext: 0, GrantTokens: [1] }, 'NUMBER_VALUE can not be converted to a String'],
    [{ KeyId: 'k', Plaintext: 0, GrantTokens: [{ toString: 'x' }] }, 'Start of structure or map found where not expected.'],
    [[], 'Start of list found where not expected'],
    ['text', 'Unexpected field type'],
  ];
  test.each(table)('%j', (input, sentence) => {
    expect(refusal(encrypt, input, [bytes(1)])).toEqual({ code: 'SerializationException', sentence });
  });

  test('a number where a blob belongs never stands for another blob', () => {
    const verify = struct({ Message: shapes.PlaintextType, Mac: shapes.CiphertextType });
    expect(refusal(verify, { Message: 0, Mac: 0 }, [bytes(1)]).code).toBe('SerializationException');
    expect(refusal(verify, { Mac: 0, Message: 0 }, [bytes(1)]).code).toBe('SerializationException');
  });
});

test('what is read has the declared members only, nulls are absent, blobs are bytes', () => {
  const input = readInput(encrypt, { KeyId: 'k', Plaintext: 0, Unknown: 1, EncryptionAlgorithm: null, EncryptionContext: { a: 'b' } }, [Buffer.from('hi')]);
  expect(input).toEqual({ KeyId: 'k', Plaintext: Buffer.from('hi'), EncryptionContext: { a: 'b' } });
});
