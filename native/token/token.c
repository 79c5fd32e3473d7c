/* token.c - a token's life: made, found, attached, its PINs, its end. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inside.h"

void
token_path(char path[PATH_MAX], const char *home, uint32_t number, const char *suffix)
{
	(void)!snprintf(path, PATH_MAX, "%.*s/tokens/%u%s", PATH_MAX - 64, home, (unsigned)number, suffix);
}

static bool
name_number(const char *name, uint32_t *number)
{
	size_t digits = strspn(name, "0123456789");

	if (digits == 0 || digits > 6 || (digits > 1 && name[0] == '0') || strcmp(name + digits, TOKEN_SUFFIX) != 0)
		return false;
	*number = (uint32_t)strtoul(name, NULL, 10);
	return true;
}

static int
number_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

hsm_status
token_scan(const char *home, uint32_t *numbers, size_t room, size_t *count)
{
	char path[PATH_MAX];
	struct dirent *entry;
	uint32_t number;
	DIR *dir;

	*count = 0;
	(void)!snprintf(path, sizeof path, "%.*s/tokens", PATH_MAX - 64, home);
	if ((dir = opendir(path)) == NULL)
		return errno == ENOENT || errno == ENOTDIR ? HSM_OK : HSM_E_IO;
	while ((entry = readdir(dir)) != NULL)
		if (name_number(entry->d_name, &number)) {
			if (*count < room)
				numbers[*count] = number;
			(*count)++;
		}
	closedir(dir);
	qsort(numbers, *count < room ? *count : room, sizeof *numbers, number_order);
	return HSM_OK;
}

static hsm_status
folder_make(const char *home, const char *below)
{
	char path[PATH_MAX];

	(void)!snprintf(path, sizeof path, "%.*s%s", PATH_MAX - 64, home, below);
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return HSM_OK;
	return errno == ENOSPC ? HSM_E_LIMIT : HSM_E_IO;
}

hsm_status
token_folder(const char *home)
{
	hsm_status st = folder_make(home, "");

	return st == HSM_OK ? folder_make(home, "/tokens") : st;
}

hsm_status
token_folder_sync(const char *home)
{
	char path[PATH_MAX];
	hsm_status st = HSM_OK;
	int fd;

	(void)!snprintf(path, sizeof path, "%.*s/tokens", PATH_MAX - 64, home);
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return HSM_E_IO;
	if (fsync(fd) != 0)
		st = HSM_E_IO;
	close(fd);
	return st;
}

hsm_status
token_alloc(struct token **t)
{
	if ((*t = calloc(1, sizeof **t)) == NULL)
		return HSM_E_MEMORY;
	pthread_mutex_init(&(*t)->lock, NULL);
	token_index_init(&(*t)->index);
	return HSM_OK;
}

void
token_close(struct token *t)
{
	if (t == NULL)
		return;
	if (t->service != 0)
		(void)!hsm_session_close(t->service);
	if (t->part != 0)
		(void)!hsm_partition_close(t->part);
	db_close(t->db);
	token_index_free(&t->index);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void
token_device(char path[PATH_MAX], const char *home)
{
	(void)!snprintf(path, PATH_MAX, "%.*s/device", PATH_MAX - 64, home);
}

/* The whole token is made under a name that no scan sees, then linked: a
 * crash leaves no half token, and of two makers one gets HSM_E_EXISTS. */
hsm_status
token_make(const char *home, uint32_t number, const uint8_t label[TOKEN_LABEL_LEN],
	hsm_in so_pin, bool strict, struct token **out)
{
	static const uint8_t zero[32];
	char made[PATH_MAX], path[PATH_MAX], device[PATH_MAX], suffix[32];
	struct token *t = NULL;
	hsm_out header;
	hsm_status st;

	*out = NULL;
	if (number > TOKEN_NUMBER_MAX)
		return HSM_E_LIMIT;
	(void)!snprintf(suffix, sizeof suffix, ".new-%ld", (long)getpid());
	token_path(made, home, number, suffix);
	token_path(path, home, number, TOKEN_SUFFIX);
	token_device(device, home);
	token_work_begin();
	if ((st = token_folder(home)) != HSM_OK || (st = token_alloc(&t)) != HSM_OK)
		goto out;
	memcpy(t->label, label, sizeof t->label);
	header = (hsm_out){ t->header, sizeof t->header, 0 };
	if ((st = hsm_token_create(device, so_pin, strict, &header, &t->part)) != HSM_OK)
		goto out;
	t->header_len = header.len;
	(void)unlink(made);             /* of an earlier life of this pid */
	if ((st = db_make(made, &t->db)) != HSM_OK)
		goto out;
	if ((st = db_begin(t->db, true)) == HSM_OK && (st = token_sync_manifest(t, 1, 0, zero)) == HSM_OK)
		st = db_commit(t->db);
	if (st == HSM_OK && link(made, path) != 0)
		st = errno == EEXIST ? HSM_E_EXISTS : errno == ENOSPC ? HSM_E_LIMIT : HSM_E_IO;
	(void)unlink(made);
	if (st == HSM_OK)
		st = token_folder_sync(home);
out:
	/* Its connection knows the file by the name that is gone. */
	token_close(t);
	token_work_end();
	return st == HSM_OK ? token_attach(home, number, out) : st;
}

