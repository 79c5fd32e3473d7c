/* sync.c - the index and the file agree, or the token is refused.
 *
 * The manifest carries the number and the keyed sum of all rows. After another
 * connection wrote, only rows above the known sequence number are read; when
 * their sum does not meet the manifest, everything is read once; when that
 * does not meet it either, the file was damaged. */
#include <string.h>

#include "inside.h"

hsm_status
token_sync_row_mac(struct token *t, struct row *row)
{
	uint8_t bytes[128];
	struct writer w;

	writer_init(&w, bytes, sizeof bytes);
	writer_put(&w, "row", 3);
	writer_u64(&w, row->id);
	writer_u64(&w, row->version);
	writer_u64(&w, row->seq);
	writer_u8(&w, row->priv);
	writer_put(&w, row->name, sizeof row->name);
	writer_put(&w, row->klass, sizeof row->klass);
	writer_put(&w, row->label, sizeof row->label);
	writer_put(&w, row->ident, sizeof row->ident);
	return hsm_token_mac(t->part, (hsm_in){ bytes, w.len }, row->mac);
}

static hsm_status
manifest_mac(const struct token *t, const uint8_t manifest[MANIFEST_LEN - 32], uint8_t mac[32])
{
	uint8_t bytes[16 + MANIFEST_LEN + TOKEN_LABEL_LEN + HSM_TOKEN_HEADER_MAX];
	struct writer w;

	writer_init(&w, bytes, sizeof bytes);
	writer_put(&w, "manifest", 8);
	writer_put(&w, manifest, MANIFEST_LEN - 32);
	writer_put(&w, t->label, sizeof t->label);
	writer_put(&w, t->header, t->header_len);
	return hsm_token_mac(t->part, (hsm_in){ bytes, w.len }, mac);
}

hsm_status
token_sync_manifest(struct token *t, uint64_t seq, uint64_t count, const uint8_t sum[32])
{
	uint8_t bytes[MANIFEST_LEN], mac[32];
	struct writer w;
	hsm_status st;

	writer_init(&w, bytes, sizeof bytes);
	writer_u64(&w, seq);
	writer_u64(&w, count);
	writer_put(&w, sum, 32);
	if ((st = manifest_mac(t, bytes, mac)) != HSM_OK)
		return st;
	writer_put(&w, mac, sizeof mac);
	if ((st = db_set_meta(t->db, "label", (hsm_in){ t->label, sizeof t->label })) != HSM_OK
	    || (st = db_set_meta(t->db, "header", (hsm_in){ t->header, t->header_len })) != HSM_OK)
		return st;
	return db_set_meta(t->db, "manifest", (hsm_in){ bytes, w.len });
}

struct manifest { uint64_t seq, count; uint8_t sum[32]; };

/* Label, header and manifest as the file has them; a header that changed is
 * handed to the core, which refuses one that is not this token's. */
static hsm_status
manifest_read(struct token *t, struct manifest *m)
{
	uint8_t bytes[MANIFEST_LEN], header[HSM_TOKEN_HEADER_MAX], mac[32];
	hsm_out label = { t->label, sizeof t->label, 0 };
	hsm_out head = { header, sizeof header, 0 };
	hsm_out whole = { bytes, sizeof bytes, 0 };
	struct reader r;
	hsm_status st;

	if ((st = db_meta(t->db, "label", &label)) != HSM_OK || (st = db_meta(t->db, "header", &head)) != HSM_OK
	    || (st = db_meta(t->db, "manifest", &whole)) != HSM_OK)
		return st;
	if (label.len != sizeof t->label || whole.len != MANIFEST_LEN)
		return HSM_E_INTEGRITY;
	if (head.len != t->header_len || memcmp(header, t->header, head.len) != 0) {
		if ((st = hsm_token_refresh(t->part, (hsm_in){ header, head.len })) != HSM_OK)
			return st == HSM_E_PARTITION ? HSM_E_INTEGRITY : st;
		memcpy(t->header, header, head.len);
		t->header_len = head.len;
	}
	if ((st = manifest_mac(t, bytes, mac)) != HSM_OK)
		return st;
	if (!bytes_equal_secret(mac, bytes + MANIFEST_LEN - 32, 32))
		return HSM_E_INTEGRITY;
	reader_init(&r, (hsm_in){ bytes, sizeof bytes });
	m->seq = reader_u64(&r);
	m->count = reader_u64(&r);
	reader_copy(&r, m->sum, sizeof m->sum);
	return HSM_OK;
}

