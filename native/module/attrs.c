/* attrs.c - see attrs.h. */
#include "attrs.h"

#include <stdlib.h>
#include <string.h>

#include "rules.h"

#define LIST_MAX 64u
#define HIDDEN(klass) ((klass) == HSM_CLASS_PRIVATE || (klass) == HSM_CLASS_SECRET)

/* A record while it is being said. */
struct draft {
	struct facts fixed;
	size_t n;
	hsm_attr list[LIST_MAX];
};

/* ---- what callers say ------------------------------------------------------ */

bool
attrs_find(const hsm_attr *attrs, size_t n, uint32_t type, hsm_in *value)
{
	for (size_t i = 0; i < n; i++)
		if (attrs[i].type == type) {
			*value = attrs[i].value;
			return true;
		}
	*value = HSM_NONE;
	return false;
}

static bool
number_read(hsm_in value, uint64_t *number)
{
	if (value.len != sizeof *number)
		return false;
	memcpy(number, value.ptr, sizeof *number);
	return true;
}

hsm_status
attrs_number(const hsm_attr *attrs, size_t n, uint32_t type, uint64_t *number)
{
	hsm_in value;

	*number = 0;
	if (!attrs_find(attrs, n, type, &value))
		return HSM_E_TEMPLATE_INCOMPLETE;
	return number_read(value, number) ? HSM_OK : HSM_E_ATTR_VALUE;
}

uint32_t
attrs_key_type(uint64_t number)
{
	/* CKK_MD5_HMAC to CKK_SHA224_HMAC, SHA-3's, SHA-512/t's. */
	if ((number >= 0x27 && number <= 0x2E) || (number >= 0x36 && number <= 0x39) || (number >= 0x43 && number <= 0x45))
		return HSM_KEY_GENERIC;
	return number > UINT32_MAX ? HSM_KEY_ANY : (uint32_t)number;
}

static uint32_t
curve_bits(uint32_t curve)
{
	static const uint16_t bits[] = {
		[HSM_P224] = 224, [HSM_P256] = 256, [HSM_P384] = 384, [HSM_P521] = 521,
		[HSM_SECP256K1] = 256, [HSM_ED25519] = 255, [HSM_X25519] = 255
	};

	return curve < sizeof bits / sizeof *bits ? bits[curve] : 0;
}

uint32_t
attrs_bits(hsm_spec spec)
{
	switch (spec.type) {
	case HSM_KEY_EC:
	case HSM_KEY_EDWARDS:
	case HSM_KEY_MONTGOMERY:
		return curve_bits(spec.param);
	default:
		return spec.param;
	}
}

/* SP 800-57 part 1, table 2; between its rows the lower one. */
uint32_t
attrs_strength(hsm_spec spec)
{
	switch (spec.type) {
	case HSM_KEY_RSA:
		return spec.param >= 15360 ? 256 : spec.param >= 7680 ? 192 : spec.param >= 3072 ? 128
		     : spec.param >= 2048 ? 112 : 80;
	case HSM_KEY_EC:
	case HSM_KEY_EDWARDS:
	case HSM_KEY_MONTGOMERY:
		return (curve_bits(spec.param) + 1) / 2;
	case HSM_KEY_ML_KEM:
		return spec.param >= 1024 ? 256 : spec.param >= 768 ? 192 : 128;
	case HSM_KEY_ML_DSA:
		return spec.param >= 87 ? 256 : spec.param >= 65 ? 192 : 128;
	case HSM_KEY_DES3:
		return 112;
	case HSM_KEY_AES_XTS:
		return spec.param / 2;
	default:
		return spec.param < 256 ? spec.param : 256;
	}
}

/* ---- records ---------------------------------------------------------------- */

void
facts_free(struct facts *facts)
{
	struct facts *old;

	for (; facts != NULL; facts = old) {
		old = facts->old;
		free(facts);
	}
}

bool
facts_find(const struct facts *f, uint32_t type, hsm_in *value)
{
	return attrs_find(f->list, f->n, type, value);
}

