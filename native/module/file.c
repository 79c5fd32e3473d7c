/* A file is written beside its place, synced, then put there in one step:
 * link(2) (or a rename that
 * does not replace) where it must be new, rename(2) where it may replace. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../crypto/rng.h"

#define PATH_ROOM 4096u

static hsm_status
read_all(int fd, struct secret *room, size_t *got)
{
	*got = 0;
	while (*got < room->len) {
		const ssize_t n = read(fd, room->ptr + *got, room->len - *got);

		if (n == 0)
			return HSM_OK;
		if (n < 0 && errno != EINTR)
			return HSM_E_IO;
		if (n > 0)
			*got += (size_t)n;
	}
	return HSM_E_DATA_LEN;
}

/* One byte more than may come: whoever fills it had too much. */
static size_t
room_for(int fd, size_t max)
{
	struct stat s;

	if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size <= 0 || (uintmax_t)s.st_size >= max)
		return max + 1;
	return (size_t)s.st_size + 1;
}

hsm_status
file_read(const char *path, size_t max, struct secret *bytes, bool *missing)
{
	struct secret room = SECRET_NONE;
	hsm_status st = HSM_E_IO;
	size_t got;
	int fd;

	*bytes = SECRET_NONE;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (missing != NULL)
		*missing = fd < 0 && errno == ENOENT;
	if (fd < 0)
		goto out;
	if ((st = secret_alloc(&room, room_for(fd, max))) != HSM_OK)
		goto out;
	if ((st = read_all(fd, &room, &got)) != HSM_OK || got == 0)
		goto out;
	st = secret_copy(bytes, (hsm_in){ room.ptr, got });
out:
	secret_wipe(&room);
	if (fd >= 0)
		close(fd);
	return st;
}

static bool
write_all(int fd, hsm_in bytes)
{
	while (bytes.len > 0) {
		const ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			bytes.ptr += n;
			bytes.len -= (size_t)n;
		}
	}
	return true;
}

/* The folder's own entry must be on disk too. */
static bool
sync_folder(const char *path)
{
	char folder[PATH_ROOM];
	const char *slash = strrchr(path, '/');
	const int n = slash == NULL ? snprintf(folder, sizeof folder, ".")
	                            : snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
	bool ok = false;
	int fd;

	if (n < 0 || (size_t)n >= sizeof folder)
		return false;
	if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		ok = fsync(fd) == 0;
		close(fd);
	}
	return ok;
}

/* A name beside `path` that nobody has. */
static bool
name_beside(const char *path, char beside[PATH_ROOM])
{
	uint64_t tail;
	int n;

	if (rng_nonce(&tail, sizeof tail) != HSM_OK)
		return false;
	n = snprintf(beside, PATH_ROOM, "%s.%016llx", path, (unsigned long long)tail);
	return n > 0 && (size_t)n < PATH_ROOM;
}

static hsm_status
write_beside(const char *beside, hsm_in bytes)
{
	const int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok;

	if (fd < 0)
		return HSM_E_IO;
	ok = fchmod(fd, 0600) == 0 && write_all(fd, bytes) && fsync(fd) == 0;
	ok = close(fd) == 0 && ok;
	if (!ok)
		unlink(beside);
	return ok ? HSM_OK : HSM_E_IO;
}

/* Not every file system has links. */
static bool
place_new(const char *beside, const char *path)
{
	if (link(beside, path) == 0)
		return true;
	if (errno == EEXIST)
		return false;
	return renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE) == 0;
}

hsm_status
file_create(const char *path, hsm_in bytes)
{
	char beside[PATH_ROOM];
	hsm_status st;

	if (!name_beside(path, beside))
		return HSM_E_IO;
	if ((st = write_beside(beside, bytes)) != HSM_OK)
		return st;
	if (!place_new(beside, path))
		st = errno == EEXIST ? HSM_E_EXISTS : HSM_E_IO;
	unlink(beside);
	if (st == HSM_OK && !sync_folder(path))
		st = HSM_E_IO;
	return st;
}

hsm_status
file_replace(const char *path, hsm_in bytes)
{
	char beside[PATH_ROOM];
	hsm_status st;

	if (!name_beside(path, beside))
		return HSM_E_IO;
	if ((st = write_beside(beside, bytes)) != HSM_OK)
		return st;
	if (rename(beside, path) != 0) {
		unlink(beside);
		return HSM_E_IO;
	}
	return sync_folder(path) ? HSM_OK : HSM_E_IO;
}
