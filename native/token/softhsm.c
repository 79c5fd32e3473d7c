/* softhsm.c - a SoftHSM2 token moves in: each object is read, its attributes
 * are opened into the arena and made an object of the core from there, so that
 * no key is anywhere else in the clear. First all are tried, then kept. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softhsm.h"

#define BATCH 64u
#define SUFFIX ".object"
#define NESTED_MAX 64u

/* The files of a folder, by name. */
struct files { char **names; size_t n, room; };

struct moving {
	struct token *t;
	hsm_session session;
	const char *folder;
	struct soft_key key;
	struct files files;
	struct token_import *report;
};

/* ---- which files ------------------------------------------------------------------ */

static bool
is_object(const char *name)
{
	size_t len = strlen(name);

	return len > sizeof SUFFIX - 1 && strcmp(name + len - (sizeof SUFFIX - 1), SUFFIX) == 0 && strcmp(name, "token" SUFFIX) != 0;
}

static hsm_status
files_add(struct files *f, const char *name)
{
	size_t more = f->room == 0 ? 64 : f->room * 2;
	char **names;

	if (f->n == f->room) {
		if ((names = realloc(f->names, more * sizeof *names)) == NULL)
			return HSM_E_MEMORY;
		f->names = names;
		f->room = more;
	}
	if ((f->names[f->n] = strdup(name)) == NULL)
		return HSM_E_MEMORY;
	f->n++;
	return HSM_OK;
}

static int
name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static hsm_status
files_list(const char *folder, struct files *f)
{
	DIR *dir = opendir(folder);
	hsm_status st = HSM_OK;
	struct dirent *entry;

	if (dir == NULL)
		return HSM_E_IO;
	while (st == HSM_OK && (entry = readdir(dir)) != NULL)
		if (is_object(entry->d_name))
			st = files_add(f, entry->d_name);
	closedir(dir);
	if (f->n > 1)
		qsort(f->names, f->n, sizeof *f->names, name_order);
	return st;
}

static void
files_free(struct files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->names[i]);
	free(f->names);
}

static hsm_status
object_load(const char *folder, const char *name, struct soft_object *o)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", folder, name);

	memset(o, 0, sizeof *o);
	return n > 0 && (size_t)n < sizeof path ? soft_read(path, o) : HSM_E_IO;
}

/* The other backend keeps all of a token in one file. */
static hsm_status
token_load(const char *folder, struct soft_object *token)
{
	hsm_status st = object_load(folder, "token" SUFFIX, token);
	char path[PATH_MAX];
	FILE *database;

	if (st != HSM_E_IO)
		return st;
	(void)!snprintf(path, sizeof path, "%.*s/sqlite3.db", PATH_MAX - 16, folder);
	if ((database = fopen(path, "re")) == NULL)
		return HSM_E_IO;
	fclose(database);
	return HSM_E_UNSUPPORTED;
}

/* ---- one object ------------------------------------------------------------------------ */

/* Attributes as the core takes them. Those in the clear lie in `open`, on the
 * heap, those that were encrypted in `secret`, in the arena. */
struct taken {
	hsm_attr attrs[SOFT_ATTRS_MAX + 1];
	size_t n;
	uint8_t *open;
	size_t open_len, open_room;
	struct secret secret;
	size_t secret_len;
};

static void
taken_free(struct taken *a)
{
	free(a->open);
	secret_wipe(&a->secret);
}

static hsm_status
taken_put(struct taken *a, uint64_t type, const void *bytes, size_t len)
{
	uint8_t *at = a->open + a->open_len;
	size_t padded = (len + 7) & ~(size_t)7;

	if (a->open_room - a->open_len < padded)
		return HSM_E_LIMIT;
	if (len != 0)
		memcpy(at, bytes, len);
	a->open_len += padded;
	a->attrs[a->n++] = (hsm_attr){ (uint32_t)type, { at, len } };
	return HSM_OK;
}

static hsm_status
taken_mechanisms(struct taken *a, const struct soft_attr *from)
{
	uint64_t mechanisms[256];
	struct reader r;
	size_t n = from->bytes.len / 8;

	if (n > sizeof mechanisms / sizeof *mechanisms)
		return HSM_E_LIMIT;
	reader_init(&r, from->bytes);
	for (size_t i = 0; i < n; i++)
		mechanisms[i] = reader_u64(&r);
	return taken_put(a, from->type, mechanisms, 8 * n);
}

/* u32 type | u32 length | value for each, as hsm.h has templates. */
static hsm_status
taken_template(struct taken *a, const struct soft_attr *from)
{
	struct soft_attr inner[NESTED_MAX];
	uint8_t room[4096];
	struct writer w;
	size_t n;
	hsm_status st;

	if ((st = soft_parse(from->bytes, inner, NESTED_MAX, &n)) != HSM_OK)
		return st;
	writer_init(&w, room, sizeof room);
	for (size_t i = 0; i < n; i++) {
		const uint8_t flag = inner[i].number != 0;

		writer_u32(&w, (uint32_t)inner[i].type);
		if (inner[i].kind == SOFT_FLAG)
			writer_block32(&w, (hsm_in){ &flag, 1 });
		else if (inner[i].kind == SOFT_NUMBER)
			writer_block32(&w, (hsm_in){ (const uint8_t *)&inner[i].number, sizeof inner[i].number });
		else if (inner[i].kind == SOFT_BYTES)
			writer_block32(&w, inner[i].bytes);
		else
			return HSM_E_UNSUPPORTED;
	}
	return w.len > sizeof room ? HSM_E_LIMIT : taken_put(a, from->type, room, w.len);
}