hsm_status
facts_build(const struct facts *fixed, const hsm_attr *attrs, size_t n, struct facts **facts)
{
	size_t bytes = 0;
	struct facts *f;
	uint8_t *at;

	*facts = NULL;
	for (size_t i = 0; i < n; i++) {
		if (attrs[i].value.len > FACTS_MAX || (bytes += attrs[i].value.len) > 4 * FACTS_MAX)
			return HSM_E_ATTR_VALUE;
	}
	if ((f = malloc(sizeof *f + n * sizeof *attrs + bytes)) == NULL)
		return HSM_E_MEMORY;
	*f = *fixed;
	f->old = NULL;
	f->n = n;
	f->list = (hsm_attr *)(void *)(f + 1);
	at = (uint8_t *)(f->list + n);
	for (size_t i = 0; i < n; i++) {
		f->list[i] = (hsm_attr){ attrs[i].type, { at, attrs[i].value.len } };
		if (attrs[i].value.len != 0)
			memcpy(at, attrs[i].value.ptr, attrs[i].value.len);
		at += attrs[i].value.len;
	}
	(void)facts_find(f, HSM_ATTR_SHARED_WITH, &f->shared_with);
	(void)facts_find(f, HSM_ATTR_START_DATE, &f->start);
	(void)facts_find(f, HSM_ATTR_END_DATE, &f->end);
	if (!facts_find(f, HSM_ATTR_ALLOWED_MECHANISMS, &f->allowed) || f->allowed.len == 0)
		f->allowed = HSM_NONE;
	*facts = f;
	return HSM_OK;
}

/* ---- one attribute ----------------------------------------------------------- */

static bool
date_valid(hsm_in date)
{
	if (date.len != 0 && date.len != 8)
		return false;
	for (size_t i = 0; i < date.len; i++)
		if (date.ptr[i] < '0' || date.ptr[i] > '9')
			return false;
	return true;
}

static bool
template_valid(hsm_in template)
{
	struct reader r;

	for (reader_init(&r, template); reader_left(&r) != 0 && !r.failed;) {
		(void)reader_u32(&r);
		(void)reader_block32(&r);
	}
	return reader_done(&r);
}

static bool
value_valid(const struct rule *rule, hsm_in value)
{
	if (value.len > FACTS_MAX || (value.len != 0 && value.ptr == NULL))
		return false;
	switch (rule->form) {
	case RULE_FLAG:
	case RULE_USE:
		return value.len == 1 && value.ptr[0] <= 1;
	case RULE_NUMBER:
		return value.len == sizeof(uint64_t);
	case RULE_DATE:
		return date_valid(value);
	case RULE_MECHS:
		return value.len % sizeof(uint64_t) == 0;
	case RULE_TEMPLATE:
		return template_valid(value);
	default:
		return rule->type != HSM_ATTR_SHARED_WITH || value.len % 12 == 0;
	}
}

static uint32_t *
rule_word(struct facts *f, const struct rule *rule)
{
	return rule->form == RULE_FLAG ? &f->flags : &f->use;
}

static hsm_status
draft_put(struct draft *d, uint32_t type, hsm_in value)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].type == type) {
			d->list[i].value = value;
			return HSM_OK;
		}
	if (d->n == LIST_MAX)
		return HSM_E_LIMIT;
	d->list[d->n++] = (hsm_attr){ type, value };
	return HSM_OK;
}

static hsm_status
draft_say(struct draft *d, const struct rule *rule, hsm_in value)
{
	uint32_t *word;

	if (rule->form != RULE_FLAG && rule->form != RULE_USE)
		return draft_put(d, rule->type, value);
	word = rule_word(&d->fixed, rule);
	*word = value.ptr[0] ? *word | rule->bit : *word & ~rule->bit;
	return HSM_OK;
}

/* TRUSTED is the officer's word. */
static bool
officer_lacks(const struct rule *rule, hsm_role role, hsm_in value)
{
	return (rule->when & WHEN_OFFICER) != 0 && value.ptr[0] != 0 && role != HSM_ROLE_OFFICER;
}

static bool
twice(const hsm_attr *attrs, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (attrs[j].type == attrs[i].type && !bytes_equal(attrs[j].value, attrs[i].value))
			return true;
	return false;
}

/* ---- making ------------------------------------------------------------------- */

