// What Go programs do with a token through crypto11 (on miekg/pkcs11): signers for TLS and certificates, sealed
// messages, many goroutines on a pool of sessions. One JSON line a check. Arguments: module, token, PIN.
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"sync"
	"time"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
)

var failed bool

func check(name string, work func() error) {
	line := map[string]any{"name": name, "ok": true}
	if err := work(); err != nil {
		line["ok"], line["why"], failed = false, err.Error(), true
	}
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

var digest = sha256.Sum256([]byte("a message from Go"))

func rsaKey(ctx *crypto11.Context) error {
	key, err := ctx.GenerateRSAKeyPairWithLabel([]byte("go-rsa"), []byte("go-rsa"), 2048)
	if err != nil {
		return err
	}
	public := key.Public().(*rsa.PublicKey)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
		return err
	}
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	if signature, err = key.Sign(rand.Reader, digest[:], pss); err != nil {
		return err
	}
	if err := rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, pss); err != nil {
		return err
	}
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384} {
		sealed, err := rsa.EncryptOAEP(hash.New(), rand.Reader, public, []byte("sealed"), []byte("label"))
		if err != nil {
			return err
		}
		clear, err := key.(crypto.Decrypter).Decrypt(rand.Reader, sealed, &rsa.OAEPOptions{Hash: hash, Label: []byte("label")})
		if err != nil || string(clear) != "sealed" {
			return fmt.Errorf("OAEP with %v: %q %w", hash, clear, err)
		}
	}
	return nil
}

func ecKey(ctx *crypto11.Context, curve elliptic.Curve) error {
	key, err := ctx.GenerateECDSAKeyPairWithLabel([]byte(curve.Params().Name), []byte("go-ec"), curve)
	if err != nil {
		return err
	}
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	if !ecdsa.VerifyASN1(key.Public().(*ecdsa.PublicKey), digest[:], signature) {
		return errors.New("does not verify")
	}
	return nil
}

func certificate(ctx *crypto11.Context) error {
	key, err := ctx.FindKeyPair([]byte("go-rsa"), nil)
	if err != nil || key == nil {
		return fmt.Errorf("no key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "go"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if err := made.CheckSignature(made.SignatureAlgorithm, made.RawTBSCertificate, made.Signature); err != nil {
		return err
	}
	if err := ctx.ImportCertificateWithLabel([]byte("go-rsa"), []byte("go-rsa"), made); err != nil {
		return err
	}
	pairs, err := ctx.FindAllPairedCertificates()
	if err != nil || len(pairs) != 1 {
		return fmt.Errorf("%d certificates beside keys: %w", len(pairs), err)
	}
	return nil
}

func secret(ctx *crypto11.Context) error {
	key, err := ctx.GenerateSecretKeyWithLabel([]byte("go-aes"), []byte("go-aes"), 256, crypto11.CipherAES)
	if err != nil {
		return err
	}
	gcm, err := key.NewGCM()
	if err != nil {
		return err
	}
	nonce := make([]byte, gcm.NonceSize())
	sealed := gcm.Seal(nil, nonce, []byte("a text"), []byte("beside"))
	clear, err := gcm.Open(nil, nonce, sealed, []byte("beside"))
	if err != nil || string(clear) != "a text" {
		return fmt.Errorf("GCM: %q %w", clear, err)
	}
	sealed[0] ^= 1
	if _, err := gcm.Open(nil, nonce, sealed, []byte("beside")); err == nil {
		return errors.New("GCM opened what was changed")
	}
	cbc, err := key.NewCBCEncrypterCloser(make([]byte, 16))
	if err != nil {
		return err
	}
	block := make([]byte, 64)
	cbc.CryptBlocks(block, bytes.Repeat([]byte{7}, 64))
	cbc.Close()
	back, err := key.NewCBCDecrypterCloser(make([]byte, 16))
	if err != nil {
		return err
	}
	back.CryptBlocks(block, block)
	back.Close()
	if !bytes.Equal(block, bytes.Repeat([]byte{7}, 64)) {
		return errors.New("CBC")
	}
	return nil
}

func mac(ctx *crypto11.Context) error {
	key, err := ctx.GenerateSecretKeyWithLabel([]byte("go-mac"), []byte("go-mac"), 256, crypto11.CipherGeneric)
	if err != nil {
		return err
	}
	for _, kind := range []int{pkcs11.CKM_SHA_1_HMAC, pkcs11.CKM_SHA256_HMAC, pkcs11.CKM_SHA512_HMAC} {
		sums := [2][]byte{}
		for i := range sums {
			h, err := key.NewHMAC(kind, 0)
			if err != nil {
				return err
			}
			h.Write([]byte("one "))
			h.Write([]byte("two"))
			sums[i] = h.Sum(nil)
		}
		if len(sums[0]) == 0 || !hmac.Equal(sums[0], sums[1]) {
			return fmt.Errorf("HMAC %x", kind)
		}
	}
	return nil
}

func crowd(ctx *crypto11.Context) error {
	key, err := ctx.FindKeyPair(nil, []byte("go-ec"))
	if err != nil || key == nil {
		return fmt.Errorf("no key: %w", err)
	}
	var wait sync.WaitGroup
	wrong := make(chan error, 32)
	for i := 0; i < 32; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := 0; j < 20; j++ {
				signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
				if err != nil || !ecdsa.VerifyASN1(key.Public().(*ecdsa.PublicKey), digest[:], signature) {
					wrong <- fmt.Errorf("%w", err)
					return
				}
			}
		}()
	}
	wait.Wait()
	close(wrong)
	return <-wrong
}

func main() {
	config := &crypto11.Config{Path: os.Args[1], TokenLabel: os.Args[2], Pin: os.Args[3], MaxSessions: 8}
	check("a wrong PIN is refused and breaks nothing", func() error {
		bad := *config
		bad.Pin = "0000"
		if _, err := crypto11.Configure(&bad); err == nil {
			return errors.New("taken")
		}
		return nil
	})
	ctx, err := crypto11.Configure(config)
	if err != nil {
		panic(err)
	}
	check("RSA: PKCS #1, PSS, OAEP with a label", func() error { return rsaKey(ctx) })
	for _, curve := range []elliptic.Curve{elliptic.P224(), elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		check("ECDSA on "+curve.Params().Name, func() error { return ecKey(ctx, curve) })
	}
	check("a certificate beside its key", func() error { return certificate(ctx) })
	check("AES: GCM and CBC", func() error { return secret(ctx) })
	check("HMAC in parts", func() error { return mac(ctx) })
	check("32 goroutines on eight sessions", func() error { return crowd(ctx) })
	check("a second context on the same token", func() error {
		other, err := crypto11.Configure(config)
		if err != nil {
			return err
		}
		key, err := other.FindKey([]byte("go-aes"), nil)
		if err != nil || key == nil {
			return fmt.Errorf("no key: %w", err)
		}
		return other.Close()
	})
	check("closes", ctx.Close)
	if failed {
		os.Exit(1)
	}
}
