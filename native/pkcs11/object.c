/* object.c - objects: made, copied, looked at, changed, destroyed. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

/* ---- session objects of a slot ---------------------------------------------------- */

/* Those that ended with their session leave before the list grows. */
static void
objects_compact(struct slot *slot, hsm_session core)
{
	hsm_key_info info;
	size_t kept = 0;

	for (size_t i = 0; i < slot->objects_len; i++)
		if (hsm_key_describe(core, slot->objects[i], &info) == HSM_OK)
			slot->objects[kept++] = slot->objects[i];
	slot->objects_len = kept;
}

CK_RV
ck_objects_add(struct session *s, hsm_key key)
{
	struct slot *slot = s->slot;
	CK_RV rv = CKR_OK;
	bool full;

	pthread_mutex_lock(&slot->lock);
	full = slot->objects_len == slot->objects_cap;
	if (full)
		objects_compact(slot, s->core);
	if (full && slot->objects_len * 2 >= slot->objects_cap) {
		size_t cap = slot->objects_cap == 0 ? 64 : slot->objects_cap * 2;
		hsm_key *more = realloc(slot->objects, cap * sizeof *more);

		if (more == NULL) {
			rv = CKR_HOST_MEMORY;
		} else {
			slot->objects = more;
			slot->objects_cap = cap;
		}
	}
	if (rv == CKR_OK)
		slot->objects[slot->objects_len++] = key;
	pthread_mutex_unlock(&slot->lock);
	return rv;
}

/* From the end: what was made last goes first. */
void
ck_objects_drop(struct slot *slot, hsm_key key)
{
	pthread_mutex_lock(&slot->lock);
	for (size_t i = slot->objects_len; i > 0; i--)
		if (slot->objects[i - 1] == key) {
			memmove(&slot->objects[i - 1], &slot->objects[i], (slot->objects_len - i) * sizeof *slot->objects);
			slot->objects_len--;
			break;
		}
	pthread_mutex_unlock(&slot->lock);
}

CK_RV
ck_objects_list(struct slot *slot, hsm_key **keys, size_t *n)
{
	CK_RV rv = CKR_OK;

	*keys = NULL;
	pthread_mutex_lock(&slot->lock);
	*n = slot->objects_len;
	if (*n != 0 && (*keys = malloc(*n * sizeof **keys)) == NULL)
		rv = CKR_HOST_MEMORY;
	else if (*n != 0)
		memcpy(*keys, slot->objects, *n * sizeof **keys);
	pthread_mutex_unlock(&slot->lock);
	return rv;
}

/* ---- making -------------------------------------------------------------------------- */

static bool
object_flag(struct session *s, hsm_key key, CK_ATTRIBUTE_TYPE type)
{
	uint8_t flag = 0;
	hsm_out out = { &flag, 1, 0 };

	return hsm_attr_get(s->core, key, (uint32_t)type, &out) == HSM_OK && flag != 0;
}

CK_RV
ck_objects_keep(struct session *s, const hsm_key *keys, size_t n)
{
	hsm_key durable[2];
	size_t durable_n = 0;
	CK_RV rv = CKR_OK;

	for (size_t i = 0; i < n; i++)
		if (object_flag(s, keys[i], CKA_TOKEN))
			durable[durable_n++] = keys[i];
	if (durable_n != 0)
		rv = rv_from(token_put(s->token, s->core, durable, durable_n));
	for (size_t i = 0; i < n && rv == CKR_OK; i++)
		if (!token_holds(s->token, keys[i]))
			rv = ck_objects_add(s, keys[i]);
	if (rv == CKR_OK)
		return CKR_OK;
	for (size_t i = 0; i < n; i++)
		(void)!hsm_object_close(s->core, keys[i]);
	return rv;
}