/* What SoftHSM2 grants when nothing is said, we grant. */
static uint32_t
use_lenient(uint32_t klass, uint32_t type)
{
	uint32_t more = 0;

	switch (klass) {
	case HSM_CLASS_SECRET:
		if (type == HSM_KEY_KDK)
			return MECH_ENCRYPT | MECH_DECRYPT;
		if (type == HSM_KEY_SIGV4)
			return MECH_VERIFY;
		if (type == HSM_KEY_HKDF)
			return MECH_DERIVE;
		return MECH_ENCRYPT | MECH_DECRYPT | MECH_SIGN | MECH_VERIFY | MECH_WRAP | MECH_UNWRAP;
	case HSM_CLASS_PUBLIC:
		if (type == HSM_KEY_ML_KEM)
			more = MECH_ENCAP;
		return MECH_ENCRYPT | MECH_VERIFY | MECH_RECOVER | MECH_WRAP | more;
	case HSM_CLASS_PRIVATE:
		if (type == HSM_KEY_ML_KEM)
			more = MECH_DECAP;
		if (type == HSM_KEY_MONTGOMERY)
			more = MECH_DERIVE;
		return MECH_DECRYPT | MECH_SIGN | MECH_RECOVER | MECH_UNWRAP | more;
	default:
		return 0;
	}
}

/* Strict: what the type is for, never wrapping unless it is said. */
static uint32_t
use_strict(uint32_t klass, uint32_t type)
{
	uint32_t both;

	switch (type) {
	case HSM_KEY_RSA:
		both = MECH_ENCRYPT | MECH_DECRYPT | MECH_SIGN | MECH_VERIFY;
		break;
	case HSM_KEY_EC:
	case HSM_KEY_EDWARDS:
	case HSM_KEY_ML_DSA:
	case HSM_KEY_GENERIC:
	case HSM_KEY_SIGV4:
		both = MECH_SIGN | MECH_VERIFY;
		break;
	case HSM_KEY_ML_KEM:
		both = MECH_ENCAP | MECH_DECAP;
		break;
	case HSM_KEY_MONTGOMERY:
	case HSM_KEY_HKDF:
		both = MECH_DERIVE;
		break;
	default:
		both = MECH_ENCRYPT | MECH_DECRYPT;
		break;
	}
	if (klass == HSM_CLASS_PUBLIC)
		return both & (MECH_ENCRYPT | MECH_VERIFY | MECH_ENCAP);
	if (klass == HSM_CLASS_PRIVATE)
		return both & (MECH_DECRYPT | MECH_SIGN | MECH_DECAP | MECH_DERIVE);
	return klass == HSM_CLASS_SECRET ? both : 0;
}

static void
draft_defaults(struct draft *d, const struct facts_order *o)
{
	struct facts *f = &d->fixed;

	*f = (struct facts){ .klass = o->klass, .spec = o->spec, .key_type = o->spec.type, .made_by = o->made_by };
	f->flags = FACT_MODIFIABLE | FACT_COPYABLE | FACT_DESTROYABLE;
	if (HIDDEN(o->klass))
		f->flags |= FACT_PRIVATE | FACT_SENSITIVE;
	if (o->klass == HSM_CLASS_DATA)
		f->flags |= FACT_PRIVATE;
	if (o->how == HOW_GENERATE)
		f->flags |= FACT_LOCAL;
	f->use = o->strict ? use_strict(o->klass, o->spec.type) : use_lenient(o->klass, o->spec.type);
	d->n = 0;
}

/* What follows from the record must be said as it is, or not at all. */
static hsm_status
draft_own(struct draft *d, uint32_t type, hsm_in value)
{
	uint64_t number;

	if (!number_read(value, &number))
		return HSM_E_ATTR_VALUE;
	if (type == HSM_ATTR_CLASS)
		return number == d->fixed.klass ? HSM_OK : HSM_E_TEMPLATE;
	if (attrs_key_type(number) != d->fixed.spec.type)
		return HSM_E_TEMPLATE;
	d->fixed.key_type = (uint32_t)number;
	return HSM_OK;
}

