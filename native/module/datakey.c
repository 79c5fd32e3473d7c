/* Data keys: random bytes or a fresh key pair, sealed in an envelope. The
 * plaintext lies in the arena and leaves only where the call's contract says
 * so (leave.h). */
#include <string.h>

#include "../base/state.h"
#include "../crypto/rng.h"
#include "envelope.h"
#include "gate.h"
#include "leave.h"

#define DATA_KEY_MAX 1024u

struct job {
	struct envelope e;
	hsm_in pairs;
	struct leave leave;
	size_t len;                     /* of a data key */
	const struct kind *kind;        /* of a pair */
	const struct mech *row;
	hsm_spec spec;
	struct secret clear, pub;
	hsm_out *spki, *blob;           /* spki NULL: not a pair */
};

/* The KDK on loan. */
static hsm_status
job_start(struct job *job, struct session *s, hsm_key key, struct object **o)
{
	hsm_status st;

	if ((st = object_acquire(s, key, MECH_ENCRYPT, NULL, o)) != HSM_OK)
		return st;
	if ((st = leave_allowed(&job->leave, object_partition(*o))) != HSM_OK)
		return st;
	gate_approved(true);
	return envelope_name(&job->e, *o);
}

/* A size is asked for: nothing is made. */
static bool
job_asks(const struct job *job)
{
	return job->blob->ptr == NULL || (job->spki != NULL && job->spki->ptr == NULL)
	       || (job->leave.out != NULL && job->leave.out->ptr == NULL);
}

/* All rooms are there before anything is written. */
static hsm_status
job_rooms(struct job *job, size_t clear_len, size_t spki_len)
{
	const hsm_status all[] = { leave_need(&job->leave, clear_len), out_need(job->blob, envelope_len(&job->e, clear_len)),
	                           job->spki == NULL ? HSM_OK : out_need(job->spki, spki_len) };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (all[i] != HSM_OK)
			return all[i];
	}
	return HSM_OK;
}

static hsm_status
job_seal(struct job *job)
{
	hsm_status st;

	if ((st = envelope_seal(&job->e, job->pairs, secret_in(&job->clear), job->blob->ptr)) != HSM_OK)
		return st;
	if (job->spki != NULL)
		memcpy(job->spki->ptr, job->pub.ptr, job->pub.len);
	return leave_put(&job->leave, secret_in(&job->clear));
}

/* `work` once the recipient's key is there and the rooms fit, or nothing. */
static hsm_status
job_enter(struct job *job, size_t clear_len, size_t spki_len, hsm_status (*work)(struct job *))
{
	hsm_status st;

	if ((st = leave_open(&job->leave)) != HSM_OK)
		goto out;
	if ((st = job_rooms(job, clear_len, spki_len)) != HSM_OK || job_asks(job))
		goto out;
	st = work(job);
out:
	leave_close(&job->leave);
	return st;
}

static size_t
job_heap(const struct job *job, size_t clear_len)
{
	return envelope_heap(job->pairs) + clear_len + 64 + leave_heap(&job->leave, clear_len);
}

static size_t
job_depth(const struct job *job)
{
	const size_t leave = leave_depth(&job->leave);

	return leave > ENVELOPE_DEPTH ? leave : ENVELOPE_DEPTH;
}

static hsm_status
job_end(struct job *job, struct session *s, struct object *o, hsm_status st)
{
	hsm_out *const outs[] = { job->leave.out, job->spki, job->blob };

	for (size_t i = 0; i < sizeof outs / sizeof *outs; i++) {
		if (st != HSM_OK && st != HSM_E_BUFFER && outs[i] != NULL)
			outs[i]->len = 0;
	}
	secret_wipe(&job->clear);
	secret_wipe(&job->pub);
	object_release(o);
	if (s != NULL)
		session_release(s);
	return st;
}

/* ---- a data key ----------------------------------------------------------- */

static hsm_status
data_key_make(struct job *job)
{
	hsm_status st;

	if ((st = secret_alloc(&job->clear, job->len)) != HSM_OK)
		return st;
	if ((st = rng_bytes(job->clear.ptr, job->clear.len)) != HSM_OK)
		return st;
	return job_seal(job);
}

static hsm_status
run_data_key(void *arg)
{
	struct job *job = arg;

	return job_enter(job, job->len, 0, data_key_make);
}

static hsm_status
data_key(hsm_session session, hsm_key key, struct job *job)
{
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	st = HSM_E_DATA_LEN;
	if (job->len == 0 || job->len > DATA_KEY_MAX)
		goto out;
	if ((st = job_start(job, s, key, &o)) != HSM_OK)
		goto out;
	st = gate_run(run_data_key, job, job_heap(job, job->len), job_depth(job));
out:
	return job_end(job, s, o, st);
}