static CK_RV
object_create(struct session *s, const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *object)
{
	struct templ a;
	hsm_key key;
	CK_RV rv = templ_from(&a, templ, n);

	if (rv != CKR_OK)
		return rv;
	rv = rv_from(hsm_create(s->core, 0, a.at, a.n, &key));
	templ_free(&a);
	/* Not a mechanism's complaint here, but the template's. */
	if (rv == CKR_KEY_TYPE_INCONSISTENT)
		rv = CKR_ATTRIBUTE_VALUE_INVALID;
	if (rv == CKR_OK && (rv = ck_objects_keep(s, &key, 1)) == CKR_OK)
		*object = key;
	return rv;
}

CK_RV
C_CreateObject(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *object)
{
	struct session *s;
	CK_RV rv;

	if (object == NULL || (templ == NULL && n != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, object_create(s, templ, n, object));
}

static CK_RV
object_copy(struct session *s, CK_OBJECT_HANDLE from, const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *object)
{
	struct templ a;
	hsm_key key;
	CK_RV rv;

	if (builtin_holds(from))
		return CKR_ACTION_PROHIBITED;
	if ((rv = templ_from(&a, templ, n)) != CKR_OK)
		return rv;
	rv = rv_from(hsm_copy(s->core, from, a.at, a.n, &key));
	templ_free(&a);
	if (rv == CKR_OK && (rv = ck_objects_keep(s, &key, 1)) == CKR_OK)
		*object = key;
	return rv;
}

CK_RV
C_CopyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE from, CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *object)
{
	struct session *s;
	CK_RV rv;

	if (object == NULL || (templ == NULL && n != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, object_copy(s, from, templ, n, object));
}

static CK_RV
object_destroy(struct session *s, CK_OBJECT_HANDLE object)
{
	CK_RV rv;

	if (builtin_holds(object))
		return CKR_ACTION_PROHIBITED;
	if (token_holds(s->token, object))
		return ck_writable(s) ? rv_from(token_remove(s->token, s->core, object)) : CKR_SESSION_READ_ONLY;
	if ((rv = rv_from(hsm_destroy(s->core, object))) == CKR_OK)
		ck_objects_drop(s->slot, object);
	return rv;
}

CK_RV
C_DestroyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	return rv == CKR_OK ? ck_leave(s, object_destroy(s, object)) : rv;
}

/* ---- looking ------------------------------------------------------------------------- */

static hsm_status
value_get(struct session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, hsm_out *out)
{
	if (type > UINT32_MAX) {
		out->len = 0;
		return HSM_E_ATTR_TYPE;
	}
	return builtin_holds(object) ? builtin_get(object, type, out) : hsm_attr_get(s->core, object, (uint32_t)type, out);
}

static bool
is_template(CK_ATTRIBUTE_TYPE type)
{
	return type == CKA_WRAP_TEMPLATE || type == CKA_UNWRAP_TEMPLATE || type == CKA_DERIVE_TEMPLATE
	    || type == CKA_ENCAPSULATE_TEMPLATE || type == CKA_DECAPSULATE_TEMPLATE;
}

static CK_RV
nested_fill(hsm_in bytes, CK_ATTRIBUTE *list, CK_ULONG n)
{
	struct reader r;
	CK_RV rv = CKR_OK;

	reader_init(&r, bytes);
	for (CK_ULONG i = 0; i < n && reader_left(&r) != 0; i++) {
		hsm_in value;

		list[i].type = reader_u32(&r);
		value = reader_block32(&r);
		if (list[i].pValue != NULL && list[i].ulValueLen < value.len) {
			list[i].ulValueLen = CK_UNAVAILABLE_INFORMATION;
			rv = CKR_BUFFER_TOO_SMALL;
			continue;
		}
		if (list[i].pValue != NULL && value.len != 0)
			memcpy(list[i].pValue, value.ptr, value.len);
		list[i].ulValueLen = value.len;
	}
	return rv;
}

static size_t
nested_count(hsm_in bytes)
{
	struct reader r;
	size_t n = 0;

	for (reader_init(&r, bytes); reader_left(&r) != 0 && !r.failed; n++) {
		(void)reader_u32(&r);
		(void)reader_block32(&r);
	}
	return n;
}

