package main

import (
	"crypto/rand"
	"crypto/x509"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Writes root.crt and intermediate.crt of a new authority whose two keys are in KMS, and prints the intermediate's key id: what `step-ca` starts from.
func authority() {
	c := client()
	top, err := newSigner(c, types.KeySpecEccNistP384)
	must(err)
	below, err := newSigner(c, types.KeySpecEccNistP256)
	must(err)
	root := certificate("Root", 1, true)
	rootDer, err := x509.CreateCertificate(rand.Reader, root, root, top.Public(), top)
	must(err)
	parsed, err := x509.ParseCertificate(rootDer)
	must(err)
	middle := certificate("Intermediate", 2, true)
	middle.MaxPathLenZero = true
	middleDer, err := x509.CreateCertificate(rand.Reader, middle, parsed, below.Public(), top)
	must(err)
	must(os.WriteFile("root.crt", pemOf("CERTIFICATE", rootDer), 0o600))
	must(os.WriteFile("intermediate.crt", pemOf("CERTIFICATE", middleDer), 0o600))
	_, err = os.Stdout.WriteString(below.key)
	must(err)
}
