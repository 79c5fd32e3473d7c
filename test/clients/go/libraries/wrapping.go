package main

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
	"github.com/hashicorp/go-kms-wrapping/wrappers/awskms/v2"
	"google.golang.org/protobuf/proto"
	"os"
)

// Vault's and Boundary's awskms seal is this library: it seals a root key, and opens it again after a restart.
func wrappingClient() {
	c := client()
	id, arn := newKey(c, types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)
	configured := func(key string) (*awskms.Wrapper, error) {
		w := awskms.NewWrapper()
		_, err := w.SetConfig(ctx, wrapping.WithConfigMap(map[string]string{
			"kms_key_id": key, "region": "us-east-1", "endpoint": os.Getenv("ENDPOINT"), "access_key": os.Getenv("ACCESS_KEY"), "secret_key": os.Getenv("SECRET_KEY"),
		}))
		return w, err
	}
	wrapper, err := configured(id)
	must(err)
	var sealed *wrapping.BlobInfo

	check("seals a root key", func() error {
		sealed, err = wrapper.Encrypt(ctx, []byte("root key of a vault"), wrapping.WithAad([]byte("seal")))
		if err != nil {
			return err
		}
		return expect(sealed.KeyInfo.KeyId != "" && !strings.Contains(string(sealed.Ciphertext), "root key"), "%v", sealed.KeyInfo)
	})
	check("opens it after a restart", func() error {
		rest, err := proto.Marshal(sealed)
		if err != nil {
			return err
		}
		back := new(wrapping.BlobInfo)
		if err := proto.Unmarshal(rest, back); err != nil {
			return err
		}
		again, err := configured(id)
		if err != nil {
			return err
		}
		opened, err := again.Decrypt(ctx, back, wrapping.WithAad([]byte("seal")))
		if err != nil {
			return err
		}
		return expect(string(opened) == "root key of a vault", "%q", opened)
	})
	check("knows its key by ARN", func() error {
		by, err := configured(arn)
		if err != nil {
			return err
		}
		key, err := by.KeyId(ctx)
		if err != nil {
			return err
		}
		opened, err := by.Decrypt(ctx, sealed, wrapping.WithAad([]byte("seal")))
		if err != nil {
			return err
		}
		return expect(strings.Contains(key, id) && len(opened) > 0, "%s", key)
	})
	check("opens it after the key was rotated", func() error {
		if _, err := c.RotateKeyOnDemand(ctx, &kms.RotateKeyOnDemandInput{KeyId: &id}); err != nil {
			return err
		}
		opened, err := wrapper.Decrypt(ctx, sealed, wrapping.WithAad([]byte("seal")))
		if err != nil {
			return err
		}
		return expect(string(opened) == "root key of a vault", "%q", opened)
	})
	check("a disabled key unseals nothing", func() error {
		if _, err := c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &id}); err != nil {
			return err
		}
		_, err := wrapper.Decrypt(ctx, sealed, wrapping.WithAad([]byte("seal")))
		return expect(err != nil && strings.Contains(err.Error(), "DisabledException"), "%v", err)
	})
	check("a key that is not there is refused when it is set", func() error {
		_, err := configured("00000000-0000-4000-8000-000000000000")
		return expect(err != nil && strings.Contains(err.Error(), "NotFoundException"), "%v", err)
	})
}
