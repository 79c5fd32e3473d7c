/* search.c - find: candidates by keyed tags, then each opened and compared. */
#include <stdlib.h>
#include <string.h>

#include "inside.h"

#define ATTR_CLASS 0x00u
#define ATTR_LABEL 0x03u
#define ATTR_ID 0x102u

/* What the index can tell of a template, for public or for private rows. */
struct wanted {
	bool klass, label, ident;
	uint8_t klass_tag[HSM_TOKEN_TAG], label_tag[HSM_TOKEN_TAG], ident_tag[HSM_TOKEN_TAG];
};

static hsm_status
wanted_from(struct token *t, bool priv, const hsm_attr *attrs, size_t n, struct wanted *w)
{
	hsm_status st = HSM_OK;

	memset(w, 0, sizeof *w);
	for (size_t i = 0; i < n && st == HSM_OK; i++)
		switch (attrs[i].type) {
		case ATTR_CLASS:
			w->klass = true;
			st = hsm_token_tag(t->part, priv, ATTR_CLASS, attrs[i].value, w->klass_tag);
			break;
		case ATTR_LABEL:
			w->label = true;
			st = hsm_token_tag(t->part, priv, ATTR_LABEL, attrs[i].value, w->label_tag);
			break;
		case ATTR_ID:
			w->ident = true;
			st = hsm_token_tag(t->part, priv, ATTR_ID, attrs[i].value, w->ident_tag);
			break;
		default:
			break;
		}
	return st;
}

static bool
row_fits(const struct row *row, bool priv, const struct wanted *w)
{
	return row->used && row->priv == priv
	    && (!w->klass || memcmp(row->klass, w->klass_tag, HSM_TOKEN_TAG) == 0)
	    && (!w->label || memcmp(row->label, w->label_tag, HSM_TOKEN_TAG) == 0)
	    && (!w->ident || memcmp(row->ident, w->ident_tag, HSM_TOKEN_TAG) == 0);
}

static hsm_status
search_add(struct token_search *s, size_t *room, uint64_t id)
{
	size_t more = *room == 0 ? 16 : *room * 2;
	uint64_t *rows;

	if (s->count == *room) {
		if ((rows = realloc(s->rows, more * sizeof *rows)) == NULL)
			return HSM_E_MEMORY;
		s->rows = rows;
		*room = more;
	}
	s->rows[s->count++] = id;
	return HSM_OK;
}

static hsm_status
search_rows(struct token *t, bool priv, const struct wanted *w, struct token_search *s, size_t *room)
{
	enum row_chain chain = w->label ? CHAIN_LABEL : CHAIN_IDENT;
	const uint8_t *tag = w->label ? w->label_tag : w->ident_tag;
	hsm_status st = HSM_OK;
	uint32_t at;

	if (w->label || w->ident) {
		for (at = token_index_first(&t->index, chain, tag); at != NO_ROW && st == HSM_OK; at = token_index_next(&t->index, chain, tag, at))
			if (row_fits(&t->index.rows[at], priv, w))
				st = search_add(s, room, t->index.rows[at].id);
		return st;
	}
	for (at = 0; at < t->index.used && st == HSM_OK; at++)
		if (row_fits(&t->index.rows[at], priv, w))
			st = search_add(s, room, t->index.rows[at].id);
	return st;
}

static int
row_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

hsm_status
token_search(struct token *t, bool user, const hsm_attr *attrs, size_t n, struct token_search *search)
{
	struct wanted w;
	size_t room = 0;
	hsm_status st = token_sync_enter(t, false);

	memset(search, 0, sizeof *search);
	if (st != HSM_OK)
		return st;
	for (int priv = 0; priv <= (user ? 1 : 0) && st == HSM_OK; priv++)
		if ((st = wanted_from(t, priv != 0, attrs, n, &w)) == HSM_OK)
			st = search_rows(t, priv != 0, &w, search, &room);
	st = token_sync_leave(t, st);
	if (st != HSM_OK)
		token_search_end(search);
	else if (search->count > 1)
		qsort(search->rows, search->count, sizeof *search->rows, row_order);
	return st;
}

void
token_search_end(struct token_search *search)
{
	free(search->rows);
	memset(search, 0, sizeof *search);
}

