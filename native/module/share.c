/* share.c - see share.h. What is secret is neither branched on nor looked up. */
#include "share.h"

#include <string.h>

#include "../mech/primitive.h"

#define VERSION 1u
#define CHECK_LEN 4u
#define CLEAR_LEN (1u + SHARE_SET_LEN + 2 + SHAMIR_LEN)
#define RAW_LEN (CLEAR_LEN + CHECK_LEN)
#define DIGITS 76u                      /* of 5 bits; the last has 4 that are 0 */
#define PREFIX "srs1-"
#define PREFIX_LEN 5u

_Static_assert(DIGITS * 5 >= RAW_LEN * 8 && (DIGITS - 1) * 5 < RAW_LEN * 8, "as many digits as it takes");
_Static_assert(PREFIX_LEN + DIGITS + DIGITS / 4 - 1 == HSM_SHARE_TEXT, "groups of four");

static size_t
digit_place(unsigned i)
{
	return PREFIX_LEN + i + i / 4;
}

static uint8_t
digit_text(unsigned v)
{
	return (uint8_t)(v + 'a' - ((((25u - v) >> 8) & 1u) * ('a' - '2' + 26)));
}

/* 0..31, or 255. */
static unsigned
digit_value(uint8_t c)
{
	const unsigned lower = c | 0x20u, letter = lower - 'a', number = (unsigned)c - '2';
	const unsigned is_letter = 0u - (((letter - 26) & ~letter) >> 31), is_number = 0u - (((number - 6) & ~number) >> 31);

	return (is_letter & letter) | (is_number & (number + 26)) | (~(is_letter | is_number) & 255u);
}

static hsm_status
check_make(const uint8_t *raw, uint8_t check[CHECK_LEN])
{
	const hsm_in parts[2] = { { (const uint8_t *)"strongroom share", 16 }, { raw, CLEAR_LEN } };
	uint8_t digest[32];
	const hsm_status st = primitive_hash(HSM_SHA256, parts, 2, digest);

	memcpy(check, digest, CHECK_LEN);
	bytes_wipe(digest, sizeof digest);
	return st;
}

hsm_status
share_write(const struct share *share, uint8_t text[HSM_SHARE_TEXT])
{
	uint8_t raw[RAW_LEN + 1] = { 0 };
	struct writer w;
	hsm_status st;

	writer_init(&w, raw, RAW_LEN);
	writer_u8(&w, VERSION);
	writer_put(&w, share->set, sizeof share->set);
	writer_u8(&w, share->threshold);
	writer_u8(&w, share->place);
	writer_put(&w, share->value, sizeof share->value);
	if ((st = check_make(raw, raw + CLEAR_LEN)) != HSM_OK)
		goto out;
	memset(text, '-', HSM_SHARE_TEXT);
	memcpy(text, PREFIX, PREFIX_LEN);
	for (unsigned i = 0; i < DIGITS; i++) {
		const unsigned bit = i * 5, two = (unsigned)raw[bit / 8] << 8 | raw[bit / 8 + 1];

		text[digit_place(i)] = digit_text((two >> (11 - bit % 8)) & 31u);
	}
out:
	bytes_wipe(raw, sizeof raw);
	return st;
}

static hsm_in
text_trim(hsm_in text)
{
	while (text.len > HSM_SHARE_TEXT && strchr(" \t\r\n", text.ptr[text.len - 1]) != NULL && text.ptr[text.len - 1] != 0)
		text.len--;
	return text;
}

static bool
raw_read(hsm_in text, uint8_t raw[RAW_LEN + 1])
{
	unsigned bad = 0;

	for (unsigned i = 0; i < PREFIX_LEN; i++)
		bad |= (unsigned)((i < 3 ? text.ptr[i] | 0x20 : text.ptr[i]) ^ PREFIX[i]);
	for (unsigned i = 0; i < DIGITS; i++) {
		const unsigned v = digit_value(text.ptr[digit_place(i)]), bit = i * 5, shift = 11 - bit % 8;

		bad |= v & 0xE0u;
		raw[bit / 8] |= (uint8_t)((v & 31u) << shift >> 8);
		raw[bit / 8 + 1] |= (uint8_t)((v & 31u) << shift);
		if (i % 4 == 3 && i + 1 < DIGITS)
			bad |= (unsigned)(text.ptr[digit_place(i) + 1] ^ '-');
	}
	return (bad | raw[RAW_LEN]) == 0;
}

hsm_status
share_read(hsm_in text, struct share *share)
{
	uint8_t raw[RAW_LEN + 1] = { 0 }, check[CHECK_LEN];
	hsm_status st = HSM_E_FORMAT;
	struct reader r;

	text = text_trim(text);
	if (text.len != HSM_SHARE_TEXT || !raw_read(text, raw) || raw[0] != VERSION)
		goto out;
	if ((st = check_make(raw, check)) != HSM_OK)
		goto out;
	st = HSM_E_FORMAT;
	if (!bytes_equal_secret(check, raw + CLEAR_LEN, CHECK_LEN))
		goto out;
	reader_init(&r, (hsm_in){ raw + 1, CLEAR_LEN - 1 });
	reader_copy(&r, share->set, sizeof share->set);
	share->threshold = reader_u8(&r);
	share->place = reader_u8(&r);
	reader_copy(&r, share->value, sizeof share->value);
	if (share->threshold != 0 && share->threshold <= SHAMIR_PARTS_MAX && share->place != 0 && share->place <= SHAMIR_PARTS_MAX)
		st = HSM_OK;
out:
	bytes_wipe(raw, sizeof raw);
	bytes_wipe(check, sizeof check);
	return st;
}