/* What another process changed or removed is opened anew when it is found
 * next; handles given out for the old state end. */
static void
row_out(struct token *t, uint32_t at)
{
	hsm_key handle = t->index.rows[at].handle;

	if (handle != 0)
		(void)!hsm_object_close(t->service, handle);
	token_index_drop(&t->index, at);
}

static hsm_status
take_row(void *arg, struct row *row)
{
	struct token *t = arg;
	uint32_t at = token_index_by_id(&t->index, row->id);
	hsm_status st;

	if ((st = token_sync_row_mac(t, row)) != HSM_OK)
		return st;
	if (at != NO_ROW) {
		if (t->index.rows[at].version == row->version && t->index.rows[at].seq == row->seq)
			row->handle = t->index.rows[at].handle;
		if (row->handle != 0)
			token_index_drop(&t->index, at);
		else
			row_out(t, at);
	}
	return token_index_add(&t->index, row);
}

static hsm_status
take_gone(void *arg, uint64_t id)
{
	struct token *t = arg;
	uint32_t at = token_index_by_id(&t->index, id);

	if (at != NO_ROW)
		row_out(t, at);
	return HSM_OK;
}

static bool
index_agrees(const struct token *t, const struct manifest *m)
{
	return t->index.live == m->count && memcmp(t->index.sum, m->sum, sizeof m->sum) == 0;
}

/* Read all rows; those already known keep their handles. */
static hsm_status
index_reload(struct token *t)
{
	struct index old = t->index;
	hsm_status st;

	token_index_init(&t->index);
	st = db_rows(t->db, 0, take_row, t);
	for (uint32_t i = 0; i < old.used; i++) {
		const struct row *was = &old.rows[i];
		uint32_t at;

		if (!was->used || was->handle == 0)
			continue;
		at = st == HSM_OK ? token_index_by_id(&t->index, was->id) : NO_ROW;
		if (at != NO_ROW && t->index.rows[at].version == was->version)
			token_index_set_handle(&t->index, at, was->handle);
		else
			(void)!hsm_object_close(t->service, was->handle);
	}
	token_index_free(&old);
	return st;
}

static hsm_status
sync_changes(struct token *t)
{
	struct manifest m;
	hsm_status st;

	if ((st = manifest_read(t, &m)) != HSM_OK)
		return st;
	if (t->fresh && m.seq == t->seq && index_agrees(t, &m))
		return HSM_OK;
	if (t->fresh && m.seq > t->seq) {
		if ((st = db_gone(t->db, t->seq, take_gone, t)) == HSM_OK)
			st = db_rows(t->db, t->seq, take_row, t);
		if (st != HSM_OK && st != HSM_E_INTEGRITY)
			return st;
	}
	if (!index_agrees(t, &m)) {
		if ((st = index_reload(t)) != HSM_OK)
			return st;
		if (!index_agrees(t, &m))
			return HSM_E_INTEGRITY;
	}
	t->seq = m.seq;
	return HSM_OK;
}

hsm_status
token_sync_read(struct token *t)
{
	uint64_t version;
	hsm_status st;

	if ((st = db_version(t->db, &version)) != HSM_OK)
		goto out;
	if (t->fresh && version == t->version)
		return HSM_OK;
	if ((st = sync_changes(t)) != HSM_OK)
		goto out;
	t->version = version;
	t->fresh = true;
out:
	if (st == HSM_E_INTEGRITY || st == HSM_E_FORMAT)
		t->damaged = true;
	return st;
}

hsm_status
token_sync_enter(struct token *t, bool write)
{
	hsm_status st;

	token_work_begin();
	pthread_mutex_lock(&t->lock);
	st = t->damaged ? HSM_E_INTEGRITY : db_begin(t->db, write);
	/* Asked with the lock in hand, as who takes a token away holds it: what
	 * is written here is in the token that is there. */
	if (st == HSM_OK && db_moved(t->db))
		st = HSM_E_GONE;
	if (st == HSM_OK)
		st = token_sync_read(t);
	if (st != HSM_OK)
		token_sync_end(t);
	return st;
}

hsm_status
token_sync_leave(struct token *t, hsm_status st)
{
	if (st == HSM_OK)
		st = db_commit(t->db);
	token_sync_end(t);
	return st;
}

void
token_sync_end(struct token *t)
{
	db_rollback(t->db);             /* nothing to do after a commit */
	pthread_mutex_unlock(&t->lock);
	token_work_end();
}
