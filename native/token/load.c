/* load.c - see load.h. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static hsm_status
read_all(int fd, uint8_t *to, size_t len)
{
	ssize_t n;

	while (len > 0) {
		if ((n = read(fd, to, len)) == 0 || (n < 0 && errno != EINTR))
			return HSM_E_IO;
		if (n > 0) {
			to += n;
			len -= (size_t)n;
		}
	}
	return HSM_OK;
}

hsm_status
file_load(const char *path, uint8_t **bytes, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	hsm_status st = HSM_E_IO;
	struct stat at;

	*bytes = NULL;
	*len = 0;
	if (fd < 0)
		return HSM_E_IO;
	if (fstat(fd, &at) != 0 || !S_ISREG(at.st_mode))
		goto out;
	st = HSM_E_LIMIT;
	if (at.st_size < 0 || at.st_size > (off_t)LOAD_MAX)
		goto out;
	st = HSM_E_MEMORY;
	if ((*bytes = malloc((size_t)at.st_size + 1)) == NULL)
		goto out;
	if ((st = read_all(fd, *bytes, (size_t)at.st_size)) == HSM_OK) {
		*len = (size_t)at.st_size;
	} else {
		free(*bytes);
		*bytes = NULL;
	}
out:
	close(fd);
	return st;
}
