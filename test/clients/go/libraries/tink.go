package main

import (
	"bytes"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/tink-crypto/tink-go-awskms/v3/integration/awskms"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

func tinkClient() {
	c := client()
	_, arn := newKey(c, types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)
	made, err := awskms.NewClientWithOptions(ctx, "aws-kms://"+arn, awskms.WithKMS(c))
	must(err)
	remote, err := made.GetAEAD("aws-kms://" + arn)
	must(err)

	check("encrypts with associated data", func() error {
		sealed, err := remote.Encrypt([]byte("tink"), []byte("order 17"))
		if err != nil {
			return err
		}
		opened, err := remote.Decrypt(sealed, []byte("order 17"))
		if err != nil {
			return err
		}
		return expect(string(opened) == "tink", "%q", opened)
	})
	check("other associated data is refused", func() error {
		sealed, err := remote.Encrypt([]byte("tink"), []byte("order 17"))
		if err != nil {
			return err
		}
		_, err = remote.Decrypt(sealed, []byte("order 18"))
		return expect(err != nil, "it opened")
	})
	check("envelope encryption, a data key a message", func() error {
		envelope := aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), remote)
		long := bytes.Repeat([]byte("0123456789abcdef"), 65536)
		sealed, err := envelope.Encrypt(long, []byte("a"))
		if err != nil {
			return err
		}
		opened, err := envelope.Decrypt(sealed, []byte("a"))
		if err != nil {
			return err
		}
		return expect(bytes.Equal(opened, long), "different")
	})
	check("a keyset rests encrypted and comes back", func() error {
		handle, err := keyset.NewHandle(aead.AES128GCMKeyTemplate())
		if err != nil {
			return err
		}
		var rest bytes.Buffer
		if err := handle.Write(keyset.NewBinaryWriter(&rest), remote); err != nil {
			return err
		}
		back, err := keyset.Read(keyset.NewBinaryReader(&rest), remote)
		if err != nil {
			return err
		}
		return expect(back.KeysetInfo().PrimaryKeyId == handle.KeysetInfo().PrimaryKeyId, "another keyset")
	})
	check("a disabled key opens nothing", func() error {
		sealed, err := remote.Encrypt([]byte("tink"), nil)
		if err != nil {
			return err
		}
		if _, err := c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &arn}); err != nil {
			return err
		}
		_, err = remote.Decrypt(sealed, nil)
		return expect(err != nil, "it opened")
	})
}