static hsm_status
draft_given(struct draft *d, const struct facts_order *o, const hsm_attr *attr)
{
	const struct rule *rule = rule_find(attr->type, o->klass);

	if (rule == NULL || (rule->when & WHEN_NOBODY) != 0)
		return HSM_E_ATTR_TYPE;
	if ((rule->when & (WHEN_MAKE | WHEN_CREATE)) == 0)
		return HSM_E_ATTR_READ_ONLY;
	if (!value_valid(rule, attr->value))
		return HSM_E_ATTR_VALUE;
	if (officer_lacks(rule, o->role, attr->value))
		return HSM_E_ATTR_READ_ONLY;
	if (rule->form == RULE_OWN)
		return draft_own(d, attr->type, attr->value);
	/* The key's own components: read already, by whoever made the key. */
	if (rule->form == RULE_SECRET)
		return o->how == HOW_CREATE ? HSM_OK : HSM_E_TEMPLATE;
	if (rule->form == RULE_KEY)
		return HSM_OK;
	return draft_say(d, rule, attr->value);
}

/* A template of the working key is not to be contradicted. */
static hsm_status
draft_template(struct draft *d, const struct facts_order *o, const hsm_attr *attrs, size_t n)
{
	hsm_status st = HSM_OK;
	struct reader r;
	hsm_attr demanded;
	hsm_in said;

	for (reader_init(&r, o->template); st == HSM_OK && reader_left(&r) != 0;) {
		demanded.type = reader_u32(&r);
		demanded.value = reader_block32(&r);
		if (attrs_find(attrs, n, demanded.type, &said) && !bytes_equal(said, demanded.value))
			return HSM_E_TEMPLATE;
		st = draft_given(d, o, &demanded);
	}
	return st;
}

/* Where a key comes from says what may be claimed of its past. A key derived
 * from a symmetric one is never more open than that one; an agreed secret is a
 * new one, as PKCS#11 has it, unless the partition is strict. */
static hsm_status
draft_past(struct draft *d, const struct facts_order *o)
{
	const struct facts *base = o->base;
	uint32_t *flags = &d->fixed.flags;
	bool sensitive = (*flags & FACT_SENSITIVE) != 0, extractable = (*flags & FACT_EXTRACTABLE) != 0;
	bool always = o->how == HOW_GENERATE, never = o->how == HOW_GENERATE;

	if (!HIDDEN(o->klass))
		return HSM_OK;
	if (o->how == HOW_DERIVE && base != NULL) {
		always = (base->flags & FACT_ALWAYS_SENSITIVE) != 0;
		never = (base->flags & FACT_NEVER_EXTRACTABLE) != 0;
		if (base->klass == HSM_CLASS_SECRET || o->strict) {
			if ((base->flags & FACT_SENSITIVE) != 0 && !sensitive)
				return HSM_E_TEMPLATE;
			if ((base->flags & FACT_EXTRACTABLE) == 0 && HIDDEN(base->klass) && extractable)
				return HSM_E_TEMPLATE;
		}
	}
	*flags |= (always && sensitive ? FACT_ALWAYS_SENSITIVE : 0u) | (never && !extractable ? FACT_NEVER_EXTRACTABLE : 0u);
	return HSM_OK;
}

static hsm_status
facts_consistent(const struct facts *f, bool strict)
{
	const uint32_t wraps = MECH_WRAP | MECH_UNWRAP;

	if ((f->flags & FACT_ALWAYS_ASKS) != 0 && (f->flags & FACT_PRIVATE) == 0)
		return HSM_E_TEMPLATE;
	if (f->start.len == 8 && f->end.len == 8 && memcmp(f->start.ptr, f->end.ptr, 8) > 0)
		return HSM_E_ATTR_VALUE;
	if (!strict)
		return HSM_OK;
	if (HIDDEN(f->klass) && f->spec.param != 0 && attrs_strength(f->spec) < 112)
		return HSM_E_KEY_SIZE;
	if (HIDDEN(f->klass) && (f->flags & FACT_SENSITIVE) == 0)
		return HSM_E_TEMPLATE;
	return (f->use & wraps) != 0 && (f->use & ~wraps) != 0 ? HSM_E_TEMPLATE : HSM_OK;
}

