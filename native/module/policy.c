/* policy.c - see policy.h. */
#include "policy.h"

#include <string.h>
#include <time.h>

#include "../base/lab.h"

#define USES_OF_OBJECTS (USE_DESCRIBE | USE_CHANGE | USE_SEAL | USE_DESTROY)
#define ACCOUNT_LEN 12u

/* ---- who ----------------------------------------------------------------------- */

static bool
shared_with(const struct facts *f, hsm_in account)
{
	static const uint8_t everybody[ACCOUNT_LEN] = "************";

	if (account.len != ACCOUNT_LEN)
		return false;
	for (size_t at = 0; at + ACCOUNT_LEN <= f->shared_with.len; at += ACCOUNT_LEN)
		if (memcmp(f->shared_with.ptr + at, account.ptr, ACCOUNT_LEN) == 0
		    || memcmp(f->shared_with.ptr + at, everybody, ACCOUNT_LEN) == 0)
			return true;
	return false;
}

/* The service loads and keeps keys; it never works with one. */
static hsm_status
who_service(const struct policy_ask *ask)
{
	return (ask->use & USES_OF_OBJECTS) != 0 ? HSM_OK : HSM_E_ROLE;
}

/* A tenant's principal works with keys; what becomes of them is the service's. */
static hsm_status
who_caller(const struct policy_ask *ask)
{
	if (!ask->home && !shared_with(ask->facts, ask->account))
		return HSM_E_PARTITION;
	return (ask->use & USES_OF_OBJECTS & ~USE_DESCRIBE) != 0 ? HSM_E_ROLE : HSM_OK;
}

/* Private objects are there for the user alone; to others there is no such
 * thing. */
static hsm_status
who_local(const struct policy_ask *ask)
{
	if (!ask->home)
		return HSM_E_PARTITION;
	if ((ask->facts->flags & FACT_PRIVATE) != 0 && ask->role != HSM_ROLE_USER)
		return HSM_E_HANDLE;
	if ((ask->use & (USE_CHANGE | USE_DESTROY)) != 0 && (ask->facts->flags & FACT_TOKEN) != 0 && !ask->writable)
		return HSM_E_READ_ONLY;
	return HSM_OK;
}

static hsm_status
policy_who(const struct policy_ask *ask)
{
	switch (ask->role) {
	case HSM_ROLE_SERVICE:
		return who_service(ask);
	case HSM_ROLE_CALLER:
		return who_caller(ask);
	case HSM_ROLE_PUBLIC:
	case HSM_ROLE_USER:
	case HSM_ROLE_OFFICER:
		return who_local(ask);
	default:
		return HSM_E_ROLE;
	}
}

/* ---- what ------------------------------------------------------------------------ */

static bool
mech_allowed(const struct facts *f, hsm_mech id)
{
	uint64_t one;

	if (f->allowed.ptr == NULL)
		return true;
	for (size_t at = 0; at + sizeof one <= f->allowed.len; at += sizeof one) {
		memcpy(&one, f->allowed.ptr + at, sizeof one);
		if (one == id)
			return true;
	}
	return false;
}

static hsm_status
policy_mech(const struct policy_ask *ask)
{
	const struct mech *m = ask->mech;
	const struct facts *f = ask->facts;
	uint32_t bits;

	if ((m->flags & ask->use & ~USE_ATTESTED) == 0)
		return HSM_E_MECH;
	/* A derivation key does one job, through the envelope calls. */
	if (f->spec.type == HSM_KEY_KDK || f->spec.type == HSM_KEY_SIGV4)
		return HSM_E_POLICY;
	if (m->key_type != f->spec.type && m->key_type != HSM_KEY_ANY)
		return HSM_E_KEY_TYPE;
	bits = attrs_bits(f->spec);
	if (bits < m->min_bits || (m->max_bits != 0 && bits > m->max_bits))
		return HSM_E_KEY_SIZE;
	return mech_allowed(f, m->id) ? HSM_OK : HSM_E_POLICY;
}

/* Protecting anew needs a key that is in its time; reading old data does not. */
static hsm_status
policy_dates(const struct policy_ask *ask)
{
	const uint32_t anew = MECH_ENCRYPT | MECH_SIGN | MECH_WRAP | MECH_DERIVE | MECH_ENCAP;
	const struct facts *f = ask->facts;
	time_t now = time(NULL);
	struct tm day;
	char today[9];

	if ((ask->use & anew) == 0 || (f->start.len == 0 && f->end.len == 0))
		return HSM_OK;
	if (gmtime_r(&now, &day) == NULL || strftime(today, sizeof today, "%Y%m%d", &day) != 8)
		return HSM_E_EXPIRED;
	if (f->start.len == 8 && memcmp(today, f->start.ptr, 8) < 0)
		return HSM_E_EXPIRED;
	return f->end.len == 8 && memcmp(today, f->end.ptr, 8) > 0 ? HSM_E_EXPIRED : HSM_OK;
}

/* Unauthenticated ways of bringing keys in are off where it is strict, and a
 * tenant gets no plaintext. (The envelope calls name no mechanism, and see to
 * it themselves.) */
static hsm_status
policy_strict(const struct policy_ask *ask)
{
	if (ask->role == HSM_ROLE_CALLER && ask->mech != NULL && ask->use == MECH_DECRYPT)
		return HSM_E_POLICY;
	if (ask->use == MECH_UNWRAP && ask->mech != NULL
	    && (ask->mech->id == HSM_RSA_PKCS || ask->mech->id == HSM_RSA_X_509 || ask->mech->id == HSM_AES_CBC
	        || ask->mech->id == HSM_AES_CBC_PAD || ask->mech->id == HSM_AES_ECB || ask->mech->id == HSM_AES_CTR))
		return HSM_E_POLICY;
	return policy_dates(ask);
}

