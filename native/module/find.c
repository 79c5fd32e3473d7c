/* find.c - looking for objects by what is said about them.
 *
 * With a label or an id the index names the candidates; without, all objects
 * are walked by slot. Either way the cursor is a slot, and answers come in the
 * order of slots. */
#include <stdlib.h>
#include <string.h>

#include "attrs.h"
#include "index.h"
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

/* Does the session see this object, and does it fit? */
static bool
seen(struct session *s, hsm_key key, const hsm_attr *attrs, size_t n)
{
	struct object *o;
	bool found;

	if (object_acquire(s, key, USE_DESCRIBE, NULL, &o) != HSM_OK)
		return false;
	found = object_partition(o) == session_partition(s) && fits(o, attrs, n);
	object_release(o);
	return found;
}

/* What lies in a slot, if it is of the session's partition. */
static hsm_key
slot_key(struct session *s, uint32_t slot)
{
	struct object *o = object_at(slot);
	hsm_key key = o != NULL && object_partition(o) == session_partition(s) ? object_handle(o) : 0;

	object_release(o);
	return key;
}

static void
walk_all(struct session *s, const hsm_attr *attrs, size_t n, uint64_t *cursor, hsm_key *keys, size_t room, size_t *count)
{
	hsm_key key;

	for (; *count < room && *cursor < object_span(); ++*cursor)
		if ((key = slot_key(s, (uint32_t)*cursor)) != 0 && seen(s, key, attrs, n))
			keys[(*count)++] = key;
}

/* Objects that were opened but never read may carry what is sought: reading
 * them hangs them where they belong. */
static hsm_status
read_unread(struct session *s)
{
	uint64_t *handles;
	struct object *o;
	size_t n;
	hsm_status st;

	if ((st = index_collect(INDEX_UNREAD, session_partition(s), HSM_NONE, 0, &handles, &n)) != HSM_OK)
		return st;
	for (size_t i = 0; i < n; i++)
		if (object_acquire(s, handles[i], USE_DESCRIBE, NULL, &o) == HSM_OK)
			object_release(o);
	free(handles);
	return HSM_OK;
}

static hsm_status
walk_index(struct session *s, enum index_by by, hsm_in value, const hsm_attr *attrs, size_t n,
	uint64_t *cursor, hsm_key *keys, size_t room, size_t *count)
{
	uint64_t *handles;
	size_t candidates;
	hsm_status st;

	if ((st = read_unread(s)) != HSM_OK)
		return st;
	if ((st = index_collect(by, session_partition(s), value, *cursor, &handles, &candidates)) != HSM_OK)
		return st;
	for (size_t i = 0; i < candidates && *count < room; i++) {
		*cursor = (handles[i] & ((UINT64_C(1) << OBJECT_SLOT_BITS) - 1)) + 1;
		if (seen(s, handles[i], attrs, n))
			keys[(*count)++] = handles[i];
	}
	free(handles);
	return HSM_OK;
}

hsm_status
hsm_find(hsm_session session, const hsm_attr *attrs, size_t n, uint64_t *cursor, hsm_key *keys, size_t *count)
{
	size_t room = *count;
	struct session *s;
	hsm_in value;
	hsm_status st;

	*count = 0;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if (session_partition(s) == NULL)
		st = HSM_E_ROLE;
	else if (attrs_find(attrs, n, HSM_ATTR_LABEL, &value) && value.len != 0)
		st = walk_index(s, INDEX_LABEL, value, attrs, n, cursor, keys, room, count);
	else if (attrs_find(attrs, n, HSM_ATTR_ID, &value) && value.len != 0)
		st = walk_index(s, INDEX_ID, value, attrs, n, cursor, keys, room, count);
	else
		walk_all(s, attrs, n, cursor, keys, room, count);
	session_release(s);
	return st;
}
