/* Data keys: random bytes or a fresh key pair, sealed in an envelope. The
 * plaintext lies in the arena and leaves only where the call's contract says
 * so. */
#include <string.h>

#include "../base/state.h"
#include "../crypto/rng.h"
#include "envelope.h"
#include "gate.h"

#define DATA_KEY_MAX 1024u

struct job {
	struct envelope e;
	hsm_in pairs;
	size_t len;                     /* of a data key */
	const struct kind *kind;        /* of a pair */
	const struct mech *row;
	hsm_spec spec;
	struct secret clear, pub;
	hsm_out *plain, *spki, *blob;
};

/* The KDK on loan, and what leaves asked for. `plain` NULL: none does. */
static hsm_status
job_start(struct job *job, struct session *s, hsm_key key, struct object **o)
{
	hsm_status st;

	if ((st = object_acquire(s, key, MECH_ENCRYPT, NULL, o)) != HSM_OK)
		return st;
	if (job->plain != NULL && partition_strict(object_partition(*o)))
		return HSM_E_POLICY;
	gate_approved(true);
	return envelope_name(&job->e, *o);
}

/* All or nothing: both rooms are there before anything is written. */
static hsm_status
job_rooms(struct job *job, size_t clear_len, bool *ask)
{
	const hsm_status plain = job->plain == NULL ? HSM_OK : out_need(job->plain, clear_len);
	const hsm_status blob = out_need(job->blob, envelope_len(&job->e, clear_len));

	*ask = job->blob->ptr == NULL || (job->plain != NULL && job->plain->ptr == NULL);
	return plain != HSM_OK ? plain : blob;
}

static hsm_status
job_seal(struct job *job)
{
	const hsm_status st = envelope_seal(&job->e, job->pairs, secret_in(&job->clear), job->blob->ptr);

	if (st == HSM_OK && job->plain != NULL)
		memcpy(job->plain->ptr, job->clear.ptr, job->clear.len);
	return st;
}

static void
job_fail(struct job *job)
{
	job->blob->len = 0;
	if (job->plain != NULL)
		job->plain->len = 0;
	if (job->spki != NULL)
		job->spki->len = 0;
}

/* ---- a data key ----------------------------------------------------------- */

static hsm_status
run_data_key(void *arg)
{
	struct job *job = arg;
	hsm_status st;

	if ((st = secret_alloc(&job->clear, job->len)) != HSM_OK)
		goto out;
	if ((st = rng_bytes(job->clear.ptr, job->clear.len)) != HSM_OK)
		goto out;
	st = job_seal(job);
out:
	secret_wipe(&job->clear);
	return st;
}

hsm_status
hsm_data_key(hsm_session session, hsm_key key, hsm_in pairs, size_t len, hsm_out *plain, hsm_out *blob)
{
	struct job job = { .pairs = pairs, .len = len, .plain = plain, .blob = blob };
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st;
	bool ask;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	st = HSM_E_DATA_LEN;
	if (len == 0 || len > DATA_KEY_MAX)
		goto out;
	if ((st = job_start(&job, s, key, &o)) != HSM_OK)
		goto out;
	if ((st = job_rooms(&job, len, &ask)) != HSM_OK || ask)
		goto out;
	st = gate_run(run_data_key, &job, envelope_heap(pairs) + len + 64, ENVELOPE_DEPTH);
out:
	if (st != HSM_OK && st != HSM_E_BUFFER)
		job_fail(&job);
	object_release(o);
	if (s != NULL)
		session_release(s);
	return st;
}

/* ---- a data key pair ------------------------------------------------------ */

#define PAIR_DEPTH (160u << 10)
#define PAIR_HEAP 32768u                /* material and SPKI, beside what row and kind ask for */

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

	if (st == HSM_E_SELF_TEST && state_event(EVENT_TEST_FAILED, "pairwise consistency") != HSM_OK)
		return HSM_E_STATE;             /* another thread was first */
	return st;
}

/* After the pair is made its sizes are known. */
static hsm_status
run_pair_seal(void *arg)
{
	struct job *job = arg;
	const hsm_status st = job_seal(job);

	if (st == HSM_OK)
		memcpy(job->spki->ptr, job->pub.ptr, job->pub.len);
	return st;
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

/* Rooms that always do, for those who ask before the pair is there. */
#define PAIR_PLAIN_MAX ENVELOPE_PLAIN_MAX
#define PAIR_SPKI_MAX 2048u

static hsm_status
pair_ask(struct job *job)
{
	bool ask;
	const hsm_status st = job_rooms(job, PAIR_PLAIN_MAX, &ask);
	const hsm_status spki = out_need(job->spki, PAIR_SPKI_MAX);

	return st != HSM_OK ? st : spki;
}

hsm_status
hsm_data_key_pair(hsm_session session, hsm_key key, hsm_in pairs, hsm_spec spec, hsm_out *spki, hsm_out *plain, hsm_out *blob)
{
	struct job job = { .pairs = pairs, .spec = spec, .plain = plain, .spki = spki, .blob = blob };
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st, fits;
	bool ask;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	if ((st = pair_kind(&job)) != HSM_OK)
		goto out;
	if ((st = job_start(&job, s, key, &o)) != HSM_OK)
		goto out;
	if (spki->ptr == NULL || blob->ptr == NULL || (plain != NULL && plain->ptr == NULL)) {
		st = pair_ask(&job);
		goto out;
	}
	if ((st = gate_indicate(job.row, &(struct key){ .spec = spec }, MECH_GENERATE, &(hsm_params){ 0 })) != HSM_OK)
		goto out;
	if ((st = pair_make(&job)) != HSM_OK)
		goto out;
	st = out_need(spki, job.pub.len);
	if ((fits = job_rooms(&job, job.clear.len, &ask)) != HSM_OK || st != HSM_OK) {
		st = fits != HSM_OK ? fits : st;
		goto out;
	}
	st = gate_run(run_pair_seal, &job, envelope_heap(pairs), ENVELOPE_DEPTH);
out:
	if (st != HSM_OK && st != HSM_E_BUFFER)
		job_fail(&job);
	secret_wipe(&job.clear);
	secret_wipe(&job.pub);
	object_release(o);
	if (s != NULL)
		session_release(s);
	return st;
}
