/** The errors of the XKS proxy API: names and statuses are the specification's. */
const statuses = {
  ValidationException: 400,
  InvalidStateException: 400,
  InvalidCiphertextException: 400,
  InvalidKeyUsageException: 400,
  AuthenticationFailedException: 401,
  AccessDeniedException: 403,
  KeyNotFoundException: 404,
  InvalidUriPathException: 404,
  ThrottlingException: 429,
  InternalException: 500,
  UnsupportedOperationException: 501,
  DependencyTimeoutException: 503,
} as const;

export type XksErrorName = keyof typeof statuses;

export class XksError extends Error {
  override readonly name = 'XksError';
  readonly status: number;

  /** message: printable ASCII, below 512 characters, nothing of a caller's plaintext. */
  constructor(readonly code: XksErrorName, message: string, status?: number) {
    super(message);
    this.status = status ?? statuses[code];
  }

  get body(): string {
    return JSON.stringify({ errorName: this.code, errorMessage: this.message });
  }
}

export const errorNames = Object.keys(statuses) as readonly XksErrorName[];
