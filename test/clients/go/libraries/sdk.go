package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// signer is a crypto.Signer whose key stays where it is: what crypto/x509 wants of a CA, a digest at a time.
type signer struct {
	client *kms.Client
	key    string
	public crypto.PublicKey
}

func newSigner(c *kms.Client, spec types.KeySpec) (*signer, error) {
	id, _ := newKey(c, spec, types.KeyUsageTypeSignVerify)
	out, err := c.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &id})
	if err != nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(out.PublicKey)
	return &signer{c, id, public}, err
}

func (s *signer) Public() crypto.PublicKey { return s.public }

func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	bits := map[crypto.Hash]string{crypto.SHA256: "256", crypto.SHA384: "384", crypto.SHA512: "512"}[opts.HashFunc()]
	algorithm := "ECDSA_SHA_" + bits
	if _, is := s.public.(*rsa.PublicKey); is {
		algorithm = "RSASSA_PKCS1_V1_5_SHA_" + bits
		if _, pss := opts.(*rsa.PSSOptions); pss {
			algorithm = "RSASSA_PSS_SHA_" + bits
		}
	}
	out, err := s.client.Sign(ctx, &kms.SignInput{KeyId: &s.key, Message: digest, MessageType: types.MessageTypeDigest, SigningAlgorithm: types.SigningAlgorithmSpec(algorithm)})
	if err != nil {
		return nil, err
	}
	return out.Signature, nil
}

func certificate(name string, serial int64, authority bool) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: authority, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | map[bool]x509.KeyUsage{true: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}[authority],
	}
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// A CA in KMS signs a leaf whose key is there too; openssl and Go judge the chain.
func chain(c *kms.Client, spec types.KeySpec, algorithm x509.SignatureAlgorithm) error {
	ca, err := newSigner(c, spec)
	if err != nil {
		return err
	}
	leaf, err := newSigner(c, spec)
	if err != nil {
		return err
	}
	root := certificate("ca", 1, true)
	root.SignatureAlgorithm = algorithm
	rootDer, err := x509.CreateCertificate(rand.Reader, root, root, ca.Public(), ca)
	if err != nil {
		return err
	}
	parsed, err := x509.ParseCertificate(rootDer)
	if err != nil {
		return err
	}
	below := certificate("leaf", 2, false)
	below.SignatureAlgorithm = algorithm
	leafDer, err := x509.CreateCertificate(rand.Reader, below, parsed, leaf.Public(), ca)
	if err != nil {
		return err
	}
	file("ca.pem", pemOf("CERTIFICATE", rootDer))
	file("leaf.pem", pemOf("CERTIFICATE", leafDer))
	_, err = openssl("verify", "-CAfile", "ca.pem", "leaf.pem")
	return err
}

func csr(c *kms.Client, spec types.KeySpec) error {
	key, err := newSigner(c, spec)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "asks"}}, key)
	if err != nil {
		return err
	}
	_, err = openssl("req", "-verify", "-noout", "-in", file("asks.csr", pemOf("CERTIFICATE REQUEST", der)))
	return err
}

