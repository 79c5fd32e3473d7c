/* integrity_stamp.c - a build tool: writes the MAC that integrity.c compares
 * into a freshly linked module.
 *
 *   integrity_stamp MODULE
 *
 * Reads the file as the loader would: what it MACs is what will lie in memory
 * once the read-only segments are mapped. */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/digest.h>
#include <openssl/hmac.h>

#include "integrity.h"

static int
complain(const char *file, const char *what)
{
	fprintf(stderr, "integrity_stamp: %s: %s\n", file, what);
	return 1;
}

/* The one stamp in the file; NULL when there is none, or a second. */
static struct integrity_stamp *
stamp_find(uint8_t *file, size_t len)
{
	static const char magic[] = INTEGRITY_MAGIC_A INTEGRITY_MAGIC_B;
	uint8_t *at = memmem(file, len, magic, sizeof(magic) - 1), *end = file + len;

	if (at == NULL || (size_t)(end - at) < sizeof(struct integrity_stamp))
		return NULL;
	if (memmem(at + 1, (size_t)(end - at) - 1, magic, sizeof(magic) - 1) != NULL)
		return NULL;
	return (struct integrity_stamp *)(void *)at;
}

static int
add_number(HMAC_CTX *ctx, uint64_t value)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
	return HMAC_Update(ctx, bytes, sizeof(bytes));
}

static int
add_segments(HMAC_CTX *ctx, const uint8_t *file, size_t len)
{
	Elf64_Ehdr e;
	Elf64_Phdr h;

	memcpy(&e, file, sizeof(e));
	for (unsigned i = 0; i < e.e_phnum; i++) {
		uint64_t at = e.e_phoff + (uint64_t)i * e.e_phentsize;

		if (at > len || len - at < sizeof(h))
			return 0;
		memcpy(&h, file + at, sizeof(h));
		if (h.p_type != PT_LOAD || (h.p_flags & PF_W) != 0)
			continue;
		if (h.p_offset > len || len - h.p_offset < h.p_filesz)
			return 0;
		if (add_number(ctx, h.p_vaddr) != 1 || add_number(ctx, h.p_filesz) != 1 ||
		    HMAC_Update(ctx, file + h.p_offset, h.p_filesz) != 1)
			return 0;
	}
	return 1;
}

static int
stamp_write(const char *name, uint8_t *file, size_t len)
{
	struct integrity_stamp *stamp;
	HMAC_CTX *ctx;
	unsigned mac_len = 0;
	int done;

	if (len < sizeof(Elf64_Ehdr) || memcmp(file, ELFMAG, SELFMAG) != 0 || file[EI_CLASS] != ELFCLASS64)
		return complain(name, "not a 64-bit ELF file");
	if ((stamp = stamp_find(file, len)) == NULL)
		return complain(name, "has not just one stamp");
	memset(stamp->mac, 0, sizeof(stamp->mac));
	if ((ctx = HMAC_CTX_new()) == NULL)
		return complain(name, "no memory");
	done = HMAC_Init_ex(ctx, INTEGRITY_KEY, sizeof(INTEGRITY_KEY) - 1, EVP_sha256(), NULL) == 1 &&
		add_segments(ctx, file, len) == 1 &&
		HMAC_Final(ctx, stamp->mac, &mac_len) == 1;
	HMAC_CTX_free(ctx);
	return done && mac_len == INTEGRITY_MAC ? 0 : complain(name, "could not be read as a module");
}

int
main(int argc, char **argv)
{
	struct stat st;
	uint8_t *file;
	int fd, bad;

	if (argc != 2)
		return complain("usage", "integrity_stamp MODULE");
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0)
		return complain(argv[1], "cannot be opened");
	file = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return complain(argv[1], "cannot be mapped");
	bad = stamp_write(argv[1], file, (size_t)st.st_size);
	munmap(file, (size_t)st.st_size);
	return bad;
}
