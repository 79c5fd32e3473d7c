/* objects.c - objects made durable, changed and removed: sealed by the core,
 * written in one transaction, known to the index when it is on disk. */
#include <stdlib.h>
#include <string.h>

#include "inside.h"

#define ATTR_CLASS 0x00u
#define ATTR_PRIVATE 0x02u
#define ATTR_LABEL 0x03u
#define ATTR_ID 0x102u

/* A value of any length, on the heap. Absent is empty. */
static hsm_status
value_get(hsm_session session, hsm_key key, uint32_t attr, uint8_t **value, size_t *len)
{
	hsm_out out = { NULL, 0, 0 };
	hsm_status st = hsm_attr_get(session, key, attr, &out);

	*value = NULL;
	*len = 0;
	if (st == HSM_E_ATTR_TYPE || (st == HSM_OK && out.len == 0))
		return HSM_OK;
	if (st != HSM_OK)
		return st;
	if ((*value = malloc(out.len)) == NULL)
		return HSM_E_MEMORY;
	out = (hsm_out){ *value, out.len, 0 };
	if ((st = hsm_attr_get(session, key, attr, &out)) != HSM_OK) {
		free(*value);
		*value = NULL;
		return st;
	}
	*len = out.len;
	return HSM_OK;
}

static hsm_status
row_tag(struct token *t, hsm_session session, hsm_key key, const struct row *row, uint32_t attr, uint8_t tag[HSM_TOKEN_TAG])
{
	uint8_t *value;
	size_t len;
	hsm_status st = value_get(session, key, attr, &value, &len);

	if (st == HSM_OK)
		st = hsm_token_tag(t->part, row->priv, attr, (hsm_in){ value, len }, tag);
	free(value);
	return st;
}

static hsm_status
row_tags(struct token *t, hsm_session session, hsm_key key, struct row *row)
{
	uint8_t priv = 1;
	hsm_out out = { &priv, 1, 0 };
	hsm_status st = hsm_attr_get(session, key, ATTR_PRIVATE, &out);

	if (st != HSM_OK)
		return st;
	row->priv = priv != 0;
	if ((st = row_tag(t, session, key, row, ATTR_CLASS, row->klass)) != HSM_OK
	    || (st = row_tag(t, session, key, row, ATTR_LABEL, row->label)) != HSM_OK)
		return st;
	return row_tag(t, session, key, row, ATTR_ID, row->ident);
}

static hsm_status
row_seal(hsm_session session, hsm_key key, const struct row *row, uint8_t **sealed, size_t *len)
{
	uint8_t version[8];
	struct writer w;
	hsm_binding binding = { .object_id = { row->name, sizeof row->name }, .material_id = { version, sizeof version } };
	hsm_out out = { NULL, 0, 0 };
	hsm_status st;

	writer_init(&w, version, sizeof version);
	writer_u64(&w, row->version);
	*sealed = NULL;
	if ((st = hsm_object_seal(session, key, binding, &out)) != HSM_OK)
		return st;
	if ((*sealed = malloc(out.len)) == NULL)
		return HSM_E_MEMORY;
	out = (hsm_out){ *sealed, out.len, 0 };
	st = hsm_object_seal(session, key, binding, &out);
	*len = out.len;
	return st;
}

/* Seal, MAC and write one row; the index is not touched. */
static hsm_status
row_store(struct token *t, hsm_session session, hsm_key key, struct row *row)
{
	uint8_t *sealed = NULL;
	size_t len = 0;
	hsm_status st;

	if ((st = row_tags(t, session, key, row)) == HSM_OK && (st = row_seal(session, key, row, &sealed, &len)) == HSM_OK
	    && (st = token_sync_row_mac(t, row)) == HSM_OK)
		st = db_put_row(t->db, row, (hsm_in){ sealed, len });
	free(sealed);
	return st;
}

/* The index takes the rows first, so that its sum is the manifest's; what does
 * not reach the disk is taken out again. */
