/* backup.c - a token's file, kept elsewhere and put back.
 *
 *   "SRtb" | version 1 | u16 length, ticket (hsm_token_export) | the file's bytes
 *
 * The ticket is bound to the SHA-256 of what follows it. Format: docs/formats/token.md. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inside.h"
#include "load.h"

#define VERSION 1u
#define HEAD_LEN 5u

static const uint8_t magic[4] = { 'S', 'R', 't', 'b' };

/* ---- files ------------------------------------------------------------------------ */

static bool
write_all(int fd, hsm_in bytes)
{
	ssize_t n;

	while (bytes.len > 0) {
		if ((n = write(fd, bytes.ptr, bytes.len)) < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			bytes.ptr += n;
			bytes.len -= (size_t)n;
		}
	}
	return true;
}

/* A new file, whole and on disk, or none. */
static hsm_status
file_new(const char *path, const hsm_in *parts, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = true;
	int why;

	if (fd < 0)
		return errno == EEXIST ? HSM_E_EXISTS : errno == ENOSPC ? HSM_E_LIMIT : HSM_E_IO;
	for (size_t i = 0; i < n && ok; i++)
		ok = write_all(fd, parts[i]);
	ok = ok && fsync(fd) == 0;
	why = errno;
	ok = close(fd) == 0 && ok;
	if (!ok)
		(void)unlink(path);
	return ok ? HSM_OK : why == ENOSPC ? HSM_E_LIMIT : HSM_E_IO;
}

/* ---- out --------------------------------------------------------------------------- */

static hsm_status
file_still(struct token *t, uint8_t **bytes, size_t *len)
{
	hsm_status st = token_sync_enter(t, false);

	*bytes = NULL;
	*len = 0;
	if (st != HSM_OK)
		return st;
	return token_sync_leave(t, db_bytes(t->db, bytes, len));
}

hsm_status
token_backup(struct token *t, hsm_session session, const char *home, hsm_in passphrase, const char *path)
{
	uint8_t head[HEAD_LEN + 2], ticket[HSM_TOKEN_TICKET_MAX], digest[32], *bytes = NULL;
	hsm_out out = { ticket, sizeof ticket, 0 };
	char device[PATH_MAX];
	struct writer w;
	size_t len = 0;
	hsm_status st;

	token_device(device, home);
	if ((st = file_still(t, &bytes, &len)) != HSM_OK || (st = hsm_sha256((hsm_in){ bytes, len }, digest)) != HSM_OK
	    || (st = hsm_token_export(session, device, passphrase, (hsm_in){ digest, sizeof digest }, &out)) != HSM_OK)
		goto out;
	writer_init(&w, head, sizeof head);
	writer_put(&w, magic, sizeof magic);
	writer_u8(&w, VERSION);
	writer_u16(&w, (uint16_t)out.len);
	st = file_new(path, (const hsm_in[]){ { head, w.len }, { ticket, out.len }, { bytes, len } }, 3);
out:
	free(bytes);
	return st;
}

/* ---- in ------------------------------------------------------------------------------ */

struct backup { hsm_in ticket, file; };

static hsm_status
backup_parse(hsm_in bytes, struct backup *b)
{
	uint8_t start[4] = { 0 }, version;
	struct reader r;

	reader_init(&r, bytes);
	reader_copy(&r, start, sizeof start);
	version = reader_u8(&r);
	b->ticket = reader_block16(&r);
	b->file = reader_take(&r, reader_left(&r));
	return reader_done(&r) && memcmp(start, magic, sizeof magic) == 0 && version == VERSION ? HSM_OK : HSM_E_FORMAT;
}

static hsm_status
token_id(struct token *t, uint8_t id[16])
{
	hsm_token_info info;
	hsm_status st = hsm_token_describe(t->part, &info);

	memcpy(id, info.id, sizeof info.id);
	return st;
}

