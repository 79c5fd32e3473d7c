#include "hkey.h"

#include <openssl/sha.h>
#include <string.h>

#define BLOCK 64u

_Static_assert(sizeof(SHA256_CTX) == sizeof(((struct hkey *)0)->inner), "a midstate fits its place");

static int
midstate(uint64_t place[14], const uint8_t block[BLOCK], uint8_t pad)
{
	uint8_t padded[BLOCK];
	SHA256_CTX ctx;
	int ok;

	for (size_t i = 0; i < BLOCK; i++)
		padded[i] = block[i] ^ pad;
	ok = SHA256_Init(&ctx) && SHA256_Update(&ctx, padded, sizeof padded);
	memcpy(place, &ctx, sizeof ctx);
	bytes_wipe(padded, sizeof padded);
	bytes_wipe(&ctx, sizeof ctx);
	return ok;
}

hsm_status
hkey_make(struct hkey *k, hsm_in key)
{
	uint8_t block[BLOCK] = { 0 };
	int ok = 1;

	if (key.len > BLOCK)
		ok = SHA256(key.ptr, key.len, block) != NULL;
	else if (key.len > 0)
		memcpy(block, key.ptr, key.len);
	ok = ok && midstate(k->inner, block, 0x36) && midstate(k->outer, block, 0x5c);
	bytes_wipe(block, sizeof block);
	return ok ? HSM_OK : HSM_E_CRYPTO;
}

static int
outer(const struct hkey *k, SHA256_CTX *ctx, uint8_t out[HKEY_MAC_LEN])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	int ok = SHA256_Final(hash, ctx);

	memcpy(ctx, k->outer, sizeof *ctx);
	ok = ok && SHA256_Update(ctx, hash, sizeof hash) && SHA256_Final(out, ctx);
	return ok;
}

static int
update(SHA256_CTX *ctx, hsm_in part)
{
	return part.len == 0 || SHA256_Update(ctx, part.ptr, part.len);
}

hsm_status
hkey_mac(const struct hkey *k, const hsm_in *parts, size_t n, uint8_t mac[HKEY_MAC_LEN])
{
	SHA256_CTX ctx;
	int ok = 1;

	memcpy(&ctx, k->inner, sizeof ctx);
	for (size_t i = 0; i < n; i++)
		ok = ok && update(&ctx, parts[i]);
	ok = ok && outer(k, &ctx, mac);
	bytes_wipe(&ctx, sizeof ctx);
	return ok ? HSM_OK : HSM_E_CRYPTO;
}

static void
put32(uint8_t at[4], size_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

hsm_status
hkey_derive(const struct hkey *k, hsm_in label, hsm_in context, uint8_t *out, size_t out_len)
{
	uint8_t counter[4], bits[4], block[HKEY_MAC_LEN];
	const uint8_t zero = 0;
	const hsm_in parts[] = { { counter, 4 }, label, { &zero, 1 }, context, { bits, 4 } };
	hsm_status st = HSM_OK;

	if (out_len > 255u * HKEY_MAC_LEN)
		return HSM_E_ARGS;
	put32(bits, out_len * 8);
	for (size_t i = 1; st == HSM_OK && out_len > 0; i++) {
		const size_t take = out_len < sizeof block ? out_len : sizeof block;

		put32(counter, i);
		st = hkey_mac(k, parts, sizeof parts / sizeof *parts, block);
		memcpy(out, block, take);
		out += take;
		out_len -= take;
	}
	bytes_wipe(block, sizeof block);
	return st;
}

hsm_status
hkey_digest(const hsm_in *parts, size_t n, uint8_t digest[32])
{
	SHA256_CTX ctx;
	int ok = SHA256_Init(&ctx);

	for (size_t i = 0; i < n; i++)
		ok = ok && update(&ctx, parts[i]);
	ok = ok && SHA256_Final(digest, &ctx);
	bytes_wipe(&ctx, sizeof ctx);
	return ok ? HSM_OK : HSM_E_CRYPTO;
}
