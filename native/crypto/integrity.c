/* integrity.c - the MAC over our own image. */
#include "integrity.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include <openssl/digest.h>
#include <openssl/hmac.h>

#include "../base/bytes.h"

/* Read through a volatile pointer: to the compiler these are zeros for ever. */
static const struct integrity_stamp stamp __attribute__((used, section(".strongroom_stamp"), aligned(16))) = {
	.magic = INTEGRITY_MAGIC_A INTEGRITY_MAGIC_B, .mac = { 0 },
};

struct image { const ElfW(Phdr) *headers; size_t count; ElfW(Addr) base; bool found, program; };

static bool
holds(const struct dl_phdr_info *info, uintptr_t at)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];

		if (h->p_type == PT_LOAD && at - (info->dlpi_addr + h->p_vaddr) < h->p_memsz)
			return true;
	}
	return false;
}

/* The main program comes first, and has no name. */
static int
see_image(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct image *image = arg;

	(void)size;
	if (!holds(info, (uintptr_t)&stamp))
		return 0;
	*image = (struct image){
		.headers = info->dlpi_phdr, .count = info->dlpi_phnum, .base = info->dlpi_addr,
		.found = true, .program = info->dlpi_name == NULL || info->dlpi_name[0] == '\0',
	};
	return 1;
}

static bool
add_number(HMAC_CTX *ctx, uint64_t value)
{
	uint8_t bytes[8];
	struct writer w;

	writer_init(&w, bytes, sizeof(bytes));
	writer_u64(&w, value);
	return HMAC_Update(ctx, bytes, sizeof(bytes)) == 1;
}

/* A segment, with zeros where the stamp's MAC lies in it. */
static bool
add_segment(HMAC_CTX *ctx, const uint8_t *at, size_t len)
{
	static const uint8_t zeros[INTEGRITY_MAC];
	size_t mac = (size_t)((uintptr_t)stamp.mac - (uintptr_t)at);

	if (mac >= len)
		return HMAC_Update(ctx, at, len) == 1;
	return HMAC_Update(ctx, at, mac) == 1 &&
		HMAC_Update(ctx, zeros, sizeof(zeros)) == 1 &&
		HMAC_Update(ctx, at + mac + sizeof(zeros), len - mac - sizeof(zeros)) == 1;
}

static bool
add_image(HMAC_CTX *ctx, const struct image *image)
{
	for (size_t i = 0; i < image->count; i++) {
		const ElfW(Phdr) *h = &image->headers[i];
		uintptr_t at = image->base + h->p_vaddr;

		if (h->p_type != PT_LOAD || (h->p_flags & PF_W) != 0)
			continue;
		if (!add_number(ctx, h->p_vaddr) || !add_number(ctx, h->p_filesz) ||
		    !add_segment(ctx, (const uint8_t *)at, h->p_filesz))
			return false;
	}
	return true;
}

static hsm_status
image_mac(const struct image *image, uint8_t mac[INTEGRITY_MAC])
{
	HMAC_CTX *ctx = HMAC_CTX_new();
	hsm_status st = HSM_E_CRYPTO;
	unsigned len = 0;

	if (ctx == NULL)
		return HSM_E_MEMORY;
	if (HMAC_Init_ex(ctx, INTEGRITY_KEY, sizeof(INTEGRITY_KEY) - 1, EVP_sha256(), NULL) == 1 &&
	    add_image(ctx, image) && HMAC_Final(ctx, mac, &len) == 1 && len == INTEGRITY_MAC)
		st = HSM_OK;
	HMAC_CTX_free(ctx);
	return st;
}

hsm_status
integrity_check(bool broken)
{
	static const uint8_t zeros[INTEGRITY_MAC];
	const volatile struct integrity_stamp *built = &stamp;
	struct image image = { .found = false };
	uint8_t want[INTEGRITY_MAC], got[INTEGRITY_MAC] = { 0 };
	hsm_status st;

	for (size_t i = 0; i < INTEGRITY_MAC; i++)
		want[i] = built->mac[i];
	if (dl_iterate_phdr(see_image, &image) != 1 || !image.found)
		return HSM_E_INTEGRITY;
	if (image.program && memcmp(want, zeros, sizeof(zeros)) == 0)
		return broken ? HSM_E_INTEGRITY : HSM_E_UNSUPPORTED;
	if ((st = image_mac(&image, got)) != HSM_OK)
		goto out;
	if (broken)
		got[0] ^= 1;
	if (!bytes_equal_secret(want, got, sizeof(want)))
		st = HSM_E_INTEGRITY;
out:
	bytes_wipe(want, sizeof(want));
	bytes_wipe(got, sizeof(got));
	return st;
}