static hsm_status
taken_secret(struct taken *a, const struct soft_key *key, const struct soft_attr *from)
{
	hsm_out out = { a->secret.ptr + a->secret_len, a->secret.len - a->secret_len, 0 };
	hsm_status st = soft_open(key, from->bytes, &out);

	if (st != HSM_OK)
		return st == HSM_E_CIPHERTEXT || st == HSM_E_CIPHERTEXT_LEN ? HSM_E_INTEGRITY : st;
	a->attrs[a->n++] = (hsm_attr){ (uint32_t)from->type, { out.ptr, out.len } };
	a->secret_len += out.len;
	return HSM_OK;
}

/* What the core says itself of a key that comes from outside: where it was made
 * and whether it was always guarded are not taken on trust; what follows from
 * the value is not needed; nobody but our SO trusts. */
static bool
attr_kept(const struct soft_attr *a, bool certificate)
{
	switch (a->type) {
	case HSM_ATTR_TOKEN:
	case HSM_ATTR_UNIQUE_ID:
	case HSM_ATTR_TRUSTED:
	case HSM_ATTR_LOCAL:
	case HSM_ATTR_ALWAYS_SENSITIVE:
	case HSM_ATTR_NEVER_EXTRACTABLE:
	case HSM_ATTR_KEY_GEN_MECHANISM:
	case HSM_ATTR_CHECK_VALUE:
	case HSM_ATTR_VALUE_LEN:
	case HSM_ATTR_VALUE_BITS:
	case HSM_ATTR_MODULUS_BITS:
		return false;
	case HSM_ATTR_PUBLIC_KEY_INFO:
		return certificate && a->bytes.len != 0;
	default:
		break;
	}
	/* Vendors' own, and defaults that say nothing: SoftHSM2 writes all an
	 * object may have. */
	if (a->type > UINT32_MAX || (a->type & 0x80000000u) != 0)
		return false;
	return a->kind == SOFT_FLAG || a->kind == SOFT_NUMBER || a->bytes.len != 0;
}

static hsm_status
attr_take(struct taken *a, const struct soft_key *key, bool priv, const struct soft_attr *from)
{
	const uint8_t flag = from->number != 0;

	switch (from->kind) {
	case SOFT_FLAG:
		return taken_put(a, from->type, &flag, 1);
	case SOFT_NUMBER:
		return taken_put(a, from->type, &from->number, sizeof from->number);
	case SOFT_MECHANISMS:
		return taken_mechanisms(a, from);
	case SOFT_TEMPLATE:
		return taken_template(a, from);
	default:
		return priv ? taken_secret(a, key, from) : taken_put(a, from->type, from->bytes.ptr, from->bytes.len);
	}
}

static hsm_status
object_take(const struct soft_object *o, const struct soft_key *key, struct taken *a)
{
	const struct soft_attr *klass = soft_find(o, HSM_ATTR_CLASS), *priv = soft_find(o, HSM_ATTR_PRIVATE);
	const uint8_t yes = 1;
	hsm_status st;

	memset(a, 0, sizeof *a);
	if (klass == NULL || klass->kind != SOFT_NUMBER || priv == NULL || priv->kind != SOFT_FLAG)
		return HSM_E_FORMAT;
	a->open_room = 2 * o->len + 64;
	if ((a->open = malloc(a->open_room)) == NULL)
		return HSM_E_MEMORY;
	if ((st = secret_alloc(&a->secret, o->len)) != HSM_OK || (st = taken_put(a, HSM_ATTR_TOKEN, &yes, 1)) != HSM_OK)
		return st;
	for (size_t i = 0; i < o->n && st == HSM_OK; i++)
		if (attr_kept(&o->attrs[i], klass->number == HSM_CLASS_CERTIFICATE))
			st = attr_take(a, key, priv->number != 0, &o->attrs[i]);
	return st;
}

static void
skip_note(struct token_import *report, const struct soft_object *o, const struct taken *a, hsm_status why)
{
	const struct soft_attr *klass = soft_find(o, HSM_ATTR_CLASS), *type = soft_find(o, HSM_ATTR_KEY_TYPE);
	struct token_import_skip *skip = &report->skips[report->skipped];

	if (report->skipped++ >= TOKEN_IMPORT_SKIPS)
		return;
	*skip = (struct token_import_skip){ .klass = klass == NULL ? UINT64_MAX : klass->number,
		.type = type == NULL ? UINT64_MAX : type->number, .why = why };
	for (size_t i = 0; i < a->n; i++)
		if (a->attrs[i].type == HSM_ATTR_LABEL) {
			skip->label_len = a->attrs[i].value.len < sizeof skip->label ? a->attrs[i].value.len : sizeof skip->label;
			memcpy(skip->label, a->attrs[i].value.ptr, skip->label_len);
		}
}

