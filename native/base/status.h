/* status.h - what a call into the core answers.
 *
 * One vocabulary for every room and both doors: the Cryptoki door maps each
 * name to a CK_RV, the Node door to an HsmError whose code is the name. */
#ifndef STRONGROOM_STATUS_H
#define STRONGROOM_STATUS_H

#define HSM_STATUS_LIST(X)                                                    \
	X(HSM_OK, "ok")                                                       \
	X(HSM_E_ARGS, "an argument is missing or malformed")                  \
	X(HSM_E_BUFFER, "the room for the result is too small")               \
	X(HSM_E_MEMORY, "secret memory is exhausted")                         \
	X(HSM_E_LIMIT, "a limit of the core is reached")                      \
	X(HSM_E_STATE, "the module is not operational")                       \
	X(HSM_E_SEALED, "the root key is not unsealed")                       \
	X(HSM_E_SESSION, "no such session")                                   \
	X(HSM_E_ROLE, "the session's role may not do this")                   \
	X(HSM_E_READ_ONLY, "the session is read-only")                        \
	X(HSM_E_HANDLE, "no such key")                                        \
	X(HSM_E_PARTITION, "no such partition, or not this one's")            \
	X(HSM_E_POLICY, "the key may not be used this way")                   \
	X(HSM_E_MECH, "no such mechanism, or not for this")                   \
	X(HSM_E_PARAM, "a mechanism parameter is invalid")                    \
	X(HSM_E_KEY_TYPE, "the key's type does not fit the mechanism")        \
	X(HSM_E_KEY_SIZE, "the key's size does not fit the mechanism")        \
	X(HSM_E_KEY_VALUE, "the key's value is not a valid key")              \
	X(HSM_E_CURVE, "the curve or parameter set is not supported")         \
	X(HSM_E_DATA, "the input is not valid for the mechanism")             \
	X(HSM_E_DATA_LEN, "the input's length does not fit the mechanism")    \
	X(HSM_E_CIPHERTEXT, "the ciphertext does not open")                   \
	X(HSM_E_CIPHERTEXT_LEN, "the ciphertext's length does not fit")       \
	X(HSM_E_SIGNATURE, "the signature or MAC does not fit")               \
	X(HSM_E_SIGNATURE_LEN, "the signature's length does not fit")         \
	X(HSM_E_TEMPLATE, "the attributes contradict each other")             \
	X(HSM_E_TEMPLATE_INCOMPLETE, "a needed attribute is missing")         \
	X(HSM_E_ATTR_TYPE, "the object has no such attribute")                \
	X(HSM_E_ATTR_VALUE, "an attribute's value is invalid")                \
	X(HSM_E_ATTR_READ_ONLY, "the attribute cannot be changed")            \
	X(HSM_E_ATTR_SENSITIVE, "the attribute does not leave the core")      \
	X(HSM_E_UNEXTRACTABLE, "the key may not be wrapped")                  \
	X(HSM_E_WRAPPING, "the wrapping key may not wrap this key")           \
	X(HSM_E_PIN, "the PIN or passphrase is wrong")                        \
	X(HSM_E_PIN_LEN, "the PIN's length is out of range")                  \
	X(HSM_E_PIN_LOCKED, "the PIN is locked")                              \
	X(HSM_E_PIN_UNSET, "the user's PIN was never set")                    \
	X(HSM_E_LOGGED_IN, "already logged in")                               \
	X(HSM_E_NOT_LOGGED_IN, "not logged in")                               \
	X(HSM_E_OP_ACTIVE, "an operation is active in the session")           \
	X(HSM_E_OP_INACTIVE, "no such operation is active in the session")    \
	X(HSM_E_RANDOM, "the random source failed")                           \
	X(HSM_E_INTEGRITY, "a sealed object or record was altered")           \
	X(HSM_E_ROOT, "this root key does not belong to this store")          \
	X(HSM_E_MODE, "not in this mode")                                     \
	X(HSM_E_COUNTER, "the key's invocation limit is reached")             \
	X(HSM_E_WEAKENED, "strict, and the secret memory is weaker than memfd_secret") \
	X(HSM_E_GONE, "the token's file was removed or replaced")              \
	X(HSM_E_NOT_APPROVED, "not approved, and only approved is served")    \
	X(HSM_E_EXPIRED, "expired")                                           \
	X(HSM_E_EXISTS, "exists already")                                     \
	X(HSM_E_IO, "a file could not be read or written")                    \
	X(HSM_E_FORMAT, "the bytes are not of this format")                   \
	X(HSM_E_UNSUPPORTED, "not supported")                                 \
	X(HSM_E_SELF_TEST, "a self-test failed")                              \
	X(HSM_E_CRYPTO, "the crypto library failed")

typedef enum {
#define HSM_STATUS_NAME(name, text) name,
	HSM_STATUS_LIST(HSM_STATUS_NAME)
#undef HSM_STATUS_NAME
	HSM_STATUS_COUNT
} hsm_status;

#define HSM_MUST_USE __attribute__((warn_unused_result))

/* "HSM_E_POLICY" and its sentence. Never NULL. */
const char *hsm_status_name(hsm_status status);
const char *hsm_status_text(hsm_status status);

#endif