/* Is a token of this id in another place? Damaged ones are nobody's. */
static hsm_status
elsewhere(const char *home, uint32_t number, const uint8_t id[16], uint32_t *at)
{
	uint32_t numbers[4096];
	hsm_status st;
	size_t count;

	if ((st = token_scan(home, numbers, sizeof numbers / sizeof *numbers, &count)) != HSM_OK)
		return st;
	for (size_t i = 0; i < count && i < sizeof numbers / sizeof *numbers; i++) {
		struct token *t = NULL;
		uint8_t other[16] = { 0 };

		if (numbers[i] != number && token_attach(home, numbers[i], &t) == HSM_OK && token_id(t, other) == HSM_OK
		    && memcmp(id, other, sizeof other) == 0) {
			*at = numbers[i];
			st = HSM_E_EXISTS;
		}
		token_detach(t);
	}
	return st;
}

/* What stands at `made` is a whole token, and nowhere else. */
static hsm_status
restored_check(const char *home, uint32_t number, const char *made, uint32_t *at)
{
	struct token *t;
	uint8_t id[16];
	hsm_status st = token_open_file(home, made, &t);

	if (st != HSM_OK)
		return st;
	st = token_id(t, id);
	token_work_begin();
	token_close(t);
	token_work_end();
	return st == HSM_OK ? elsewhere(home, number, id, at) : st;
}

/* Over what is there, under its own lock, as in token_delete. */
static hsm_status
place_over(const char *home, uint32_t number, const char *made, const char *path)
{
	struct token *t = NULL;
	bool held = token_attach(home, number, &t) == HSM_OK && token_sync_enter(t, true) == HSM_OK;
	char journal[PATH_MAX];
	hsm_status st = HSM_OK;

	token_path(journal, home, number, TOKEN_SUFFIX "-journal");
	if ((!held && unlink(journal) != 0 && errno != ENOENT) || rename(made, path) != 0)
		st = HSM_E_IO;
	if (held)
		token_sync_end(t);
	token_detach(t);
	return st;
}

static hsm_status
restored_place(const char *home, uint32_t number, const char *made, bool replace)
{
	char path[PATH_MAX];
	hsm_status st = HSM_OK;

	token_path(path, home, number, TOKEN_SUFFIX);
	if (link(made, path) != 0)
		st = errno == EEXIST ? HSM_E_EXISTS : errno == ENOSPC ? HSM_E_LIMIT : HSM_E_IO;
	if (st == HSM_E_EXISTS && replace)
		st = place_over(home, number, made, path);
	return st == HSM_OK ? token_folder_sync(home) : st;
}

hsm_status
token_restore(const char *home, uint32_t number, hsm_in passphrase, const char *path, bool replace, uint32_t *at)
{
	char made[PATH_MAX], device[PATH_MAX], suffix[32];
	uint8_t digest[32], *bytes = NULL;
	struct backup b;
	size_t len = 0;
	hsm_status st;

	*at = number;
	if (number > TOKEN_NUMBER_MAX)
		return HSM_E_LIMIT;
	(void)!snprintf(suffix, sizeof suffix, ".restored-%ld", (long)getpid());
	token_path(made, home, number, suffix);
	token_device(device, home);
	if ((st = file_load(path, &bytes, &len)) != HSM_OK || (st = backup_parse((hsm_in){ bytes, len }, &b)) != HSM_OK
	    || (st = hsm_sha256(b.file, digest)) != HSM_OK
	    || (st = hsm_token_import(device, passphrase, b.ticket, (hsm_in){ digest, sizeof digest })) != HSM_OK
	    || (st = token_folder(home)) != HSM_OK)
		goto out;
	(void)unlink(made);                     /* of an earlier life of this pid */
	if ((st = file_new(made, &b.file, 1)) == HSM_OK && (st = restored_check(home, number, made, at)) == HSM_OK)
		st = restored_place(home, number, made, replace);
	(void)unlink(made);
out:
	free(bytes);
	return st;
}