static hsm_status
draft_done(struct draft *d, bool strict, struct facts **facts)
{
	hsm_status st;

	if ((st = facts_build(&d->fixed, d->list, d->n, facts)) != HSM_OK)
		return st;
	if ((st = facts_consistent(*facts, strict)) == HSM_OK)
		return HSM_OK;
	facts_free(*facts);
	*facts = NULL;
	return st;
}

hsm_status
facts_make(const struct facts_order *o, const hsm_attr *attrs, size_t n, struct facts **facts)
{
	struct draft d;
	hsm_status st = HSM_OK;

	*facts = NULL;
	draft_defaults(&d, o);
	for (size_t i = 0; st == HSM_OK && i < n; i++)
		st = twice(attrs, i) ? HSM_E_TEMPLATE : draft_given(&d, o, &attrs[i]);
	if (st == HSM_OK && o->template.len != 0)
		st = draft_template(&d, o, attrs, n);
	if (st == HSM_OK && o->unique.len != 0)
		st = draft_put(&d, HSM_ATTR_UNIQUE_ID, o->unique);
	if (st == HSM_OK)
		st = draft_past(&d, o);
	return st == HSM_OK ? draft_done(&d, o->strict, facts) : st;
}

/* ---- changing ------------------------------------------------------------------ */

static hsm_status
draft_from(struct draft *d, const struct facts *from)
{
	d->fixed = *from;
	d->fixed.old = NULL;
	d->n = 0;
	if (from->n > LIST_MAX)
		return HSM_E_LIMIT;
	memcpy(d->list, from->list, from->n * sizeof *from->list);
	d->n = from->n;
	return HSM_OK;
}

static hsm_status
draft_change(struct draft *d, hsm_role role, bool strict, uint8_t when, const hsm_attr *attr)
{
	const struct rule *rule = rule_find(attr->type, d->fixed.klass);
	bool now;

	if (rule == NULL)
		return HSM_E_ATTR_TYPE;
	if ((rule->when & when) == 0)
		return HSM_E_ATTR_READ_ONLY;
	if (!value_valid(rule, attr->value))
		return HSM_E_ATTR_VALUE;
	if (officer_lacks(rule, role, attr->value))
		return HSM_E_ATTR_READ_ONLY;
	if (rule->form == RULE_FLAG || rule->form == RULE_USE) {
		now = (*rule_word(&d->fixed, rule) & rule->bit) != 0;
		if (now && !attr->value.ptr[0] && (rule->when & WHEN_UP) != 0)
			return HSM_E_ATTR_READ_ONLY;
		if (!now && attr->value.ptr[0] && (rule->when & WHEN_DOWN) != 0)
			return HSM_E_ATTR_READ_ONLY;
		/* What a key is for is settled when it is made. */
		if (strict && rule->form == RULE_USE && now != (attr->value.ptr[0] != 0))
			return HSM_E_ATTR_READ_ONLY;
	}
	return draft_say(d, rule, attr->value);
}

hsm_status
facts_change(const struct facts *from, hsm_role role, bool strict, const hsm_attr *attrs, size_t n, struct facts **facts)
{
	struct draft d;
	hsm_status st;

	*facts = NULL;
	st = draft_from(&d, from);
	for (size_t i = 0; st == HSM_OK && i < n; i++)
		st = twice(attrs, i) ? HSM_E_TEMPLATE : draft_change(&d, role, strict, WHEN_SET, &attrs[i]);
	return st == HSM_OK ? draft_done(&d, strict, facts) : st;
}

hsm_status
facts_copy(const struct facts *from, const struct facts_order *o, const hsm_attr *attrs, size_t n, struct facts **facts)
{
	struct draft d;
	hsm_status st;

	*facts = NULL;
	st = draft_from(&d, from);
	for (size_t i = 0; st == HSM_OK && i < n; i++)
		st = twice(attrs, i) ? HSM_E_TEMPLATE : draft_change(&d, o->role, o->strict, WHEN_COPY, &attrs[i]);
	if (st == HSM_OK)
		st = draft_put(&d, HSM_ATTR_UNIQUE_ID, o->unique);
	return st == HSM_OK ? draft_done(&d, o->strict, facts) : st;
}

/* ---- asking --------------------------------------------------------------------- */

