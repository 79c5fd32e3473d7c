package main

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"gocloud.dev/gcerrors"
	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/awskms"
)

func gocloud() {
	c := client()
	id, arn := newKey(c, types.KeySpecSymmetricDefault, types.KeyUsageTypeEncryptDecrypt)
	_, err := c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/gocloud"), TargetKeyId: &id})
	must(err)
	open := func(url string) *secrets.Keeper {
		keeper, err := secrets.OpenKeeper(ctx, url)
		must(err)
		return keeper
	}
	round := func(url string) error {
		keeper := open(url)
		defer keeper.Close()
		sealed, err := keeper.Encrypt(ctx, []byte("portable"))
		if err != nil {
			return err
		}
		opened, err := keeper.Decrypt(ctx, sealed)
		if err != nil {
			return err
		}
		return expect(string(opened) == "portable", "%q", opened)
	}
	check("by key id", func() error { return round("awskms://" + id + "?region=us-east-1") })
	check("by ARN", func() error { return round("awskms:///" + arn + "?region=us-east-1") })
	check("by alias", func() error { return round("awskms://alias/gocloud?region=us-east-1") })
	check("an encryption context in the address", func() error {
		one, other := open("awskms:///"+arn+"?region=us-east-1&context_tenant=a"), open("awskms:///"+arn+"?region=us-east-1&context_tenant=b")
		sealed, err := one.Encrypt(ctx, []byte("x"))
		if err != nil {
			return err
		}
		if _, err := one.Decrypt(ctx, sealed); err != nil {
			return err
		}
		_, err = other.Decrypt(ctx, sealed)
		return expect(gcerrors.Code(err) == gcerrors.InvalidArgument, "%v: %v", gcerrors.Code(err), err)
	})
	check("rubbish is InvalidArgument", func() error {
		_, err := open("awskms:///"+arn+"?region=us-east-1").Decrypt(ctx, []byte(strings.Repeat("rubbish", 20)))
		return expect(gcerrors.Code(err) == gcerrors.InvalidArgument, "%v: %v", gcerrors.Code(err), err)
	})
	check("no such key is NotFound", func() error {
		_, err := open("awskms://alias/gocloud-none?region=us-east-1").Encrypt(ctx, []byte("x"))
		return expect(gcerrors.Code(err) == gcerrors.NotFound, "%v: %v", gcerrors.Code(err), err)
	})
}