/* Nobody's fault but the object's: it can stay behind. */
static bool
is_its_own(hsm_status st)
{
	switch (st) {
	case HSM_E_MEMORY:
	case HSM_E_IO:
	case HSM_E_STATE:
	case HSM_E_SELF_TEST:
	case HSM_E_SESSION:
	case HSM_E_ROLE:
	case HSM_E_NOT_LOGGED_IN:
	case HSM_E_NOT_APPROVED:
		return false;
	default:
		return true;
	}
}

/* Make one; *key 0 where it stays behind. `first`: it is only tried, and noted. */
static hsm_status
object_move(struct moving *m, const char *name, bool first, hsm_key *key)
{
	struct soft_object o;
	struct taken a = { 0 };
	hsm_status st;

	*key = 0;
	if ((st = object_load(m->folder, name, &o)) == HSM_OK && (st = object_take(&o, &m->key, &a)) == HSM_OK)
		st = hsm_create(m->session, 0, a.attrs, a.n, key);
	if (st == HSM_OK && first) {
		st = hsm_destroy(m->session, *key);
		/* What may not be destroyed is let go of: it is nowhere yet. */
		if (st == HSM_E_POLICY)
			st = hsm_object_close(m->session, *key);
	} else if (st != HSM_OK && is_its_own(st)) {
		if (first)
			skip_note(m->report, &o, &a, st);
		st = HSM_OK;
	}
	taken_free(&a);
	soft_free(&o);
	return st;
}

/* ---- all ---------------------------------------------------------------------------------- */

static hsm_status
all_try(struct moving *m)
{
	hsm_status st = HSM_OK;
	hsm_key key;

	for (size_t i = 0; i < m->files.n && st == HSM_OK; i++)
		st = object_move(m, m->files.names[i], true, &key);
	return st;
}

static hsm_status
batch_put(struct moving *m, const hsm_key *keys, size_t n)
{
	return n == 0 ? HSM_OK : token_put(m->t, m->session, keys, n);
}

static hsm_status
all_keep(struct moving *m, hsm_key *moved)
{
	size_t n = 0, kept = 0;
	hsm_status st = HSM_OK;

	for (size_t i = 0; i < m->files.n && st == HSM_OK; i++) {
		if ((st = object_move(m, m->files.names[i], false, &moved[n])) != HSM_OK)
			break;
		if (moved[n] != 0)
			n++;
		if (n - kept == BATCH && (st = batch_put(m, moved + kept, BATCH)) == HSM_OK)
			kept = n;
	}
	if (st == HSM_OK && (st = batch_put(m, moved + kept, n - kept)) == HSM_OK)
		kept = n;
	/* All or none. */
	while (st != HSM_OK && n > kept)
		(void)!hsm_object_close(m->session, moved[--n]);
	while (st != HSM_OK && kept > 0)
		(void)!token_remove(m->t, m->session, moved[--kept]);
	m->report->moved = kept;
	return st;
}

hsm_status
token_softhsm_label(const char *folder, uint8_t label[TOKEN_LABEL_LEN])
{
	const struct soft_attr *text;
	struct soft_object token;
	hsm_status st;

	memset(label, ' ', TOKEN_LABEL_LEN);
	if ((st = token_load(folder, &token)) != HSM_OK)
		return st;
	if ((text = soft_find(&token, SOFT_LABEL)) == NULL || text->kind != SOFT_BYTES || text->bytes.len > TOKEN_LABEL_LEN)
		st = HSM_E_FORMAT;
	else
		memcpy(label, text->bytes.ptr, text->bytes.len);
	soft_free(&token);
	return st;
}

hsm_status
token_import_softhsm(struct token *t, hsm_session session, const char *folder, hsm_in pin, bool partial,
	struct token_import *report)
{
	struct moving m = { .t = t, .session = session, .folder = folder, .report = report };
	struct soft_object token;
	hsm_key *moved = NULL;
	hsm_status st;

	memset(report, 0, sizeof *report);
	if ((st = token_load(folder, &token)) != HSM_OK)
		return st;
	if ((st = soft_unlock(&token, pin, &m.key)) != HSM_OK || (st = files_list(folder, &m.files)) != HSM_OK
	    || (st = all_try(&m)) != HSM_OK)
		goto out;
	if (report->skipped != 0 && !partial) {
		st = HSM_E_UNSUPPORTED;
		goto out;
	}
	if ((moved = calloc(m.files.n + 1, sizeof *moved)) == NULL)
		st = HSM_E_MEMORY;
	else
		st = all_keep(&m, moved);
out:
	free(moved);
	files_free(&m.files);
	soft_lock(&m.key);
	soft_free(&token);
	return st;
}