/* A template is answered as an array of CK_ATTRIBUTE, filled where it points. */
static CK_RV
nested_get(struct session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attr)
{
	hsm_out out = { NULL, 0, 0 };
	uint8_t *bytes;
	size_t n;
	CK_RV rv = rv_from(value_get(s, object, attr->type, &out));

	if (rv != CKR_OK)
		return rv;
	if ((bytes = malloc(out.len + 1)) == NULL)
		return CKR_HOST_MEMORY;
	out = (hsm_out){ bytes, out.len + 1, 0 };
	if ((rv = rv_from(value_get(s, object, attr->type, &out))) == CKR_OK) {
		n = nested_count((hsm_in){ bytes, out.len });
		if (attr->pValue != NULL && attr->ulValueLen < n * sizeof(CK_ATTRIBUTE))
			rv = CKR_BUFFER_TOO_SMALL;
		else if (attr->pValue != NULL)
			rv = nested_fill((hsm_in){ bytes, out.len }, attr->pValue, n);
		if (rv == CKR_OK)
			attr->ulValueLen = n * sizeof(CK_ATTRIBUTE);
	}
	free(bytes);
	return rv;
}

static CK_RV
attribute_get(struct session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attr)
{
	hsm_out out = { attr->pValue, attr->ulValueLen > LEN_MAX ? LEN_MAX : attr->ulValueLen, 0 };
	CK_RV rv;

	if (is_template(attr->type)) {
		rv = nested_get(s, object, attr);
	} else if ((rv = rv_from(value_get(s, object, attr->type, &out))) == CKR_OK) {
		attr->ulValueLen = out.len;
	}
	if (rv != CKR_OK)
		attr->ulValueLen = CK_UNAVAILABLE_INFORMATION;
	return rv;
}

static CK_RV
object_exists(struct session *s, CK_OBJECT_HANDLE object)
{
	hsm_key_info info;

	return builtin_holds(object) ? CKR_OK : rv_from(hsm_key_describe(s->core, object, &info));
}

/* All are answered; of several complaints the last stands. */
static CK_RV
attributes_get(struct session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	CK_RV all = object_exists(s, object), rv;

	if (all != CKR_OK)
		return all;
	for (CK_ULONG i = 0; i < n; i++) {
		rv = attribute_get(s, object, &templ[i]);
		if (rv != CKR_OK && rv != CKR_ATTRIBUTE_SENSITIVE && rv != CKR_ATTRIBUTE_TYPE_INVALID && rv != CKR_BUFFER_TOO_SMALL)
			return rv;
		if (rv != CKR_OK)
			all = rv;
	}
	return all;
}

CK_RV
C_GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	struct session *s;
	CK_RV rv;

	if (templ == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, attributes_get(s, object, templ, n));
}

CK_RV
C_GetObjectSize(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
	struct session *s;
	CK_RV rv;

	if (size == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	if ((rv = object_exists(s, object)) == CKR_OK)
		*size = CK_UNAVAILABLE_INFORMATION;
	return ck_leave(s, rv);
}

/* ---- changing -------------------------------------------------------------------------- */

static CK_RV
attributes_set(struct session *s, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	struct templ a;
	CK_RV rv;

	if (builtin_holds(object))
		return CKR_ACTION_PROHIBITED;
	if ((rv = object_exists(s, object)) != CKR_OK || (rv = templ_from(&a, templ, n)) != CKR_OK)
		return rv;
	if (!token_holds(s->token, object))
		rv = rv_from(hsm_attr_set(s->core, object, a.at, a.n));
	else if (!ck_writable(s))
		rv = CKR_SESSION_READ_ONLY;
	else
		rv = rv_from(token_change(s->token, s->core, object, a.at, a.n));
	templ_free(&a);
	return rv;
}

CK_RV
C_SetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	struct session *s;
	CK_RV rv;

	if (templ == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, attributes_set(s, object, templ, n));
}