static hsm_status
rows_commit(struct token *t, uint64_t seq)
{
	hsm_status st = token_sync_manifest(t, seq, t->index.live, t->index.sum);

	if (st == HSM_OK && (st = db_commit(t->db)) == HSM_OK)
		t->seq = seq;
	return st;
}

static hsm_status
put_one(struct token *t, hsm_session session, hsm_key key, uint64_t seq)
{
	struct row row = { .id = seq, .version = 1, .seq = seq, .handle = key };
	hsm_out name = { row.name, sizeof row.name, 0 };
	hsm_status st;

	if ((st = hsm_random(t->service, &name)) != HSM_OK || (st = row_store(t, session, key, &row)) != HSM_OK)
		return st;
	return token_index_add(&t->index, &row);
}

hsm_status
token_put(struct token *t, hsm_session session, const hsm_key *keys, size_t n)
{
	hsm_status st = token_sync_enter(t, true);
	size_t done = 0;

	if (st != HSM_OK)
		return st;
	while (done < n && (st = put_one(t, session, keys[done], t->seq + 1 + done)) == HSM_OK)
		done++;
	if (st == HSM_OK)
		st = rows_commit(t, t->seq + n);
	if (st != HSM_OK)
		while (done > 0)
			token_index_drop(&t->index, token_index_by_handle(&t->index, keys[--done]));
	token_sync_end(t);
	return st;
}

bool
token_holds(struct token *t, hsm_key key)
{
	bool held;

	pthread_mutex_lock(&t->lock);
	held = token_index_by_handle(&t->index, key) != NO_ROW;
	pthread_mutex_unlock(&t->lock);
	return held;
}

hsm_status
token_change(struct token *t, hsm_session session, hsm_key key, const hsm_attr *attrs, size_t n)
{
	hsm_status st = token_sync_enter(t, true);
	struct row was, row;
	uint32_t at;

	if (st != HSM_OK)
		return st;
	if ((at = token_index_by_handle(&t->index, key)) == NO_ROW) {
		st = HSM_E_HANDLE;
		goto out;
	}
	if ((st = hsm_attr_set(session, key, attrs, n)) != HSM_OK)
		goto out;
	was = row = t->index.rows[at];
	row.version++;
	row.seq = t->seq + 1;
	st = row_store(t, session, key, &row);
	token_index_drop(&t->index, at);
	if (st == HSM_OK && (st = token_index_add(&t->index, &row)) == HSM_OK && (st = rows_commit(t, row.seq)) == HSM_OK)
		goto out;
	/* The object in the core is ahead of the disk: let it go, the next
	 * find opens what is stored. */
	(void)!hsm_object_close(t->service, key);
	if ((at = token_index_by_handle(&t->index, key)) != NO_ROW)
		token_index_drop(&t->index, at);
	was.handle = 0;
	if (token_index_add(&t->index, &was) != HSM_OK)
		t->fresh = false;
out:
	token_sync_end(t);
	return st;
}

hsm_status
token_remove(struct token *t, hsm_session session, hsm_key key)
{
	hsm_status st = token_sync_enter(t, true);
	struct row was;
	uint32_t at;

	if (st != HSM_OK)
		return st;
	if ((at = token_index_by_handle(&t->index, key)) == NO_ROW) {
		st = HSM_E_HANDLE;
		goto out;
	}
	was = t->index.rows[at];
	if ((st = db_drop_row(t->db, was.id, t->seq + 1)) != HSM_OK || (st = hsm_destroy(session, key)) != HSM_OK)
		goto out;
	token_index_drop(&t->index, at);
	if ((st = rows_commit(t, t->seq + 1)) == HSM_OK)
		goto out;
	was.handle = 0;                 /* gone from the core, not from the disk: found again */
	if (token_index_add(&t->index, &was) != HSM_OK)
		t->fresh = false;
out:
	token_sync_end(t);
	return st;
}