hsm_status
token_open_file(const char *home, const char *path, struct token **out)
{
	char device[PATH_MAX];
	struct token *t;
	hsm_out header;
	hsm_status st;

	*out = NULL;
	if ((st = token_alloc(&t)) != HSM_OK)
		return st;
	token_device(device, home);
	header = (hsm_out){ t->header, sizeof t->header, 0 };
	token_work_begin();
	if ((st = db_open(path, &t->db)) == HSM_OK)
		st = db_meta(t->db, "header", &header);
	token_work_end();
	t->header_len = header.len;
	if (st != HSM_OK || (st = hsm_token_open(device, (hsm_in){ t->header, t->header_len }, &t->part)) != HSM_OK
	    || (st = hsm_session_open(t->part, HSM_SESSION_RW | HSM_SESSION_KEEPER, &t->service)) != HSM_OK
	    || (st = token_sync_enter(t, false)) != HSM_OK)
		goto out;
	st = token_sync_leave(t, HSM_OK);
out:
	if (st != HSM_OK) {
		token_work_begin();
		token_close(t);
		token_work_end();
		t = NULL;
	}
	*out = t;
	return st;
}

hsm_part
token_part(const struct token *t)
{
	return t->part;
}

hsm_status
token_describe(struct token *t, uint8_t label[TOKEN_LABEL_LEN], hsm_token_info *info)
{
	hsm_status st = token_sync_enter(t, false);

	if (st != HSM_OK)
		return st;
	memcpy(label, t->label, sizeof t->label);
	return token_sync_leave(t, hsm_token_describe(t->part, info));
}

hsm_status
token_login(struct token *t, hsm_session session, hsm_role role, hsm_in pin)
{
	hsm_status st = token_sync_enter(t, false);

	if (st != HSM_OK || (st = token_sync_leave(t, HSM_OK)) != HSM_OK)
		return st;
	return hsm_login(session, role, pin);
}

void
token_logged_out(struct token *t)
{
	pthread_mutex_lock(&t->lock);
	for (uint32_t i = 0; i < t->index.used; i++)
		if (t->index.rows[i].used && t->index.rows[i].priv)
			token_index_set_handle(&t->index, i, 0);
	pthread_mutex_unlock(&t->lock);
}

bool
token_gone(struct token *t)
{
	bool gone;

	pthread_mutex_lock(&t->lock);
	gone = db_moved(t->db);
	pthread_mutex_unlock(&t->lock);
	return gone;
}

/* Store a header the core just made, then let the core go by it. */
static hsm_status
header_store(struct token *t, hsm_in header, uint64_t count, const uint8_t sum[32])
{
	uint8_t old[HSM_TOKEN_HEADER_MAX];
	size_t old_len = t->header_len;
	hsm_status st;

	memcpy(old, t->header, old_len);
	memcpy(t->header, header.ptr, header.len);
	t->header_len = header.len;
	if ((st = token_sync_manifest(t, t->seq + 1, count, sum)) == HSM_OK && (st = db_commit(t->db)) == HSM_OK) {
		t->seq++;
		return hsm_token_refresh(t->part, header);
	}
	memcpy(t->header, old, old_len);
	t->header_len = old_len;
	return st;
}

hsm_status
token_pin(struct token *t, hsm_session session, hsm_role role, hsm_in old, hsm_in pin)
{
	uint8_t bytes[HSM_TOKEN_HEADER_MAX];
	hsm_out header = { bytes, sizeof bytes, 0 };
	hsm_status st = token_sync_enter(t, true);

	if (st != HSM_OK)
		return st;
	if ((st = hsm_token_pin(session, role, old, pin, &header)) == HSM_OK)
		st = header_store(t, (hsm_in){ bytes, header.len }, t->index.live, t->index.sum);
	token_sync_end(t);                    /* header_store has committed */
	return st;
}

hsm_status
token_policy(struct token *t, hsm_in so_pin, hsm_in user_pin, bool strict)
{
	uint8_t bytes[HSM_TOKEN_HEADER_MAX];
	hsm_out header = { bytes, sizeof bytes, 0 };
	hsm_status st = token_sync_enter(t, true);

	if (st != HSM_OK)
		return st;
	if ((st = hsm_token_policy(t->part, so_pin, user_pin, strict, &header)) == HSM_OK)
		st = header_store(t, (hsm_in){ bytes, header.len }, t->index.live, t->index.sum);
	token_sync_end(t);                    /* header_store has committed */
	return st;
}

hsm_status
token_reset(struct token *t, const uint8_t label[TOKEN_LABEL_LEN], hsm_in so_pin, bool strict)
{
	static const uint8_t zero[32];
	uint8_t bytes[HSM_TOKEN_HEADER_MAX], was[TOKEN_LABEL_LEN];
	hsm_out header = { bytes, sizeof bytes, 0 };
	hsm_status st = token_sync_enter(t, true);

	if (st != HSM_OK)
		return st;
	memcpy(was, t->label, sizeof was);
	if ((st = hsm_token_reset(t->part, so_pin, strict, &header)) != HSM_OK || (st = db_clear(t->db)) != HSM_OK)
		goto out;
	memcpy(t->label, label, sizeof t->label);
	if ((st = header_store(t, (hsm_in){ bytes, header.len }, 0, zero)) != HSM_OK) {
		memcpy(t->label, was, sizeof was);
		goto out;
	}
	for (uint32_t i = 0; i < t->index.used; i++)
		if (t->index.rows[i].used && t->index.rows[i].handle != 0)
			(void)!hsm_object_close(t->service, t->index.rows[i].handle);
	token_index_free(&t->index);
out:
	token_sync_end(t);                    /* header_store has committed */
	return st;
}