func sdk() {
	c := client()
	id, arn := newKey(c, types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)

	for _, each := range []struct {
		spec      types.KeySpec
		algorithm x509.SignatureAlgorithm
	}{
		{types.KeySpecRsa2048, x509.SHA256WithRSA}, {types.KeySpecRsa3072, x509.SHA384WithRSAPSS}, {types.KeySpecRsa4096, x509.SHA512WithRSAPSS},
		{types.KeySpecEccNistP256, x509.ECDSAWithSHA256}, {types.KeySpecEccNistP384, x509.ECDSAWithSHA384}, {types.KeySpecEccNistP521, x509.ECDSAWithSHA512},
	} {
		check("a CA and a leaf: "+string(each.spec)+", "+each.algorithm.String(), func() error { return chain(c, each.spec, each.algorithm) })
	}
	for _, spec := range []types.KeySpec{types.KeySpecRsa2048, types.KeySpecEccNistP384} {
		check("a request for a certificate: "+string(spec), func() error { return csr(c, spec) })
	}
	check("a list of revoked certificates", func() error {
		ca, err := newSigner(c, types.KeySpecEccNistP256)
		if err != nil {
			return err
		}
		root := certificate("revokes", 3, true)
		root.SubjectKeyId = []byte{1, 2, 3}
		rootDer, err := x509.CreateCertificate(rand.Reader, root, root, ca.Public(), ca)
		if err != nil {
			return err
		}
		parsed, _ := x509.ParseCertificate(rootDer)
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, parsed, ca)
		if err != nil {
			return err
		}
		file("crlca.pem", pemOf("CERTIFICATE", rootDer))
		said, err := openssl("crl", "-CAfile", "crlca.pem", "-noout", "-in", file("list.crl", pemOf("X509 CRL", der)))
		if err != nil {
			return err
		}
		return expect(bytes.Contains([]byte(said), []byte("verify OK")), "%s", said)
	})
	check("round trip with an encryption context", func() error {
		sealed, err := c.Encrypt(ctx, &kms.EncryptInput{KeyId: &id, Plaintext: []byte("go"), EncryptionContext: map[string]string{"a": "1", "b": "2"}})
		if err != nil {
			return err
		}
		opened, err := c.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: map[string]string{"b": "2", "a": "1"}})
		if err != nil {
			return err
		}
		return expect(string(opened.Plaintext) == "go" && aws.ToString(opened.KeyId) == arn, "%v", opened)
	})
	check("another context is an InvalidCiphertextException", func() error {
		sealed, err := c.Encrypt(ctx, &kms.EncryptInput{KeyId: &id, Plaintext: []byte("go")})
		if err != nil {
			return err
		}
		_, err = c.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: map[string]string{"a": "1"}})
		var typed *types.InvalidCiphertextException
		return expect(errors.As(err, &typed), "%v", err)
	})
	check("a data key opens", func() error {
		made, err := c.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &arn, KeySpec: types.DataKeySpecAes256})
		if err != nil {
			return err
		}
		opened, err := c.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: made.CiphertextBlob})
		if err != nil {
			return err
		}
		return expect(bytes.Equal(opened.Plaintext, made.Plaintext) && len(made.Plaintext) == 32, "different")
	})
	check("what Go encrypts with RSA-OAEP is decrypted", func() error {
		key, _ := newKey(c, types.KeySpecRsa2048, types.KeyUsageTypeEncryptDecrypt)
		out, err := c.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &key})
		if err != nil {
			return err
		}
		public, err := x509.ParsePKIXPublicKey(out.PublicKey)
		if err != nil {
			return err
		}
		sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), []byte("from outside"), nil)
		if err != nil {
			return err
		}
		opened, err := c.Decrypt(ctx, &kms.DecryptInput{KeyId: &key, CiphertextBlob: sealed, EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha256})
		if err != nil {
			return err
		}
		return expect(string(opened.Plaintext) == "from outside", "%q", opened.Plaintext)
	})
	check("a MAC, and a wrong one", func() error {
		key, _ := newKey(c, types.KeySpecHmac384, types.KeyUsageTypeGenerateVerifyMac)
		mac, err := c.GenerateMac(ctx, &kms.GenerateMacInput{KeyId: &key, Message: []byte("m"), MacAlgorithm: types.MacAlgorithmSpecHmacSha384})
		if err != nil {
			return err
		}
		mac.Mac[0] ^= 1
		_, err = c.VerifyMac(ctx, &kms.VerifyMacInput{KeyId: &key, Message: []byte("m"), Mac: mac.Mac, MacAlgorithm: types.MacAlgorithmSpecHmacSha384})
		return expect(len(mac.Mac) == 48 && code(err) == "KMSInvalidMacException", "%v", err)
	})
	check("a digest is signed as it is", func() error {
		key, err := newSigner(c, types.KeySpecEccNistP521)
		if err != nil {
			return err
		}
		digest := sha512.Sum512([]byte("message"))
		signature, err := key.Sign(nil, digest[:], crypto.SHA512)
		if err != nil {
			return err
		}
		valid, err := c.Verify(ctx, &kms.VerifyInput{KeyId: &key.key, Message: []byte("message"), Signature: signature, SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha512})
		if err != nil {
			return err
		}
		return expect(valid.SignatureValid, "not valid")
	})
	check("a signature over something else is a KMSInvalidSignatureException", func() error {
		key, err := newSigner(c, types.KeySpecEccNistP256)
		if err != nil {
			return err
		}
		digest := sha256.Sum256([]byte("message"))
		signature, err := key.Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			return err
		}
		_, err = c.Verify(ctx, &kms.VerifyInput{KeyId: &key.key, Message: []byte("other"), Signature: signature, SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256})
		var typed *types.KMSInvalidSignatureException
		return expect(errors.As(err, &typed), "%v", err)
	})
	check("a disabled key is a DisabledException", func() error {
		key, keyArn := newKey(c, types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)
		if _, err := c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &keyArn}); err != nil {
			return err
		}
		_, err := c.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
		var typed *types.DisabledException
		return expect(errors.As(err, &typed), "%v", err)
	})
	check("nothing there is a NotFoundException", func() error {
		_, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/go-none")})
		var typed *types.NotFoundException
		return expect(errors.As(err, &typed), "%v", err)
	})
	check("a paginator sees every key once", func() error {
		pages, seen := kms.NewListKeysPaginator(c, &kms.ListKeysInput{Limit: aws.Int32(3)}), map[string]int{}
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, key := range page.Keys {
				seen[aws.ToString(key.KeyId)]++
			}
		}
		for key, times := range seen {
			if times != 1 {
				return expect(false, "%s %d times", key, times)
			}
		}
		return expect(seen[id] == 1 && len(seen) > 10, "%d keys", len(seen))
	})
	check("eight goroutines at once", func() error {
		var all sync.WaitGroup
		wrong := make(chan error, 8)
		for range 8 {
			all.Go(func() {
				for range 20 {
					made, err := c.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &id, NumberOfBytes: aws.Int32(48)})
					if err == nil {
						var opened *kms.DecryptOutput
						opened, err = c.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: made.CiphertextBlob})
						if err == nil && !bytes.Equal(opened.Plaintext, made.Plaintext) {
							err = errors.New("different")
						}
					}
					if err != nil {
						wrong <- err
						return
					}
				}
			})
		}
		all.Wait()
		close(wrong)
		return <-wrong
	})
	check("both agree on a shared secret", func() error {
		var ids [2]string
		var public [2][]byte
		for i := range ids {
			ids[i], _ = newKey(c, types.KeySpecEccNistP256, types.KeyUsageTypeKeyAgreement)
			out, err := c.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &ids[i]})
			if err != nil {
				return err
			}
			public[i] = out.PublicKey
		}
		var secrets [2][]byte
		for i := range ids {
			out, err := c.DeriveSharedSecret(ctx, &kms.DeriveSharedSecretInput{KeyId: &ids[i], KeyAgreementAlgorithm: types.KeyAgreementAlgorithmSpecEcdh, PublicKey: public[1-i]})
			if err != nil {
				return err
			}
			secrets[i] = out.SharedSecret
		}
		return expect(bytes.Equal(secrets[0], secrets[1]) && len(secrets[0]) == 32, "different")
	})
}
