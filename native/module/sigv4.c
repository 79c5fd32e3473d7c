/* AWS Signature Version 4, verified on an access key's handle: the canonical
 * request is finished here with the hash of the body, so what was signed is
 * what arrived. */
#include "sigv4.h"

#include <string.h>

#include "credential.h"
#include "gate.h"
#include "session.h"

#define DEPTH 4096u

struct verify { struct credential *c; const hsm_sigv4 *r; };

void
sigv4_hex(const uint8_t bytes[32], uint8_t hex[SIGV4_HEX_LEN])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 32; i++) {
		hex[2 * i] = (uint8_t)digits[bytes[i] >> 4];
		hex[2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
	}
}

/* Lower-case digits only, as signers write them. */
static bool
from_hex(hsm_in hex, uint8_t bytes[32])
{
	unsigned bad = 0;

	if (hex.len != SIGV4_HEX_LEN)
		return false;
	for (size_t i = 0; i < SIGV4_HEX_LEN; i++) {
		const unsigned c = hex.ptr[i], digit = c - '0', letter = c - 'a';
		const unsigned value = digit < 10 ? digit : letter + 10;

		bad |= digit >= 10 && letter >= 6;
		bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | (value & 15));
	}
	return bad == 0;
}

static hsm_in
text(const char *s)
{
	return (hsm_in){ (const uint8_t *)s, strlen(s) };
}

/* What stands last in the canonical request. */
static hsm_status
payload_hash(const hsm_sigv4 *r, uint8_t room[SIGV4_HEX_LEN], hsm_in *hash)
{
	const hsm_in unsigned_payload = text("UNSIGNED-PAYLOAD");
	uint8_t digest[32];
	hsm_status st;

	if (bytes_equal(r->payload_hash, unsigned_payload)) {
		*hash = unsigned_payload;
		return r->allow_unsigned_payload ? HSM_OK : HSM_E_DATA;
	}
	if ((st = hkey_digest(&r->body, 1, digest)) != HSM_OK)
		return st;
	sigv4_hex(digest, room);
	*hash = (hsm_in){ room, SIGV4_HEX_LEN };
	return r->payload_hash.len == 0 || bytes_equal(r->payload_hash, *hash) ? HSM_OK : HSM_E_DATA;
}

static hsm_status
request_hash(const hsm_sigv4 *r, uint8_t hex[SIGV4_HEX_LEN])
{
	uint8_t room[SIGV4_HEX_LEN], digest[32];
	hsm_in parts[2] = { r->canonical };
	hsm_status st;

	if ((st = payload_hash(r, room, &parts[1])) != HSM_OK)
		return st;
	if ((st = hkey_digest(parts, 2, digest)) == HSM_OK)
		sigv4_hex(digest, hex);
	return st;
}

/* Each step's MAC is the next step's key. */
hsm_status
sigv4_derive(const struct hkey *from, const hsm_sigv4 *r, struct hkey *key)
{
	const hsm_in steps[] = { r->region, r->service, { (const uint8_t *)"aws4_request", 12 } };
	uint8_t mac[HKEY_MAC_LEN];
	hsm_status st = hkey_mac(from, &r->date, 1, mac);

	for (size_t i = 0; i < sizeof steps / sizeof *steps && st == HSM_OK; i++) {
		if ((st = hkey_make(key, (hsm_in){ mac, sizeof mac })) == HSM_OK)
			st = hkey_mac(key, &steps[i], 1, mac);
	}
	if (st == HSM_OK)
		st = hkey_make(key, (hsm_in){ mac, sizeof mac });
	bytes_wipe(mac, sizeof mac);
	return st;
}

hsm_status
sigv4_mac(const struct hkey *key, const hsm_sigv4 *r, uint8_t mac[HKEY_MAC_LEN])
{
	uint8_t request[SIGV4_HEX_LEN];
	const hsm_in parts[] = { text("AWS4-HMAC-SHA256\n"), r->timestamp, text("\n"), r->date, text("/"), r->region, text("/"),
	                         r->service, text("/aws4_request\n"), { request, sizeof request } };
	hsm_status st;

	if ((st = request_hash(r, request)) != HSM_OK)
		return st;
	return hkey_mac(key, parts, sizeof parts / sizeof *parts, mac);
}

static hsm_status
signature_check(const struct hkey *key, const hsm_sigv4 *r)
{
	uint8_t given[32] = { 0 }, right[32];
	hsm_status st;

	if ((st = sigv4_mac(key, r, right)) != HSM_OK)
		return st;
	if (!from_hex(r->signature, given) || !bytes_equal_secret(given, right, sizeof right))
		st = HSM_E_SIGNATURE;
	bytes_wipe(right, sizeof right);
	return st;
}

static hsm_status
run_verify(void *arg)
{
	const struct verify *job = arg;
	struct hkey key;
	bool fresh;
	hsm_status st;

	if ((st = credential_signing_key(job->c, job->r, &key, &fresh)) != HSM_OK)
		goto out;
	if ((st = signature_check(&key, job->r)) != HSM_OK)
		goto out;
	if (fresh)
		credential_remember(job->c, job->r, &key);
out:
	bytes_wipe(&key, sizeof key);
	return st;
}

/* Line breaks in these would let one request be read as another. */
bool
sigv4_fits(const hsm_sigv4 *r)
{
	const hsm_in lines[] = { r->date, r->region, r->service, r->timestamp };

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		if (lines[i].len == 0 || memchr(lines[i].ptr, '\n', lines[i].len) != NULL)
			return false;
	}
	return r->date.len == 8 && r->timestamp.len == 16 && memcmp(r->timestamp.ptr, r->date.ptr, 8) == 0
	       && memchr(r->region.ptr, '/', r->region.len) == NULL && memchr(r->service.ptr, '/', r->service.len) == NULL;
}

hsm_status
hsm_sigv4_verify(hsm_key credential, const hsm_sigv4 *request, hsm_session *session)
{
	struct verify job = { .r = request };
	uint64_t expires;
	hsm_status st;

	*session = 0;
	if ((st = gate_enter()) != HSM_OK)
		return st;
	if ((st = credential_acquire(credential, &job.c)) != HSM_OK)
		goto out;
	st = HSM_E_SIGNATURE;
	if (!sigv4_fits(request))
		goto out;
	if ((st = gate_run(run_verify, &job, 0, DEPTH)) != HSM_OK)
		goto out;
	expires = credential_expires(job.c);
	st = HSM_E_EXPIRED;
	if (expires != 0 && request->now_ms >= expires)
		goto out;
	st = session_make(credential_partition(job.c), HSM_ROLE_CALLER, 0, credential_principal(job.c), session);
out:
	credential_release(job.c);
	gate_leave();
	return st;
}
