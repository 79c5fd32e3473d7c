/* vault.h - what the tests of sealing, roots, accounts and envelopes share. */
#ifndef STRONGROOM_TEST_VAULT_H
#define STRONGROOM_TEST_VAULT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/hsm.h"

#define IN(text) ((hsm_in){ (const uint8_t *)(text), sizeof(text) - 1 })
#define ROOM(array) ((hsm_out){ (array), sizeof(array), 0 })

static char folder[64];

/* A module that runs, and a folder for files. */
static inline int
vault_open(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/vault.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	return hsm_open(&(hsm_config){ .arena_size = 4u << 20 }) == HSM_OK ? 0 : -1;
}

static inline int
vault_close(void **state)
{
	char command[128];

	(void)state;
	hsm_close();
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static inline const char *
at(const char *name)
{
	static char paths[16][128];
	static unsigned next;
	char *path = paths[next++ % 16];

	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

static inline void
write_file(const char *path, const void *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

static inline size_t
read_file(const char *path, void *bytes, size_t cap)
{
	FILE *f = fopen(path, "rb");
	size_t len;

	assert_non_null(f);
	len = fread(bytes, 1, cap, f);
	fclose(f);
	return len;
}

static inline void
from_hex(const char *hex, uint8_t *out)
{
	unsigned byte;

	for (; hex[0] != '\0'; hex += 2) {
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		*out++ = (uint8_t)byte;
	}
}

#endif
