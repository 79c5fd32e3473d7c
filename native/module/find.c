/* find.c - looking for objects by what is said about them. */
#include <string.h>

#include "attrs.h"
#include "inspect.h"
#include "object.h"
#include "policy.h"
#include "session.h"

#define COMPARE_MAX 8192u

/* A public component: ask the key. */
static bool
component_fits(struct object *o, const hsm_attr *attr)
{
	uint8_t bytes[COMPARE_MAX];
	hsm_out out = { bytes, sizeof bytes, 0 };

	return inspect_component(o, attr->type, &out) == HSM_OK && bytes_equal((hsm_in){ bytes, out.len }, attr->value);
}

static bool
fits(struct object *o, const hsm_attr *attrs, size_t n)
{
	bool ask, asks = false;

	for (size_t i = 0; i < n; i++) {
		if (!facts_match(object_facts(o), &attrs[i], &ask))
			return false;
		asks = asks || ask;
	}
	for (size_t i = 0; asks && i < n; i++) {
		(void)facts_match(object_facts(o), &attrs[i], &ask);
		if (ask && !component_fits(o, &attrs[i]))
			return false;
	}
	return true;
}

/* An object that the session may see and that fits: its number, else 0. */
static hsm_key
candidate(struct session *s, uint32_t slot, const hsm_attr *attrs, size_t n)
{
	struct object *there = object_at(slot), *o = NULL;
	hsm_key found = 0;

	if (there == NULL)
		return 0;
	if (object_partition(there) == session_partition(s)
	    && object_acquire(s, object_handle(there), USE_DESCRIBE, NULL, &o) == HSM_OK && fits(o, attrs, n))
		found = object_handle(o);
	object_release(o);
	object_release(there);
	return found;
}

hsm_status
hsm_find(hsm_session session, const hsm_attr *attrs, size_t n, uint64_t *cursor, hsm_key *keys, size_t *count)
{
	size_t room = *count;
	struct session *s;
	hsm_status st;
	hsm_key key;

	*count = 0;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if (session_partition(s) == NULL) {
		st = HSM_E_ROLE;
		goto out;
	}
	for (; *count < room && *cursor < object_span(); ++*cursor)
		if ((key = candidate(s, (uint32_t)*cursor, attrs, n)) != 0)
			keys[(*count)++] = key;
out:
	session_release(s);
	return st;
}
