/* code.c - see docs/formats/object.md. */
#include "code.h"

#include <string.h>

#define CODE_VERSION 1u
#define CODE_MATERIAL 0u        /* what follows the version */
#define CODE_RECORD 1u
#define CODE_LIST_MAX 64u

static void
encode_record(struct writer *w, const struct facts *f)
{
	writer_u32(w, f->klass);
	writer_u32(w, f->spec.type);
	writer_u32(w, f->spec.param);
	writer_u32(w, f->key_type);
	writer_u32(w, f->use);
	writer_u32(w, f->flags);
	writer_u64(w, f->made_by);
	writer_u16(w, (uint16_t)f->n);
	for (size_t i = 0; i < f->n; i++) {
		writer_u32(w, f->list[i].type);
		writer_block32(w, f->list[i].value);
	}
}

hsm_status
object_encode(const struct facts *facts, hsm_in material, hsm_out *clear)
{
	struct writer w;

	writer_init(&w, clear->ptr, clear->ptr == NULL ? 0 : clear->cap);
	writer_u8(&w, CODE_VERSION);
	writer_u8(&w, (uint8_t)(facts == NULL ? CODE_MATERIAL : CODE_RECORD));
	if (facts != NULL)
		encode_record(&w, facts);
	writer_block32(&w, material);
	clear->len = w.len;
	if (clear->ptr == NULL)
		return HSM_OK;
	return w.failed || w.len > clear->cap ? HSM_E_BUFFER : HSM_OK;
}

static hsm_status
decode_record(struct reader *r, struct facts **facts)
{
	struct facts fixed = { 0 };
	hsm_attr list[CODE_LIST_MAX];
	size_t n;

	fixed.klass = reader_u32(r);
	fixed.spec.type = reader_u32(r);
	fixed.spec.param = reader_u32(r);
	fixed.key_type = reader_u32(r);
	fixed.use = reader_u32(r);
	fixed.flags = reader_u32(r);
	fixed.made_by = reader_u64(r);
	n = reader_u16(r);
	if (r->failed || n > CODE_LIST_MAX || fixed.klass > HSM_CLASS_DOMAIN_PARAMETERS || (fixed.flags & ~FACT_ALL) != 0)
		return HSM_E_FORMAT;
	for (size_t i = 0; i < n; i++) {
		list[i].type = reader_u32(r);
		list[i].value = reader_block32(r);
	}
	return r->failed ? HSM_E_FORMAT : facts_build(&fixed, list, n, facts);
}

hsm_status
object_decode(hsm_in clear, struct facts **facts, hsm_in *material)
{
	hsm_status st = HSM_OK;
	struct reader r;
	uint8_t what;

	*facts = NULL;
	*material = HSM_NONE;
	reader_init(&r, clear);
	if (reader_u8(&r) != CODE_VERSION)
		return HSM_E_FORMAT;
	what = reader_u8(&r);
	if (what > CODE_RECORD)
		return HSM_E_FORMAT;
	if (what == CODE_RECORD && (st = decode_record(&r, facts)) != HSM_OK)
		return st;
	*material = reader_block32(&r);
	if (reader_done(&r))
		return HSM_OK;
	facts_free(*facts);
	*facts = NULL;
	return HSM_E_FORMAT;
}
