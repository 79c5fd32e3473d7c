/** Where an expectation comes from, and of when. */
export interface Source {
  readonly source: string;
  /** Of the recording, or of the text's version. */
  readonly date: string;
}

/** AWS's service model with its documentation, as botocore 1.44.5 ships it. */
export const model: Source = { source: 'service model (botocore 1.44.5)', date: '2026-11' };
/** AWS KMS developer guide: key states, quotas. */
export const guide: Source = { source: 'AWS KMS developer guide', date: '2026-11' };
/** Answers of AWS itself, recorded by the snapshot tests of LocalStack (tests/aws/services/kms/test_kms.snapshot.json). */
export const recorded = (date: string): Source => ({ source: 'answer of AWS, recorded by a public test suite', date });
/** Known of AWS by many, found in no text: to be rechecked first when a recording differs. */
export const known: Source = { source: 'common knowledge of AWS', date: '2026-11' };
