/* find.c - searches: session objects and built-in ones are found when the
 * search begins, the token's one by one as they are asked for. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

/* The template outlives the call that brought it. */
static CK_RV
wanted_keep(struct session *s, const struct templ *a)
{
	size_t len = 0, used = 0;

	for (size_t i = 0; i < a->n; i++)
		len += a->at[i].value.len;
	s->wanted = malloc((a->n + 1) * sizeof *s->wanted);
	s->wanted_bytes = malloc(len + 1);
	if (s->wanted == NULL || s->wanted_bytes == NULL)
		return CKR_HOST_MEMORY;
	for (size_t i = 0; i < a->n; i++) {
		hsm_in value = a->at[i].value;

		if (value.len != 0)
			memcpy(s->wanted_bytes + used, value.ptr, value.len);
		s->wanted[i] = (hsm_attr){ a->at[i].type, { s->wanted_bytes + used, value.len } };
		used += value.len;
	}
	s->wanted_len = a->n;
	return CKR_OK;
}

static CK_RV
found_room(struct session *s, size_t n)
{
	s->found = malloc((n + 1) * sizeof *s->found);
	return s->found == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

static CK_RV
find_session_objects(struct session *s, const hsm_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool match;
		hsm_status st = token_matches(s->core, keys[i], s->wanted, s->wanted_len, &match);

		if (st == HSM_E_HANDLE)
			ck_objects_drop(s->slot, keys[i]);
		else if (st != HSM_OK)
			return rv_from(st);
		else if (match)
			s->found[s->found_len++] = keys[i];
	}
	return CKR_OK;
}

static CK_RV
find_local(struct session *s, bool session_objects, bool builtins)
{
	hsm_key *keys = NULL;
	size_t n = 0;
	CK_RV rv = session_objects ? ck_objects_list(s->slot, &keys, &n) : CKR_OK;

	if (rv == CKR_OK && (rv = found_room(s, n + builtin_count())) == CKR_OK)
		rv = find_session_objects(s, keys, n);
	for (size_t i = 0; i < builtin_count() && builtins && rv == CKR_OK; i++)
		if (builtin_matches(builtin_at(i), s->wanted, s->wanted_len))
			s->found[s->found_len++] = builtin_at(i);
	free(keys);
	return rv;
}

/* Built-in objects surprise who lists everything: they answer only to who
 * names their class. */
static CK_RV
find_begin(struct session *s, const struct templ *a)
{
	bool on_token = true, in_session = true, named, token;
	CK_ULONG klass = CKO_DATA;
	CK_RV rv;

	named = templ_find(a, CKA_CLASS) != NULL;
	if ((rv = templ_number(a, CKA_CLASS, &klass)) != CKR_OK)
		return rv;
	if (templ_find(a, CKA_TOKEN) != NULL) {
		if ((rv = templ_bool(a, CKA_TOKEN, &token)) != CKR_OK)
			return rv;
		on_token = token;
		in_session = !token;
	}
	named = named && (klass == CKO_PROFILE || klass == CKO_VALIDATION);
	if ((rv = wanted_keep(s, a)) != CKR_OK || (rv = find_local(s, in_session, named && on_token)) != CKR_OK)
		return rv;
	if (on_token && !named)
		rv = rv_from(token_search(s->token, ck_role(s) == HSM_ROLE_USER, s->wanted, s->wanted_len, &s->search));
	return rv;
}

CK_RV
C_FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	struct session *s;
	struct templ a;
	CK_RV rv;

	if (templ == NULL && n != 0)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	if (s->finding)
		return ck_leave(s, CKR_OPERATION_ACTIVE);
	if ((rv = templ_from(&a, templ, n)) != CKR_OK)
		return ck_leave(s, rv);
	if ((rv = find_begin(s, &a)) == CKR_OK)
		s->finding = true;
	else
		ck_find_end(s);
	templ_free(&a);
	return ck_leave(s, rv);
}

static CK_RV
find_next(struct session *s, CK_OBJECT_HANDLE *found, CK_ULONG max, CK_ULONG *count)
{
	CK_ULONG n = 0;
	hsm_key key;

	while (n < max && s->found_at < s->found_len)
		found[n++] = s->found[s->found_at++];
	while (n < max) {
		hsm_status st = token_search_next(s->token, s->core, s->wanted, s->wanted_len, &s->search, &key);

		if (st != HSM_OK)
			return rv_from(st);
		if (key == 0)
			break;
		found[n++] = key;
	}
	*count = n;
	return CKR_OK;
}

CK_RV
C_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *found, CK_ULONG max, CK_ULONG *count)
{
	struct session *s;
	CK_RV rv;

	if (count == NULL || (found == NULL && max != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	*count = 0;
	return ck_leave(s, s->finding ? find_next(s, found, max, count) : CKR_OPERATION_NOT_INITIALIZED);
}

CK_RV
C_FindObjectsFinal(CK_SESSION_HANDLE handle)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	rv = s->finding ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
	ck_find_end(s);
	return ck_leave(s, rv);
}