/* Open a row's body, inside the transaction that looked at the index. */
static hsm_status
row_open(struct token *t, hsm_session session, uint32_t at)
{
	const struct row *row = &t->index.rows[at];
	uint8_t version[8], *body = NULL;
	struct writer w;
	hsm_binding binding = { .object_id = { row->name, sizeof row->name }, .material_id = { version, sizeof version } };
	hsm_key key = 0;
	size_t len;
	hsm_status st;

	writer_init(&w, version, sizeof version);
	writer_u64(&w, row->version);
	if ((st = db_body(t->db, row->id, &body, &len)) == HSM_OK)
		st = hsm_object_open(session, t->part, binding, (hsm_in){ body, len }, &key);
	free(body);
	if (st == HSM_OK)
		token_index_set_handle(&t->index, at, key);
	if (st == HSM_E_INTEGRITY || st == HSM_E_FORMAT)
		t->damaged = true;
	return st;
}

/* The handle of a row, opened if need be; 0 when the row is no more. */
static hsm_status
row_handle(struct token *t, hsm_session session, uint64_t id, hsm_key *key)
{
	hsm_status st;
	uint32_t at;

	*key = 0;
	pthread_mutex_lock(&t->lock);
	st = t->damaged ? HSM_E_INTEGRITY : HSM_OK;
	if (st == HSM_OK && (at = token_index_by_id(&t->index, id)) != NO_ROW)
		*key = t->index.rows[at].handle;
	pthread_mutex_unlock(&t->lock);
	if (*key != 0 || st != HSM_OK || (st = token_sync_enter(t, false)) != HSM_OK)
		return st;
	if ((at = token_index_by_id(&t->index, id)) != NO_ROW
	    && (t->index.rows[at].handle != 0 || (st = row_open(t, session, at)) == HSM_OK))
		*key = t->index.rows[at].handle;
	if (st == HSM_E_NOT_LOGGED_IN)
		st = HSM_OK;                    /* logged out meanwhile: no longer visible */
	return token_sync_leave(t, st);
}

hsm_status
token_search_next(struct token *t, hsm_session session, const hsm_attr *attrs, size_t n,
	struct token_search *search, hsm_key *key)
{
	bool match = false;
	hsm_status st = HSM_OK;

	*key = 0;
	while (search->at < search->count && st == HSM_OK && *key == 0) {
		hsm_key found;

		if ((st = row_handle(t, session, search->rows[search->at], &found)) != HSM_OK)
			break;
		search->at++;
		if (found != 0 && (st = token_matches(session, found, attrs, n, &match)) == HSM_OK && match)
			*key = found;
		if (st == HSM_E_HANDLE)
			st = HSM_OK;            /* destroyed meanwhile */
	}
	return st;
}

static hsm_status
attr_matches(hsm_session session, hsm_key key, const hsm_attr *attr, bool *match)
{
	uint8_t room[512], *value = room;
	hsm_out out = { NULL, 0, 0 };
	hsm_status st = hsm_attr_get(session, key, attr->type, &out);

	*match = false;
	if (st == HSM_E_ATTR_TYPE || st == HSM_E_ATTR_SENSITIVE)
		return HSM_OK;
	if (st != HSM_OK || out.len != attr->value.len)
		return st;
	if (out.len > sizeof room && (value = malloc(out.len)) == NULL)
		return HSM_E_MEMORY;
	out = (hsm_out){ value, out.len == 0 ? 1 : out.len, 0 };
	if ((st = hsm_attr_get(session, key, attr->type, &out)) == HSM_OK)
		*match = bytes_equal((hsm_in){ value, out.len }, attr->value);
	if (value != room)
		free(value);
	return st;
}

hsm_status
token_matches(hsm_session session, hsm_key key, const hsm_attr *attrs, size_t n, bool *match)
{
	hsm_key_info info;
	hsm_status st = n == 0 ? hsm_key_describe(session, key, &info) : HSM_OK;

	*match = true;
	for (size_t i = 0; i < n && *match && st == HSM_OK; i++)
		st = attr_matches(session, key, &attrs[i], match);
	if (st != HSM_OK)
		*match = false;
	return st;
}
