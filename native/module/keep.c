/* Secrets of others that a service was given to work with: the password of a
 * foreign module, the access key of a proxy. A kept secret (seal.h, label
 * "signer" or "password") is the secret itself, bound to: version u8 |
 * account, u16 length | id, u16 length. The label is the one thing it can be
 * used for: what was kept to sign never leaves, and what was kept to be handed
 * on signs nothing.
 *
 * There is no handle: a kept secret is opened for each use, which costs
 * little beside the call to another machine or process that follows. */
#include <string.h>

#include "gate.h"
#include "hsm.h"
#include "partition.h"
#include "seal.h"
#include "session.h"
#include "sigv4.h"

#define VERSION 1u
#define ID_MAX 128u
#define ACCOUNT_MAX 64u
#define SECRET_MAX 128u
#define CONTEXT_LEN_MAX (1 + 2 + ACCOUNT_MAX + 2 + ID_MAX)

#define HEAP 4096u
#define DEPTH 16384u

static const char *const labels[] = { [HSM_KEEP_SIGNER] = "signer", [HSM_KEEP_PASSWORD] = "password" };

struct kept { struct partition *p; hsm_keep use; hsm_in id, secret, sealed; hsm_out *out; const hsm_sigv4 *request; };

static hsm_in
keep_context(const struct kept *k, uint8_t room[CONTEXT_LEN_MAX])
{
	struct writer w;

	writer_init(&w, room, CONTEXT_LEN_MAX);
	writer_u8(&w, VERSION);
	writer_block16(&w, partition_account(k->p));
	writer_block16(&w, k->id);
	return (hsm_in){ room, w.len };
}

static bool
id_fits(hsm_in id)
{
	return id.len > 0 && id.len <= ID_MAX && memchr(id.ptr, 0, id.len) == NULL;
}

/* The service alone keeps and uses them. Paired with keep_leave, in every case. */
static hsm_status
keep_enter(struct kept *k, hsm_session service, hsm_part part)
{
	struct session_glance glance;
	hsm_status st = session_look(service, &glance);

	if (st == HSM_OK && glance.role != HSM_ROLE_SERVICE)
		st = HSM_E_ROLE;
	if (st == HSM_OK && ((unsigned)k->use >= sizeof labels / sizeof *labels || !id_fits(k->id)))
		st = HSM_E_ARGS;
	return st == HSM_OK ? partition_acquire(part, &k->p) : st;
}

static void
keep_leave(struct kept *k, hsm_status st)
{
	if (st != HSM_OK && st != HSM_E_BUFFER)
		k->out->len = 0;
	partition_release(k->p);
}

static hsm_status
run_seal(void *arg)
{
	const struct kept *k = arg;
	uint8_t room[CONTEXT_LEN_MAX];
	struct secret kdk = SECRET_NONE;
	hsm_status st;

	if ((st = partition_seal_key(k->p, true, &kdk)) == HSM_OK)
		st = seal_close(&kdk, labels[k->use], keep_context(k, room), k->secret, k->out);
	secret_wipe(&kdk);
	return st;
}

hsm_status
hsm_keep_seal(hsm_session service, hsm_part part, hsm_keep use, hsm_in id, hsm_in secret, hsm_out *sealed)
{
	struct kept k = { .use = use, .id = id, .secret = secret, .out = sealed };
	hsm_status st;

	if ((st = keep_enter(&k, service, part)) != HSM_OK)
		goto out;
	st = HSM_E_DATA_LEN;
	if (secret.len == 0 || secret.len > SECRET_MAX)
		goto out;
	if ((st = out_need(sealed, secret.len + SEAL_OVERHEAD)) == HSM_OK && sealed->ptr != NULL)
		st = gate_call(run_seal, &k, HEAP, DEPTH);
out:
	keep_leave(&k, st);
	return st;
}

static hsm_status
keep_open(const struct kept *k, struct secret *clear)
{
	uint8_t room[CONTEXT_LEN_MAX];
	struct secret kdk = SECRET_NONE;
	hsm_status st;

	if ((st = partition_seal_key(k->p, true, &kdk)) == HSM_OK)
		st = seal_open(&kdk, labels[k->use], keep_context(k, room), k->sealed, clear);
	secret_wipe(&kdk);
	return st;
}

static hsm_status
run_show(void *arg)
{
	const struct kept *k = arg;
	struct secret clear = SECRET_NONE;
	hsm_status st;

	if ((st = keep_open(k, &clear)) == HSM_OK && (st = out_need(k->out, clear.len)) == HSM_OK && k->out->ptr != NULL)
		memcpy(k->out->ptr, clear.ptr, clear.len);
	secret_wipe(&clear);
	return st;
}

hsm_status
hsm_keep_open(hsm_session service, hsm_part part, hsm_in id, hsm_in sealed, hsm_out *plain)
{
	struct kept k = { .use = HSM_KEEP_PASSWORD, .id = id, .sealed = sealed, .out = plain };
	hsm_status st;

	if ((st = keep_enter(&k, service, part)) == HSM_OK)
		st = gate_call(run_show, &k, HEAP, DEPTH);
	keep_leave(&k, st);
	return st;
}

static hsm_status
prefixed_key(hsm_in secret, struct hkey *key)
{
	struct secret prefixed = SECRET_NONE;
	struct writer w;
	hsm_status st;

	if ((st = secret_alloc(&prefixed, 4 + secret.len)) != HSM_OK)
		return st;
	writer_init(&w, prefixed.ptr, prefixed.len);
	writer_put(&w, "AWS4", 4);
	writer_put(&w, secret.ptr, secret.len);
	st = hkey_make(key, secret_in(&prefixed));
	secret_wipe(&prefixed);
	return st;
}

static hsm_status
run_sign(void *arg)
{
	const struct kept *k = arg;
	struct secret clear = SECRET_NONE;
	struct hkey first, signing;
	uint8_t mac[HKEY_MAC_LEN];
	hsm_status st;

	if ((st = keep_open(k, &clear)) != HSM_OK)
		goto out;
	if ((st = prefixed_key(secret_in(&clear), &first)) != HSM_OK)
		goto out;
	if ((st = sigv4_derive(&first, k->request, &signing)) != HSM_OK)
		goto out;
	if ((st = sigv4_mac(&signing, k->request, mac)) == HSM_OK)
		sigv4_hex(mac, k->out->ptr);
out:
	bytes_wipe(&first, sizeof first);
	bytes_wipe(&signing, sizeof signing);
	secret_wipe(&clear);
	return st;
}

hsm_status
hsm_keep_sign(hsm_session service, hsm_part part, hsm_in id, hsm_in sealed, const hsm_sigv4 *request, hsm_out *signature)
{
	struct kept k = { .use = HSM_KEEP_SIGNER, .id = id, .sealed = sealed, .out = signature, .request = request };
	hsm_status st;

	if ((st = keep_enter(&k, service, part)) != HSM_OK)
		goto out;
	st = HSM_E_ARGS;
	if (!sigv4_fits(request))
		goto out;
	if ((st = out_need(signature, SIGV4_HEX_LEN)) == HSM_OK && signature->ptr != NULL)
		st = gate_call(run_sign, &k, HEAP, DEPTH);
out:
	keep_leave(&k, st);
	return st;
}
