/** CloudTrail's LookupEvents on the same endpoint: what this account did here. */
import { LookupError, lookupEvents, type PageSeal } from '../audit/lookup.ts';
import type { Recorder } from '../audit/recorder.ts';
import { AwsError } from '../kms/operation.ts';
import type { Answer, ServiceAnswer, ServiceRequest } from '../kms/operation.ts';
import type { Store } from '../store/store.ts';
import type { JsonService } from './endpoint.ts';

/** May the caller look? undefined: yes. */
export type Authorise = (request: ServiceRequest, action: string) => Promise<AwsError | undefined> | AwsError | undefined;

const noBlobs: readonly string[] = [];

export class CloudTrail implements JsonService {
  readonly targets = ['com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101', 'CloudTrail_20131101'];
  readonly scope = 'cloudtrail';
  readonly source = 'cloudtrail.amazonaws.com';
  readonly #store: Store;
  readonly #recorder: Recorder;
  readonly #authorise: Authorise;
  readonly #seal: PageSeal;

  constructor(store: Store, recorder: Recorder, authorise: Authorise, seal: PageSeal) {
    this.#store = store;
    this.#recorder = recorder;
    this.#authorise = authorise;
    this.#seal = seal;
  }

  blobsOf(operation: string): readonly string[] | undefined {
    return operation === 'LookupEvents' ? noBlobs : undefined;
  }

  async handle(request: ServiceRequest): Promise<ServiceAnswer> {
    const input = request.input as Readonly<Record<string, unknown>>;
    const answer = (await this.#refused(request)) ?? (await this.#lookUp(request, input));
    const { durable } = this.#recorder.record({
      source: this.source, name: request.operation, readOnly: true, region: request.region, requestId: request.requestId, sourceIp: request.sourceIp, userAgent: request.userAgent,
      actor: request.caller, recipients: [request.caller.account], request: askedFor(input),
      ...(answer.ok ? {} : { error: { code: answer.error.code.replace(/Exception$/, ''), message: answer.error.sentence } }),
    });
    await durable;
    return answer;
  }

  async #refused(request: ServiceRequest): Promise<ServiceAnswer | undefined> {
    const error = await this.#authorise(request, 'cloudtrail:LookupEvents');
    return error === undefined ? undefined : { ok: false, error };
  }

  async #lookUp(request: ServiceRequest, input: Readonly<Record<string, unknown>>): Promise<ServiceAnswer> {
    try {
      const found = await lookupEvents(this.#store, request.caller.account, request.region, input, this.#seal);
      return { ok: true, body: found as unknown as Answer };
    } catch (error) {
      if (error instanceof LookupError) return { ok: false, error: new AwsError(error.code, 400, error.message) };
      throw error;
    }
  }
}

/** For the trail: the members by name, in CloudTrail's spelling, cut to size. */
function askedFor(input: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const asked: Record<string, unknown> = {};
  for (const name of ['LookupAttributes', 'StartTime', 'EndTime', 'EventCategory', 'MaxResults', 'NextToken']) {
    const value = input[name];
    if (value === undefined || JSON.stringify(value).length > 4096) continue;
    asked[name.charAt(0).toLowerCase() + name.slice(1)] = value;
  }
  return asked;
}
