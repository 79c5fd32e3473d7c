/** A node:http server that reads a request and answers a fixed KMS-sized body: what HTTP costs by itself. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const body = Buffer.from(JSON.stringify({
  KeyMetadata: { KeyId: '00000000-0000-4000-8000-000000000000' }, Plaintext: 'A'.repeat(44), Signature: 'A'.repeat(96), CiphertextBlob: 'A'.repeat(220),
}));
const server = createServer((request, response) => {
  request.on('data', () => undefined);
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'content-length': body.length, 'x-amzn-requestid': '00000000-0000-4000-8000-000000000000' });
    response.end(body);
  });
});
server.listen(0, '127.0.0.1', () => { process.stdout.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`); });
process.once('SIGTERM', () => process.exit(0));