hsm_status
hsm_data_key(hsm_session session, hsm_key key, hsm_in pairs, size_t len, hsm_out *plain, hsm_out *blob)
{
	struct job job = { .pairs = pairs, .len = len, .leave.out = plain, .blob = blob };

	return data_key(session, key, &job);
}

hsm_status
hsm_recipient_data_key(hsm_session session, hsm_key key, hsm_in pairs, size_t len, hsm_in recipient, hsm_out *cms, hsm_out *blob)
{
	struct job job = { .pairs = pairs, .len = len, .leave = { .out = cms, .recipient = recipient }, .blob = blob };

	return recipient.ptr == NULL ? job_end(&job, NULL, NULL, HSM_E_ARGS) : data_key(session, key, &job);
}

/* ---- a data key pair ------------------------------------------------------ */

#define PAIR_DEPTH (160u << 10)
#define PAIR_HEAP 32768u                /* material and SPKI, beside what row and kind ask for */

/* Rooms that always do, for those who ask before the pair is there. */
#define PAIR_PLAIN_MAX ENVELOPE_PLAIN_MAX
#define PAIR_SPKI_MAX 2048u

/* Tested against itself before anybody gets it, like every pair we make. */
static hsm_status
run_pair(void *arg)
{
	struct job *job = arg;
	struct key key;
	hsm_status st;

	if ((st = job->kind->generate(job->spec, &(hsm_params){ 0 }, &job->clear, &job->pub)) != HSM_OK)
		return st;
	if ((st = key_load(&key, job->spec.type, PART_PRIVATE, secret_in(&job->clear))) != HSM_OK)
		return st;
	st = job->kind->consistent(&key);
	key_unload(&key);
	return st;
}

/* A pair that is not one is erased, and nothing more is served. */
static hsm_status
pair_make(struct job *job)
{
	const hsm_status st = gate_run(run_pair, job, PAIR_HEAP + job->row->heap + job->kind->heap, PAIR_DEPTH);

	if (st == HSM_E_SELF_TEST)
		(void)!state_event(EVENT_TEST_FAILED, "pairwise consistency");
	return st;
}

static hsm_status
run_pair_ask(void *arg)
{
	return job_enter(arg, PAIR_PLAIN_MAX, PAIR_SPKI_MAX, job_seal);
}

static hsm_status
run_pair_seal(void *arg)
{
	struct job *job = arg;

	return job_enter(job, job->clear.len, job->pub.len, job_seal);
}

/* The kinds a pair may be of: whatever has a public half and a row that makes
 * it. */
static hsm_status
pair_kind(struct job *job)
{
	job->kind = kind_find(job->spec.type);
	if (job->kind == NULL || job->kind->generate == NULL || job->kind->publish == NULL || job->kind->consistent == NULL)
		return HSM_E_KEY_TYPE;
	for (size_t i = 0; (job->row = mech_at(i)) != NULL; i++) {
		if ((job->row->flags & MECH_GENERATE) != 0 && job->row->key_type == job->spec.type)
			return HSM_OK;
	}
	return HSM_E_KEY_TYPE;
}

static hsm_status
data_key_pair(hsm_session session, hsm_key key, struct job *job)
{
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	if ((st = pair_kind(job)) != HSM_OK)
		goto out;
	if ((st = job_start(job, s, key, &o)) != HSM_OK)
		goto out;
	if (job_asks(job)) {
		st = gate_run(run_pair_ask, job, leave_heap(&job->leave, PAIR_PLAIN_MAX), job_depth(job));
		goto out;
	}
	if ((st = gate_indicate(job->row, &(struct key){ .spec = job->spec }, MECH_GENERATE, &(hsm_params){ 0 })) != HSM_OK)
		goto out;
	if ((st = pair_make(job)) != HSM_OK)
		goto out;
	st = gate_run(run_pair_seal, job, job_heap(job, job->clear.len), job_depth(job));
out:
	return job_end(job, s, o, st);
}

hsm_status
hsm_data_key_pair(hsm_session session, hsm_key key, hsm_in pairs, hsm_spec spec, hsm_out *spki, hsm_out *plain, hsm_out *blob)
{
	struct job job = { .pairs = pairs, .spec = spec, .leave.out = plain, .spki = spki, .blob = blob };

	return data_key_pair(session, key, &job);
}

hsm_status
hsm_recipient_data_key_pair(hsm_session session, hsm_key key, hsm_in pairs, hsm_spec spec, hsm_in recipient, hsm_out *spki, hsm_out *cms, hsm_out *blob)
{
	struct job job = { .pairs = pairs, .spec = spec, .leave = { .out = cms, .recipient = recipient }, .spki = spki, .blob = blob };

	return recipient.ptr == NULL ? job_end(&job, NULL, NULL, HSM_E_ARGS) : data_key_pair(session, key, &job);
}
