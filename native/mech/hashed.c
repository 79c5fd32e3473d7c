/* hashed.c - many-part signing for rows with a hash in them: hash as the
 * parts come, then the row's one-shot slot with HSM_PARAM_PREHASHED. */
#include <openssl/digest.h>

#include "family.h"
#include "primitive.h"

hsm_status
hashed_input(hsm_hash hash, const hsm_params *params, hsm_in msg, uint8_t *buf, hsm_in *digest)
{
	*digest = (hsm_in){ buf, primitive_hash_len(hash) };
	if ((params->flags & HSM_PARAM_PREHASHED) == 0)
		return primitive_hash(hash, &msg, 1, buf);
	*digest = msg;
	return msg.len == primitive_hash_len(hash) ? HSM_OK : HSM_E_DATA_LEN;
}

hsm_status
hashed_begin(struct stream *s)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL)
		return library_status(HSM_E_MEMORY);
	s->ctx = ctx;
	return EVP_DigestInit_ex(ctx, hash_md(s->mech->hash), NULL) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

hsm_status
hashed_update(struct stream *s, hsm_in in, hsm_out *out)
{
	if (out != NULL)
		out->len = 0;
	return EVP_DigestUpdate(s->ctx, in.ptr, in.len) ? HSM_OK : library_status(HSM_E_CRYPTO);
}

/* A size was asked or the room is too small: answered without spending the
 * hash, so that the caller can come again. */
static bool
final_asks(struct stream *s, const hsm_params *params, hsm_in digest, hsm_out *out, hsm_status *st)
{
	hsm_out size = { NULL, 0, 0 };

	if (s->use != MECH_SIGN)
		return false;
	*st = s->mech->sign(s->key, params, digest, &size);
	if (*st == HSM_OK)
		*st = out_need(out, size.len);
	return *st != HSM_OK || out->ptr == NULL;
}

hsm_status
hashed_final(struct stream *s, hsm_in sig, hsm_out *out)
{
	uint8_t digest[PRIMITIVE_HASH_MAX] = { 0 };
	hsm_in msg = { digest, primitive_hash_len(s->mech->hash) };
	hsm_params params = s->params;
	hsm_status st;

	params.flags |= HSM_PARAM_PREHASHED;
	if (final_asks(s, &params, msg, out, &st))
		return st;
	if (!EVP_DigestFinal_ex(s->ctx, digest, NULL))
		return library_status(HSM_E_CRYPTO);
	if (s->use == MECH_SIGN)
		return s->mech->sign(s->key, &params, msg, out);
	return s->mech->verify(s->key, &params, msg, sig);
}

void
hashed_end(struct stream *s)
{
	EVP_MD_CTX_free(s->ctx);
	s->ctx = NULL;
}