/* A tenant's key pair is one object, the private one: there, what a key may
 * undo or make, its public half may do or check. PKCS#11's callers have two. */
static uint32_t
uses_of(const struct policy_ask *ask)
{
	uint32_t use = ask->facts->use;

	if (ask->role != HSM_ROLE_CALLER || ask->facts->klass != HSM_CLASS_PRIVATE)
		return use;
	return use | ((use & MECH_DECRYPT) != 0 ? MECH_ENCRYPT : 0)
	       | ((use & MECH_SIGN) != 0 ? MECH_VERIFY : 0)
	       | ((use & MECH_DECAP) != 0 ? MECH_ENCAP : 0);
}

static hsm_status
check(const struct policy_ask *ask)
{
	hsm_status st;

	if ((st = policy_who(ask)) != HSM_OK)
		return st;
	if ((ask->use & USES_OF_OBJECTS) != 0)
		return HSM_OK;
	if ((uses_of(ask) & ask->use & ~USE_ATTESTED) == 0)
		return HSM_E_POLICY;
	if (ask->mech != NULL && (st = policy_mech(ask)) != HSM_OK)
		return st;
	return ask->strict ? policy_strict(ask) : HSM_OK;
}

hsm_status
policy_check(const struct policy_ask *ask)
{
	const hsm_status st = check(ask);

	lab_trace("\"event\":\"use\",\"role\":%u,\"use\":%u,\"mechanism\":\"%s\",\"class\":%u,\"type\":%u,\"home\":%s,\"strict\":%s,\"status\":\"%s\"",
	          (unsigned)ask->role, ask->use, ask->mech == NULL ? "" : ask->mech->name, ask->facts->klass, ask->facts->spec.type,
	          ask->home ? "true" : "false", ask->strict ? "true" : "false", hsm_status_name(st));
	return st;
}

hsm_status
policy_near(const struct session *s, const struct partition *p)
{
	struct partition *mine = session_partition(s);

	if (!partition_alive(p))
		return HSM_E_PARTITION;
	if (mine == p || mine == NULL)
		return HSM_OK;
	return session_role(s) == HSM_ROLE_CALLER ? HSM_OK : HSM_E_PARTITION;
}

/* ---- making ------------------------------------------------------------------------ */

hsm_status
policy_home(struct session *s, hsm_part part, struct partition **p)
{
	struct partition *mine = session_partition(s);

	*p = NULL;
	if (mine == NULL)
		return partition_acquire(part, p);
	if (part != 0 && part != partition_handle(mine))
		return HSM_E_PARTITION;
	if (!partition_alive(mine))
		return HSM_E_PARTITION;
	partition_retain(mine);
	*p = mine;
	return HSM_OK;
}

hsm_status
policy_make(const struct session *s, const struct facts *f)
{
	hsm_role role = session_role(s);

	if (role == HSM_ROLE_CALLER || role == HSM_ROLE_SERVICE)
		return HSM_OK;
	if ((f->flags & FACT_PRIVATE) != 0 && role != HSM_ROLE_USER)
		return HSM_E_NOT_LOGGED_IN;
	if ((f->flags & FACT_TOKEN) != 0 && !session_writable(s))
		return HSM_E_READ_ONLY;
	return HSM_OK;
}

/* ---- wrapping ------------------------------------------------------------------------ */

static bool
symmetric(const struct facts *f)
{
	return f->klass == HSM_CLASS_SECRET;
}

/* A key must not leave under a weaker one. Under a weaker RSA key it may,
 * where the partition is not strict: every client wraps AES-256 with
 * RSA-2048. */
static bool
weaker(const struct facts *kek, const struct facts *target, bool strict)
{
	if (!strict && !symmetric(kek))
		return false;
	return attrs_strength(kek->spec) < attrs_strength(target->spec);
}

/* Strict: an authenticated mechanism, under a key that nobody outside knows
 * or that the officer vouches for. */
static hsm_status
wrap_strict(const struct facts *kek, const struct mech *mech)
{
	const uint32_t own = FACT_ALWAYS_SENSITIVE | FACT_LOCAL;

	if ((kek->flags & FACT_TRUSTED) == 0 && (kek->flags & own) != own)
		return HSM_E_WRAPPING;
	if ((mech->flags & MECH_AEAD) != 0 || mech->id == HSM_AES_KEY_WRAP || mech->id == HSM_AES_KEY_WRAP_KWP
	    || mech->id == HSM_RSA_OAEP || mech->id == HSM_RSA_AES_KEY_WRAP)
		return HSM_OK;
	return HSM_E_WRAPPING;
}

hsm_status
policy_wrap(const struct facts *kek, const struct facts *target, const struct mech *mech, bool strict)
{
	hsm_in template;

	if (target->klass != HSM_CLASS_SECRET && target->klass != HSM_CLASS_PRIVATE)
		return HSM_E_WRAPPING;
	if (target->spec.type == HSM_KEY_KDK || target->spec.type == HSM_KEY_SIGV4)
		return HSM_E_UNEXTRACTABLE;
	if ((target->flags & FACT_EXTRACTABLE) == 0)
		return HSM_E_UNEXTRACTABLE;
	if ((target->flags & FACT_WRAP_WITH_TRUSTED) != 0 && (kek->flags & FACT_TRUSTED) == 0)
		return HSM_E_WRAPPING;
	if (facts_find(kek, HSM_ATTR_WRAP_TEMPLATE, &template) && !facts_match_template(target, template))
		return HSM_E_WRAPPING;
	if (weaker(kek, target, strict))
		return HSM_E_WRAPPING;
	return strict ? wrap_strict(kek, mech) : HSM_OK;
}