static hsm_status
put_bytes(hsm_out *out, hsm_in value)
{
	hsm_status st;

	if ((st = out_need(out, value.len)) != HSM_OK || out->ptr == NULL || value.len == 0)
		return st;
	memcpy(out->ptr, value.ptr, value.len);
	return HSM_OK;
}

static hsm_status
put_number(hsm_out *out, uint64_t number)
{
	return put_bytes(out, (hsm_in){ (const uint8_t *)&number, sizeof number });
}

static hsm_status
put_flag(hsm_out *out, bool flag)
{
	const uint8_t byte = flag;

	return put_bytes(out, (hsm_in){ &byte, 1 });
}

/* CKA_OBJECT_VALIDATION_FLAGS: was it made here, by a generator and of a size
 * that are approved? 1 is the bit of C_GetSessionValidationFlags. */
static uint64_t
facts_approved(const struct facts *f)
{
	const struct mech *row = (f->flags & FACT_LOCAL) != 0 ? mech_find(f->made_by) : NULL;
	const struct key key = { .spec = f->spec };
	const hsm_params none = { .flags = 0 };

	if (row == NULL)
		return 0;
	return row->approved != NULL ? row->approved(&key, MECH_GENERATE, &none) : (row->flags & MECH_APPROVED) != 0;
}

static hsm_status
get_own(const struct facts *f, uint32_t type, hsm_out *value)
{
	switch (type) {
	case HSM_ATTR_CLASS:
		return put_number(value, f->klass);
	case HSM_ATTR_KEY_TYPE:
		return put_number(value, f->key_type);
	case HSM_ATTR_KEY_GEN_MECHANISM:
		return put_number(value, f->made_by);
	case HSM_ATTR_OBJECT_VALIDATION_FLAGS:
		return put_number(value, facts_approved(f));
	default:
		return put_flag(value, hsm_approved());
	}
}

hsm_status
facts_get(const struct facts *f, uint32_t type, hsm_out *value, bool *ask)
{
	const struct rule *rule = rule_find(type, f->klass);
	hsm_in bytes;

	*ask = false;
	value->len = 0;
	if (rule == NULL)
		return HSM_E_ATTR_TYPE;
	switch (rule->form) {
	case RULE_OWN:
		return get_own(f, type, value);
	case RULE_FLAG:
		return put_flag(value, (f->flags & rule->bit) != 0);
	case RULE_USE:
		return put_flag(value, (f->use & rule->bit) != 0);
	case RULE_SECRET:
		if ((f->flags & FACT_SENSITIVE) != 0 || (f->flags & FACT_EXTRACTABLE) == 0)
			return HSM_E_ATTR_SENSITIVE;
		/* fallthrough */
	case RULE_KEY:
		*ask = true;
		return HSM_OK;
	default:
		if (!facts_find(f, type, &bytes) && rule->form == RULE_NUMBER)
			return put_number(value, 0);
		return put_bytes(value, bytes);
	}
}

bool
facts_match(const struct facts *f, const hsm_attr *attr, bool *ask)
{
	const struct rule *rule = rule_find(attr->type, f->klass);
	uint8_t own[8];
	hsm_out out = { own, sizeof own, 0 };
	hsm_in bytes;

	*ask = false;
	if (rule == NULL || rule->form == RULE_SECRET)
		return false;
	switch (rule->form) {
	case RULE_KEY:
		*ask = true;
		return true;
	case RULE_OWN:
	case RULE_FLAG:
	case RULE_USE:
		return facts_get(f, attr->type, &out, ask) == HSM_OK
		    && bytes_equal((hsm_in){ own, out.len }, attr->value);
	default:
		(void)facts_find(f, attr->type, &bytes);
		return bytes_equal(bytes, attr->value);
	}
}

bool
facts_match_template(const struct facts *f, hsm_in template)
{
	struct reader r;
	hsm_attr attr;
	bool ask;

	for (reader_init(&r, template); reader_left(&r) != 0 && !r.failed;) {
		attr.type = reader_u32(&r);
		attr.value = reader_block32(&r);
		if (!facts_match(f, &attr, &ask) || ask)
			return false;
	}
	return !r.failed;
}
