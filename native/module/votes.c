/* votes.c - see votes.h and hsm_share_put.
 *
 * Shares wait in the arena. When there are enough they are joined, tried once
 * and wiped, whatever comes of it. */
#include "votes.h"

#include <pthread.h>
#include <string.h>

#include "gate.h"
#include "share.h"
#include "unseal.h"

#define PURPOSE_MAX 64u
#define HEAP 65536u
#define DEPTH 32768u

struct box {
	uint8_t purpose[PURPOSE_MAX];
	size_t purpose_len;
	uint8_t set[SHARE_SET_LEN], threshold;
	uint8_t xs[SHAMIR_PARTS_MAX];
	unsigned n;
	struct secret parts;            /* threshold * SHAMIR_LEN */
};

static struct box box;                  /* empty: parts.ptr is NULL */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
box_empty(void)
{
	secret_wipe(&box.parts);
	memset(&box, 0, sizeof box);
}

void
votes_forget(void)
{
	pthread_mutex_lock(&lock);
	box_empty();
	pthread_mutex_unlock(&lock);
}

/* In a child the arena is not there; neither may the pointers be. */
static void
votes_forked(void)
{
	memset(&box, 0, sizeof box);
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static void
votes_watch_fork(void)
{
	(void)pthread_atfork(NULL, NULL, votes_forked);
}

static bool
box_fits(hsm_in purpose, const struct share *share)
{
	return box.parts.ptr != NULL && bytes_equal((hsm_in){ box.purpose, box.purpose_len }, purpose)
	       && memcmp(box.set, share->set, sizeof box.set) == 0 && box.threshold == share->threshold;
}

static hsm_status
box_begin(hsm_in purpose, const struct share *share)
{
	box_empty();
	memcpy(box.purpose, purpose.ptr, purpose.len);
	box.purpose_len = purpose.len;
	memcpy(box.set, share->set, sizeof box.set);
	box.threshold = share->threshold;
	return secret_alloc(&box.parts, (size_t)share->threshold * SHAMIR_LEN);
}

static hsm_status
box_add(const struct share *share)
{
	for (unsigned i = 0; i < box.n; i++) {
		if (box.xs[i] == share->place)
			return HSM_E_EXISTS;
	}
	box.xs[box.n] = share->place;
	memcpy(box.parts.ptr + (size_t)box.n * SHAMIR_LEN, share->value, SHAMIR_LEN);
	box.n++;
	return HSM_OK;
}

struct putting { hsm_in header, purpose, text; uint32_t *have, *need; };

static hsm_status
box_try(const struct putting *p)
{
	const bool unseals = bytes_equal(p->purpose, (hsm_in){ (const uint8_t *)"unseal", 6 });
	struct secret key = SECRET_NONE;
	hsm_status st;

	if ((st = secret_alloc(&key, SHAMIR_LEN)) == HSM_OK) {
		shamir_join(box.xs, (const uint8_t (*)[SHAMIR_LEN])box.parts.ptr, box.n, key.ptr);
		st = root_open_set(p->header, box.set, &key, !unseals);
	}
	secret_wipe(&key);
	box_empty();
	return st;
}

static hsm_status
put(void *arg)
{
	const struct putting *p = arg;
	struct share share;
	hsm_status st;

	if ((st = share_read(p->text, &share)) != HSM_OK)
		goto out;
	/* Before it is kept: does the header know it? */
	if ((st = root_has_set(p->header, share.set, share.threshold)) != HSM_OK)
		goto out;
	if (!box_fits(p->purpose, &share) && (st = box_begin(p->purpose, &share)) != HSM_OK)
		goto out;
	if ((st = box_add(&share)) != HSM_OK)
		goto out;
	*p->have = box.n;
	*p->need = box.threshold;
	if (box.n == box.threshold)
		st = box_try(p);
out:
	bytes_wipe(&share, sizeof share);
	return st;
}

hsm_status
hsm_share_put(hsm_in header, hsm_in purpose, hsm_in share, uint32_t *have, uint32_t *need)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct putting p = { header, purpose, share, have, need };
	hsm_status st;

	*have = *need = 0;
	if (purpose.len == 0 || purpose.len > PURPOSE_MAX || header.len == 0)
		return HSM_E_ARGS;
	pthread_once(&once, votes_watch_fork);
	pthread_mutex_lock(&lock);
	st = gate_call(put, &p, HEAP, DEPTH);
	pthread_mutex_unlock(&lock);
	return st;
}

void
hsm_share_drop(void)
{
	votes_forget();
}
