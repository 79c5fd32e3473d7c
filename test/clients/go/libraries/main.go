// Go libraries that stand on AWS KMS, each made to do its job. Prints one JSON line a check.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
)

var (
	ctx    = context.Background()
	failed = false
	work   string
)

func check(name string, run func() error) {
	line := map[string]any{"name": name, "ok": true}
	if err := run(); err != nil {
		failed = true
		line = map[string]any{"name": name, "ok": false, "why": err.Error()}
	}
	text, _ := json.Marshal(line)
	// The reader looks for the name first.
	if why, bad := line["why"]; bad {
		text, _ = json.Marshal(struct {
			Name string `json:"name"`
			Ok   bool   `json:"ok"`
			Why  any    `json:"why"`
		}{name, false, why})
	}
	fmt.Println(string(text))
}

func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// The error code of a refusal, or "" when nothing was refused.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func file(name string, bytes []byte) string {
	path := filepath.Join(work, name)
	must(os.WriteFile(path, bytes, 0o600))
	return path
}

func openssl(args ...string) (string, error) {
	command := exec.Command("openssl", args...)
	command.Dir = work
	out, err := command.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("openssl %v: %s", args, out)
	}
	return string(out), nil
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func client() *kms.Client {
	cfg, err := config.LoadDefaultConfig(ctx)
	must(err)
	return kms.NewFromConfig(cfg)
}

func newKey(c *kms.Client, spec types.KeySpec, usage types.KeyUsageType) (id, arn string) {
	made, err := c.CreateKey(ctx, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage})
	must(err)
	return aws.ToString(made.KeyMetadata.KeyId), aws.ToString(made.KeyMetadata.Arn)
}

func main() {
	clients := map[string]func(){"sdk": sdk, "tink": tinkClient, "gocloud": gocloud, "wrapping": wrappingClient, "authority": authority}
	run, known := clients[os.Args[1]]
	if !known {
		os.Exit(2)
	}
	var err error
	work, err = os.MkdirTemp("", "strongroom-go-")
	must(err)
	run()
	_ = os.RemoveAll(work)
	if failed {
		os.Exit(1)
	}
}
